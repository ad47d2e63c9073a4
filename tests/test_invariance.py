"""What a value may and may not depend on: neither chunks nor windows, levels nor order; never the future."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import oracles
import pytest
import torch
from engine_cases import ALL_MODES, AT_LEVELS, LEVELS, SCIPY, Golden, ic, quick, solved
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from numpy.typing import NDArray

from audioic_widget import engine
from audioic_widget.engine import urgency, windows
from audioic_widget.likelihood.draws import Draws, Purpose
from audioic_widget.model.catalogue import ICModel

# What a value may depend on


@ALL_MODES
def test_causality(tiny: ICModel, latents: NDArray[Any], mode: str) -> None:
    changed = latents.copy()
    changed[7] = np.roll(changed[7], 5)
    before, after = ic(latents, tiny, quick(mode)), ic(changed, tiny, quick(mode))
    np.testing.assert_array_equal(after[:, :6], before[:, :6])  # value i is about latent i + 1
    assert (np.abs(after - before)[:, 6:] > 1e-4).all()


@ALL_MODES
def test_the_future_need_not_be_there(tiny: ICModel, latents: NDArray[Any], mode: str) -> None:
    settings = quick(mode, precision="float64")
    np.testing.assert_allclose(ic(latents[:8], tiny, settings), ic(latents, tiny, settings)[:, :7], rtol=0, atol=1e-10)


@pytest.mark.parametrize("rows", [1, 50])
@ALL_MODES
def test_chunks_change_no_value(
    tiny: ICModel, latents: NDArray[Any], monkeypatch: pytest.MonkeyPatch, mode: str, rows: int
) -> None:
    """Up to the last digits of the format: a matrix product's rounding depends on its shape."""
    for precision, tolerance in (("float32", 5e-5), ("float64", 1e-11)):
        whole = ic(latents[:7], tiny, quick(mode, precision=precision))
        with monkeypatch.context() as patch:
            patch.setattr(engine, "CPU_ROWS", rows)
            np.testing.assert_allclose(
                ic(latents[:7], tiny, quick(mode, precision=precision)), whole, rtol=0, atol=tolerance
            )


@pytest.mark.parametrize("precision", ["bfloat16", "float32", "float64"])
@ALL_MODES
def test_company_changes_nothing_at_all_on_a_cpu(
    tiny: ICModel, latents: NDArray[Any], mode: str, precision: str
) -> None:
    """Other levels, other threads: not one bit."""
    settings = quick(mode, precision=precision)
    whole = ic(latents, tiny, settings)
    for row, level in enumerate(LEVELS):
        np.testing.assert_array_equal(ic(latents, tiny, settings.replace(noise_levels=[level]))[0], whole[row])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(5 - min(threads, 4))
        np.testing.assert_array_equal(ic(latents, tiny, settings), whole)
    finally:
        torch.set_num_threads(threads)


@ALL_MODES
def test_products_in_bfloat16_change_little(tiny: ICModel, latents: NDArray[Any], mode: str) -> None:
    fine = ic(latents, tiny, quick(mode, precision="float32"))
    coarse = ic(latents, tiny, quick(mode, precision="bfloat16"))
    assert 0 < np.abs(coarse - fine).max() < 0.3


