"""Published models from a hub's cache and from files, without any network: fetched, converted, listed, removed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import DATA
from published import save_codec

from audioic_widget import cli
from audioic_widget.codec.music2latent import Music2Latent
from audioic_widget.errors import CheckpointError, ModelError
from audioic_widget.ic import compute_ic
from audioic_widget.model import published
from audioic_widget.model.catalogue import load_model
from audioic_widget.model.published import LicenceNotice, fetch, read_codec

hub = pytest.importorskip("huggingface_hub")
pytest.importorskip("music2latent")

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flow and a codec in the published formats, with random weights."""
    folder = tmp_path_factory.mktemp("published")
    shutil.copy(DATA / "tiny.pt", folder / "pa_rectflow.pt")
    save_codec(folder / "music2latent.pt")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's cache of its own, and a hub that cannot be reached."""
    monkeypatch.setattr(published.platformdirs, "user_cache_path", lambda name: tmp_path / name)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("warnings.showwarning", lambda *_, **__: None)
    return tmp_path


@pytest.fixture
def fetched(cache: Path, files: Path) -> Path:
    """The hub's cache as it is after a download."""
    repository = cache / "hub" / "models--CPJKU--pa-audioic"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    shutil.copytree(files, repository / "snapshots" / COMMIT)
    return repository


def test_a_model_by_name_comes_from_the_hubs_cache_and_is_kept(fetched: Path, cache: Path) -> None:
    with pytest.warns(LicenceNotice, match="CC BY-NC"):
        model = load_model("pa-audioic", device="cpu")
    assert (model.name, model.context_frames) == ("pa-audioic", 4600)
    assert isinstance(model.codec, Music2Latent)
    source = model.card["source"]
    assert (source["repository"], source["revision"]) == ("CPJKU/pa-audioic", COMMIT)
    assert set(source["sha256"]) == {"pa_rectflow.pt", "music2latent.pt"}
    shutil.rmtree(fetched)
    os.utime(cache / "audioic-widget/models/pa-audioic/pa-audioic.safetensors", ns=(1, 1))
    again = load_model("pa-audioic", device="cpu")  # neither hub nor its cache nor pickle any more; no second notice
    assert again is not model
    assert again.digest == model.digest
    tiny = load_model(DATA / "tiny.pt", device="cpu")
    for name, value in tiny.backbone.state_dict().items():
        assert torch.equal(again.backbone.state_dict()[name], value)


@pytest.mark.filterwarnings("ignore::audioic_widget.model.published.LicenceNotice")
def test_two_files_are_a_model_and_compute(files: Path) -> None:
    model = load_model(files / "pa_rectflow.pt", device="cpu", codec=files / "music2latent.pt")
    noise = np.random.default_rng(0).normal(0, 0.1, 50_000)
    result = compute_ic(noise, sample_rate=44_100, model=model, noise_levels=[1.0], preset="draft", n_steps=1)
    np.testing.assert_allclose(result.ic[0, 1:], 58.81207, atol=1e-4)
    assert set(result.provenance["model"]["source"]["sha256"]) == {"pa_rectflow.pt", "music2latent.pt"}
    assert load_model(files / "pa_rectflow.pt", device="cpu", codec=files / "music2latent.pt") is model


def test_without_network_and_files_one_sentence_says_what_to_do() -> None:
    with pytest.raises(ModelError, match=r"could not be fetched .+: connect once, or get .+codec=codec\)\.$"):
        load_model("pa-audioic", device="cpu")


def test_a_revision_that_is_not_there_is_not_replaced_by_another(fetched: Path) -> None:
    with pytest.raises(ModelError, match="could not be fetched"):
        fetch("pa-audioic", "f" * 40)


def test_the_original_codec_is_told_from_the_published_one(tmp_path: Path) -> None:
    assert read_codec(save_codec(tmp_path / "a.pt")).bottleneck == "layernorm"
    assert read_codec(save_codec(tmp_path / "b.pt", "tanh")).bottleneck == "tanh"


class RunsCode:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def test_code_in_a_codec_is_refused_named_and_not_run(tmp_path: Path, files: Path) -> None:
    path = save_codec(tmp_path / "codec.pt", extra=RunsCode(tmp_path / "owned"))
    with pytest.raises(CheckpointError, match="mkdir"):
        load_model(files / "pa_rectflow.pt", device="cpu", codec=path)
    assert not (tmp_path / "owned").exists()
    assert not list((tmp_path / "audioic-widget").glob("**/*.safetensors"))


def test_codecs_that_are_none_or_incomplete_are_named(tmp_path: Path, files: Path) -> None:
    torch.save({"gen_state_dict": {"encoder.conv_inp.weight": torch.zeros(1)}}, tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="lacks the music2latent's tensor"):
        read_codec(tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match="no gen_state_dict"):
        read_codec(files / "pa_rectflow.pt")
    with pytest.raises(ModelError, match=r"no codec file .+nothing\.pt"):
        load_model(files / "pa_rectflow.pt", codec=tmp_path / "nothing.pt")
    with pytest.raises(ModelError, match="codec of its own"):
        load_model("mini", codec=tmp_path / "c.pt")


def test_a_full_disk_leaves_no_half_model(fetched: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(published, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        fetch("pa-audioic")
    assert not list((cache / "audioic-widget" / "models").iterdir())


def test_the_command(fetched: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def audioic(*words: str) -> tuple[int, str, str]:
        status = cli.main(["models", *words])
        answer = capsys.readouterr()
        return status, answer.out, answer.err

    assert audioic("list") == (0, "mini: embedded\npa-audioic: not fetched (CPJKU/pa-audioic)\n", "")
    status, out, err = audioic("fetch", "pa-audioic")
    assert (status, err.count("notice: ")) == (0, 1)
    assert out.endswith("pa-audioic.safetensors\n")
    assert f"pa-audioic: in {cache}" in audioic("list")[1]
    assert json.loads(audioic("info", "pa-audioic")[1])["source"]["revision"] == COMMIT
    assert json.loads(audioic("info", "mini")[1])["licence"] == "CC0-1.0"
    assert audioic("remove", "pa-audioic")[1].count("removed") == 2
    assert not fetched.exists()
    for words in (("remove", "pa-audioic"), ("remove", "../mini"), ("fetch", "maxi"), ("info", "maxi")):
        status, out, err = audioic(*words)
        assert (status, out) == (2, "")
        assert err.startswith("error: There is no")
