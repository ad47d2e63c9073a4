"""One training loop for codec and flow: AdamW and Muon, warm-up and cosine, clipping, averaged weights, early stopping, resumable.

Every step draws its randomness from a generator seeded by (seed, step), so a run that was killed and started
again ends with the weights of an unbroken one.
"""

from __future__ import annotations

import logging
import math
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from audioic_widget.errors import CheckpointError
from audioic_widget.formats.files import replacing

log = logging.getLogger(__name__)

LOG_SECONDS = 30.0

MATRIX_DECAY = 0.01
"""Weight decay of Muon."""

SomeModule = TypeVar("SomeModule", bound=nn.Module)


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Parameters
    ----------
    steps : int
        Updates.
    rate : float
        Highest learning rate of AdamW (Loshchilov & Hutter 2019): reached linearly after `warmup` steps, at the end
        down to zero along a cosine.
    matrix_rate : float
        The same of Muon (Jordan et al. 2024), for the matrices that it trains.
    warmup : int
        Steps of linear rise.
    fall : float in (0, 1]
        Share of the other steps over which the rate falls. With less than 1 the steps before the fall do not depend on
        how many there will be: a longer training goes on from their checkpoint.
    weight_decay : float
        Of AdamW; Muon, whose rate is higher, has `MATRIX_DECAY`.
    average : float
        Decay of the exponential average of the weights.
    clip : float
        Largest norm of a gradient.
    save_seconds : float
        Time between checkpoints.
    check_steps, patience : int
        Every how many steps the averaged weights are scored on held-out data, if there is any, and after how many
        scores without a new best training ends.
    mixed : bool
        Matrix products in bfloat16 (several times faster where the processor has them; weights stay float32).
    """

    steps: int
    rate: float = 1e-3
    matrix_rate: float = 0.02
    warmup: int = 100
    fall: float = 1.0
    weight_decay: float = 0.02
    average: float = 0.998
    clip: float = 1.0
    save_seconds: float = 60.0
    check_steps: int = 100
    patience: int = 5
    mixed: bool = True

    def share_at(self, step: int) -> float:
        """Learning rate of update `step` (from 0) as a share of the highest."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        length = max(self.fall * (self.steps - self.warmup), 1)
        progress = max(step - (self.steps - length), 0) / length
        return 0.5 * (1 + math.cos(math.pi * progress))


@dataclass
class _Best:
    """The best weights so far and how many checks ago they were found."""

    score: float = math.inf
    weights: dict[str, Tensor] = field(default_factory=dict)
    since: int = 0

    def offer(self, score: float, model: nn.Module) -> None:
        if score < self.score:
            self.score, self.since = score, 0
            self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
        else:
            self.since += 1


