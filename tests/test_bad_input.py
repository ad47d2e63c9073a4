"""What bad input gets: one sentence of the package's own, from the library and from the command, and no file."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import soundfile
import torch
from conftest import DATA

from audioic_widget import cli
from audioic_widget.errors import (
    AudioError,
    AudioICError,
    CheckpointError,
    DeviceError,
    ModelError,
    OutputError,
    SettingsError,
)
from audioic_widget.examples import example
from audioic_widget.ic import SilenceWarning, compute_ic
from audioic_widget.model.frozen import FrozenHead

RATE = 44_100
NO_CUDA = "cuda:99" if torch.cuda.is_available() else "cuda"


class RunsCode:
    """Writes a file as soon as it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("code was run"),)


@dataclass(frozen=True)
class Bad:
    """One kind of bad input: who is to blame, and how to get there from a fine call on ``fine.wav``."""

    what: str
    error: type[AudioICError]
    culprit: str
    audio: str = "fine.wav"
    make: Callable[[], object] = lambda: None
    fields: dict[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()


def noise(samples: int = 30_000) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, samples)


def wav(samples: np.ndarray, rate: int = RATE) -> Callable[[], None]:
    return lambda: soundfile.write("bad.wav", samples, rate, subtype="FLOAT")


def with_sample(value: float) -> Callable[[], None]:
    samples = noise()
    samples[20_000] = value
    return wav(samples)


