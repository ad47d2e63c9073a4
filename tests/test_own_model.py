"""Training on anyone's recordings, on tiny sizes: from files to a model that computes IC, and what goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from published import save_codec
from safetensors.torch import load_file

from audioic_widget import compute_ic, load_model
from audioic_widget.codec.music2latent import Music2Latent
from audioic_widget.errors import AudioError, CheckpointError, DeviceError, ModelError, SettingsError
from audioic_widget.model.published import read_codec
from audioic_widget.training import loop
from audioic_widget.training.command import main
from audioic_widget.training.own_model import TrainingSettings, train
from audioic_widget.training.recordings import OwnRecording, find_recordings, split


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Four recordings of tones, one of them in a subfolder and at another rate, a damaged one and a text."""
    folder = tmp_path / "audio"
    (folder / "more").mkdir(parents=True)
    random = np.random.default_rng(0)
    for number, (name, rate) in enumerate(
        {"a.wav": 44_100, "b.flac": 44_100, "c.ogg": 44_100, "more/d.wav": 22_050}.items()
    ):
        frequencies = np.repeat(220 * 2 ** (random.integers(12, size=16) / 12), rate // 4)
        soundfile.write(folder / name, 0.2 * np.sin(2 * np.pi * np.cumsum(frequencies) / rate + number), rate)
    (folder / "damaged.wav").write_bytes(b"RIFF, but no more")
    (folder / "notes.txt").write_text("no audio")
    return folder


def tiny(collection: Path, output: Path) -> TrainingSettings:
    """Settings of a run of seconds."""
    return TrainingSettings(
        collection, output, codec_steps=6, flow_steps=9, frames=16, dim=64, depth=1, head_depth=1, codec_hidden=16,
        held_out=0.2, check_steps=3,
    )  # fmt: skip


def test_a_folder_of_recordings_becomes_a_model(collection: Path, tmp_path: Path) -> None:
    folder = train(tiny(collection, tmp_path / "birds"))
    model = load_model(folder, device="cpu")
    assert model.name == "birds"
    result = compute_ic(collection / "a.wav", model=folder, preset="draft", noise_levels=[0.0, 0.5])
    assert np.isfinite(result.ic[:, 5:30]).all()
    card = json.loads((folder / "birds.json").read_text())
    assert list(card["training"]["skipped"]) == ["damaged.wav"]
    assert card["training"]["files"] == 4
    assert len(card["training"]["held_out_files"]) == 1
    assert 0 < card["evaluation"]["held_out_loss"] < 10
    assert card["evaluation"]["share_below_floor_by_level"].keys() == {"0.0", "0.3", "0.6"}
    assert card["architecture"]["context_frames"] == 16


def test_a_run_killed_anywhere_and_started_again_gives_the_unbroken_model(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = loop.Schedule.__init__

    def saving_always(self: loop.Schedule, *arguments: object, **fields: object) -> None:
        original(self, *arguments, **{"save_seconds": 0.0, **fields})

    monkeypatch.setattr(loop.Schedule, "__init__", saving_always)
    train(tiny(collection, tmp_path / "unbroken" / "m"))
    save, saves = loop.torch.save, 0

    def save_then_die(*arguments: object) -> None:
        nonlocal saves
        saves += 1
        if saves in (4, 10, 12):  # in the codec, then twice in the flow
            raise KeyboardInterrupt
        save(*arguments)

    broken = tiny(collection, tmp_path / "broken" / "m")
    with monkeypatch.context() as patch:
        patch.setattr(loop.torch, "save", save_then_die)
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                train(broken)
        train(broken)
    weights = [load_file(tmp_path / name / "m" / "m.safetensors") for name in ("unbroken", "broken")]
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=0, atol=1e-5)


def test_a_flow_learns_from_the_latents_of_music2latent(collection: Path, tmp_path: Path) -> None:
    pytest.importorskip("music2latent")
    file = save_codec(tmp_path / "music2latent.pt", "tanh")
    settings = replace(tiny(collection, tmp_path / "m"), codec=str(file))
    model = load_model(train(settings), device="cpu")
    assert isinstance(model.codec, Music2Latent)
    assert model.codec.bottleneck == "tanh"
    assert model.card["licence"] == "CC BY-NC 4.0"
    samples = np.random.default_rng(0).normal(size=6 * 4096).astype(np.float32)
    assert torch.equal(model.codec.encode(samples, 0, 6), read_codec(file).encode(samples, 0, 6))
    assert not (tmp_path / "m" / "training" / "codec.pt").exists()
    with pytest.raises(CheckpointError, match="codec"):
        train(replace(settings, codec="own"))
    with pytest.raises(ModelError, match="none"):
        train(replace(settings, codec=str(tmp_path / "none.pt")))


def test_other_settings_do_not_go_on_with_an_old_run(collection: Path, tmp_path: Path) -> None:
    settings = tiny(collection, tmp_path / "m")
    train(settings)
    with pytest.raises(CheckpointError, match="depth"):
        train(replace(settings, depth=2))


def test_too_little_audio_is_an_error_with_the_amount_needed(collection: Path, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"0\.3 min in 4 readable files.*at least 4\.0 min"):
        train(replace(tiny(collection, tmp_path / "m"), frames=512))
    with pytest.raises(AudioError, match="two files"):
        split([OwnRecording(Path("a.wav"), 10_000)], 0.1, 16)
    with pytest.raises(AudioError, match="not a folder"):
        find_recordings(collection / "a.wav")


def test_the_split_is_by_file_and_stays_as_files_are_added() -> None:
    files = [OwnRecording(Path(f"{k}.wav"), 100) for k in range(40)]
    held = {each.path for each in split(files, 0.1, 16) if each.held_out}
    assert len(held) == 4
    assert held & {each.path for each in split([*files, OwnRecording(Path("new.wav"), 100)], 0.1, 16) if each.held_out}
    assert {each.path for each in split(files[::-1], 0.1, 16) if each.held_out} == held


@pytest.mark.parametrize(
    ("field", "value"), [("frames", 1), ("dim", 100), ("held_out", 1.0), ("flow_steps", 0), ("patience", 0)]
)
def test_settings_outside_their_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(SettingsError, match=field):
        TrainingSettings(Path("a"), Path("b"), **{field: value})  # type: ignore[arg-type]


def test_a_missing_device_is_named(collection: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="nonsense"):
        train(replace(tiny(collection, tmp_path / "m"), device="nonsense"))


def test_the_command_trains_and_says_what_is_wrong(
    collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text("codec_steps: 2\nflow_steps: 2\nframes: 16\ndim: 64\ndepth: 1\nhead_depth: 1\ncodec_hidden: 16\n")
    words = ["--config", str(config), "--audio", str(collection), "--output", str(tmp_path / "m")]
    assert main(words) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "m")
    assert load_model(tmp_path / "m", device="cpu").context_frames == 16
    assert main([*words, "--audio", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_training_on_recordings_needs_no_package_for_scores() -> None:
    code = "import sys; sys.modules |= {'mido': None, 'music21': None}; import audioic_widget.training.command as c; c.main(['--help'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Updates of the flow, at most" in " ".join(done.stdout.split())
