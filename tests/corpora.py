"""A small corpus and what must hold of its dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audioic_widget.corpus import ICDataset
from audioic_widget.ic import compute_ic

RATE = 44_100

FAST: dict[str, Any] = {"preset": "draft", "n_steps": 2, "n_probes": 2, "noise_levels": (0.0, 0.6), "device": "cpu"}

LONG = "y" * 120 + "/" + "x" * 176 + ".wav"

NAMES = ["a.wav", "b b.flac", "<b>&.wav", LONG, "new\nline.wav", "broken.wav", "silent.wav"]


def make_music(folder: Path) -> None:
    """Write five short recordings with difficult names, a broken one and a silent one."""
    (folder / LONG).parent.mkdir()
    for seed, name in enumerate(NAMES):
        noise = np.random.default_rng(seed).normal(0, 0.1, RATE + 5_000 * seed)
        soundfile.write(folder / name, noise if name != "silent.wav" else 0 * noise, RATE)
    (folder / "broken.wav").write_bytes(b"RIFF" * 99)


def write_with_a_name_that_is_no_text(folder: Path, sound: np.ndarray) -> Path:
    """Write `sound` under a name of latin-1 bytes, as old archives have them; skips the test where none can be."""
    path = folder / "Ch\udcf6re.wav"
    try:
        with path.open("wb") as file:
            soundfile.write(file, sound, RATE, format="WAV")
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system takes no such names")
    return path


def assert_like_single_calls(dataset: ICDataset, folder: Path) -> None:
    files = dataset.files().set_index("file")
    assert set(files.index) == {str(folder / name) for name in NAMES}
    for name in NAMES:
        path = str(folder / name)
        if name == "broken.wav":
            assert files.loc[path, "status"] == "error"
            assert "cannot be read as audio" in files.loc[path, "error"]
            continue
        result = dataset.result(path)
        if name == "silent.wav":
            assert np.isnan(result.ic).all()
            continue
        single = compute_ic(path, **FAST)
        np.testing.assert_allclose(result.ic, single.ic, atol=1e-4)
        np.testing.assert_allclose(result.stderr, single.stderr, atol=1e-4)
        np.testing.assert_allclose(result.time, single.time, rtol=0, atol=0)
        assert result.provenance == single.provenance


def never(*_: object) -> None:
    raise AssertionError("computed again")
