"""From latents to values: windows of context, chunks that fit memory, points, probes, log densities.

It knows settings, model and likelihood, but no audio and no file. What a value is depends on the latents,
the settings and the frame's own random draws alone: never on windows asked for, chunk sizes or order. On a CPU the
other levels, the order and the number of threads change not one bit: work is cut into tiles of one shape, which the
settings and the window's length decide, the last one of a window filled up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioic_widget.codec import Latents
from audioic_widget.errors import DeviceError
from audioic_widget.hardware import fast_in_bfloat16
from audioic_widget.likelihood.density import Scheme, log_density, log_density_along_flow, standard_error
from audioic_widget.likelihood.divergence import (
    CycledHadamard,
    DivergenceEstimator,
    Estimate,
    ExactTrace,
    FixedProbes,
    mean_of,
)
from audioic_widget.likelihood.draws import Draws, Purpose
from audioic_widget.likelihood.noising import evaluated_points, mean_noise, single_draws
from audioic_widget.likelihood.solvers import METHODS
from audioic_widget.model.catalogue import ICModel
from audioic_widget.model.frozen import FrozenHead
from audioic_widget.settings import ICSettings
from audioic_widget.threads import compute_threads

CPU_ROWS = 1024
"""Most rows (values and tangents) of the head in a tile on a CPU: enough to read the weights seldom, few enough that what
one product leaves for the next stays near the core."""

DEVICE_ROWS = 262_144
"""The same on a GPU, where large products are the fast ones."""

ADAPTIVE_BLOCK = 1
"""Frames that an adaptive solver steps together: more, and what comes later would choose earlier frames' steps."""

Check = Callable[[], None]
Span = tuple[int, int]


@dataclass(frozen=True)
class Fixed:
    """Randomness given by the caller: probes ``(L, n, T-1, D)``, noise ``(T, D)`` or ``(M, T, D)``."""

    probes: Tensor | None = None
    noise: Tensor | None = None


