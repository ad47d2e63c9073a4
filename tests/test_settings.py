"""Settings: what presets fill, what is refused, what survives JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from audioic_widget.errors import AudioICError, SettingsError
from audioic_widget.settings import ICSettings

PRESETS = ["draft", "standard", "pa-audioic", "exact"]


def test_the_published_defaults() -> None:
    published = ICSettings(preset="pa-audioic")
    assert (published.solver, published.n_steps, published.spacing) == ("euler", 100, "uniform")
    assert (published.divergence, published.n_probes, published.probe_kind) == ("hutchinson", 4, "rademacher")
    assert (published.noising, published.context) == ("expectation", "published")


def test_presets_differ_in_cost_and_trust() -> None:
    draft, standard, exact = (ICSettings(preset=preset) for preset in ("draft", "standard", "exact"))
    assert ICSettings() == standard
    assert draft.n_steps < standard.n_steps < exact.n_steps
    assert (standard.divergence, exact.divergence) == ("hutchinson", "exact")


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_given_beats_the_preset(preset: Any) -> None:
    given_: dict[str, Any] = {
        "solver": "heun",
        "solver_options": {"spacing": "uniform"},
        "n_steps": 7,
        "divergence": "hutchinson",
        "n_probes": 3,
        "probe_kind": "gaussian",
    }
    settings = ICSettings(preset=preset, **given_)
    assert {name: getattr(settings, name) for name in given_} == given_


def test_a_method_of_scipy_for_a_solver_is_told_where_it_belongs() -> None:
    with pytest.raises(SettingsError, match=r'solver="scipy" with solver_options=\{"method": "RK45"\}'):
        ICSettings(solver="RK45")  # type: ignore[arg-type]


@pytest.mark.parametrize("preset", PRESETS)
def test_settings_survive_json(preset: Any) -> None:
    settings = ICSettings(preset=preset, noise_levels=(0.1, 0.0, 1.0), monte_carlo_samples=3, seed=2**40)
    assert ICSettings(**json.loads(json.dumps(settings.to_dict()))) == settings


def test_scipy_settings_survive_json() -> None:
    settings = ICSettings(solver="scipy", solver_options={"method": "RK45", "rtol": 1e-6}, noising="flow")
    assert ICSettings(**json.loads(json.dumps(settings.to_dict()))) == settings


def test_settings_are_frozen() -> None:
    settings = ICSettings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.n_steps = 3  # type: ignore[misc]


def test_unknown_keywords() -> None:
    with pytest.raises(TypeError, match="n_stepps"):
        ICSettings(n_stepps=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="n_stepps"):
        ICSettings().replace(n_stepps=3)


# Levels


@examples(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8, unique=True))
def test_any_levels_in_any_order(levels: list[float]) -> None:
    assert ICSettings(noise_levels=levels).noise_levels == tuple(levels)


@pytest.mark.parametrize("level", [0, 0.3, np.float32(0.25), 1])
def test_one_level_needs_no_list(level: float) -> None:
    assert ICSettings(noise_levels=level).noise_levels == (float(level),)


@examples(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=4), st.floats().filter(lambda x: not 0 <= x <= 1), st.data())
def test_levels_outside_are_refused(levels: list[float], bad: float, data: st.DataObject) -> None:
    levels.insert(data.draw(st.integers(0, len(levels))), bad)
    with pytest.raises(SettingsError, match="outside"):
        ICSettings(noise_levels=levels)


@examples(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=4, unique=True), st.data())
def test_levels_given_twice_are_refused(levels: list[float], data: st.DataObject) -> None:
    twice = data.draw(st.sampled_from(levels))
    with pytest.raises(SettingsError, match="twice"):
        ICSettings(noise_levels=[*levels, twice])


@pytest.mark.parametrize("levels", [[], True, None, ["much"], [None], "high", [[0.1], [0.2]]])
def test_levels_that_are_no_list_of_numbers(levels: Any) -> None:
    with pytest.raises(SettingsError, match="noise_levels"):
        ICSettings(noise_levels=levels)


# Everything else that is out of range

BAD: dict[str, list[Any]] = {
    "preset": ["fast", "", None, 3],
    "noising": ["none", 3],
    "context": ["dirty", None],
    "solver": ["rk45", "Euler", 3],
    "divergence": ["trace", 0],
    "probe_kind": ["uniform", 1],
    "precision": ["float16", 32],
    "audio_type": ["noise", None],
    "n_steps": [0, -1, 2.5, "9", True, math.inf],
    "n_probes": [0, -4, 1.0, False],
    "monte_carlo_samples": [0, -1, 1.5, "many", True],
    "seed": [-1, 0.5, None, "x"],
    "solver_options": [{"spacing": "cubic"}, {"spacing": 2}, {"method": "RK45"}, {"rtol": 1e-3}],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_bad_values_are_named(name: str, value: Any) -> None:
    with pytest.raises(SettingsError) as raised:
        ICSettings(**{name: value})
    assert name in str(raised.value) or "spacing" in str(raised.value)
    assert isinstance(raised.value, AudioICError)
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize("noising", ["monte_carlo", "average"])
def test_modes_that_draw_need_a_number_of_draws(noising: Any) -> None:
    with pytest.raises(SettingsError, match="monte_carlo_samples"):
        ICSettings(noising=noising)


@pytest.mark.parametrize("noising", ["expectation", "flow"])
def test_modes_that_draw_nothing_refuse_one(noising: Any) -> None:
    with pytest.raises(SettingsError, match="draws no samples"):
        ICSettings(noising=noising, monte_carlo_samples=4)


def test_a_flow_has_no_noised_context() -> None:
    with pytest.raises(SettingsError, match="no noised context"):
        ICSettings(noising="flow", context="noised")


def test_a_number_of_draws_selects_monte_carlo() -> None:
    assert ICSettings(monte_carlo_samples=4).noising == "monte_carlo"
    assert ICSettings().noising == "expectation"


def test_adaptive_solvers_keep_their_probes() -> None:
    assert ICSettings(solver="scipy").probe_kind == "rademacher"
    assert ICSettings(solver="scipy").solver_options == {}
    assert ICSettings(solver="scipy", probe_kind="gaussian").probe_kind == "gaussian"


# replace


def test_replace_changes_what_it_is_told() -> None:
    settings = ICSettings(noise_levels=[0.5], n_steps=9, seed=3)
    changed = settings.replace(n_probes=2)
    assert changed == ICSettings(noise_levels=[0.5], n_steps=9, seed=3, n_probes=2)
    assert settings.n_probes == 8
    assert settings.replace() == settings


def test_replace_refuses_what_the_constructor_refuses() -> None:
    with pytest.raises(SettingsError, match="n_steps"):
        ICSettings().replace(n_steps=0)


@pytest.mark.parametrize("old", PRESETS)
@pytest.mark.parametrize("new", PRESETS)
def test_a_new_preset_refills_its_fields(old: Any, new: Any) -> None:
    """Those it governs: levels, seed and noising stay."""
    kept: dict[str, Any] = {"noise_levels": (0.5,), "seed": 3, "monte_carlo_samples": 2}
    assert ICSettings(preset=old, n_steps=9, **kept).replace(preset=new) == ICSettings(preset=new, **kept)
    assert ICSettings(preset=old).replace(preset=new, n_steps=9) == ICSettings(preset=new, n_steps=9)


def test_a_new_solver_drops_options_of_the_old_one() -> None:
    adaptive = ICSettings(solver="scipy", solver_options={"rtol": 1e-6})
    assert adaptive.replace(solver="euler").solver_options == ICSettings(solver="euler").solver_options
    assert ICSettings().replace(solver="scipy").solver_options == {}
    assert adaptive.replace(n_steps=3).solver_options == {"rtol": 1e-6}


def test_a_new_number_of_draws_chooses_the_mode() -> None:
    assert ICSettings().replace(monte_carlo_samples=4).noising == "monte_carlo"
    assert ICSettings(monte_carlo_samples=4).replace(monte_carlo_samples=None).noising == "expectation"
    average = ICSettings(noising="average", monte_carlo_samples=4)
    assert average.replace(monte_carlo_samples=8).noising == "average"
