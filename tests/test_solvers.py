"""Solvers against flows with known densities and against plain loops."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import oracles
import pytest
import torch
from analytic import GaussianField, LinearField, MixtureField, mixture, random_linear

from audioic_widget.errors import Cancelled, SettingsError
from audioic_widget.likelihood.density import Scheme, log_density, log_density_along_flow, log_normal, merged_times
from audioic_widget.likelihood.divergence import ExactTrace, FixedProbes
from audioic_widget.likelihood.solvers import METHODS, Predictor, fixed_step_trajectory, halves, middles, time_grid

Field = LinearField | GaussianField | MixtureField
FIXED_STEP = ["multistep", "euler", "midpoint", "heun", "rk4"]
SPACINGS = ["uniform", "quadratic", "shared"]


def points(rows: int, frames: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, frames, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def worst_error(field: Field, x: torch.Tensor, t: torch.Tensor, scheme: Scheme) -> float:
    computed = log_density(field, x, t, scheme, ExactTrace(x)).value
    return float((computed - field.log_density(x, t)).abs().max())


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("solver", FIXED_STEP)
@pytest.mark.parametrize(
    "field", [GaussianField(0.4), mixture(), random_linear(8)], ids=["gaussian", "mixture", "linear"]
)
def test_error_falls_with_the_order_of_the_method(field: Field, solver: str, spacing: str) -> None:
    x, t = points(2, 5, 8), torch.tensor([0.9, 0.5], dtype=torch.float64)
    steps = np.array([96, 192, 384])
    errors = [worst_error(field, x, t, Scheme(solver, int(n), spacing)) for n in steps]
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert -slope == pytest.approx(METHODS[solver].order, abs=0.25)


@pytest.mark.parametrize("q", [0.25, 1.0, 3.0])
def test_rk4_gives_the_gaussian_density(q: float) -> None:
    x, t = points(4, 7, 64), torch.tensor([1.0, 0.7, 0.3, 0.0], dtype=torch.float64)
    assert worst_error(GaussianField(q), x, t, Scheme("rk4", 50, "uniform")) < 1e-4


def test_rk4_gives_the_mixture_density() -> None:
    field = mixture()
    # Points where the posterior of the components is undecided, too: half-way between two means.
    middle = 0.5 * (field.means[0] + field.means[1])
    x = torch.stack((0.9 * (middle + 0.3 * points(1, 6, 8)[0]), 0.4 * field.means[[0, 1, 2, 0, 1, 2]]))
    assert worst_error(field, x, torch.tensor([0.9, 0.4], dtype=torch.float64), Scheme("rk4", 100, "quadratic")) < 1e-4


def test_rk4_gives_the_density_of_a_matrix_exponential() -> None:
    x, t = points(3, 4, 64), torch.tensor([1.0, 0.6, 0.1], dtype=torch.float64)
    assert worst_error(random_linear(), x, t, Scheme("rk4", 40, "uniform")) < 1e-4


@pytest.mark.parametrize("method", ["RK45", "DOP853", "LSODA"])
def test_scipy_gives_the_mixture_density(method: str) -> None:
    x, t = points(2, 3, 8), torch.tensor([0.8, 0.3], dtype=torch.float64)
    scheme = Scheme("scipy", options={"method": method, "rtol": 1e-9, "atol": 1e-9})
    assert worst_error(mixture(), x, t, scheme) < 1e-6


def test_scipy_tolerance_decides_the_error() -> None:
    x, t = points(2, 3, 8), torch.tensor([0.8, 0.3], dtype=torch.float64)
    errors = [
        worst_error(mixture(), x, t, Scheme("scipy", options={"rtol": tolerance, "atol": tolerance}))
        for tolerance in (1e-3, 1e-9)
    ]
    assert errors[1] < 1e-3 * errors[0]


@pytest.mark.parametrize("options", [{"method": "Newton"}, {"t_eval": [0.5]}])
def test_scipy_options_it_does_not_know(options: dict[str, object]) -> None:
    x = points(1, 2, 8)
    with pytest.raises(SettingsError, match="solve_ivp"):
        log_density(mixture(), x, x.new_ones(1), Scheme("scipy", options=options), ExactTrace(x))


@pytest.mark.parametrize(("solver", "plain"), [("euler", oracles.euler), ("rk4", oracles.rk4)])
@pytest.mark.parametrize(
    ("spacing", "grid"),
    [("uniform", oracles.uniform_times), ("quadratic", oracles.quadratic_times), ("shared", oracles.shared_times)],
)
def test_steps_are_those_of_a_plain_loop(
    solver: str, plain: Callable[..., tuple[torch.Tensor, torch.Tensor]], spacing: str, grid: Callable[..., list[float]]
) -> None:
    field, t = mixture(), 0.8
    x = points(1, 3, 8)
    probe = torch.sign(points(1, 3, 8, seed=1))
    at = torch.tensor([t], dtype=torch.float64)

    def velocity(point: torch.Tensor, context: torch.Tensor, time: float) -> torch.Tensor:
        return field.velocity(point[None, None], torch.tensor([time], dtype=torch.float64))[0, 0]

    for estimator, estimate in ((ExactTrace(x), oracles.trace), (FixedProbes(probe[None]), oracles.probed(probe[0]))):
        times = Scheme(solver, 5, spacing).grid(at)
        *_, state = fixed_step_trajectory(field, x, times, halves(times), estimator, METHODS[solver])
        end, integral = plain(velocity, x[0], x[0, :, :0], grid(t, 5), estimate)
        torch.testing.assert_close(state.x[0], end, rtol=0, atol=1e-12)
        torch.testing.assert_close(state.sums[0, 0], integral, rtol=0, atol=1e-11)


@pytest.mark.parametrize("solver", FIXED_STEP)
def test_rows_of_a_batch_step_on_their_own(solver: str) -> None:
    field, scheme = mixture(), Scheme(solver, 7, "quadratic")
    x, t = points(3, 4, 8), torch.tensor([0.2, 1.0, 0.6], dtype=torch.float64)
    together = log_density(field, x, t, scheme, ExactTrace(x)).value
    apart = torch.cat([log_density(field, x[[k]], t[[k]], scheme, ExactTrace(x[[k]])).value for k in range(3)])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-11)


def test_velocities_are_predicted_where_the_data_they_point_to_move_on_a_parabola() -> None:
    parts, predictor = points(3, 1, 8), Predictor()

    def velocity(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        time = t[:, None, None]
        return (parts[:1] + parts[1:2] * time + parts[2:] * time**2 - x) / (1 - time)

    assert not predictor
    for step, time in enumerate((0.93, 0.9, 0.7, 0.5)):
        t = torch.tensor([time, time / 2], dtype=torch.float64)
        x = points(2, 1, 8, seed=step)
        predictor.learn(x, t, velocity(x, t))
    assert predictor
    x, t = points(2, 1, 8, seed=9), torch.tensor([0.4, 0.25], dtype=torch.float64)
    torch.testing.assert_close(predictor.velocity(x, t), velocity(x, t), rtol=0, atol=1e-10)


def test_a_predicting_method_evaluates_once_a_step_and_once_more_at_the_start() -> None:
    field, calls = mixture(), []

    class Counted:
        def velocity(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            calls.append("velocity")
            return field.velocity(x, t)

        def velocity_and_tangents(
            self, x: torch.Tensor, t: torch.Tensor, tangents: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            calls.append("tangents")
            return field.velocity_and_tangents(x, t, tangents)

    x, t = points(2, 3, 8), torch.tensor([1.0, 0.4], dtype=torch.float64)
    log_density(Counted(), x, t, Scheme("multistep", 5), ExactTrace(x))
    assert calls == ["velocity", *5 * ["tangents"]]


@pytest.mark.parametrize("solver", FIXED_STEP)
def test_at_time_zero_nothing_moves(solver: str) -> None:
    x, t = points(2, 3, 8), torch.tensor([0.0, 0.5], dtype=torch.float64)
    value = log_density(mixture(), x, t, Scheme(solver, 5), ExactTrace(x)).value
    torch.testing.assert_close(value[0], log_normal(x[0]), rtol=0, atol=0)
    assert value.isfinite().all()


@pytest.mark.parametrize("spacing", SPACINGS)
def test_time_grid_runs_from_t_to_zero(spacing: str) -> None:
    t = torch.tensor([1.0, 0.37, 0.0])
    grid = time_grid(t, 9, spacing)
    assert grid.shape == (3, 10)
    assert torch.equal(grid[:, 0], t)
    assert not grid[:, -1].any()
    assert (grid.diff(dim=1)[:2] < 0).all()


def test_quadratic_spacing_is_finest_near_the_data() -> None:
    lengths = -time_grid(torch.ones(1), 10, "quadratic")[0].diff()
    assert (lengths.diff() > 0).all()


def test_shared_spacing_is_quadratic_for_clean_data_and_nearly_equal_for_noised() -> None:
    clean, noised = time_grid(torch.tensor([1.0, 0.3]), 10, "shared")
    torch.testing.assert_close(clean, time_grid(torch.ones(1), 10, "quadratic")[0])
    lengths = -noised.diff()
    assert lengths.max() < 1.2 * lengths.min()


def test_middles_are_those_of_the_clock_away_from_the_data_and_halves_near_it() -> None:
    times = time_grid(torch.tensor([0.4, 1.0]), 6, "shared")
    looked_at = times[:, :-1] + middles(times) * times.diff()
    torch.testing.assert_close(looked_at[0], time_grid(torch.tensor([0.4]), 12, "shared")[0, 1::2], rtol=0, atol=1e-4)
    assert torch.equal(middles(times)[1], halves(times)[1])


@pytest.mark.parametrize("t", [1.0, 0.999, 0.5, 0.0])
def test_middles_are_between_a_quarter_and_a_half_of_however_short_a_step(t: float) -> None:
    for spacing in SPACINGS:
        found = middles(time_grid(torch.tensor([t]), 20_000, spacing))
        assert ((found >= 0.25) & (found <= 0.5)).all()


@pytest.mark.parametrize("solver", [*FIXED_STEP, "scipy"])
def test_at_time_zero_the_density_is_the_standard_normal(solver: str) -> None:
    x = torch.zeros(1, 2, 64)
    value = log_density(GaussianField(0.5), x, x.new_zeros(1), Scheme(solver, 3), ExactTrace(x)).value
    assert -value[0, 0].item() == pytest.approx(32 * math.log(2 * math.pi), abs=1e-4)
    assert -value[0, 0].item() == pytest.approx(58.81207, abs=1e-4)


@pytest.mark.parametrize("solver", ["rk4", "scipy"])
def test_densities_along_one_trajectory(solver: str) -> None:
    field = GaussianField(0.4)
    x = points(1, 5, 8)
    times = torch.tensor([0.3, 1.0, 0.0, 0.55], dtype=torch.float64)  # in no order, off the grid
    scheme = Scheme(solver, 50, "uniform", {"rtol": 1e-9, "atol": 1e-9} if solver == "scipy" else {})
    logs, states = log_density_along_flow(field, x, times, scheme, ExactTrace(x))
    on_path = field.start(x, torch.ones(1).double()) * field.variance(times).sqrt()[:, None, None]
    assert logs.value.shape == (4, 5)
    torch.testing.assert_close(states, on_path, rtol=0, atol=1e-6)
    torch.testing.assert_close(logs.value, field.log_density(on_path, times), rtol=0, atol=1e-5)


def test_wanted_times_join_the_grid_once() -> None:
    grid = time_grid(torch.ones(1), 4, "uniform")[0]
    times = merged_times(grid, torch.tensor([0.5, 0.6, 0.0, 1.0]))
    torch.testing.assert_close(times, torch.tensor([1.0, 0.75, 0.6, 0.5, 0.25, 0.0]))


@pytest.mark.parametrize("solver", [*FIXED_STEP, "scipy"])
def test_check_is_called_and_can_end_the_work(solver: str) -> None:
    calls = []

    def check() -> None:
        calls.append(None)
        if len(calls) == 3:
            raise Cancelled("enough")

    x = points(1, 2, 8)
    with pytest.raises(Cancelled):
        log_density(mixture(), x, x.new_ones(1), Scheme(solver, 10), ExactTrace(x), check)
    assert len(calls) == 3
