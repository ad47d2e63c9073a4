"""Integration of a velocity field together with its divergence, from t down to 0.

One Runge-Kutta step is written once; a method is a table of coefficients. A stage whose weight is zero
needs no divergence: the explicit midpoint rule costs one divergence a step, not two. Nor need it be evaluated, once earlier
steps tell where it points. Methods of order above 4 do not pay on learned fields, whose time embedding is rough.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioic_widget.errors import SettingsError
from audioic_widget.likelihood.divergence import DivergenceEstimator, Evaluation
from audioic_widget.likelihood.field import VelocityField

Vector = NDArray[np.float64]

MIDDLE = 0.5
"""The node of a step's middle, which need not be half of its length: see `middles`."""

SMOOTH_BELOW = 0.035
"""Noise level under which a learned density is smoother than that of the data."""


@dataclass(frozen=True)
class Tableau:
    """An explicit Runge-Kutta method (Butcher 1963).

    Stage i is evaluated at time ``t + nodes[i] h`` and state ``x + h sum_j matrix[i][j] v_j``; the step is
    ``x + h sum_i weights[i] v_i``. Where a step's middle is not its half, nodes and rows of stages there move along.
    A method that predicts evaluates stages of no weight in the first step only: see `Predictor`.
    """

    order: int
    nodes: tuple[float, ...]
    matrix: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    predicts: bool = False

    def rows_a_step(self, tangents: int) -> list[int]:
        """Values and tangents a state of every evaluation of a step but the first step's."""
        return [1 + tangents if weight else 1 for weight in self.weights if weight or not self.predicts]


# Two values but one divergence a step.
_MIDPOINT = Tableau(2, (0.0, MIDDLE), ((), (0.5,)), (0.0, 1.0))

METHODS: Mapping[str, Tableau] = {
    # The published solver: one evaluation a step, error halves with twice the steps.
    "euler": Tableau(1, (0.0,), ((),), (1.0,)),
    "midpoint": _MIDPOINT,
    # The method of choice: as true as the midpoint rule on a flow, at one evaluation a step.
    "multistep": replace(_MIDPOINT, predicts=True),
    # Also called the explicit trapezoidal rule; two divergences a step.
    "heun": Tableau(2, (0.0, 1.0), ((), (1.0,)), (0.5, 0.5)),
    # The classical method; four divergences a step, for references.
    "rk4": Tableau(
        4, (0.0, MIDDLE, MIDDLE, 1.0), ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)
    ),
}


@dataclass(frozen=True)
class State:
    """A point of the trajectory.

    Attributes
    ----------
    x : Tensor (rows, F, D)
        States.
    sums : Tensor (n_sums, rows, F)
        What the estimator of the divergence has added up since the start.
    """

    x: Tensor
    sums: Tensor


