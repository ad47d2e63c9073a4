"""Checkpoints, good and bad, published and our own; models by name."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import DATA
from safetensors.torch import save_file
from torch import Tensor

from audioic_widget.codec.mini import MiniCodec, MiniConfig
from audioic_widget.errors import CheckpointError, DeviceError, ModelError
from audioic_widget.model.backbone import Backbone
from audioic_widget.model.catalogue import ICModel, load_model
from audioic_widget.model.head import Head

Content = dict[str, Any]


def write_own(folder: Path, name: str = "small") -> Path:
    """A small model in the project's own format: weights and card."""
    codec = MiniConfig(hidden=4, n_mels=8, low_bins=4)
    parts = {"backbone": Backbone(16, 1, 1), "head": Head(16, 1), "codec": MiniCodec(codec)}
    tensors = {f"{part}.{key}": value for part, module in parts.items() for key, value in module.state_dict().items()}
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / f"{name}.safetensors")
    shape = {"dim": 16, "depth": 1, "heads": 1, "head_depth": 1, "latent_dim": 64, "context_frames": 32}
    card = {"name": name, "format": "audioic-1", "architecture": shape, "codec": vars(codec)}
    (folder / f"{name}.json").write_text(json.dumps(card))
    return folder / f"{name}.safetensors"


# The published format


def test_published_checkpoint(tiny: ICModel) -> None:
    assert (tiny.name, tiny.context_frames, tiny.latent_dim, tiny.codec) == ("tiny", 4600, 64, None)
    assert re.fullmatch("[0-9a-f]{64}", tiny.digest)
    assert not any(parameter.requires_grad for parameter in tiny.head.parameters())


def rename(old: str, new: str) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        state = content["model_state_dict"]
        state[new] = state.pop(old)

    return change


def put(name: str, value: Callable[[Tensor], Tensor]) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        state = content["model_state_dict"]
        state[name] = value(state[name]) if name in state else value(torch.zeros(1))

    return change


def drop(*path: str) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


