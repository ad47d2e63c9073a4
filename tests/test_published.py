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

from audioic_widget import cli, kept
from audioic_widget.codec.music2latent import Music2Latent
from audioic_widget.errors import CheckpointError, ModelError
from audioic_widget.ic import compute_ic
from audioic_widget.model import published
from audioic_widget.model.catalogue import load_model
from audioic_widget.model.published import LicenceNotice, fetch, load_codec, read_codec

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
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / name)
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


@pytest.mark.filterwarnings("ignore::audioic_widget.model.published.LicenceNotice")
def test_latents_are_kept_from_session_to_session(files: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(files / "pa_rectflow.pt", device="cpu", codec=files / "music2latent.pt")
    encode, encoded = Music2Latent.encode, list[str]()

    def counted(self: Music2Latent, *arguments: Any) -> Any:
        encoded.append(self.chunking)
        return encode(self, *arguments)

    monkeypatch.setattr(Music2Latent, "encode", counted)
    noise = np.random.default_rng(0).normal(0, 0.1, 50_000)

    def ic(samples: np.ndarray = noise, **fields: Any) -> np.ndarray:
        settings = {"noise_levels": [0.3], "preset": "draft", "n_steps": 1, **fields}
        return compute_ic(samples, sample_rate=44_100, model=model, **settings).ic

    first = ic()
    np.testing.assert_array_equal(ic(), first)
    ic(noise_levels=[0.5], n_probes=4)
    assert encoded == ["overlap"]
    ic(alignment="published")
    ic(0.5 * noise)
    assert encoded == ["overlap", "published", "overlap"]
    for path in (cache / "audioic-widget" / "latents").iterdir():
        path.write_bytes(path.read_bytes()[:100])  # damaged: made again
    np.testing.assert_array_equal(ic(), first)
    assert len(encoded) == 4
    monkeypatch.setattr(kept, "MOST_BYTES", 5_000)  # room for one
    ic(0.25 * noise)
    (path,) = (cache / "audioic-widget" / "latents").iterdir()
    assert path.stat().st_size < 5_000
    monkeypatch.setattr(kept, "kept_folder", lambda: files / "pa_rectflow.pt")  # no place to keep anything
    np.testing.assert_array_equal(ic(), first)


@pytest.mark.filterwarnings("ignore::audioic_widget.model.published.LicenceNotice")
def test_the_provenance_says_how_the_codec_computed(files: Path) -> None:
    model = load_model(files / "pa_rectflow.pt", device="cpu", codec=files / "music2latent.pt")
    noise = np.random.default_rng(0).normal(0, 0.1, 20_000)
    for each, precision in ((model, "float32"), (model.with_codec_in("bfloat16"), "bfloat16")):
        result = compute_ic(noise, sample_rate=44_100, model=each, noise_levels=[1.0], preset="draft", n_steps=1)
        described = result.provenance["model"]["codec"]
        assert (described["name"], described["bottleneck"]) == ("music2latent", "layernorm")
        assert described["precision"] == precision
    with pytest.raises(ModelError, match='codec of "mini"'):
        load_model("mini", device="cpu").with_codec_in("bfloat16")


def test_the_original_codec_by_name_comes_from_the_hubs_cache(cache: Path) -> None:
    with pytest.warns(LicenceNotice), pytest.raises(ModelError, match=r'load_codec\("music2latent.pt"\)\.$'):
        load_codec("music2latent")
    repository = cache / "hub" / "models--SonyCSLParis--music2latent"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "snapshots" / COMMIT).mkdir(parents=True)
    path = save_codec(repository / "snapshots" / COMMIT / "music2latent.pt", "tanh")
    with pytest.warns(LicenceNotice, match="Pasini"):
        codec = load_codec("music2latent")
    assert codec.bottleneck == "tanh"
    assert load_codec(path).bottleneck == "tanh"
    with pytest.raises(ModelError, match='no codec "opus"'):
        load_codec("opus")


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
    assert audioic() == audioic("list")
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
