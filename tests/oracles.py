"""The slow, obvious way: full Jacobians by autograd (vmap of jacrev), plain loops, one level at a time.

Shares nothing with the package but the Backbone and Head modules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from audioic_widget.model.backbone import Backbone
from audioic_widget.model.head import Head

Velocity = Callable[[Tensor, Tensor, float], Tensor]
"""Velocity (D,) of a single frame at point (D,), given its context (dim,), at time t."""

Trace = Callable[[Tensor], Tensor]
"""Divergence (F,) from Jacobians (F, D, D)."""

Ends = tuple[Tensor, Tensor]
"""Points (F, D) at the last time and the divergence (F,) integrated on the way there."""


def log_standard_normal(x: Tensor) -> Tensor:
    return -0.5 * (x * x).sum(-1) - x.shape[-1] / 2 * math.log(2 * math.pi)


def uniform_times(t: float, n_steps: int) -> list[float]:
    return [t * (1 - step / n_steps) for step in range(n_steps + 1)]


def quadratic_times(t: float, n_steps: int) -> list[float]:
    return [t * (1 - (step / n_steps) ** 2) for step in range(n_steps + 1)]


def shared_times(t: float, n_steps: int) -> list[float]:
    """What `quadratic_times` does with a path from 1, stretched over the part of it below t."""
    start = math.sqrt(1 - t)
    return [1 - (start + (1 - start) * step / n_steps) ** 2 for step in range(n_steps + 1)]


def trace(jacobian: Tensor) -> Tensor:
    return jacobian.diagonal(dim1=-2, dim2=-1).sum(-1)


def probed(probe: Tensor) -> Trace:
    """Hutchinson's estimate with one fixed probe (F, D)."""
    return lambda jacobian: torch.einsum("fi,fij,fj->f", probe, jacobian, probe)


def velocity_and_jacobian(velocity: Velocity, x: Tensor, context: Tensor, t: float) -> tuple[Tensor, Tensor]:
    """Velocities (F, D) and Jacobians (F, D, D) of the frames at `x` (F, D) with `context` (F, dim)."""

    def at_t(point: Tensor, seen: Tensor) -> Tensor:
        return velocity(point, seen, t)

    return vmap(at_t)(x, context), vmap(jacrev(at_t))(x, context)


def euler(velocity: Velocity, x: Tensor, context: Tensor, times: Sequence[float], estimate: Trace = trace) -> Ends:
    integral = torch.zeros_like(x[:, 0])
    for now, then in pairwise(times):
        v, jacobian = velocity_and_jacobian(velocity, x, context, now)
        integral = integral + (then - now) * estimate(jacobian)
        x = x + (then - now) * v
    return x, integral


def rk4(velocity: Velocity, x: Tensor, context: Tensor, times: Sequence[float], estimate: Trace = trace) -> Ends:
    integral = torch.zeros_like(x[:, 0])
    for now, then in pairwise(times):
        h = then - now
        v1, j1 = velocity_and_jacobian(velocity, x, context, now)
        v2, j2 = velocity_and_jacobian(velocity, x + h / 2 * v1, context, now + h / 2)
        v3, j3 = velocity_and_jacobian(velocity, x + h / 2 * v2, context, now + h / 2)
        v4, j4 = velocity_and_jacobian(velocity, x + h * v3, context, then)
        integral = integral + h / 6 * (estimate(j1) + 2 * estimate(j2) + 2 * estimate(j3) + estimate(j4))
        x = x + h / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
    return x, integral


def velocity_of(head: Head) -> Velocity:
    return lambda point, context, t: head(point[None], point.new_tensor(t), context[None])[0]


def contexts_of(backbone: Backbone, seen: Tensor) -> Tensor:
    """Contexts (T-1, dim) of latents 2 .. T when the backbone is fed `seen` (T, D)."""
    return backbone(seen[None])[0, :-1]


def ic_by_euler(
    backbone: Backbone, head: Head, points: Tensor, seen: Tensor, times: Sequence[float], estimate: Trace = trace
) -> Tensor:
    """IC (T-1,) of `points` (T, D) at time ``times[0]`` when the backbone is fed `seen` (T, D)."""
    end, integral = euler(velocity_of(head), points[1:], contexts_of(backbone, seen), times, estimate)
    return -(log_standard_normal(end) + integral)
