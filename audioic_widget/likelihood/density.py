"""Log densities under the flow of a velocity field.

By the instantaneous change of variables (Chen et al. 2018, eq. 8; Lipman et al. 2023):
``log p_t(x_t) = log N(x_0; 0, I) - integral_0^t div v(x_tau, tau) dtau`` along the trajectory that passes
through ``x_t`` at time t. Nothing here knows audio, files or models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from audioic_widget.likelihood.divergence import DivergenceEstimator
from audioic_widget.likelihood.field import VelocityField
from audioic_widget.likelihood.solvers import METHODS, State, fixed_step_trajectory, scipy_trajectory, time_grid

_SAME_TIME = 1e-6
"""Flow times nearer than this are one."""


@dataclass(frozen=True)
class Scheme:
    """How a trajectory is integrated.

    Attributes
    ----------
    solver : str
        A key of `solvers.METHODS`, or "scipy".
    n_steps : int
        Steps of a fixed-step method.
    spacing : {"uniform", "quadratic"}
        Their spread; see `solvers.time_grid`.
    options : mapping
        Keywords of `scipy.integrate.solve_ivp`.
    """

    solver: str = "midpoint"
    n_steps: int = 25
    spacing: str = "quadratic"
    options: Mapping[str, Any] = field(default_factory=dict)

    def grid(self, t_start: Tensor) -> Tensor:
        """Times ``(rows, n + 1)`` at which the trajectory is asked for, from `t_start` ``(rows,)`` to 0."""
        if self.solver == "scipy":
            return torch.stack((t_start, torch.zeros_like(t_start)), dim=1)
        return time_grid(t_start, self.n_steps, self.spacing)

    def trajectory(
        self, field: VelocityField, x: Tensor, times: Tensor, estimator: DivergenceEstimator, check: Callable[[], None]
    ) -> Iterator[State]:
        """States after each interval of `times`."""
        if self.solver == "scipy":
            yield from scipy_trajectory(field, x, times, estimator, self.options, check)
            return
        for state in fixed_step_trajectory(field, x, times, estimator, METHODS[self.solver]):
            check()
            yield state


def log_normal(x: Tensor) -> Tensor:
    """Log density of the standard normal at `x` ``(..., D)``: ``(...)``."""
    return -0.5 * x.square().sum(-1) - 0.5 * x.shape[-1] * math.log(2 * math.pi)


def log_density(
    field: VelocityField,
    x: Tensor,
    t: Tensor,
    scheme: Scheme,
    estimator: DivergenceEstimator,
    check: Callable[[], None] = lambda: None,
) -> Tensor:
    """``log p_t(x)`` in nats, one estimate a group.

    Parameters
    ----------
    field : VelocityField
    x : Tensor (rows, F, D)
        Points.
    t : Tensor (rows,)
        Flow time of each row, in [0, 1].
    scheme, estimator
        How the trajectory and the divergence are computed.
    check : callable
        Called after every step; may raise to end the work.

    Returns
    -------
    Tensor (groups, rows, F)
    """
    state = State(x, x.new_zeros((estimator.groups, *x.shape[:-1])))
    for state in scheme.trajectory(field, x, scheme.grid(t), estimator, check):  # noqa: B007
        pass
    # The solver ran from t down to 0: what it accumulated already has the minus sign.
    return log_normal(state.x) + state.divergence


def log_density_along_flow(
    field: VelocityField,
    x: Tensor,
    t: Tensor,
    scheme: Scheme,
    estimator: DivergenceEstimator,
    check: Callable[[], None] = lambda: None,
) -> tuple[Tensor, Tensor]:
    """Log densities where the trajectory that starts in the data passes the times `t`.

    Parameters
    ----------
    x : Tensor (1, F, D)
        Data (points at time 1).
    t : Tensor (L,)
        Flow times in [0, 1], in any order, on or off the solver's grid.

    Returns
    -------
    log_density : Tensor (groups, L, F)
    states : Tensor (L, F, D)
        Where the trajectory was at each time.
    """
    at_start = State(x, x.new_zeros((estimator.groups, *x.shape[:-1])))
    grid = scheme.grid(t.new_ones(1))[0]
    if scheme.solver == "scipy":
        # scipy interpolates: its steps do not depend on the times asked for.
        grid = merged_times(grid, t)
    passed = [at_start, *scheme.trajectory(field, x, grid.unsqueeze(0), estimator, check)]
    end = passed[-1]
    at_times = []
    for time in t:
        node = int((grid >= time - _SAME_TIME).sum()) - 1
        state = passed[node]
        if grid[node] - time > _SAME_TIME:
            # A side step: were the time put into the grid, other levels' values would change with it.
            side = torch.stack((grid[node], time)).unsqueeze(0)
            (step,) = fixed_step_trajectory(field, state.x, side, estimator, METHODS[scheme.solver], node)
            state = State(step.x, state.divergence + step.divergence)
        at_times.append(state)
    states = torch.cat([state.x for state in at_times])
    below = torch.cat([end.divergence - state.divergence for state in at_times], dim=1)
    return log_normal(end.x) + below, states


def merged_times(grid: Tensor, wanted: Tensor) -> Tensor:
    """`grid` (falling from 1 to 0) with the times of `wanted` that are not on it, sorted downwards."""
    missing = [time for time in wanted if (grid - time).abs().min() > _SAME_TIME]
    return torch.cat((grid, *(time.reshape(1) for time in missing))).sort(descending=True).values


def standard_error(variance: Tensor, n_estimates: int, prior_weight: float = 4.0) -> Tensor:
    """Standard errors of means of `n_estimates` independent estimates.

    Two to four estimates alone tell little about their spread. The variance of a value is therefore shrunk
    towards the mean variance of its row, which counts as `prior_weight` degrees of freedom (Smyth 2004,
    eq. 4 with a fixed prior).

    Parameters
    ----------
    variance : Tensor (rows, F)
        Sample variance of each value's estimates; NaN where there is no value.
    n_estimates : int
        Estimates behind each value; fewer than two leave the error unknown (NaN).
    """
    if n_estimates < 2:
        return torch.full_like(variance, math.nan)
    pooled = variance.nanmean(dim=-1, keepdim=True)
    own_weight = n_estimates - 1
    return ((prior_weight * pooled + own_weight * variance) / (prior_weight + own_weight) / n_estimates).sqrt()
