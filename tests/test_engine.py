"""The engine: every mode against the oracle, standard errors, and trouble."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import oracles
import pytest
import torch
from engine_cases import ALL_MODES, AT_POINTS, LEVELS, MODES, SCIPY, Floats, Golden, Stop, ic, quick, solved
from numpy.typing import NDArray
from torch import Tensor

import audioic_widget as aw
from audioic_widget import engine
from audioic_widget.errors import Cancelled, DeviceError, SettingsError
from audioic_widget.ic import compute_ic_from_latents, encode
from audioic_widget.likelihood.density import Scheme, log_density_along_flow
from audioic_widget.likelihood.divergence import ExactTrace
from audioic_widget.likelihood.draws import Draws, Purpose
from audioic_widget.model.catalogue import ICModel
from audioic_widget.model.frozen import ContextField
from audioic_widget.settings import ICSettings

# Modes against the oracle

STEPS = 3
PLAIN: dict[str, Any] = {
    "solver": "euler",
    "solver_options": {},
    "n_steps": STEPS,
    "divergence": "exact",
    "precision": "float64",
}


def by_oracle(model: ICModel, latents: NDArray[Any], noise: torch.Tensor | None, level: float, context: str) -> Floats:
    double = model.in_precision("float64")
    z = torch.from_numpy(latents).double()
    points = (1 - level) * z if noise is None else (1 - level) * z + level * noise.double()
    seen = z if context == "clean" else points
    times = oracles.uniform_times(1 - level, STEPS)
    return oracles.ic_by_euler(double.backbone, double.head, points, seen, times).numpy()


@pytest.mark.parametrize("context", ["published", "clean", "noised"])
@AT_POINTS
def test_modes(tiny: ICModel, latents: NDArray[Any], mode: str, context: str) -> None:
    z, settings = latents[:3], quick(mode, context=context, **PLAIN)
    seen = {"published": "clean" if mode == "average" else "noised"}.get(context, context)
    if mode == "expectation":
        expected = [by_oracle(tiny, z, None, level, seen) for level in LEVELS]
        computed = ic(z, tiny, settings)
    else:
        noise = torch.randn(3, 3, 64, generator=torch.Generator().manual_seed(1))
        noise = noise if mode == "average" else noise[:1]
        each = [[by_oracle(tiny, z, draw, level, seen) for draw in noise] for level in LEVELS]
        expected = [np.mean(draws, axis=0) for draws in each]
        computed = ic(z, tiny, settings, noise=noise if mode == "average" else noise[0])
    np.testing.assert_allclose(computed, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("context", ["published", "clean"])
def test_probability_flow(tiny: ICModel, latents: NDArray[Any], context: str) -> None:
    """One trajectory from the clean latents, read off where it passes each level; off the solver's grid, too."""
    double, z = tiny.in_precision("float64"), torch.from_numpy(latents[:4]).double()
    levels = (0.3, 1.0, 0.0, 0.8)
    velocity, contexts = oracles.velocity_of(double.head), oracles.contexts_of(double.backbone, z)
    times = list(oracles.uniform_times(1.0, STEPS))
    end, whole = oracles.euler(velocity, z[1:], contexts, times)
    expected = []
    for level in levels:
        # Off the grid, a shorter step leads to the level and another from there to the next time of the grid.
        above, below = [t for t in times if t > 1 - level + 1e-9], [t for t in times if t <= 1 - level + 1e-9]
        reached, _ = oracles.euler(velocity, z[1:], contexts, [*above, 1 - level])
        _, side = oracles.euler(velocity, reached, contexts, [1 - level, below[0]])
        _, before = oracles.euler(velocity, z[1:], contexts, [*above, below[0]])
        expected.append(-(oracles.log_standard_normal(end) + whole - before + side).numpy())
    computed = ic(z, tiny, quick("flow", noise_levels=levels, context=context, **PLAIN))
    np.testing.assert_allclose(computed, expected, rtol=0, atol=2e-5)


def test_states_of_the_probability_flow(tiny: ICModel, golden: Golden) -> None:
    x = torch.from_numpy(golden["latents"])[None, 1:6]
    times = 1 - torch.from_numpy(golden["levels"][:5]).float()
    field = tiny.head.frozen().bind(torch.from_numpy(golden["context"])[None, :5])
    with torch.inference_mode():
        _, states = log_density_along_flow(field, x, times, Scheme("euler", 100, "uniform"), ExactTrace(x[..., :5, :]))
    np.testing.assert_allclose(states.numpy(), golden["pfode_states"][:, :5], atol=1e-3)