class Predictor:
    """Velocities on a flow from earlier ones on the way, through the data they point to.

    A velocity v at (x, t) points to the data ``x + (1 - t) v``, which changes little along a trajectory: the parabola through the
    latest three tells it elsewhere. So do multistep solvers of diffusion models (Lu et al. 2022, DPM-Solver++, section 4.2).
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[Tensor, Tensor]] = deque(maxlen=3)

    def __bool__(self) -> bool:
        return bool(self._seen)

    def learn(self, x: Tensor, t: Tensor, velocity: Tensor) -> None:
        """Take in a `velocity` at `x` ``(rows, F, D)`` and times `t` ``(rows,)``."""
        self._seen.append((t, x + (1 - t)[:, None, None] * velocity))

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """At `x` and times `t` below 1, shaped as in `learn`."""
        times, data = (torch.stack(each) for each in zip(*self._seen, strict=True))
        apart = times[:, None] - times
        # Rows that stay at time 0 have no times apart, and steps of no length.
        ratio = (t - times) / torch.where(apart == 0, 1, apart)
        ratio.diagonal().fill_(1)
        target = (ratio.prod(1)[..., None, None] * data).sum(0)
        return (target - x) / (1 - t)[:, None, None]


def time_grid(t_start: Tensor, n_steps: int, spacing: str) -> Tensor:
    """Times ``(rows, n_steps + 1)`` from `t_start` ``(rows,)`` down to 0.

    "uniform" has equal steps. "quadratic" is ``t (1 - u^2)``: short steps where a path starts. "shared" gives every row its
    part of one quadratic grid over [0, 1], ``1 - (w + (1 - w) u)^2`` with ``w^2 = 1 - t``: short steps at the data end, where the
    density of data on a thin shell is sharp, nearly equal ones for paths that start elsewhere.
    """
    u = torch.linspace(0, 1, n_steps + 1, dtype=t_start.dtype, device=t_start.device)
    start = t_start[:, None]
    if spacing == "shared":
        away = (1 - start).sqrt()
        times = 1 - (away + (1 - away) * u).square()
        times[:, 0] = t_start
        return times
    return start * (1 - (u * u if spacing == "quadratic" else u))


def halves(times: Tensor) -> Tensor:
    """Middles ``(rows, n)`` of the steps of a grid `times` ``(rows, n + 1)``, as shares of their lengths: halves."""
    return torch.full_like(times[:, 1:], 0.5)


def middles(times: Tensor) -> Tensor:
    """As `halves`, for the midpoint rules on a flow: the middle of a step on the clock ``sqrt(1 - t)``.

    On that clock the field of a flow changes evenly. Near the data a learned field is smoother, and paths that start there keep
    the half: the two are mixed by ``s^2 / (s^2 + 0.035^2)``, s being the noise level of the start. On trained flows that leaves a
    half to a tenth of the error of halves at levels from 0.05 on, at no cost (`benchmarks/solver_bias.py`).
    """
    clock = (1 - times).clamp_min(0).sqrt()
    before, after = clock[:, :-1], clock[:, 1:]
    start = (1 - times[:, :1]).square()
    return 0.5 - 0.25 * start / (start + SMOOTH_BELOW**2) * (after - before) / (after + before).clamp_min(1e-12)


def evaluations(times: Tensor, middle: Tensor, method: Tableau, first_step: int = 0) -> list[Evaluation]:
    """Where `fixed_step_trajectory` evaluates the divergence on the way through `times` with these middles."""
    grid, shares = times.double().cpu().numpy(), middle.double().cpu().numpy()
    t, h = grid[:, :-1], np.diff(grid, axis=1)
    return [
        Evaluation(
            first_step + step,
            stage,
            t[:, step] + (shares[:, step] if node == MIDDLE else node) * h[:, step],
            weight * h[:, step],
        )
        for step in range(h.shape[1])
        for stage, (node, weight) in enumerate(zip(method.nodes, method.weights, strict=True))
        if weight
    ]


def fixed_step_trajectory(
    field: VelocityField,
    x: Tensor,
    times: Tensor,
    middle: Tensor,
    estimator: DivergenceEstimator,
    method: Tableau,
    first_step: int = 0,
) -> Iterator[State]:
    """Carry `x` ``(rows, F, D)`` through `times` ``(rows, n + 1)`` and yield the state after every step.

    `middle` ``(rows, n)`` are the steps' middles as shares of their lengths: `halves`, or `middles`. `first_step` is the number of the first step to the estimator, for those who go on from elsewhere.
    """
    sums = x.new_zeros((estimator.n_sums, *x.shape[:-1]))
    predictor = Predictor()
    for step in range(times.shape[1] - 1):
        t, h = times[:, step], times[:, step + 1] - times[:, step]
        h_x = h[:, None, None]
        velocities: list[Tensor] = []
        for stage, (node, row, weight) in enumerate(zip(method.nodes, method.matrix, method.weights, strict=True)):
            reached = (middle[:, step] if node == MIDDLE else node) * h
            point = x
            for coefficient, velocity in zip(row, velocities, strict=True):
                if coefficient:
                    point = point + (coefficient / node * reached)[:, None, None] * velocity
            at = t + reached
            if weight:
                tangents = estimator.tangents(first_step + step, stage)
                value, products = field.velocity_and_tangents(point, at, tangents)
                sums = sums + estimator.addend(weight * h, tangents, products)
            elif method.predicts and predictor:
                velocities.append(predictor.velocity(point, at))
                continue
            else:
                value = field.velocity(point, at)
            if method.predicts:
                predictor.learn(point, at, value)
            velocities.append(value)
        for weight, velocity in zip(method.weights, velocities, strict=True):
            if weight:
                x = x + (weight * h_x) * velocity
        yield State(x, sums)


def scipy_trajectory(
    field: VelocityField,
    x: Tensor,
    times: Tensor,
    estimator: DivergenceEstimator,
    options: Mapping[str, Any],
    check: Callable[[], None],
) -> Iterator[State]:
    """As `fixed_step_trajectory`, by `scipy.integrate.solve_ivp` from the first to the last of the given times.

    All states of the call are stepped together, in float64 on the host; the steps chosen depend on all of
    them, but not on the times asked for in between. Rows run side by side on a common clock from 0 to 1:
    times in between must divide every row's span in the same proportions.

    Raises
    ------
    SettingsError
        If scipy does not know an option, or its method fails.
    """
    from scipy.integrate import solve_ivp

    shape, n_x = x.shape, x.numel()
    sums = (estimator.n_sums, *shape[:-1])
    start, length = times[:, 0], times[:, -1] - times[:, 0]
    y = np.zeros(n_x + math.prod(sums))
    y[:n_x] = x.double().cpu().numpy().ravel()

    def derivative(clock: float, y: Vector) -> Vector:
        check()
        point = torch.as_tensor(y[:n_x], dtype=x.dtype).view(shape).to(x.device)
        tangents = estimator.tangents(0, 0)
        value, products = field.velocity_and_tangents(point, start + clock * length, tangents)
        gain = estimator.addend(length, tangents, products)
        value = value * length[:, None, None]
        derived: Vector = torch.cat((value.flatten(), gain.flatten())).double().cpu().numpy()
        return derived

    longest = int(length.abs().argmax())
    if length[longest] == 0:
        reached = np.repeat(y[:, None], times.shape[1] - 1, axis=1)
    else:
        clock = ((times[longest, 1:] - start[longest]) / length[longest]).double().cpu().numpy()
        try:
            solution = solve_ivp(derivative, (0.0, 1.0), y, t_eval=np.clip(clock, 0.0, 1.0), **options)
        except (TypeError, ValueError) as error:
            raise SettingsError(f"scipy.integrate.solve_ivp refuses solver_options: {error}.") from error
        if not solution.success:
            raise SettingsError(f"scipy.integrate.solve_ivp gave up: {solution.message}")
        reached = solution.y
    for y in reached.T:
        ends = torch.as_tensor(y[:n_x], dtype=x.dtype).view(shape).to(x.device)
        yield State(ends, torch.as_tensor(y[n_x:], dtype=x.dtype).view(sums).to(x.device))