@dataclass
class Values:
    """IC of latents 2 .. T, as far as computed: NaN elsewhere.

    Attributes
    ----------
    mean, variance : ndarray (L, T-1)
        The values, and the variance of each; nats, nats squared.
    freedom : int
        Degrees of freedom behind each variance.
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    freedom: int = 0

    @classmethod
    def empty(cls, levels: int, frames: int) -> Values:
        """Nothing computed yet."""
        return cls(np.full((levels, frames), np.nan), np.full((levels, frames), np.nan))

    @property
    def n_frames(self) -> int:
        """Number of values a level."""
        return self.mean.shape[1]

    def put(self, levels: slice, start: int, stop: int, estimate: Estimate) -> None:
        """Take in an estimate ``(levels, stop - start or more)`` of the IC."""
        self.freedom = estimate.freedom
        for array, part in ((self.mean, estimate.value), (self.variance, estimate.variance)):
            array[levels, start:stop] = part[:, : stop - start].double().cpu()

    def stderr(self, start: int = 0, stop: int | None = None) -> NDArray[np.float64]:
        """Standard errors ``(L, stop - start)`` in nats: zero where nothing is random, NaN where unknown.

        Each leans on the mean over all that is computed so far.
        """
        variance = torch.from_numpy(self.variance)
        pooled = variance.nanmean(dim=1, keepdim=True)
        return standard_error(variance[:, start:stop], self.freedom, pooled).numpy()


def evaluations(settings: ICSettings) -> float:
    """Cost of one frame and level, in passes through the head; a guess for adaptive solvers."""
    tangents = 64 if settings.divergence == "exact" else settings.n_probes
    draws = settings.monte_carlo_samples or 1 if settings.noising == "average" else 1
    if settings.solver == "scipy":
        return 100.0 * (1 + tangents) * draws
    return float(settings.n_steps * sum(METHODS[settings.solver].rows_a_step(tangents)) * draws)


def solve(
    values: Values,
    latents: Latents,
    model: ICModel,
    settings: ICSettings,
    first_frame: int,
    *,
    fixed: Fixed | None = None,
    wanted: Callable[[], Sequence[Span]] = tuple,
    check: Check | None = None,
) -> Iterator[tuple[int, int]]:
    """Fill `values` and yield the range of values ``(start, stop)`` each time some are there for all levels.

    Parameters
    ----------
    values : Values
        Filled in place; value i is about latent ``i + 1``.
    latents : Latents (T, D)
        On the model's device.
    model : ICModel
    settings : ICSettings
    first_frame : int
        File frame of the first latent: random draws belong to file frames.
    fixed : Fixed, optional
        Probes or noise in place of those drawn from the seed.
    wanted : callable
        Gives spans of latents to compute before the others, the most urgent first; asked before every window.
    check : callable, optional
        Called after every solver step; may raise to end the work.
    """
    precision = precision_on(settings, model.device)
    model = model.in_precision(precision)
    head = model.head.frozen(torch.bfloat16 if precision == "bfloat16" else None)
    solver = _Solver(latents, model, head, settings, first_frame, fixed or Fixed(), check or (lambda: None))
    threads, spans = compute_threads(model.device), windows(len(latents), model.context_frames)
    # What is left of every window: where its tiles begin, and itself once it is there.
    left = {span: list(range(span[0], span[1], solver.tile_frames(span[1] - span[0]))) for span in spans}
    begun: dict[tuple[int, int, int], _Window] = {}
    while left:
        urgent = wanted()

        def place(span: tuple[int, int, int], urgent: Sequence[Span] = urgent) -> tuple[int, int]:
            """The most urgent first, then the earliest."""
            size = solver.tile_frames(span[1] - span[0])
            parts = [(low, min(low + size, span[1])) for low in left[span]] if span in begun else [span[:2]]
            return min(urgency(part, urgent) for part in parts), span[0]

        start, stop, past = min(left, key=place)
        size, lows = solver.tile_frames(stop - start), left.pop((start, stop, past))
        window = begun.pop((start, stop, past), None) or solver.window(start, stop, past)
        places = {low: urgency((low, min(low + size, stop)), urgent) for low in lows}
        lows.sort(key=lambda low: places[low])
        # Tiles nobody waits for wait themselves, for those of other windows that somebody waits for.
        now = [low for low in lows if places[low] < len(urgent)] or lows
        if rest := lows[len(now) :]:
            left[start, stop, past], begun[start, stop, past] = rest, window
        tiles = [
            (low, [threads.submit(solver.fill, values, window, low, levels, size, stop) for levels in solver.together])
            for low in now
        ]
        try:
            for low, parts in tiles:
                for part in parts:
                    part.result()
                yield low - 1, min(low + size, stop) - 1
        finally:
            _end([part for _, parts in tiles for part in parts])


def precision_on(settings: ICSettings, device: torch.device) -> str:
    """The number format that "auto" stands for: "bfloat16" where the hardware multiplies it fast, else "float32"."""
    if settings.precision != "auto":
        return settings.precision
    return "bfloat16" if fast_in_bfloat16(device) else "float32"


def _end(parts: list[Future[None]]) -> None:
    """Call off what has not begun and wait for what has: nothing writes to the values after this."""
    for part in parts:
        part.cancel()
    wait(parts)


def urgency(span: Span, urgent: Sequence[Span]) -> int:
    """Place of the first of the `urgent` spans that `span` touches; the lower, the sooner."""
    return next((place for place, (low, high) in enumerate(urgent) if span[0] < high and low < span[1]), len(urgent))


def windows(n_latents: int, context: int) -> list[tuple[int, int, int]]:
    """Split latents 1 .. n-1 into ranges predicted together.

    Returns
    -------
    list of (start, stop, past)
        Latents ``start .. stop - 1`` are predicted from latents ``past ..``; what does not fit one context
        goes in steps of half a context, so that every value has at least half a context of past.
    """
    half = max(context // 2, 1)
    spans = [(1, min(context, n_latents), 0)] if n_latents > 1 else []
    for start in range(context, n_latents, half):
        spans.append((start, min(start + half, n_latents), start - half))
    return spans


@dataclass(frozen=True)
class _Window:
    """Points and contexts of a window, rows being levels times draws; frame axis from latent `start` on."""

    x: Tensor
    contexts: Tensor
    start: int


@dataclass(frozen=True)
class _Solver:
    """One request: what stays the same from window to window."""

    latents: Latents
    model: ICModel
    head: FrozenHead
    settings: ICSettings
    first_frame: int
    fixed: Fixed
    check: Check

    @property
    def _draws(self) -> Draws:
        return Draws(self.settings.seed, self.model.latent_dim)

    @property
    def _draws_each(self) -> int:
        """Rows each level has: its own likelihoods to average."""
        return self.settings.monte_carlo_samples or 1 if self.settings.noising == "average" else 1

    @property
    def _dtype(self) -> torch.dtype:
        """Of states and sums."""
        return torch.float64 if self.settings.precision == "float64" else torch.float32

    @property
    def _levels(self) -> Tensor:
        return torch.tensor(self.settings.noise_levels, dtype=self._dtype, device=self.model.device)

    @torch.inference_mode()
    def window(self, start: int, stop: int, past: int) -> _Window:
        """Evaluated points and contexts for the latents ``start .. stop - 1``, seeing from `past` on."""
        settings, latents = self.settings, self.latents[past:stop].to(self._dtype)
        if settings.noising == "flow":
            x = seen = latents.unsqueeze(0)
        else:
            clean = settings.context == "clean" or (settings.context == "published" and settings.noising == "average")
            noise = self._noise(past, stop)
            rows = self._levels.repeat_interleave(self._draws_each)
            points = evaluated_points(latents, rows, noise, clean_context=clean)
            x, seen = points.x, points.seen
        # One by one: a sequence's contexts must not depend on its company.
        contexts = torch.cat(list(compute_threads(seen.device).map(self._contexts, seen.split(1))))
        return _Window(x[:, start - past :], contexts[:, start - past - 1 :], start)

    @torch.inference_mode()
    def _contexts(self, seen: Tensor) -> Tensor:
        self.check()
        return self.model.contexts(seen[:, :-1])

    def _noise(self, past: int, stop: int) -> Tensor | None:
        settings, fixed = self.settings, self.fixed.noise
        if settings.noising == "expectation":
            return None
        if fixed is not None:
            noise = fixed[..., past:stop, :]
        else:
            draw = single_draws if settings.noising == "average" else mean_noise
            noise = draw(
                self._draws, settings.monte_carlo_samples or 1, self.first_frame + past, self.first_frame + stop
            )
        if settings.noising == "average":
            noise = noise.repeat(len(settings.noise_levels), 1, 1)
        return noise.to(self._levels)

    @property
    def together(self) -> list[slice]:
        """Levels solved in one piece: all on a GPU; one by one on a CPU, and for adaptive steps, which depend on all states."""
        n_levels = len(self._levels)
        if self.settings.noising == "flow" or (self.settings.solver != "scipy" and self.model.device.type != "cpu"):
            return [slice(0, n_levels)]
        return [slice(level, level + 1) for level in range(n_levels)]

    def tile_frames(self, n_frames: int) -> int:
        """Latents solved in one piece, of the `n_frames` of a window: tiles of one size, the last one nearly full."""
        if self.settings.solver == "scipy":
            return ADAPTIVE_BLOCK
        tangents = 64 if self.settings.divergence == "exact" else self.settings.n_probes
        levels = self.together[0]
        rows = 1 if self.settings.noising == "flow" else (levels.stop - levels.start) * self._draws_each
        budget = CPU_ROWS if self.model.device.type == "cpu" else DEVICE_ROWS
        most = max(budget // (rows * (1 + tangents)), 1)
        return -(-n_frames // -(-n_frames // most))

    def fill(self, values: Values, window: _Window, low: int, levels: slice, size: int, stop: int) -> None:
        """Solve at most `size` latents from `low` on, below `stop`; out of memory, halve the size and go on."""
        try:
            self._fill(values, window, low, levels, size, stop)
            return
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            if size == 1:
                raise DeviceError(
                    f"The {self.model.device.type} has too little free memory for a single frame: "
                    "ask for fewer noise levels, probes or draws, or free memory."
                ) from error
        # Out here the error is gone, and with it what the failed attempt held.
        half, high = -(-size // 2), min(low + size, stop)
        for start in range(low, high, half):
            self.fill(values, window, start, levels, half, high)

    @torch.inference_mode()
    def _fill(self, values: Values, window: _Window, low: int, levels: slice, size: int, stop: int) -> None:
        high = min(low + size, stop)
        inside, draws = slice(low - window.start, high - window.start), self._draws_each
        flow = self.settings.noising == "flow"
        rows = slice(0, 1) if flow else slice(levels.start * draws, levels.stop * draws)
        contexts = window.contexts if len(window.contexts) == 1 else window.contexts[rows]
        field = self.head.bind(self._filled_up(contexts[:, inside], size))
        x = self._filled_up(window.x[rows, inside], size)
        times = 1 - self._levels[levels]
        if flow:
            estimator = self._estimator(x, low, (0.0,), slice(0, 1))
            logs, _ = log_density_along_flow(field, x, times, self._scheme, estimator, self.check)
        else:
            estimator = self._estimator(x, low, self.settings.noise_levels[levels], levels)
            t = times.repeat_interleave(draws)
            logs = log_density(field, x, t, self._scheme, estimator, self.check)
            if self.settings.noising == "average":
                # Every draw is an estimate of the mean over noise; its probes' error is part of its spread.
                logs = mean_of(logs.value.unflatten(0, (-1, draws)).transpose(0, 1))
        values.put(levels, low - 1, high - 1, Estimate(-logs.value, logs.variance, logs.freedom))

    def _filled_up(self, values: Tensor, size: int) -> Tensor:
        """`values` ``(rows, F, ...)``, on a CPU with the last frame repeated until there are `size`.

        Kernels round differently for other shapes: of one shape, a frame gets the same value in any company.
        """
        missing = size - values.shape[1] if self.model.device.type == "cpu" else 0
        return values if missing == 0 else torch.cat((values, values[:, -1:].expand(-1, missing, -1)), dim=1)

    @property
    def _scheme(self) -> Scheme:
        settings = self.settings
        options = settings.solver_options if settings.solver == "scipy" else {}
        return Scheme(settings.solver, settings.n_steps, settings.spacing, options)

    def _estimator(self, x: Tensor, low: int, levels: tuple[float, ...], which: slice) -> DivergenceEstimator:
        """The divergence estimator of states `x` ``(rows, F, D)`` from latent `low` on."""
        settings, n_probes = self.settings, self.settings.n_probes
        if settings.divergence == "exact":
            return ExactTrace(x)
        rows_each = x.shape[0] // len(levels)
        if self.fixed.probes is not None:
            given = self.fixed.probes[which, :, low - 1 : low - 1 + x.shape[1]].flatten(0, 1)
            given = self._filled_up(given, x.shape[1]).unflatten(0, (len(levels), -1))
            return FixedProbes(given.repeat_interleave(rows_each, dim=0).transpose(0, 1).to(x))
        if settings.probe_kind != "orthogonal":
            return FixedProbes(self._probes(x, low, levels, n_probes, rows_each))
        return CycledHadamard(self._probes(x, low, levels, 1, rows_each)[0], n_probes)

    def _probes(self, x: Tensor, low: int, levels: tuple[float, ...], count: int, rows_each: int) -> Tensor:
        """`count` independent random vectors a state: ``(count, rows, F, D)``, seeded by file frame."""
        gaussian = self.settings.probe_kind == "gaussian"
        draw = self._draws.normal if gaussian else self._draws.signs
        first = self.first_frame + low
        probes = [
            draw(Purpose.PROBE, row * count + index, first, first + x.shape[1], level)
            for index in range(count)
            for level in levels
            for row in range(rows_each)
        ]
        return torch.from_numpy(np.stack(probes)).unflatten(0, (count, -1)).to(x)


def _is_out_of_memory(error: Exception) -> bool:
    # The CPU allocator raises a plain RuntimeError.
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