GAMMA = "backbone.attn_layers.layers.0.0.0.gamma"
BIAS = "diff_mlp.linear_output.bias"
DAMAGE: dict[str, tuple[Callable[[Content], Any], str]] = {
    "no type": (drop("model_type"), "not a flow of type"),
    "another type": (lambda content: content.update(model_type="LTM-gmm"), "LTM-gmm"),
    "no weights": (drop("model_state_dict"), "model_state_dict"),
    "no hyper-parameters": (drop("model_kwargs"), "model_kwargs"),
    "no width": (drop("model_kwargs", "causal_transformer_hparams", "dim"), "dim"),
    "no length": (drop("max_seq_length"), "max_seq_length"),
    "classes": (lambda content: content["model_kwargs"].update(n_cls=3), "3 classes"),
    "no backbone tensor": (drop("model_state_dict", GAMMA), "blocks.0.attention_norm.gamma"),
    "no input projection": (drop("model_state_dict", "backbone.project_in.weight"), "project_in.weight"),
    "deeper than it says": (
        lambda content: content["model_kwargs"]["causal_transformer_hparams"].update(depth=1),
        "blocks.1.",
    ),
    "wider than it says": (
        lambda content: content["model_kwargs"]["causal_transformer_hparams"].update(dim=32),
        "shape",
    ),
    "a tensor too many": (put("backbone.extra", lambda _: torch.zeros(1)), "extra"),
    "a foreign tensor": (put("vocoder.weight", lambda _: torch.zeros(1)), "vocoder.weight"),
    "a shape": (put(GAMMA, lambda gamma: gamma[:-1]), r"\(63,\) instead of \(64,\)"),
    "not finite": (put(GAMMA, lambda gamma: gamma.log()), "not finite"),
    "two heads": (put(BIAS, lambda bias: bias + 1), "two different heads"),
    "a head under another name": (rename("ode.ode_approx.linear_output.bias", "ode.ode_approx.bias"), "twin"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_checkpoints_say_what_is_wrong(content: Content, save: Callable[[Any], Path], what: str) -> None:
    damage, message = DAMAGE[what]
    damage(content)
    path = save(content)
    with pytest.raises(CheckpointError, match=message) as raised:
        load_model(path, device="cpu")
    assert str(path) in str(raised.value)


def test_a_head_without_its_alias_is_complete(content: Content, save: Callable[[Any], Path], tiny: ICModel) -> None:
    state = content["model_state_dict"]
    content["model_state_dict"] = {name: state[name] for name in state if not name.startswith("ode.")}
    model = load_model(save(content), device="cpu")
    assert torch.equal(model.head.output.weight, tiny.head.output.weight)


def test_a_checkpoint_without_a_head(content: Content, save: Callable[[Any], Path]) -> None:
    state = content["model_state_dict"]
    content["model_state_dict"] = {name: state[name] for name in state if name.startswith("backbone.")}
    with pytest.raises(CheckpointError, match="lacks the head's tensor"):
        load_model(save(content), device="cpu")


@pytest.mark.parametrize("foreign", [[1, 2], {"state_dict": {}}, torch.zeros(3)], ids=["list", "dict", "tensor"])
def test_foreign_torch_files(save: Callable[[Any], Path], foreign: Any) -> None:
    with pytest.raises(CheckpointError, match="not a flow of type"):
        load_model(save(foreign), device="cpu")


@pytest.mark.parametrize("length", [0, 1, 100, 4096, 1_000_000, -1])
def test_truncated_files(tmp_path: Path, length: int) -> None:
    (tmp_path / "cut.pt").write_bytes((DATA / "tiny.pt").read_bytes()[:length])
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(tmp_path / "cut.pt", device="cpu")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("text", [b"hello", b"\x80\x04}.", b"PK\x03\x04"])
def test_files_that_are_no_checkpoints(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "other.pt").write_bytes(text)
    with pytest.raises(CheckpointError):
        load_model(tmp_path / "other.pt", device="cpu")


class MakesFolder:
    """Unpickled carelessly, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


# torch warns of the pickle before it refuses it.
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("archive", ["zip", "legacy", "plain pickle"])
def test_code_in_a_checkpoint_is_refused_and_not_run(content: Content, tmp_path: Path, archive: str) -> None:
    marker, path = tmp_path / "owned", tmp_path / "flow.pt"
    content["callback"] = MakesFolder(marker)
    if archive == "plain pickle":
        path.write_bytes(pickle.dumps(content["callback"]))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=archive == "zip")
    with pytest.raises(CheckpointError, match="mkdir" if archive == "zip" else "flow.pt"):
        load_model(path, device="cpu")
    assert not marker.exists()
    if archive != "plain pickle":
        torch.load(path, weights_only=False)
        assert marker.exists()  # the file was dangerous


# The project's own format


def test_own_format(tmp_path: Path) -> None:
    path = write_own(tmp_path)
    model = load_model(path, device="cpu")
    assert (model.name, model.context_frames, model.latent_dim) == ("small", 32, 64)
    assert model.codec is not None
    assert model.codec.latent_dim == 64


OWN_DAMAGE: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another format": (lambda card: card.update(format="audioic-9"), "audioic-1"),
    "no shape": (lambda card: card.pop("architecture"), "architecture"),
    "no depth": (lambda card: card["architecture"].pop("depth"), "depth"),
    "a word for a number": (lambda card: card["architecture"].update(dim="wide"), "shape"),
    "deeper than it is": (lambda card: card["architecture"].update(depth=2), "blocks.1"),
    "wider than it is": (lambda card: card["architecture"].update(dim=32), "shape"),
    "no codec": (lambda card: card.pop("codec"), "codec"),
}


@pytest.mark.parametrize("what", OWN_DAMAGE)
def test_damaged_cards(tmp_path: Path, what: str) -> None:
    damage, message = OWN_DAMAGE[what]
    path = write_own(tmp_path)
    card = json.loads(path.with_suffix(".json").read_text())
    damage(card)
    path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match=message):
        load_model(path, device="cpu")


def test_codec_description_of_another_version(tmp_path: Path) -> None:
    path = write_own(tmp_path)
    card = json.loads(path.with_suffix(".json").read_text())
    card["codec"]["bands"] = 3
    path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="bands"):
        load_model(path, device="cpu")


@pytest.mark.parametrize("text", [None, "", "{", "[]", "\x00"])
def test_missing_or_broken_cards(tmp_path: Path, text: str | None) -> None:
    path = write_own(tmp_path)
    path.with_suffix(".json").unlink()
    if text is not None:
        path.with_suffix(".json").write_text(text)
    with pytest.raises(CheckpointError, match=r"small\.json"):
        load_model(path, device="cpu")


@pytest.mark.parametrize("length", [0, 7, 500, -1])
def test_truncated_weights(tmp_path: Path, length: int) -> None:
    path = write_own(tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(path, device="cpu")


# Models by name


def test_unknown_models_are_named_with_what_there_is(tmp_path: Path) -> None:
    for name in ("maxi", tmp_path / "nothing.pt"):
        with pytest.raises(ModelError, match='"mini"'):
            load_model(name, device="cpu")


def test_a_folder_holds_exactly_one_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"0 \.safetensors"):
        load_model(tmp_path, device="cpu")
    write_own(tmp_path)
    assert load_model(tmp_path, device="cpu").name == "small"
    shutil.copy(tmp_path / "small.safetensors", tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match=r"2 \.safetensors"):
        load_model(tmp_path, device="cpu")


def test_the_same_name_gives_the_same_object(tmp_path: Path) -> None:
    assert load_model("mini", device="cpu") is load_model("mini", device="cpu")
    path = write_own(tmp_path)
    model = load_model(path, device="cpu")
    assert load_model(str(path), device="cpu") is model
    assert load_model(tmp_path, device="cpu") is model
    assert load_model(model) is model


def test_a_changed_file_is_a_new_model(tmp_path: Path) -> None:
    path = write_own(tmp_path)
    model = load_model(path, device="cpu")
    write_own(tmp_path)
    os.utime(path, ns=(1, 1))
    again = load_model(path, device="cpu")
    assert again is not model
    assert again.digest != model.digest


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a device that is there")
def test_cuda_where_there_is_none() -> None:
    with pytest.raises(DeviceError, match='device="cpu"'):
        load_model("mini", device="cuda")


@pytest.mark.parametrize("device", ["toaster", "", "meta"])
def test_devices_that_do_not_exist(device: str) -> None:
    with pytest.raises(DeviceError, match="not available"):
        load_model("mini", device=device)


def test_precision_is_changed_on_a_copy(tiny: ICModel) -> None:
    double = tiny.in_precision("float64")
    assert double.head.input.weight.dtype == torch.float64
    assert tiny.head.input.weight.dtype == torch.float32
    assert tiny.in_precision("float32") is tiny