def test_given_probes(tiny: ICModel, latents: NDArray[Any]) -> None:
    z, level = latents[:4], 0.3
    probes = torch.randn(2, 3, 64, generator=torch.Generator().manual_seed(0)).sign()
    double, points = tiny.in_precision("float64"), 0.7 * torch.from_numpy(z).double()
    expected = [
        oracles.ic_by_euler(
            double.backbone, double.head, points, points, oracles.uniform_times(0.7, STEPS), oracles.probed(p.double())
        ).numpy()
        for p in probes
    ]
    settings = quick(noise_levels=[level], **{**PLAIN, "divergence": "hutchinson"})
    np.testing.assert_allclose(ic(z, tiny, settings, probes=probes), [np.mean(expected, axis=0)], rtol=0, atol=2e-5)


def test_probes_for_all_levels_or_for_each(tiny: ICModel, latents: NDArray[Any]) -> None:
    probes = torch.randn(2, 2, 11, 64, generator=torch.Generator().manual_seed(0)).sign()
    settings = quick(noise_levels=[0.3, 0.6], solver="euler")
    each = ic(latents, tiny, settings, probes=probes)
    for row, level in enumerate((0.3, 0.6)):
        shared = ic(latents, tiny, settings, probes=probes[row])
        np.testing.assert_array_equal(shared[row], each[row])
        assert abs(shared[1 - row] - each[1 - row]).max() > 1e-3
        np.testing.assert_allclose(
            each[row], ic(latents, tiny, settings.replace(noise_levels=[level]), probes=probes[row])[0], atol=5e-5
        )


@AT_POINTS
def test_level_one_is_the_density_of_the_noise(tiny: ICModel, latents: NDArray[Any], mode: str) -> None:
    draws = torch.from_numpy(np.stack([Draws(5).normal(Purpose.NOISE, m, 1, 12) for m in range(3)])).double()
    expected = {
        "expectation": np.full(11, 58.81207),
        "monte_carlo": -oracles.log_standard_normal(draws.mean(0)).numpy(),
        "average": -oracles.log_standard_normal(draws).mean(0).numpy(),
    }
    computed = ic(latents, tiny, quick(mode, noise_levels=[1.0], seed=5))
    np.testing.assert_allclose(computed[0], expected[mode], rtol=0, atol=2e-5)


def test_monte_carlo_is_one_likelihood_of_the_mean_of_its_draws(tiny: ICModel, latents: NDArray[Any]) -> None:
    settings = quick("monte_carlo", seed=3)
    mean = np.mean([Draws(3).normal(Purpose.NOISE, m, 0, 12) for m in range(3)], axis=0)
    np.testing.assert_allclose(ic(latents, tiny, settings, noise=mean), ic(latents, tiny, settings), atol=5e-5)


def test_average_draws_are_those_of_the_seed(tiny: ICModel, latents: NDArray[Any]) -> None:
    settings = quick("average", seed=3)
    draws = np.stack([Draws(3).normal(Purpose.NOISE, m, 0, 12) for m in range(3)])
    np.testing.assert_array_equal(ic(latents, tiny, settings, noise=draws), ic(latents, tiny, settings))


def test_average_at_level_zero_is_the_expectation_of_clean_context(tiny: ICModel, latents: NDArray[Any]) -> None:
    same: dict[str, Any] = {"noise_levels": [0.0], "divergence": "exact", "precision": "float32"}
    average = ic(latents, tiny, quick("average", **same))
    clean = ic(latents, tiny, quick(context="clean", **same))
    np.testing.assert_allclose(average, clean, atol=5e-5)


def test_monte_carlo_of_many_draws_tends_to_the_expectation(tiny: ICModel, latents: NDArray[Any]) -> None:
    exact = {"divergence": "exact", "noise_levels": [0.3]}
    expectation = ic(latents, tiny, quick(**exact))
    distances = [
        np.abs(
            ic(latents, tiny, quick("monte_carlo", **exact) if m == 3 else quick(monte_carlo_samples=m, **exact))
            - expectation
        ).mean()
        for m in (3, 2000)
    ]
    assert distances[1] < 0.1 * distances[0]


def test_scipy_agrees_with_fixed_steps(tiny: ICModel, latents: NDArray[Any]) -> None:
    options = {"method": "DOP853", "rtol": 1e-5, "atol": 1e-5}
    probes = torch.randn(1, 2, 64, generator=torch.Generator().manual_seed(0)).sign()
    adaptive, fixed = (
        ic(latents[:3], tiny, ICSettings(noise_levels=[0.6], precision="float64", **solver), probes=probes)
        for solver in ({"solver": "scipy", "solver_options": options}, {"solver": "rk4", "n_steps": 60})
    )
    np.testing.assert_allclose(adaptive, fixed, atol=2e-2)


