"""The suite's parts: sounds, baselines, statistics, the symbolic model, the report."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.fft
from hypothesis import given
from hypothesis import strategies as st

from audioic_widget.errors import ModelError, SettingsError
from audioic_widget.frames import FRAME_SAMPLES, SAMPLE_RATE
from audioic_widget.model.catalogue import ICModel
from audioic_widget.validation import ValidationReport, baselines, statistics, suite, validate
from audioic_widget.validation.__main__ import main
from audioic_widget.validation.items import EDGE_FRAMES, Item, Tone
from audioic_widget.validation.melodies import melody
from audioic_widget.validation.ppm import PPM, combined, surprisal
from audioic_widget.validation.protocols import PROTOCOLS, oddball, sections
from audioic_widget.validation.synthesis import LEVEL, TIMBRES, render, timbre_of

# Sounds


def item_of(*tones: Tone, frames: int = 12, unit: int = 0) -> Item:
    return Item(unit, "test", tones[0].timbre, tones, frames)


@pytest.mark.parametrize("timbre", TIMBRES)
@pytest.mark.parametrize("pitch", [57, 69, 76])
def test_a_tone_has_its_pitch_its_level_and_its_frames(timbre: str, pitch: int) -> None:
    samples = render(item_of(Tone(4, 4, pitch, timbre, level=-6.0)), seed=0)
    start, stop = 4 * FRAME_SAMPLES, 8 * FRAME_SAMPLES
    assert not samples[:start].any()
    assert not samples[stop:].any()
    tone = samples[start:stop].astype(np.float64)
    assert np.sqrt(np.mean(tone**2)) == pytest.approx(LEVEL / 1.995, rel=1e-3)
    # Periodic in its period: autocorrelation is highest there, among lags above the next octave.
    correlation = np.fft.irfft(np.abs(np.fft.rfft(tone, 2 * len(tone))) ** 2)
    period = SAMPLE_RATE / (440 * 2 ** ((pitch - 69) / 12))
    lags = np.arange(int(0.7 * period), int(1.5 * period))
    assert lags[correlation[lags].argmax()] == pytest.approx(period, rel=0.01)


def test_timbres_are_unlike_each_other_at_every_pitch() -> None:
    """The nearest other tone, by spectral envelope and its change in time, has the same timbre nearly always."""
    sounds = [(timbre, pitch) for timbre in TIMBRES for pitch in range(57, 80, 4)]
    features = []
    for timbre, pitch in sounds:
        mel = baselines.log_mel(render(item_of(Tone(0, 4, pitch, timbre), frames=4), 0))[4:-4]
        envelope = scipy.fft.dct(mel, norm="ortho")[:, 1:9]
        features.append(np.concatenate((envelope.mean(axis=0), envelope.std(axis=0))))
    scaled = (features - np.mean(features, axis=0)) / np.std(features, axis=0)
    apart = np.linalg.norm(scaled[:, None] - scaled, axis=-1)
    np.fill_diagonal(apart, np.inf)
    nearest = [sounds[k][0] for k in apart.argmin(axis=1)]
    assert np.mean([a == b for a, (b, _) in zip(nearest, sounds, strict=True)]) > 0.9


def test_both_members_of_a_pair_are_the_same_sound_up_to_the_altered_tone() -> None:
    for unit in range(2):
        items = {item.condition: item for item in oddball.make(2, 0) if item.unit == unit}
        twin = render(items.pop(oddball.TWIN), 0)
        for item in items.values():
            altered, change = render(item, 0), item.events[0] * FRAME_SAMPLES
            np.testing.assert_array_equal(altered[:change], twin[:change])
            assert not np.array_equal(altered[change : change + FRAME_SAMPLES], twin[change : change + FRAME_SAMPLES])


def test_noise_is_drawn_from_the_seed_and_the_unit() -> None:
    item = item_of(Tone(0, 4, 60, "whisper"))
    same, seeded, other = render(item, 1), render(item, 2), render(replace(item, unit=1), 1)
    np.testing.assert_array_equal(render(item, 1), same)
    assert not np.array_equal(same, seeded)
    assert not np.array_equal(same, other)


def test_familiar_and_unfamiliar_timbres_take_turns() -> None:
    assert [TIMBRES[timbre_of(unit)].familiar for unit in range(6)] == [True, False] * 3
    assert {timbre_of(unit) for unit in range(6)} == set(TIMBRES)


# Baselines


def test_a_change_of_level_is_in_decibels() -> None:
    tone = np.sin(2 * np.pi * 441 * np.arange(3 * FRAME_SAMPLES) / SAMPLE_RATE).astype(np.float32)
    tone[FRAME_SAMPLES:] *= 0.1
    change = baselines.level_change(tone)
    assert np.isnan(change[0])
    assert change[1:] == pytest.approx([20, 0], abs=0.05)


def test_flux_and_novelty_peak_where_the_sound_changes() -> None:
    tones = [Tone(frame, 4, 60 if frame < 40 else 72, "organ") for frame in range(0, 80, 4)]
    mel = baselines.log_mel(render(item_of(*tones, frames=80), 0))
    assert len(mel) == 8 * 80
    flux, novelty = baselines.spectral_flux(mel), baselines.novelty(mel)
    assert flux[1:].argmax() + 1 == 40
    assert np.nanargmax(novelty) == 40
    assert np.flatnonzero(~np.isnan(novelty))[[0, -1]].tolist() == [16, 64]


def test_latent_baselines_have_their_closed_forms() -> None:
    random = np.random.default_rng(0)
    latents = random.normal(size=(50_000, 3)) * [1, 2, 3] + 5
    assert baselines.latent_step(latents)[1] == pytest.approx(np.sum((latents[1] - latents[0]) ** 2))
    gaussian = baselines.Gaussian.fit(latents)
    # Entropy of independent normals, with the loading of 1 % of the mean variance 14 / 3.
    variances = np.array([1, 4, 9]) + 0.01 * 14 / 3
    expected = 0.5 * np.sum(np.log(2 * np.pi * variances) + np.array([1, 4, 9]) / variances)
    assert gaussian.surprise(latents).mean() == pytest.approx(expected, abs=0.02)


# Statistics


def test_auc_d_prime_and_share_have_their_closed_forms() -> None:
    high, low = np.array([[1.0], [3.0]]), np.array([[0.0], [1.0]])
    assert statistics.auc(high, low) == pytest.approx(3.5 / 4)
    assert statistics.d_prime(high, low) == pytest.approx(1.5 / math.sqrt((1 + 0.25) / 2))
    assert statistics.share_below(np.array([[-1.0], [0.0], [2.0], [-3.0]])) == pytest.approx(2.5 / 4)
    assert statistics.d_prime(low * 0, low * 0) == 0


def test_statistics_take_resamples_along_the_leading_axis() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(5, 4, 2)), random.normal(size=(5, 4, 2))
    for statistic in (statistics.auc, statistics.d_prime):
        np.testing.assert_allclose(statistic(a, b), [statistic(x, y) for x, y in zip(a, b, strict=True)])


def test_an_interval_covers_the_mean_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    found = [
        statistics.effect("", "", statistics.mean, random.normal(1, 2, 40), chance=0, seed=seed) for seed in range(200)
    ]
    assert 0.88 <= np.mean([each.low <= 1 <= each.high for each in found]) <= 0.98


def test_units_are_resampled_not_the_values_within() -> None:
    """Two thousand values of two units say as much as two values."""
    values = np.repeat([[0.0], [1.0]], 1000, axis=1)
    found = statistics.effect("", "", statistics.mean, values, chance=0, seed=0)
    assert (found.low, found.high, found.n) == (0, 1, 2)


def test_a_partial_correlation_removes_what_a_covariate_explains() -> None:
    random = np.random.default_rng(0)
    shared = random.normal(size=2000)
    x, y = shared + 0.3 * random.normal(size=2000), shared + 0.3 * random.normal(size=2000)
    assert statistics.correlation(x, y) > 0.85
    assert abs(statistics.correlation(x, y, shared[None])) < 0.1
    assert statistics.correlation(x, np.exp(x)) == pytest.approx(1)
    assert statistics.correlation(x, np.full(2000, 58.8)) == 0
    x[5] = np.nan
    assert statistics.correlation(x, x) == pytest.approx(1)


def test_a_constant_trace_stays_flat_whatever_rounding_left() -> None:
    flat = 58.81207 + 1e-9 * np.random.default_rng(0).normal(size=50)
    assert not statistics.standardised(flat)[0].any()


def test_boundaries_are_matched_one_to_one() -> None:
    assert sections.f_measure([50, 53], [51], 0.5) == pytest.approx(2 / 3)
    assert sections.f_measure([50, 120], [51, 100], 0.5) == pytest.approx(1 / 2)
    assert sections.f_measure([50, 120], [51, 100], 3.0) == pytest.approx(1)
    assert sections.f_measure([], [51], 3.0) == 0
    trace = np.full(100, np.nan)
    trace[13:87] = 0
    trace[30], trace[33], trace[70] = 5, 4, 3
    assert sorted(sections.boundaries(trace, 2)) == [30, 70]


# The symbolic model


def test_ppm_escapes_by_method_c_with_exclusion() -> None:
    model = PPM(n_symbols=4, order=2)
    model.learn([0, 1, 0, 2, 0, 1])  # after 1, 0: a 2; after 0: 1 twice, 2 once; alone: 0 thrice, 1 twice, 2 once
    # Order 2 (1 after "1 0"): 2 with 1/2. Order 1, without 2: 1 with 2/3 of 1/2. Order 0, without 1 and 2: 0 with
    # 3/4 of what is left, 1/6. Order -1: 3 has the rest.
    np.testing.assert_allclose(model.distribution([1, 0]), [3 / 24, 1 / 3, 1 / 2, 1 / 24])
    # A context never seen is passed over: order 0 with 6 counts and 3 distinct symbols.
    np.testing.assert_allclose(model.distribution([3]), [3 / 9, 2 / 9, 1 / 9, 3 / 9])
    np.testing.assert_allclose(PPM(4).distribution([]), 0.25)


def test_no_mass_is_kept_for_symbols_that_are_not_there() -> None:
    model = PPM(n_symbols=2, order=0)
    model.learn([0, 0, 1])
    np.testing.assert_allclose(model.distribution([]), [2 / 3, 1 / 3])


symbols = st.lists(st.integers(0, 4), max_size=40)


@given(learnt=symbols, history=symbols, order=st.integers(0, 5))
def test_ppm_is_a_distribution(learnt: list[int], history: list[int], order: int) -> None:
    model = PPM(5, order)
    model.learn(learnt)
    probabilities = model.distribution(history)
    assert probabilities.sum() == pytest.approx(1)
    assert (probabilities > 0).all()


def test_the_surer_model_weighs_more() -> None:
    sure, unsure = np.array([0.98, 0.01, 0.01]), np.array([0.2, 0.4, 0.4])
    np.testing.assert_allclose(combined([sure, sure]), sure)
    together = combined([sure, unsure])
    assert together.sum() == pytest.approx(1)
    assert together[0] > 0.97
    # With bias 0 both weigh the same: the plain geometric mean.
    geometric = np.sqrt(sure * unsure)
    np.testing.assert_allclose(combined([sure, unsure], bias=0.0), geometric / geometric.sum())


def test_surprisal_falls_when_a_melody_repeats_and_where_the_corpus_is_known() -> None:
    random = np.random.default_rng(0)
    motif = random.integers(0, 20, 12).tolist()
    ignorant, trained = PPM(20), PPM(20)
    bits = surprisal(motif * 3, ignorant)
    assert bits[0] == pytest.approx(math.log2(20))
    assert bits[-12:].mean() < 0.5 * bits[:12].mean()
    trained.learn(motif * 3)
    assert surprisal(motif, trained).mean() < 0.5 * bits[:12].mean()


# The suite on a real model, in small


FEW = {"items": 4, "protocols": ["onset"], "noise_levels": [0.3], "n_steps": 2, "device": "cpu"}


@pytest.fixture(scope="module")
def report() -> ValidationReport:
    return validate("mini", **FEW)


def test_a_model_is_heard_at_its_levels_beside_the_baselines(report: ValidationReport) -> None:
    table = report.table
    assert set(table["trace"]) == {"0.3", "1", "level change", "spectral flux", "latent step", "Gaussian"}
    assert set(table["timbres"]) == {"all", "familiar", "unfamiliar"}
    assert report.provenance["settings"]["preset"] == "draft"
    onset = table[(table["measure"] == "onset over baseline (sd)") & (table["timbres"] == "all")].set_index("trace")
    for knowing in ("0.3", "spectral flux"):
        assert onset["low"][knowing] > 0.5
    assert onset.loc["1", ["estimate", "low", "high"]].tolist() == [0, 0, 0]
    assert (onset["n"] == 4).all()
    assert (table[table["timbres"] == "unfamiliar"]["n"] == 2).all()


def test_the_same_seed_gives_the_same_table(report: ValidationReport) -> None:
    pd.testing.assert_frame_equal(validate("mini", **FEW).table, report.table)
    other = validate("mini", **FEW, seed=1).table
    assert not other["estimate"].equals(report.table["estimate"])


def test_a_stimulus_is_heard_without_its_ends(tiny: ICModel) -> None:
    from audioic_widget.model.catalogue import load_model
    from audioic_widget.settings import ICSettings
    from audioic_widget.validation.traces import Listener

    settings = ICSettings(preset="draft", noise_levels=[0.3], n_steps=1)
    listener = Listener.calibrated(load_model("mini", "cpu"), settings, 0)
    item = Item(0, "test", "organ", melody(range(60, 70), "organ"), 40)
    for trace in listener.hear(item, with_novelty=True).values():
        assert trace.shape == (40,)
        assert np.isnan(trace[:EDGE_FRAMES]).all()
        assert np.isnan(trace[-EDGE_FRAMES:]).all()
    with pytest.raises(ModelError, match="no codec"):
        Listener.calibrated(tiny, settings, 0)


def test_a_report_is_written_as_csv_markdown_and_picture(report: ValidationReport, tmp_path: Path) -> None:
    report.to_csv(tmp_path / "table.csv")
    # Columns of pandas 3 have a string type of their own.
    again = pd.read_csv(tmp_path / "table.csv", dtype={"trace": str})
    pd.testing.assert_frame_equal(again, report.table, check_dtype=False)
    text = report.to_markdown()
    assert "| onset | tones | onset over baseline (sd) | 4 |" in text
    assert "0.00 [0.00, 0.00]" in text
    report.plot(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


def test_aims_take_the_best_level_on_unfamiliar_timbres_and_never_the_null() -> None:
    row = {"protocol": "oddball", "condition": "6 semitones", "measure": "AUC", "low": 0.0, "high": 1.0, "n": 20}
    estimates = {"0": 0.5, "0.3": 0.7, "0.6": 0.92, "1": 1.0, "latent step": 1.0}
    table = pd.DataFrame(
        [
            {**row, "timbres": timbres, "trace": trace, "estimate": estimate * scale, "chance": 0.5}
            for timbres, scale in (("unfamiliar", 1.0), ("familiar", 0.5))
            for trace, estimate in estimates.items()
        ]
    )
    made = ValidationReport(table, {"settings": {"noise_levels": [0.0, 0.3, 0.6, 1.0]}})
    (aim,) = made.aims().to_dict("records")
    assert (aim["trace"], aim["estimate"], aim["aim"], aim["met"]) == ("0.6", 0.92, 0.9, True)


def test_every_protocol_of_the_suite_has_a_headline_and_known_aims() -> None:
    assert list(PROTOCOLS) == [protocol.name for protocol in PROTOCOLS.values()]
    assert {name for name, protocol in PROTOCOLS.items() if protocol.aims} == {
        "repetition",
        "oddball",
        "markov",
        "corpus",
        "probe tones",
    }


def test_bad_input_is_named() -> None:
    with pytest.raises(SettingsError, match="no protocol oddbal: choose from repetition"):
        validate("mini", protocols=["oddbal"])
    with pytest.raises(SettingsError, match="items must be 4 or more, not 3"):
        validate("mini", items=3)
    with pytest.raises(SettingsError, match="noising"):
        validate("mini", protocols=["onset"], noising="guess")
    with pytest.raises(ModelError, match="no model"):
        validate("nothing")
    with pytest.raises(TypeError, match="n_step"):
        validate("mini", n_step=3)


def test_what_is_not_installed_is_left_out_and_said_so_or_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "find_spec", lambda name: None)
    chosen, left_out = suite._chosen(None)
    assert left_out == ["corpus"]
    assert [protocol.name for protocol in chosen] == [name for name in PROTOCOLS if name != "corpus"]
    with pytest.raises(SettingsError, match=r"install audioic-widget\[training\]"):
        validate("mini", protocols=["corpus"])


def test_the_command_prints_the_table_and_keeps_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--items", "4", "--protocols", "onset", "--noise-levels", "0.6", "--device", "cpu"]
    assert main(["mini", "--output", str(tmp_path / "out"), *options]) == 0
    printed = capsys.readouterr().out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "validation.csv",
        "validation.md",
        "validation.png",
    }
    assert (tmp_path / "out" / "validation.md").read_text() in printed
    assert "level 0.6" in printed
    assert main(["nothing", "--output", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith('error: There is no model "nothing"')
    (tmp_path / "file").touch()
    assert main(["mini", "--output", str(tmp_path / "file"), *options]) == 2
    assert "choose another folder" in capsys.readouterr().err
