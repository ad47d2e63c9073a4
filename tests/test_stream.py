"""From audio: partial results, and the frames of the file they belong to."""

from __future__ import annotations

import dataclasses
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from engine_cases import Stop, ic

from audioic_widget import engine
from audioic_widget.audio import Recording
from audioic_widget.errors import Cancelled, ModelError
from audioic_widget.frames import FRAME_SAMPLES
from audioic_widget.ic import Encoded, Partial, SilenceWarning, compute_ic, encode, stream_ic
from audioic_widget.model.catalogue import ICModel, load_model
from audioic_widget.settings import ICSettings


@pytest.fixture(scope="module")
def mini() -> ICModel:
    return load_model("mini", device="cpu")


def recording(before: int = 3, sounding: int = 20, after: int = 2) -> Recording:
    """Noise between silences, in frames, and half a frame that belongs to none."""
    noise = np.random.default_rng(0).normal(0, 0.1, sounding * FRAME_SAMPLES)
    samples = np.pad(noise, (before * FRAME_SAMPLES, after * FRAME_SAMPLES + 2000))
    return Recording("noise", samples.astype(np.float32), 44_100)


@pytest.fixture(scope="module")
def encoded(mini: ICModel) -> Encoded:
    return encode(recording(), mini)


STANDARD = ICSettings(noise_levels=(0.3, 0.8), n_steps=12)


def drained(encoded: Encoded, model: ICModel, settings: ICSettings = STANDARD, **options: Any) -> list[Partial]:
    return list(stream_ic(encoded, model, settings, **options))


def test_every_frame_of_the_file_has_a_row(mini: ICModel) -> None:
    result = compute_ic(recording(), model=mini, settings=STANDARD)
    assert result.ic.shape == result.stderr.shape == (2, 25)
    np.testing.assert_allclose(result.time, np.arange(1, 26) * 4096 / 44100, atol=1e-12)
    # Silence, and the first sounding frame, which nothing precedes.
    undefined = np.ones(25, dtype=bool)
    undefined[4:23] = False
    for values in (result.ic, result.stderr):
        np.testing.assert_array_equal(np.isnan(values), [undefined, undefined])


def test_values_are_those_of_the_latents(mini: ICModel, encoded: Encoded) -> None:
    assert (encoded.first, len(encoded.latents)) == (3, 20)
    exact = STANDARD.replace(divergence="exact", n_steps=2)
    result = drained(encoded, mini, exact, coarse_first=False)[-1].result
    assert result is not None
    np.testing.assert_array_equal(result.ic[:, 4:23], ic(encoded.latents[:], mini, exact))


def test_first_values_wait_for_no_more_latents_than_they_need(mini: ICModel) -> None:
    asked: list[tuple[int, int]] = []

    def spied(samples: Any, first: int, stop: int, check: Any = None) -> torch.Tensor:
        asked.append((first, stop))
        return mini.codec.encode(samples, first, stop)

    codec = mock.Mock(wraps=mini.codec, encode=spied, latent_dim=64)
    long = encode(recording(0, 1_200, 0), dataclasses.replace(mini, codec=codec))
    partials = stream_ic(
        long, mini, STANDARD.replace(noise_levels=(0.3,), n_steps=1, n_probes=1, divergence="hutchinson")
    )
    assert asked == []
    next(partials)
    assert asked == [(0, 512)]
    for _ in partials:
        pass
    assert sorted(asked) == [(0, 512), (512, 1_024), (1_024, 1_200)]
    assert torch.equal(long.latents[:], mini.codec.encode(long.recording.samples, 0, 1_200))
    assert torch.equal(long.latents[500:-600], long.latents[:][500:600])


def test_silence_before_the_sound_moves_no_value(mini: ICModel) -> None:
    """An exact trace, so that frames of another number have the same value."""
    fields: dict[str, Any] = {"noise_levels": [0.3], "divergence": "exact", "n_steps": 2}
    early, late = (compute_ic(recording(before=before), model=mini, **fields) for before in (1, 6))
    np.testing.assert_allclose(late.ic[:, 6:], early.ic[:, 1:], atol=5e-5, equal_nan=True)


def test_the_number_of_threads_changes_not_one_bit(mini: ICModel) -> None:
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(compute_ic(recording(), model=mini, preset="draft").ic)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


