"""The published procedure, number by number, on a checkpoint in the published format."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from audioic_widget.engine import Fixed, Values, solve
from audioic_widget.ic import compute_ic_from_latents
from audioic_widget.model.catalogue import ICModel
from audioic_widget.settings import ICSettings

Golden = dict[str, np.ndarray]


def published(**fields: Any) -> ICSettings:
    return ICSettings(preset="pa-audioic", **fields)


def test_context(tiny: ICModel, golden: Golden) -> None:
    contexts = tiny.contexts(torch.from_numpy(golden["latents"]).unsqueeze(0))[0]
    np.testing.assert_allclose(contexts.numpy(), golden["context"], atol=1e-4)


def test_velocity_and_divergence(tiny: ICModel, golden: Golden) -> None:
    x = torch.from_numpy(golden["latents"])[1:].expand(4, -1, -1)
    field = tiny.head.frozen().bind(torch.from_numpy(golden["context"])[:-1])
    eye = torch.eye(64)[:, None, None].expand(-1, *x.shape)
    with torch.inference_mode():
        velocity, products = field.velocity_and_tangents(x, torch.from_numpy(golden["field_t"]), eye)
    np.testing.assert_allclose(velocity.numpy(), golden["velocity"], atol=1e-4)
    np.testing.assert_allclose((products * eye).sum((0, -1)).numpy(), golden["divergence"], atol=1e-3)


@pytest.mark.parametrize(("name", "steps", "probes"), [("euler100", 100, 4), ("euler25", 25, 1)])
def test_expectation_by_euler(tiny: ICModel, golden: Golden, name: str, steps: int, probes: int) -> None:
    settings = published(noise_levels=golden["levels"], n_steps=steps, n_probes=probes)
    ic, _ = compute_ic_from_latents(
        golden["latents"], model=tiny, settings=settings, probes=golden[f"expectation_{name}_probes"]
    )
    np.testing.assert_allclose(ic, golden[f"expectation_{name}_ic"], atol=1e-3)


def test_expectation_by_scipy(tiny: ICModel, golden: Golden) -> None:
    options = {"method": "RK45", "rtol": 1e-6, "atol": 1e-6}
    settings = published(noise_levels=golden["levels"][:4], solver="scipy", solver_options=options)
    # Values do not depend on later frames: the first ten tell as much as all.
    ic, _ = compute_ic_from_latents(
        golden["latents"][:11], model=tiny, settings=settings, probes=golden["expectation_rk45_probes"][:, :, :10]
    )
    np.testing.assert_allclose(ic, golden["expectation_rk45_ic"][:, :10], atol=2e-2)


def test_monte_carlo(tiny: ICModel, golden: Golden) -> None:
    settings = published(noise_levels=golden["levels"][:4], monte_carlo_samples=8)
    ic, _ = compute_ic_from_latents(
        golden["latents"],
        model=tiny,
        settings=settings,
        probes=golden["montecarlo_probes"],
        noise=golden["montecarlo_mean_noise"],
    )
    np.testing.assert_allclose(ic, golden["montecarlo_ic"], atol=1e-3)


def test_probability_flow(tiny: ICModel, golden: Golden) -> None:
    settings = published(noise_levels=golden["levels"][:5], noising="flow")
    values = Values.empty(5, 39)
    fixed = Fixed(torch.from_numpy(golden["pfode_probes"]).float().expand(5, -1, -1, -1))
    for _ in solve(values, torch.from_numpy(golden["latents"]), tiny, settings, 0, fixed=fixed):
        pass
    np.testing.assert_allclose(values.mean, golden["pfode_ic"], atol=1e-3)


def test_exact_values_by_the_same_scheme(tiny: ICModel, golden: Golden) -> None:
    settings = ICSettings(
        noise_levels=golden["exact_levels"],
        solver="rk4",
        solver_options={},
        n_steps=200,
        divergence="exact",
        precision="float64",
    )
    ic, stderr = compute_ic_from_latents(golden["latents"][:10], model=tiny, settings=settings)
    np.testing.assert_allclose(ic, golden["exact_ic"][:, :9], atol=1e-3)
    assert np.isnan(stderr).all() or not stderr.any()


def test_exact_preset(tiny: ICModel, golden: Golden) -> None:
    settings = ICSettings(preset="exact", noise_levels=golden["exact_levels"])
    ic, _ = compute_ic_from_latents(golden["latents"][:13], model=tiny, settings=settings)
    np.testing.assert_allclose(ic, golden["exact_ic"][:, :12], atol=0.35)


def test_exact_preset_with_more_steps(tiny: ICModel, golden: Golden) -> None:
    """Random weights are rougher than trained ones."""
    settings = ICSettings(preset="exact", noise_levels=golden["exact_levels"], n_steps=200)
    ic, _ = compute_ic_from_latents(golden["latents"][:7], model=tiny, settings=settings)
    np.testing.assert_allclose(ic, golden["exact_ic"][:, :6], atol=0.05)