def half_of(path: Path, name: str) -> Callable[[], int]:
    content = path.read_bytes()
    return lambda: Path(name).write_bytes(content[: len(content) // 2])


def checkpoint(content: Callable[[dict[str, Any]], object]) -> Callable[[], None]:
    """A published checkpoint after `content` has been at it."""
    return lambda: torch.save(content(torch.load(DATA / "tiny.pt", weights_only=True)), "model.pt")


def without(name: str) -> Callable[[dict[str, Any]], object]:
    def lacking(whole: dict[str, Any]) -> object:
        kept = {key: value for key, value in whole["model_state_dict"].items() if key != name}
        return {**whole, "model_state_dict": kept}

    return lacking


def of_model(path: str) -> dict[str, Any]:
    return {"fields": {"model": path}, "words": ("--model", path)}


def of_levels(*levels: float) -> dict[str, Any]:
    return {"fields": {"noise_levels": levels}, "words": ("--noise_levels", str(list(levels)))}


def of_steps(count: int) -> dict[str, Any]:
    kwargs = f"{{n_steps: {count}}}"
    return {"fields": {"n_steps": count}, "words": ("--integration_params.solver_kwargs", kwargs)}


BAD = [
    Bad("missing file", AudioError, "missing.wav does not exist", "missing.wav"),
    Bad(
        "unreadable file",
        AudioError,
        "bad.wav cannot be read",
        "bad.wav",
        lambda: Path("bad.wav").write_text("no sound" * 999),
    ),
    Bad("cut off file", AudioError, "bad.flac cannot be read", "bad.flac", half_of(example("minuet"), "bad.flac")),
    Bad("empty file", AudioError, "bad.wav is empty", "bad.wav", Path("bad.wav").touch),
    Bad("folder", AudioError, "folder.wav is a folder", "folder.wav", Path("folder.wav").mkdir),
    Bad("zero samples", AudioError, "bad.wav holds no samples", "bad.wav", wav(np.zeros(0))),
    Bad("one frame", AudioError, "bad.wav is too short", "bad.wav", wav(noise(4_096))),
    Bad("one sample short of two frames", AudioError, "bad.wav is too short", "bad.wav", wav(noise(8_191))),
    Bad("NaN", AudioError, "bad.wav holds NaN", "bad.wav", with_sample(np.nan)),
    Bad("infinity", AudioError, "bad.wav holds NaN or infinite", "bad.wav", with_sample(-np.inf)),
    Bad("impossible rate", AudioError, "bad.wav has 10 samples", "bad.wav", wav(noise(), 10)),
    Bad("level above 1", SettingsError, "1.5", **of_levels(0.0, 1.5)),
    Bad("level below 0", SettingsError, "-0.1", **of_levels(-0.1)),
    Bad("duplicate level", SettingsError, "0.3", **of_levels(0.3, 0.0, 0.3)),
    Bad("no level", SettingsError, "noise_levels", **of_levels()),
    Bad("no steps", SettingsError, "n_steps", **of_steps(0)),
    Bad("negative steps", SettingsError, "n_steps", **of_steps(-5)),
    Bad("unknown model", ModelError, "maxi", **of_model("maxi")),
    Bad("flow without a codec", ModelError, "codec", **of_model(str(DATA / "tiny.pt"))),
    Bad(
        "text as checkpoint",
        CheckpointError,
        "m.pt",
        make=lambda: Path("m.pt").write_text("x" * 99),
        **of_model("m.pt"),
    ),
    Bad("cut off checkpoint", CheckpointError, "m.pt", make=half_of(DATA / "tiny.pt", "m.pt"), **of_model("m.pt")),
    Bad(
        "foreign checkpoint",
        CheckpointError,
        "model.pt",
        make=checkpoint(lambda whole: whole["model_state_dict"]),
        **of_model("model.pt"),
    ),
    Bad(
        "incomplete checkpoint",
        CheckpointError,
        "lacks the backbone's tensor blocks.0",
        make=checkpoint(without("backbone.attn_layers.layers.1.1.ff.0.0.bias")),
        **of_model("model.pt"),
    ),
    Bad(
        "checkpoint that runs code",
        CheckpointError,
        "code",
        make=checkpoint(lambda whole: {**whole, "extra": RunsCode()}),
        **of_model("model.pt"),
    ),
    Bad("no CUDA", DeviceError, NO_CUDA, fields={"device": NO_CUDA}, words=("--device", NO_CUDA)),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with one fine recording."""
    monkeypatch.chdir(tmp_path)
    # The command takes over how warnings are shown; give it back afterwards.
    monkeypatch.setattr("warnings.showwarning", lambda *_, **__: None)
    soundfile.write("fine.wav", noise(), RATE)
    return tmp_path


def assert_says(message: str, culprit: str) -> None:
    assert culprit in message
    assert message.endswith(".")
    assert "\n" not in message


def assert_command_says(words: list[str], culprit: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.main([*words, "--output_dir", "out"]) == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    assert answer.err.startswith("error: ")
    assert_says(answer.err.removesuffix("\n"), culprit)
    assert not [path for path in Path("out").glob("*") if path.is_file()]


@pytest.mark.parametrize("bad", BAD, ids=[bad.what for bad in BAD])
def test_bad_input_gets_a_sentence(bad: Bad, capsys: pytest.CaptureFixture[str]) -> None:
    bad.make()
    with pytest.raises(bad.error) as caught:
        compute_ic(bad.audio, **{"preset": "draft", **bad.fields})
    assert_says(str(caught.value), bad.culprit)
    assert_command_says([bad.audio, "--preset", "draft", *bad.words], bad.culprit, capsys)
    assert not Path("code was run").exists()


@pytest.mark.parametrize(
    ("audio", "sample_rate", "culprit"),
    [
        (noise(), None, "sample_rate"),
        (noise(), 0, "sample_rate"),
        (noise(), -44_100, "sample_rate"),
        (noise(), 10**9, "1000000000"),
        (noise().reshape(2, -1), RATE, "(2, 15000)"),
        (noise().reshape(-1, 10, 10), RATE, "(300, 10, 10)"),
        (np.zeros(0), RATE, "no samples"),
        (np.zeros((0, 2)), RATE, "no samples"),
        (noise().astype(complex), RATE, "complex128"),
        (np.array(["a"] * 30_000), RATE, "<U1"),
        ([0.0] * 30_000, RATE, "list"),
        (None, None, "NoneType"),
        ("fine.wav", RATE, "sample_rate"),
    ],
)
def test_arrays_and_things_that_are_no_recording_get_a_sentence(audio: Any, sample_rate: Any, culprit: str) -> None:
    with pytest.raises(AudioError) as caught:
        compute_ic(audio, sample_rate=sample_rate)
    assert_says(str(caught.value), culprit)


def test_too_little_memory_for_one_frame(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def no_memory(*_: object) -> NoReturn:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(FrozenHead, "bind", no_memory)
    with pytest.raises(DeviceError) as caught:
        compute_ic("fine.wav", preset="draft")
    assert_says(str(caught.value), "memory")
    assert_command_says(["fine.wav", "--preset", "draft"], "memory", capsys)


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond 16 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = compute_ic("fine.wav", preset="draft")
    for write in (result.to_csv, result.save):
        with full_disk(), pytest.raises(OutputError) as caught:
            write("result")
        assert_says(str(caught.value), "result cannot be written")
    assert [path.name for path in folder.iterdir()] == ["fine.wav"]
    with full_disk():
        assert_command_says(["fine.wav", "--preset", "draft"], "fine.csv cannot be written", capsys)


def test_silence_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write("silent.wav", np.zeros(30_000), RATE)
    with pytest.warns(SilenceWarning, match=r"silent\.wav holds no sound"):
        result = compute_ic("silent.wav", noise_levels=[0.0, 0.3])
    assert result.ic.shape == (2, 7)
    assert np.isnan(result.ic).all()
    assert np.isnan(result.stderr).all()
    assert cli.main(["silent.wav"]) == 0
    assert_says(capsys.readouterr().err.removesuffix("\n"), "silent.wav holds no sound")


def test_an_unknown_keyword_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="n_stpes"):
        compute_ic("fine.wav", n_stpes=5)


def test_all_errors_can_be_caught_as_one() -> None:
    for kind in (AudioError, SettingsError, ModelError, CheckpointError, DeviceError, OutputError):
        assert issubclass(kind, AudioICError)