@pytest.mark.parametrize("example", ["minuet", "loop"])
def test_on_a_trained_flow_predicted_stages_are_as_true_as_evaluated_ones(example: str) -> None:
    mini = aw.load_model("mini", device="cpu")
    some = encode(aw.read_recording(aw.example(example)), mini).latents[:20]
    exact: dict[str, Any] = {"noise_levels": (0.0, 0.1, 0.3), "divergence": "exact", "precision": "float32"}
    truth = ic(some, mini, ICSettings(solver="rk4", n_steps=16, **exact))
    predicted, evaluated = (
        np.sqrt(np.square(ic(some, mini, ICSettings(solver=solver, n_steps=8, **exact)) - truth).mean(1))
        for solver in ("multistep", "midpoint")
    )
    assert (predicted < 1.3 * evaluated).all()


def test_scipy_options_reach_scipy(tiny: ICModel, latents: NDArray[Any]) -> None:
    loose, tight = (
        ic(latents[:3], tiny, quick(noise_levels=[0.6], solver="scipy", solver_options={"rtol": tol, "atol": tol}))
        for tol in (1e-1, 1e-4)
    )
    assert np.abs(loose - tight).max() > 1e-3
    with pytest.raises(SettingsError, match="solve_ivp"):
        ic(latents[:3], tiny, quick(solver="scipy", solver_options={"method": "RK99"}))


# Errors of a value


def test_standard_error_of_probes(tiny: ICModel, latents: NDArray[Any]) -> None:
    probes = torch.randn(3, 1, 64, generator=torch.Generator().manual_seed(0)).sign()
    settings = quick(noise_levels=[0.3])
    _, stderr = compute_ic_from_latents(latents[:2], model=tiny, settings=settings, probes=probes)
    each = [ic(latents[:2], tiny, settings, probes=probe[None]) for probe in probes]
    assert stderr[0, 0] == pytest.approx(np.std(each, ddof=1) / math.sqrt(3), rel=1e-3)


def test_standard_error_of_an_average(tiny: ICModel, latents: NDArray[Any]) -> None:
    noise = torch.randn(3, 2, 64, generator=torch.Generator().manual_seed(0))
    settings = quick("average", noise_levels=[0.3], divergence="exact")
    _, stderr = compute_ic_from_latents(latents[:2], model=tiny, settings=settings, noise=noise)
    single = settings.replace(monte_carlo_samples=1)
    each = [ic(latents[:2], tiny, single, noise=draw[None]) for draw in noise]
    assert stderr[0, 0] == pytest.approx(np.std(each, ddof=1) / math.sqrt(3), rel=1e-3)


@pytest.mark.parametrize("fields", [{"n_probes": 1}, {"noising": "average", "monte_carlo_samples": 1}], ids=str)
def test_one_estimate_has_no_standard_error(tiny: ICModel, latents: NDArray[Any], fields: dict[str, Any]) -> None:
    _, stderr = compute_ic_from_latents(latents, model=tiny, settings=quick(**fields))
    assert np.isnan(stderr).all()


@pytest.mark.parametrize("kind", ["orthogonal", "rademacher", "gaussian"])
def test_standard_errors_are_calibrated(tiny: ICModel, latents: NDArray[Any], kind: str) -> None:
    fields: dict[str, Any] = {"solver": "euler", "solver_options": {}, "n_steps": 6, "noise_levels": LEVELS}
    truth = ic(latents, tiny, ICSettings(divergence="exact", **fields))
    scores = []
    for seed in range(15):
        settings = ICSettings(n_probes=4, probe_kind=kind, seed=seed, **fields)
        mean, stderr = compute_ic_from_latents(latents, model=tiny, settings=settings)
        scores.append((mean - truth) / stderr)
    assert np.mean(scores) == pytest.approx(0, abs=0.2)
    assert np.sqrt(np.mean(np.square(scores))) == pytest.approx(1, abs=0.15)


# Trouble


def scarce(limit: int, error: Exception) -> Callable[..., Any]:
    """`log_density` on a device that holds `limit` frames at a time."""
    plenty = engine.log_density

    def log_density(field: Any, x: torch.Tensor, *rest: Any) -> torch.Tensor:
        if x.shape[1] > limit:
            raise error
        return plenty(field, x, *rest)

    return log_density


MEMORY_ERRORS = pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
    ids=["device", "cpu"],
)


