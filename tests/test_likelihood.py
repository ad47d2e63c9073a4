"""Divergence estimators, densities, draws, noising and bounds, against closed forms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import oracles
import pytest
import torch
from analytic import GaussianField, LinearField, MixtureField, mixture, random_linear
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm
from torch.func import grad, jacrev

from audioic_widget.likelihood.bounds import floor, no_knowledge
from audioic_widget.likelihood.density import Scheme, log_density, log_normal, standard_error
from audioic_widget.likelihood.divergence import (
    CycledHadamard,
    DivergenceEstimator,
    Estimate,
    Evaluation,
    ExactTrace,
    FixedProbes,
    mean_of,
)
from audioic_widget.likelihood.draws import Draws, Purpose
from audioic_widget.likelihood.noising import evaluated_points, mean_noise, noised, single_draws

Field = LinearField | GaussianField | MixtureField
FIELDS = pytest.mark.parametrize(
    "field", [GaussianField(0.4), mixture(), random_linear(8)], ids=["gaussian", "mixture", "linear"]
)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def signs(*shape: int, seed: int = 0) -> torch.Tensor:
    return normal(*shape, seed=seed).sign()


def divergence(
    field: Field, x: torch.Tensor, t: torch.Tensor, estimator: DivergenceEstimator, step: int = 0, stage: int = 0
) -> torch.Tensor:
    """The estimates of an evaluation of weight 1: ``(estimates, rows, F)``."""
    tangents = estimator.tangents(step, stage)
    sums = estimator.addend(torch.ones_like(x[:, 0, 0]), tangents, field.velocity_and_tangents(x, t, tangents)[1])
    return sums[:1] if isinstance(estimator, CycledHadamard) else sums


# The analytic flows themselves


@FIELDS
def test_density_and_velocity_of_the_analytic_flows_belong_together(field: Field) -> None:
    """The continuity equation: d/dt log p + div v + v . grad log p = 0."""
    x, t = normal(8), torch.tensor(0.6, dtype=torch.float64)

    def log_p(point: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        return field.log_density(point[None, None], time[None])[0, 0]

    def velocity(point: torch.Tensor) -> torch.Tensor:
        return field.velocity(point[None, None], t[None])[0, 0]

    change = grad(log_p, argnums=1)(x, t) + velocity(x) @ grad(log_p)(x, t)
    assert change + jacrev(velocity)(x).trace() == pytest.approx(0, abs=1e-9)


@FIELDS
def test_tangents_of_the_analytic_flows(field: Field) -> None:
    x, t, tangents = normal(2, 3, 8), torch.tensor([0.8, 0.3], dtype=torch.float64), normal(5, 2, 3, 8, seed=1)
    value, products = field.velocity_and_tangents(x, t, tangents)
    torch.testing.assert_close(value, field.velocity(x, t))
    for row in range(2):
        for frame in range(3):
            jacobian = jacrev(lambda p, row=row: field.velocity(p[None, None], t[[row]])[0, 0])(x[row, frame])
            torch.testing.assert_close(products[:, row, frame], tangents[:, row, frame] @ jacobian.T)


# Divergence


@pytest.mark.parametrize("field", [GaussianField(0.4), mixture()], ids=["gaussian", "mixture"])
def test_exact_trace_is_the_closed_form(field: GaussianField | MixtureField) -> None:
    x, t = normal(2, 3, 8), torch.tensor([0.8, 0.3], dtype=torch.float64)
    torch.testing.assert_close(divergence(field, x, t, ExactTrace(x))[0], field.divergence(x, t))


def probes_of(kind: str, count: int, frames: int, dim: int = 64) -> torch.Tensor:
    return normal(count, 1, frames, dim) if kind == "gaussian" else signs(count, 1, frames, dim)


@pytest.mark.parametrize("kind", ["rademacher", "gaussian"])
def test_probes_are_unbiased_with_the_known_variance(kind: str) -> None:
    field = random_linear()
    symmetric = 0.5 * (field.matrix + field.matrix.T)
    variance = 2 * symmetric.square().sum()  # Hutchinson 1989: less the diagonal's part for signs
    if kind == "rademacher":
        variance -= 2 * symmetric.diagonal().square().sum()
    estimates = divergence(field, normal(1, 500, 64), torch.ones(1), FixedProbes(probes_of(kind, 40, 500))).flatten()
    error = (variance / len(estimates)).sqrt()
    assert estimates.mean() == pytest.approx(field.matrix.trace().item(), abs=4 * error.item())
    assert estimates.var() == pytest.approx(variance.item(), rel=0.05)


@pytest.mark.parametrize("count", [1, 2, 8])
def test_mean_of_the_estimates_does_not_grow_with_their_number(count: int) -> None:
    """On an isotropic field a single sign vector gives the trace already."""
    x, t = normal(1, 4, 64), torch.full((1,), 0.7, dtype=torch.float64)
    field = GaussianField(0.4)
    estimates = divergence(field, x, t, FixedProbes(signs(count, 1, 4, 64)))
    assert estimates.shape == (count, 1, 4)
    torch.testing.assert_close(estimates.mean(0), field.divergence(x, t))


@pytest.mark.parametrize(
    "estimator", [FixedProbes(signs(4, 1, 3, 64)), CycledHadamard(signs(1, 3, 64), 2)], ids=["fixed", "orthogonal"]
)
def test_estimate_on_a_linear_field_does_not_depend_on_the_state(estimator: DivergenceEstimator) -> None:
    field, t = random_linear(), torch.ones(1)
    here = divergence(field, normal(1, 3, 64), t, estimator)
    there = divergence(field, 100 * normal(1, 3, 64, seed=5), t, estimator)
    torch.testing.assert_close(here, there, rtol=0, atol=0)


@pytest.mark.parametrize(("rows_each", "dim"), [(1, 64), (2, 64), (4, 64), (1, 8)])
@pytest.mark.parametrize("stage", [0, 1])
def test_orthogonal_probes_give_the_trace_once_all_are_used(rows_each: int, dim: int, stage: int) -> None:
    field, x = random_linear(dim), normal(1, 3, dim)
    estimator = CycledHadamard(signs(1, 3, dim), rows_each)
    cycle = [divergence(field, x, torch.ones(1), estimator, step, stage) for step in range(dim // rows_each)]
    trace = field.matrix.trace().expand(1, 1, 3)
    torch.testing.assert_close(torch.stack(cycle).mean(0), trace)
    # Until then each is an estimate with an error, as any probe.
    assert (cycle[0] - trace).abs().min() > 1e-3


def test_orthogonal_probes_are_orthogonal_signs() -> None:
    tangents = CycledHadamard(signs(3, 5, 64), 4).tangents(7, 1)
    assert tangents.shape == (4, 3, 5, 64)
    assert torch.equal(tangents.abs(), torch.ones_like(tangents))
    products = torch.einsum("arfd,brfd->abrf", tangents, tangents)
    torch.testing.assert_close(products, 64 * torch.eye(4).double()[:, :, None, None].expand_as(products))


def test_orthogonal_probes_of_the_stages_of_a_step_differ() -> None:
    estimator = CycledHadamard(signs(1, 1, 64), 4)
    rows = torch.cat([estimator.tangents(3, stage) for stage in range(3)]).flatten(1)
    torch.testing.assert_close(rows @ rows.T, 64 * torch.eye(12, dtype=torch.float64))


def calibrated(found: Estimate, exact: torch.Tensor) -> torch.Tensor:
    """Errors over standard errors, checked to have mean 0 and variance 1."""
    errors = (found.value - exact)[0] / standard_error(found.variance, found.freedom)[0]
    assert errors.mean() == pytest.approx(0, abs=4 / math.sqrt(len(errors)))
    assert errors.square().mean().sqrt() == pytest.approx(1, abs=0.15)
    return errors


@pytest.mark.parametrize("kind", ["rademacher", "gaussian"])
def test_standard_error_of_fixed_probes_is_calibrated(kind: str) -> None:
    field, frames, scheme = random_linear(), 1000, Scheme("euler", 10, "uniform")
    x, t = torch.zeros(1, frames, 64, dtype=torch.float64), torch.tensor([0.8], dtype=torch.float64)
    found = log_density(field, x, t, scheme, FixedProbes(probes_of(kind, 4, frames)))
    errors = calibrated(found, log_density(field, x, t, scheme, ExactTrace(x)).value)
    assert (errors.abs() < 2).double().mean() == pytest.approx(0.954, abs=0.025)


@pytest.mark.parametrize(
    ("n_steps", "n_probes", "share"), [(1, 4, 60 / 63), (4, 8, 32 / 63), (6, 8, 16 / 63), (8, 8, 0)]
)
def test_variance_of_a_cycle_is_that_of_drawing_without_replacement(n_steps: int, n_probes: int, share: float) -> None:
    """Of 64 rows of one variance, m without replacement: ``(64 - m) / 63`` of the variance with (Cochran 1977, 2.5)."""
    estimator = CycledHadamard(signs(1, 5, 64), n_probes)
    same_time = [Evaluation(step, 0, np.full(1, 0.5), np.full(1, 1 / n_steps)) for step in range(n_steps)]
    spread = torch.ones(1, 5).double() / n_steps  # sum of squared weights times a row's variance
    found = estimator.conclude(torch.stack((torch.zeros_like(spread), spread)), same_time)
    torch.testing.assert_close(found.variance, torch.full((1, 5), share / (n_steps * n_probes)).double())
    assert found.freedom == n_steps * (n_probes - 1)


@dataclass(frozen=True)
class DriftingField:
    """``v = A(t) x`` whose Jacobian drifts as those of trained flows do: a Gaussian process of ln t for every frame.

    `matrices` ``(n, F, D, D)`` at the falling times `at` ``(n,)``.
    """

    matrices: torch.Tensor
    at: torch.Tensor

    @classmethod
    def drawn(cls, at: torch.Tensor, frames: int, dim: int = 64) -> DriftingField:
        distance = math.sqrt(3) * (at.log()[:, None] - at.log()).abs()
        root = torch.linalg.cholesky((1 + distance) * (-distance).exp() + 1e-9 * torch.eye(len(at)))
        drawn = (root @ normal(len(at), frames * dim * dim, seed=4)).view(len(at), frames, dim, dim)
        return cls(drawn * (at.sqrt() / (1.05 - at))[:, None, None, None] / dim, at)

    def _at(self, t: torch.Tensor) -> torch.Tensor:
        return self.matrices[int((self.at - t).abs().argmin())]

    def velocity(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)

    def velocity_and_tangents(
        self, x: torch.Tensor, t: torch.Tensor, tangents: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self.velocity(x, t), torch.einsum("fab,krfb->krfa", self._at(t), tangents)


@pytest.mark.parametrize(("n_steps", "n_probes"), [(6, 4), (12, 4), (16, 8)])
def test_standard_error_of_orthogonal_probes_is_calibrated(n_steps: int, n_probes: int) -> None:
    scheme, t, frames = Scheme("midpoint", n_steps), torch.tensor([0.9], dtype=torch.float64), 300
    x = torch.zeros(1, frames, 64, dtype=torch.float64)
    times = scheme.grid(t)
    nodes = torch.tensor([evaluation.t[0] for evaluation in scheme.evaluations(times, scheme.middle(times))])
    field = DriftingField.drawn(nodes, frames)
    found = log_density(field, x, t, scheme, CycledHadamard(signs(1, frames, 64), n_probes))
    exact = log_density(field, x, t, scheme, ExactTrace(x)).value
    errors = calibrated(found, exact)
    assert 0.9 < (errors.abs() < 2).double().mean() < 0.98
    # Far below what as many independent rows would leave.
    rows = log_density(field, x, t, scheme, FixedProbes(signs(n_probes, 1, frames, 64, seed=9)))
    assert (found.value - exact).square().mean() < 0.5 * (rows.value - exact).square().mean()


def test_standard_error_of_values_with_much_evidence_is_their_own() -> None:
    variance = torch.tensor([[1.0, 9.0]])
    torch.testing.assert_close(standard_error(variance, 10_000), variance.sqrt(), rtol=1e-2, atol=0)


def test_standard_error_leans_on_the_row_where_there_are_two_estimates() -> None:
    """Four prior degrees of freedom against one (Smyth 2004); rows and gaps do not mix."""
    variance = torch.tensor([[0.0, 10.0, math.nan], [2.0, 2.0, 2.0]])
    own, pooled = math.sqrt((4 * 5 + 10) / 5), math.sqrt(4 * 5 / 5)
    expected = torch.tensor([[pooled, own, math.nan], [math.sqrt(2)] * 3])
    torch.testing.assert_close(standard_error(variance, 1), expected, equal_nan=True)


def test_mean_of_estimates() -> None:
    found = mean_of(torch.tensor([[[1.0, 4.0]], [[3.0, 4.0]]]))
    assert found.value.tolist() == [[2.0, 4.0]]
    assert found.variance.tolist() == [[1.0, 0.0]]
    assert found.freedom == 1
    assert mean_of(torch.ones(1, 2, 3)).variance.isnan().all()


def test_the_exact_trace_has_no_error_and_a_single_probe_an_unknown_one() -> None:
    x, t, scheme = normal(1, 3, 64), torch.tensor([0.8], dtype=torch.float64), Scheme("midpoint", 4)
    exact = log_density(random_linear(), x, t, scheme, ExactTrace(x))
    assert not standard_error(exact.variance, exact.freedom).any()
    for estimator in (FixedProbes(signs(1, 1, 3, 64)), CycledHadamard(signs(1, 3, 64), 1)):
        single = log_density(random_linear(), x, t, scheme, estimator)
        assert standard_error(single.variance, single.freedom).isnan().all()


# Densities


def test_log_normal() -> None:
    x = normal(5, 8)
    expected = multivariate_normal(np.zeros(8)).logpdf(x.numpy())
    np.testing.assert_allclose(log_normal(x), expected, atol=1e-12)


def test_density_by_probes_is_unbiased() -> None:
    frames, t = 400, torch.tensor([0.8], dtype=torch.float64)
    x = 0.8 * mixture().means[0] + 0.3 * normal(1, 1, 8).expand(1, frames, 8)
    scheme = Scheme("rk4", 30, "uniform")
    logs = log_density(mixture(), x, t, scheme, FixedProbes(signs(10, 1, frames, 8))).value
    truth = mixture().log_density(x[:, :1], t).item()
    assert logs.mean() == pytest.approx(truth, abs=4 * logs.std().item() / math.sqrt(logs.numel()))


# Bounds


@pytest.mark.parametrize("level", [0.1, 0.3, 0.7, 1.0])
def test_floor_is_the_peak_of_the_noise(level: float) -> None:
    assert floor(level) == pytest.approx(-64 * norm(0, level).logpdf(0))


def test_floor_and_no_knowledge_at_the_ends() -> None:
    assert floor(0.0) == -math.inf
    assert floor(1.0) == pytest.approx(58.81207, abs=1e-5)
    assert no_knowledge(1.0) == pytest.approx(58.81207, abs=1e-5)
    assert no_knowledge(0.0) == pytest.approx(58.81207 + 32, abs=1e-5)


@pytest.mark.parametrize("level", [0.05, 0.3, 0.6, 0.95])
def test_no_knowledge_is_a_unit_gaussian_noised(level: float) -> None:
    """Density of (1 - s) z + s n at (1 - s) z with |z|^2 = 64, by convolution in one dimension."""
    kept = 1 - level
    density, _ = quad(lambda z: norm.pdf(z) * norm.pdf(kept * 1.0, kept * z, level), -12, 12, points=[1.0])
    assert no_knowledge(level) == pytest.approx(-64 * math.log(density), rel=1e-7)


@pytest.mark.parametrize(("noising", "draws"), [("average", 3), ("flow", None), ("monte_carlo", 4)])
def test_no_knowledge_at_the_points_of_each_mode(noising: str, draws: int | None) -> None:
    level, z = 0.6, torch.ones(64, dtype=torch.float64)
    variance = torch.tensor(0.4**2 + 0.6**2).double()
    noise = {"average": normal(20_000, 64), "monte_carlo": normal(20_000, 4, 64).mean(1)}
    # The flow of a unit Gaussian scales a latent to the spread at its time.
    points = variance.sqrt() * z if noising == "flow" else 0.4 * z + 0.6 * noise[noising]
    information = 0.5 * (points.square().sum(-1) / variance + 64 * (2 * math.pi * variance).log())
    assert no_knowledge(level, noising, draws) == pytest.approx(information.mean().item(), abs=0.1)


@examples(deadline=None)
@given(st.floats(0.01, 1.0), st.integers(0, 5))
def test_no_mixture_goes_below_the_floor(level: float, seed: int) -> None:
    sharp = MixtureField(torch.ones(1).double(), normal(1, 64, seed=seed), torch.tensor([1e-9], dtype=torch.float64))
    t = torch.tensor([1 - level], dtype=torch.float64)
    value = -sharp.log_density(t * sharp.means[None], t).item()
    assert value >= floor(level) - 1e-9
    assert value == pytest.approx(floor(level), abs=1e-2)


# Draws


@examples(deadline=None)
@given(st.integers(0, 300), st.integers(1, 150), st.data())
def test_a_frame_has_its_draws_whatever_range_is_asked_for(first: int, length: int, data: st.DataObject) -> None:
    draws = Draws(3, dim=4)
    low = data.draw(st.integers(0, length - 1))
    for draw in (draws.normal, draws.signs):
        whole = draw(Purpose.PROBE, 2, first, first + length, 0.3)
        np.testing.assert_array_equal(draw(Purpose.PROBE, 2, first + low, first + length, 0.3), whole[low:])


def test_draws_differ_by_seed_purpose_index_level_and_frame() -> None:
    first = Draws(0).normal(Purpose.PROBE, 0, 0, 64, 0.3)
    others = [
        Draws(1).normal(Purpose.PROBE, 0, 0, 64, 0.3),
        Draws(0).normal(Purpose.NOISE, 0, 0, 64, 0.3),
        Draws(0).normal(Purpose.PROBE, 1, 0, 64, 0.3),
        Draws(0).normal(Purpose.PROBE, 0, 0, 64, 0.30000001),
        Draws(0).normal(Purpose.PROBE, 0, 64, 128, 0.3),
    ]
    for other in others:
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.08
    np.testing.assert_array_equal(Draws(0).normal(Purpose.PROBE, 0, 0, 64, 0.3), first)


def test_draws_have_their_distributions() -> None:
    values = Draws(0).normal(Purpose.NOISE, 0, 0, 2000)
    assert norm.fit(values.ravel()) == pytest.approx((0, 1), abs=0.015)
    tosses = Draws(0).signs(Purpose.PROBE, 0, 0, 2000)
    assert set(np.unique(tosses)) == {-1.0, 1.0}
    assert tosses.mean() == pytest.approx(0, abs=0.015)


# Noising


def test_evaluated_points() -> None:
    latents, levels, noise = normal(5, 8), torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64), normal(3, 5, 8, seed=1)
    scaled = evaluated_points(latents, levels, None, clean_context=False)
    torch.testing.assert_close(scaled.x, torch.stack((latents, 0.75 * latents, 0 * latents)))
    assert torch.equal(scaled.seen, scaled.x)
    drawn = evaluated_points(latents, levels, noise, clean_context=True)
    torch.testing.assert_close(drawn.x, torch.stack((latents, 0.75 * latents + 0.25 * noise[1], noise[2])))
    assert torch.equal(drawn.seen, latents[None])
    torch.testing.assert_close(noised(latents, levels, noise[0])[1], 0.75 * latents + 0.25 * noise[0])


def test_mean_noise_is_the_mean_of_the_single_draws() -> None:
    each = single_draws(Draws(5), 7, 10, 90)
    assert each.shape == (7, 80, 64)
    torch.testing.assert_close(mean_noise(Draws(5), 7, 10, 90), each.mean(0))
    assert each.mean(0).std() == pytest.approx(1 / math.sqrt(7), rel=0.03)


def test_oracle_trace_of_probes_and_exact_agree_on_average() -> None:
    jacobian = random_linear(8).matrix.expand(200, 8, 8)
    estimates = oracles.probed(signs(200, 8))(jacobian)
    assert estimates.mean() == pytest.approx(oracles.trace(jacobian)[0].item(), abs=4 * estimates.std().item() / 14)