def fit(
    model: SomeModule,
    loss: Callable[[torch.Generator], Tensor],
    schedule: Schedule,
    checkpoint: Path,
    seed: int,
    held_out: Callable[[SomeModule], float] | None = None,
    matrices: Sequence[nn.Parameter] = (),
) -> SomeModule:
    """Train `model` and return its averaged copy: the last, or with `held_out` the best.

    Parameters
    ----------
    model : Module
        Trained in place.
    loss : callable
        The loss of one fresh batch, drawn with the generator that it is given.
    schedule : Schedule
        Length and rates.
    checkpoint : Path
        Where the state is kept; if it exists, training goes on from there.
    seed : int
        Seeds the batches.
    held_out : callable, optional
        The loss of a model on data that it does not learn from.
    matrices : sequence of Parameter
        Those that Muon trains: weights inside a network, neither its first nor its last. All others are AdamW's.

    Raises
    ------
    CheckpointError
        If `checkpoint` cannot be read or belongs to another model.
    OutputError
        If `checkpoint` cannot be written.
    """
    averaged = AveragedModel(model, multi_avg_fn=_average_with(schedule.average))
    optimizers = _optimizers(model, matrices, schedule)
    device, best = next(model.parameters()).device.type, _Best()
    first = _resume(checkpoint, model, averaged, list(optimizers), best)
    recent: list[float] = []
    began = saved = logged = time.monotonic()
    for step in range(first, schedule.steps):
        if best.since >= schedule.patience:
            log.info("%s: no better for %d checks, so it ends at step %d", checkpoint.stem, best.since, step)
            break
        with torch.autocast(device, torch.bfloat16, enabled=schedule.mixed):
            value = loss(torch.Generator().manual_seed(seed * 1_000_003 + step))
        for optimizer, rate in optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rate * schedule.share_at(step)
            optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
        for optimizer in optimizers:
            optimizer.step()
        averaged.update_parameters(model)
        done = step + 1
        if held_out is not None and (done % schedule.check_steps == 0 or done == schedule.steps):
            best.offer(held_out(cast(SomeModule, averaged.module)), averaged.module)
            log.info("%s: step %d, held-out loss, best so far %.4f", checkpoint.stem, done, best.score)
        recent.append(value.item())
        now = time.monotonic()
        if now - logged > LOG_SECONDS:
            left = (now - began) / (done - first) * (schedule.steps - done)
            log.info(
                "%s: step %d of %d, loss %.4f, about %.0f min left",
                *(checkpoint.stem, done, schedule.steps, sum(recent) / len(recent), left / 60),
            )
            logged, recent = now, []
        if now - saved > schedule.save_seconds or done == schedule.steps:
            _save(checkpoint, model, averaged, list(optimizers), best, done)
            saved = now
    if best.weights:
        averaged.module.load_state_dict(best.weights)
    return cast(SomeModule, averaged.module)


def _optimizers(
    model: nn.Module, matrices: Sequence[nn.Parameter], schedule: Schedule
) -> dict[torch.optim.Optimizer, float]:
    """What trains which parameters, and its highest rate."""
    theirs = {id(matrix) for matrix in matrices}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in theirs]
    adam = torch.optim.AdamW(rest, weight_decay=schedule.weight_decay, betas=(0.9, 0.98))
    optimizers: dict[torch.optim.Optimizer, float] = {adam: schedule.rate}
    if matrices:
        optimizers[torch.optim.Muon(matrices, weight_decay=MATRIX_DECAY)] = schedule.matrix_rate
    return optimizers


def _save(
    checkpoint: Path,
    model: nn.Module,
    averaged: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    best: _Best,
    step: int,
) -> None:
    state: dict[str, Any] = {"model": model.state_dict(), "averaged": averaged.state_dict()}
    state |= {"optimizers": [each.state_dict() for each in optimizers], "best": vars(best), "step": step}
    with replacing(checkpoint) as file:
        torch.save(state, file)


def averaged_weights(checkpoint: Path) -> dict[str, Tensor]:
    """State dict of the averaged model in a checkpoint that `fit` wrote."""
    averaged = _read(checkpoint)["averaged"]
    return {name.removeprefix("module."): value for name, value in averaged.items() if name != "n_averaged"}


def _resume(
    checkpoint: Path,
    model: nn.Module,
    averaged: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    best: _Best,
) -> int:
    """Load `checkpoint` into all of these, if it exists; the number of steps that it has behind it."""
    if not checkpoint.exists():
        return 0
    state = _read(checkpoint)
    try:
        model.load_state_dict(state["model"])
        averaged.load_state_dict(state["averaged"])
        for optimizer, kept in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        best.score, best.weights, best.since = (state["best"][name] for name in ("score", "weights", "since"))
    except (KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{checkpoint} belongs to another model: remove it, or choose another folder.") from error
    log.info("%s: going on from step %d", checkpoint.stem, state["step"])
    return int(state["step"])


def _read(checkpoint: Path) -> dict[str, Any]:
    try:
        return dict(torch.load(checkpoint, weights_only=True))
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise CheckpointError(
            f"{checkpoint} cannot be read as a training checkpoint: remove it to start over."
        ) from error


def _average_with(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """Exponential average that forgets its beginning faster: the decay rises to `decay` as steps go by."""

    def average(averages: Sequence[Tensor], values: Sequence[Tensor], count: Tensor | int) -> None:
        step = int(count)
        torch._foreach_lerp_(list(averages), list(values), 1 - min(decay, (1 + step) / (10 + step)))

    return average