def test_partial_results_draft_first_then_final(
    mini: ICModel, encoded: Encoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CPU_ROWS", 20)
    *partials, last = drained(encoded, mini)
    assert len(partials) > 4
    assert [p.stage for p in partials] == sorted((p.stage for p in partials), key=["draft", "final"].index)
    for stage in ("draft", "final"):
        frames = [k for p in partials if p.stage == stage for k in range(p.first, p.stop)]
        assert sorted(frames) == list(range(4, 23))
    progress = [p.progress for p in partials] + [last.progress]
    assert progress == sorted(progress)
    assert progress[0] > 0
    assert last.progress == 1.0
    assert all(p.result is None for p in partials)


def test_the_last_partial_carries_the_result(mini: ICModel, encoded: Encoded) -> None:
    *partials, last = drained(encoded, mini)
    assert last.result is not None
    assert (last.first, last.stop, last.stage) == (0, 25, "final")
    direct = compute_ic(recording(), model=mini, settings=STANDARD)
    np.testing.assert_array_equal(last.result.ic, direct.ic)
    np.testing.assert_array_equal(last.result.stderr, direct.stderr)
    np.testing.assert_array_equal(last.result.time, direct.time)
    assert last.result.provenance == direct.provenance
    for partial in partials:
        assert partial.ic.shape == partial.stderr.shape == (2, partial.stop - partial.first)
        if partial.stage == "final":
            np.testing.assert_array_equal(partial.ic, direct.ic[:, partial.first : partial.stop])


def test_no_draft_where_it_would_cost_as_much(mini: ICModel, encoded: Encoded) -> None:
    draft = ICSettings(preset="draft", noise_levels=[0.3])
    assert {p.stage for p in drained(encoded, mini, draft)} == {"final"}
    assert {p.stage for p in drained(encoded, mini, coarse_first=False)} == {"final"}


def test_tiles_nobody_waits_for_wait_for_those_of_other_windows(mini: ICModel) -> None:
    """The span on screen lies across two windows."""
    long = encode(recording(0, 900, 0), mini)
    settings = STANDARD.replace(noise_levels=(0.3,), n_steps=1, n_probes=8)
    partials = drained(long, mini, settings, coarse_first=False, visible=lambda: [(490, 530)])
    first, second, *_ = ((p.first, p.stop) for p in partials)
    assert first[0] <= 490 < first[1] == second[0] <= 530 <= second[1]
    frames = [k for p in partials[:-1] for k in range(p.first, p.stop)]
    assert sorted(frames) == list(range(1, 900))


def test_visible_frames_come_first(mini: ICModel, encoded: Encoded) -> None:
    short = dataclasses.replace(mini, context_frames=8)
    plain = drained(encoded, short)[-1].result
    partials = drained(encoded, short, visible=lambda: [(17, 19), (9, 10)])
    for stage in ("draft", "final"):
        first, second = [p for p in partials if p.stage == stage][:2]
        assert first.first <= 17 < first.stop
        assert second.first <= 9 < second.stop
    assert plain is not None
    assert partials[-1].result is not None
    np.testing.assert_array_equal(partials[-1].result.ic, plain.ic)


def test_they_come_first_inside_a_window_of_context_too(
    mini: ICModel, encoded: Encoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audioic_widget.engine.CPU_ROWS", 20)  # a few frames a tile
    tiles = [p for p in drained(encoded, mini, visible=lambda: [(17, 19)]) if p.stage == "final" and p.result is None]
    assert len(tiles) > 4
    assert tiles[0].first <= 17 < tiles[0].stop
    others = [p.first for p in tiles if not (p.first < 19 and p.stop > 17)]
    assert others == sorted(others)


def test_a_stream_can_be_ended(mini: ICModel, encoded: Encoded) -> None:
    counter = Stop()
    drained(encoded, mini, check=counter)
    assert counter.calls >= STANDARD.n_steps
    with pytest.raises(Cancelled):
        drained(encoded, mini, check=Stop(counter.calls))


def test_on_partial_receives_everything(mini: ICModel) -> None:
    received: list[Partial] = []
    result = compute_ic(recording(), model=mini, settings=STANDARD, on_partial=received.append)
    assert received[-1].result is result
    assert {p.stage for p in received} == {"draft", "final"}


def test_silence_is_a_result_of_nan_and_a_warning(mini: ICModel) -> None:
    with pytest.warns(SilenceWarning, match="holds no sound"):
        result = compute_ic(np.zeros(10 * FRAME_SAMPLES), sample_rate=44_100, model=mini)
    assert result.ic.shape == (3, 10)
    assert np.isnan(result.ic).all()
    assert np.isnan(result.stderr).all()
    assert result.provenance["silent"] is True


def test_provenance_says_how_to_compute_it_again(mini: ICModel) -> None:
    provenance = compute_ic(recording(), model=mini, settings=STANDARD).provenance
    assert ICSettings(**provenance["settings"]) == STANDARD
    assert provenance["model"]["sha256"] == mini.digest
    assert provenance["audio"]["sha256"] == recording().checksum
    assert provenance["silent"] is False


def test_fields_go_on_top_of_settings(mini: ICModel) -> None:
    result = compute_ic(recording(sounding=3), model=mini, settings=STANDARD, noise_levels=[1.0], n_steps=2)
    assert result.provenance["settings"]["n_steps"] == 2
    np.testing.assert_array_equal(result.noise_levels, [1.0])
    with pytest.raises(TypeError, match="n_stepps"):
        compute_ic(recording(sounding=3), model=mini, n_stepps=2)


def test_a_bare_flow_takes_no_audio(tiny: ICModel) -> None:
    with pytest.raises(ModelError, match="compute_ic_from_latents"):
        compute_ic(recording(), model=tiny)