@MEMORY_ERRORS
@pytest.mark.parametrize("limit", [1, 3])
def test_out_of_memory_halves_the_chunk(
    tiny: ICModel, latents: NDArray[Any], monkeypatch: pytest.MonkeyPatch, error: Exception, limit: int
) -> None:
    settings = quick(precision="float32")
    plenty = ic(latents, tiny, settings)
    monkeypatch.setattr(engine, "log_density", scarce(limit, error))
    np.testing.assert_allclose(ic(latents, tiny, settings), plenty, rtol=0, atol=5e-5)


@MEMORY_ERRORS
def test_memory_that_is_scarce_now_and_then(
    tiny: ICModel, latents: NDArray[Any], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    settings, chance, evaluate = quick(precision="float32"), random.Random(0), ContextField._pass
    plenty, failures = ic(latents, tiny, settings), []

    def scarce_at_random(field: ContextField, rows: Tensor, t: Tensor) -> Tensor:
        if rows.shape[2] > 1 and chance.random() < 0.3:
            failures.append(rows.shape[2])
            raise error
        return evaluate(field, rows, t)

    monkeypatch.setattr(ContextField, "_pass", scarce_at_random)
    np.testing.assert_allclose(ic(latents, tiny, settings), plenty, rtol=0, atol=5e-5)
    assert len(set(failures)) > 1


@MEMORY_ERRORS
def test_out_of_memory_for_a_single_frame(
    tiny: ICModel, latents: NDArray[Any], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(engine, "log_density", scarce(0, error))
    with pytest.raises(DeviceError, match="fewer noise levels"):
        ic(latents, tiny, quick())


def test_other_errors_are_not_taken_for_scarce_memory(
    tiny: ICModel, latents: NDArray[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "log_density", scarce(0, RuntimeError("shapes do not fit")))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        ic(latents, tiny, quick())


@ALL_MODES
@pytest.mark.parametrize("solver", [{}, SCIPY], ids=["fixed", "scipy"])
def test_work_can_be_ended_between_steps(
    tiny: ICModel, latents: NDArray[Any], mode: str, solver: dict[str, Any]
) -> None:
    settings, counter = quick(mode, **solver), Stop()
    solved(tiny, latents[:4], settings, check=counter)
    assert counter.calls >= settings.n_steps
    with pytest.raises(Cancelled):
        solved(tiny, latents[:4], settings, check=Stop(counter.calls // 2))


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "one latent": ({}, {"latents": np.zeros((1, 64))}, "T of 2 or more"),
    "narrow latents": ({}, {"latents": np.zeros((5, 32))}, r"shape \(T, 64\)"),
    "a vector": ({}, {"latents": np.zeros(64)}, r"shape \(T, 64\)"),
    "NaN latents": ({}, {"latents": np.full((5, 64), np.nan)}, "latents must be finite"),
    "probes of other frames": ({}, {"probes": np.ones((2, 5, 64))}, r"probes must have shape \(3, n, 4, 64\)"),
    "probes of other levels": ({}, {"probes": np.ones((2, 1, 4, 64))}, "probes must have shape"),
    "infinite probes": ({}, {"probes": np.full((1, 4, 64), np.inf)}, "probes must be finite"),
    "noise of an expectation": ({}, {"noise": np.zeros((5, 64))}, "no noise to fix"),
    "noise of a flow": (MODES["flow"], {"noise": np.zeros((5, 64))}, "no noise to fix"),
    "noise of other frames": (MODES["monte_carlo"], {"noise": np.zeros((4, 64))}, r"noise must have shape \(5, 64\)"),
    "noise of too few draws": (MODES["average"], {"noise": np.zeros((2, 5, 64))}, r"\(3, 5, 64\)"),
    "one noise for many": (MODES["average"], {"noise": np.zeros((5, 64))}, r"\(3, 5, 64\)"),
}


@pytest.mark.parametrize("what", WRONG)
def test_latents_probes_and_noise_that_do_not_fit(tiny: ICModel, what: str) -> None:
    fields, given_, message = WRONG[what]
    arguments: dict[str, Any] = {"latents": np.zeros((5, 64)), **given_}
    with pytest.raises(SettingsError, match=message):
        compute_ic_from_latents(model=tiny, settings=quick(**fields), **arguments)


@pytest.mark.parametrize("kind", [np.float32, np.float64, torch.tensor, np.ndarray.tolist])
def test_latents_of_any_kind(tiny: ICModel, latents: NDArray[Any], kind: Callable[..., Any]) -> None:
    values, stderr = compute_ic_from_latents(kind(latents), model=tiny, settings=quick())
    assert values.shape == stderr.shape == (3, 11)
    assert values.dtype == stderr.dtype == np.float64
    np.testing.assert_allclose(values, ic(latents, tiny, quick()), atol=1e-6)
