"""Published alignment: trim, rows and times of the published tool, written down straight; the default is untouched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from conftest import DATA
from published import codec_state, latents_of, save_codec

from audioic_widget import cli
from audioic_widget.alignment import PublishedRows, published_rows
from audioic_widget.audio import Recording, read_recording
from audioic_widget.errors import SettingsError
from audioic_widget.formats import read_csv
from audioic_widget.ic import compute_ic, compute_ic_from_latents, encode, stream_ic
from audioic_widget.model import published
from audioic_widget.model.catalogue import load_model
from audioic_widget.settings import ICSettings

FRAME, PERIOD = 4_096, 4_096 / 44_100


def sound(before: int, length: int, after: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 0.1, length).astype(np.float32)
    return np.concatenate((np.zeros(before, np.float32), noise, np.zeros(after, np.float32)))


def trim(samples: np.ndarray) -> tuple[int, int]:
    """Windows of 2048 every 512, centred, against the loudest, one by one."""
    padded = np.pad(samples.astype(np.float64), 1_024)
    rms = [np.sqrt(np.mean(padded[at : at + 2_048] ** 2)) for at in range(0, len(samples) + 1, 512)]
    loud = np.flatnonzero(20 * np.log10(np.maximum(rms, 1e-5) / max(rms)) > -60)
    return int(loud[0]) * 512, min(int(loud[-1] + 1) * 512, len(samples))


@pytest.mark.parametrize("before", [0, 1_000, 9_999, 20_480])
@pytest.mark.parametrize("after", [0, 700, 30_000])
def test_trim_and_rows(before: int, after: int) -> None:
    samples = sound(before, 60_001, after)
    start, stop = trim(samples)
    rows = published_rows(Recording("a", samples, 44_100))
    expected = PublishedRows(
        start, stop, ((stop - start - 1_536) // 512) // 8, start // FRAME, int(np.ceil((len(samples) - stop) / FRAME))
    )
    assert rows == expected


def test_a_silent_recording_has_rows_without_values() -> None:
    with pytest.warns(UserWarning, match="no sound"):
        result = compute_ic(np.zeros(50_000), sample_rate=44_100, alignment="published", noise_levels=[1.0])
    assert result.ic.shape == (1, 12)
    assert np.isnan(result.ic).all()


@pytest.mark.filterwarnings("ignore::audioic_widget.model.published.LicenceNotice")
def test_a_published_table_is_reproduced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("music2latent")
    monkeypatch.setattr(published.platformdirs, "user_cache_path", lambda name: tmp_path / name)
    model = load_model(DATA / "tiny.pt", device="cpu", codec=save_codec(tmp_path / "codec.pt"))
    samples = sound(10_000, 45_000, 9_000)
    settings = ICSettings(solver="euler", n_steps=3, divergence="exact", noise_levels=(0.0, 0.5), precision="float32")
    result = compute_ic(samples, sample_rate=44_100, model=model, settings=settings, alignment="published")

    start, stop = trim(samples)
    latents = latents_of(codec_state(), samples[start:stop])
    values, _ = compute_ic_from_latents(latents, model=model, settings=settings)
    leading, trailing = start // FRAME, int(np.ceil((len(samples) - stop) / FRAME))
    table = np.pad(values, ((0, 0), (leading, trailing)), constant_values=np.nan)
    np.testing.assert_allclose(result.ic, table, atol=1e-3)
    np.testing.assert_allclose(result.time, (np.arange(table.shape[1]) + 1) * PERIOD, rtol=1e-12)
    assert result.provenance["alignment"].startswith("as published")


def test_the_difference_is_one_to_two_frames() -> None:
    samples = np.tile(sound(0, 4 * FRAME, 0), 6)
    fields: dict[str, Any] = {"sample_rate": 44_100, "preset": "draft", "noise_levels": [0.3], "divergence": "exact"}
    ours = compute_ic(samples, **fields)
    theirs = compute_ic(samples, alignment="published", **fields)
    count = len(theirs.time)
    np.testing.assert_allclose(theirs.ic[0, : count - 1], ours.ic[0, 1:count], atol=1e-3)  # a row, 93 ms, early
    assert ours.provenance["alignment"].startswith("Time is the end of the frame")


def test_alignment_is_decided_when_encoding() -> None:
    model = load_model("mini", device="cpu")
    encoded = encode(Recording("a", sound(0, 50_000, 0), 44_100), model)
    with pytest.raises(SettingsError, match="encode it again"):
        next(stream_ic(encoded, model, ICSettings(alignment="published")))
    with pytest.raises(SettingsError, match="alignment"):
        ICSettings(alignment="left")  # type: ignore[arg-type]


def test_the_command_gives_published_rows(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sound(10_000, 45_000, 9_000), 44_100)
    words = [str(tmp_path / "a.wav"), "--output_dir", str(tmp_path), "--preset", "draft", "--alignment", "published"]
    assert cli.main(words) == 0
    rows = published_rows(read_recording(tmp_path / "a.wav"))
    table = read_csv(tmp_path / "a.csv")
    assert len(table.time) == rows.n_rows
    assert np.isfinite(table.ic[0, rows.leading : rows.n_rows - rows.trailing]).all()