@ALL_MODES
def test_chunks_change_nothing_at_all_of_an_adaptive_solver(
    tiny: ICModel, latents: NDArray[Any], monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    settings = quick(mode, **SCIPY)
    whole = ic(latents[:5], tiny, settings)
    monkeypatch.setattr(engine, "CPU_ROWS", 1)
    np.testing.assert_array_equal(ic(latents[:5], tiny, settings), whole)


@ALL_MODES
def test_order_of_the_levels(tiny: ICModel, latents: NDArray[Any], mode: str) -> None:
    settings = quick(mode, precision="float64")
    there = ic(latents, tiny, settings)
    back = ic(latents, tiny, settings.replace(noise_levels=LEVELS[::-1]))
    np.testing.assert_allclose(back[::-1], there, rtol=0, atol=1e-11)


@AT_LEVELS
def test_company_of_the_levels(tiny: ICModel, latents: NDArray[Any], mode: str) -> None:
    for precision, tolerance in (("float32", 5e-5), ("float64", 1e-11)):
        settings = quick(mode, precision=precision)
        alone = [ic(latents, tiny, settings.replace(noise_levels=[level]))[0] for level in LEVELS]
        np.testing.assert_allclose(alone, ic(latents, tiny, settings), rtol=0, atol=tolerance)


@AT_LEVELS
def test_company_of_the_levels_in_an_adaptive_solver(tiny: ICModel, latents: NDArray[Any], mode: str) -> None:
    """Each level chooses steps of its own; rounding may shift them, so in float64."""
    settings = quick(mode, noise_levels=[0.3, 0.8], precision="float64", **SCIPY)
    alone = [ic(latents[:4], tiny, settings.replace(noise_levels=[level]))[0] for level in (0.3, 0.8)]
    np.testing.assert_allclose(alone, ic(latents[:4], tiny, settings), rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ["orthogonal", "rademacher", "gaussian"])
@ALL_MODES
def test_same_seed_same_numbers(tiny: ICModel, latents: NDArray[Any], mode: str, kind: str) -> None:
    settings = quick(mode, probe_kind=kind, seed=4)
    first = ic(latents, tiny, settings)
    np.testing.assert_array_equal(ic(latents, tiny, settings), first)
    other = ic(latents, tiny, settings.replace(seed=5))
    assert (np.abs(other - first) > 1e-6).mean() > 0.9


def test_exact_expectation_knows_no_seed(tiny: ICModel, latents: NDArray[Any]) -> None:
    settings = quick(divergence="exact")
    np.testing.assert_array_equal(ic(latents, tiny, settings.replace(seed=9)), ic(latents, tiny, settings))


def test_draws_belong_to_the_frames_of_the_file(tiny: ICModel, latents: NDArray[Any]) -> None:
    settings = quick(monte_carlo_samples=1, noise_levels=[1.0])
    values, _ = solved(tiny, latents, settings, first=100)
    noise = torch.from_numpy(Draws(0).normal(Purpose.NOISE, 0, 101, 112))
    np.testing.assert_allclose(values.mean[0], -oracles.log_standard_normal(noise).numpy(), atol=2e-5)


# Windows


@examples(deadline=None)
@given(n=st.integers(0, 400), context=st.integers(2, 100))
def test_windows_cover_every_value_once_with_enough_past(n: int, context: int) -> None:
    spans = windows(n, context)
    predicted = [k for start, stop, _ in spans for k in range(start, stop)]
    assert predicted == list(range(1, n))
    for start, stop, past in spans:
        assert 0 <= past < start < stop
        assert stop - past <= context
        assert start - past >= context // 2 or past == 0  # at the file's start there is no more past


def test_the_most_urgent_is_what_touches_the_first_span() -> None:
    urgent = [(10, 12), (20, 30)]
    assert [urgency(span, urgent) for span in ((11, 15), (0, 10), (29, 40), (5, 25))] == [0, 2, 1, 0]


def test_what_has_become_urgent_meanwhile_comes_next(tiny: ICModel, golden: Golden) -> None:
    model, z = dataclasses.replace(tiny, context_frames=8), golden["latents"][:30]
    wishes = iter([[(25, 26)], [(1, 2)], [(17, 18)], *[[]] * 20])
    _, ranges = solved(model, z, quick(), wanted=lambda: next(wishes))
    firsts = [next(r for r in ranges if r[0] <= wish - 1 < r[1]) for wish in (25, 1, 17)]
    assert [ranges.index(each) for each in firsts] == sorted(ranges.index(each) for each in firsts)
    assert ranges[0] == firsts[0]


@ALL_MODES
def test_values_of_a_window_see_its_past_alone(tiny: ICModel, golden: Golden, mode: str) -> None:
    settings, z = quick(mode, precision="float64"), golden["latents"][:20]
    values, _ = solved(dataclasses.replace(tiny, context_frames=8), z, settings)
    for start, stop, past in windows(20, 8):
        alone, _ = solved(tiny, z[past:stop], settings, first=past)
        np.testing.assert_allclose(
            alone.mean[:, start - past - 1 :], values.mean[:, start - 1 : stop - 1], rtol=0, atol=1e-10
        )


@pytest.mark.parametrize("wanted", [(15, 17), (2, 3), (0, 20), (100, 120)])
def test_wanted_frames_come_first_and_change_nothing(
    tiny: ICModel, golden: Golden, wanted: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CPU_ROWS", 40)
    model, z = dataclasses.replace(tiny, context_frames=8), golden["latents"][:20]
    values, ranges = solved(model, z, quick(), wanted=lambda: [wanted])
    plain, _ = solved(model, z, quick())
    np.testing.assert_array_equal(values.mean, plain.mean)
    assert sorted(k for start, stop in ranges for k in range(start, stop)) == list(range(19))
    seen = [k for start, stop in ranges for k in range(start, stop)]
    missing = [k for k in range(wanted[0] - 1, wanted[1] - 1) if k in seen]
    # No window that holds nothing wanted is computed before one that does.
    assert all(seen.index(k) < len(missing) + 8 for k in missing)
