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

from audioic_widget.likelihood.divergence import DivergenceEstimator, Estimate, Evaluation
from audioic_widget.likelihood.field import VelocityField
from audioic_widget.likelihood.solvers import (
    METHODS,
    State,
    evaluations,
    fixed_step_trajectory,
    halves,
    middles,
    scipy_trajectory,
    time_grid,
)

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
    spacing : {"uniform", "quadratic", "shared"}
        Their spread; see `solvers.time_grid`.
    options : mapping
        Keywords of `scipy.integrate.solve_ivp`.
    """

    solver: str = "multistep"
    n_steps: int = 25
    spacing: str = "quadratic"
    options: Mapping[str, Any] = field(default_factory=dict)

    def grid(self, t_start: Tensor) -> Tensor:
        """Times ``(rows, n + 1)`` at which the trajectory is asked for, from `t_start` ``(rows,)`` to 0."""
        if self.solver == "scipy":
            return torch.stack((t_start, torch.zeros_like(t_start)), dim=1)
        return time_grid(t_start, self.n_steps, self.spacing)

    def middle(self, times: Tensor) -> Tensor:
        """Middles ``(rows, n)`` of the steps of a `grid`; equal steps are those of the textbook's rule."""
        moved = self.solver in ("midpoint", "multistep") and self.spacing != "uniform"
        return middles(times) if moved else halves(times)

    def evaluations(self, times: Tensor, middle: Tensor, first_step: int = 0) -> list[Evaluation]:
        """Where the divergence is evaluated on the way through `times` ``(rows, n + 1)``; unknown to adaptive solvers."""
        return [] if self.solver == "scipy" else evaluations(times, middle, METHODS[self.solver], first_step)

    def trajectory(
        self,
        field: VelocityField,
        x: Tensor,
        times: Tensor,
        middle: Tensor,
        estimator: DivergenceEstimator,
        check: Callable[[], None],
    ) -> Iterator[State]:
        """States after each interval of `times`."""
        if self.solver == "scipy":
            yield from scipy_trajectory(field, x, times, estimator, self.options, check)
            return
        for state in fixed_step_trajectory(field, x, times, middle, estimator, METHODS[self.solver]):
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
) -> Estimate:
    """``log p_t(x)`` in nats.

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
    Estimate
        Values and variances ``(rows, F)``.
    """
    times = scheme.grid(t)
    middle = scheme.middle(times)
    state = State(x, x.new_zeros((estimator.n_sums, *x.shape[:-1])))
    for state in scheme.trajectory(field, x, times, middle, estimator, check):  # noqa: B007
        pass
    return _concluded(state.x, estimator.conclude(state.sums, scheme.evaluations(times, middle)))


def _concluded(x0: Tensor, integral: Estimate) -> Estimate:
    # The solver ran from t down to 0: its integral already has the minus sign.
    return Estimate(log_normal(x0) + integral.value, integral.variance, integral.freedom)


def log_density_along_flow(
    field: VelocityField,
    x: Tensor,
    t: Tensor,
    scheme: Scheme,
    estimator: DivergenceEstimator,
    check: Callable[[], None] = lambda: None,
) -> tuple[Estimate, Tensor]:
    """Log densities where the trajectory that starts in the data passes the times `t`.

    Parameters
    ----------
    x : Tensor (1, F, D)
        Data (points at time 1).
    t : Tensor (L,)
        Flow times in [0, 1], in any order, on or off the solver's grid.

    Returns
    -------
    log_density : Estimate
        Values and variances ``(L, F)``.
    states : Tensor (L, F, D)
        Where the trajectory was at each time.
    """
    at_start = State(x, x.new_zeros((estimator.n_sums, *x.shape[:-1])))
    grid = scheme.grid(t.new_ones(1))[0]
    if scheme.solver == "scipy":
        # scipy interpolates: its steps do not depend on the times asked for.
        grid = merged_times(grid, t)
    # From the data on, all middles are halves.
    whole = grid.unsqueeze(0)
    passed = [at_start, *scheme.trajectory(field, x, whole, halves(whole), estimator, check)]
    end = passed[-1]
    estimates, states = [], []
    for time in t:
        node = int((grid >= time - _SAME_TIME).sum()) - 1
        state = passed[node]
        below, times = end.sums - state.sums, grid[node:]
        if grid[node] - time > _SAME_TIME:
            # Side steps to the time and on to the next node: in the grid, it would change the other levels' values.
            ends = torch.stack((grid[node], time, grid[node + 1]))
            state, _ = _side_steps(field, state.x, ends[:2], scheme, estimator, node)
            _, part = _side_steps(field, state.x, ends[1:], scheme, estimator, node)
            below = end.sums - passed[node + 1].sums + part
            times = torch.cat((time.reshape(1), grid[node + 1 :]))
        evaluations = scheme.evaluations(times.unsqueeze(0), halves(times.unsqueeze(0)), first_step=node)
        estimates.append(_concluded(end.x, estimator.conclude(below, evaluations)))
        states.append(state.x)
    value, variance = (torch.cat([getattr(each, name) for each in estimates]) for name in ("value", "variance"))
    return Estimate(value, variance, min(each.freedom for each in estimates)), torch.cat(states)


def _side_steps(
    field: VelocityField, x: Tensor, times: Tensor, scheme: Scheme, estimator: DivergenceEstimator, step: int
) -> tuple[State, Tensor]:
    """One step off the grid, which counts as `step` to the estimator: the state reached, and the sums on the way."""
    one = times.unsqueeze(0)
    (state,) = fixed_step_trajectory(field, x, one, halves(one), estimator, METHODS[scheme.solver], step)
    return state, state.sums


def merged_times(grid: Tensor, wanted: Tensor) -> Tensor:
    """`grid` (falling from 1 to 0) with the times of `wanted` that are not on it, sorted downwards."""
    missing = [time for time in wanted if (grid - time).abs().min() > _SAME_TIME]
    return torch.cat((grid, *(time.reshape(1) for time in missing))).sort(descending=True).values


def standard_error(variance: Tensor, freedom: int, pooled: Tensor | None = None, prior_freedom: float = 4.0) -> Tensor:
    """Standard errors from variances with few degrees of freedom.

    Two to four estimates alone tell little about their spread. A variance is therefore shrunk towards the mean
    variance of its row, which counts as `prior_freedom` degrees of freedom (Smyth 2004, eq. 4 with a fixed prior).

    Parameters
    ----------
    variance : Tensor (rows, F)
        Variance of each value; NaN where there is no value or the variance is unknown.
    freedom : int
        Degrees of freedom behind each variance.
    pooled : Tensor (rows, 1), optional
        Mean variance of each row; if not given, that of what is given.
    """
    pooled = variance.nanmean(dim=-1, keepdim=True) if pooled is None else pooled
    return ((prior_freedom * pooled + freedom * variance) / (prior_freedom + freedom)).sqrt()
