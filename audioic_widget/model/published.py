"""The published models: from the hub or from files, converted once to this package's own format in the user's cache.

What is kept is a model folder like any other, weights in safetensors and a card, so nothing is unpickled after the
first time, and a model stays what it was when it was fetched.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
from safetensors.torch import save_file
from torch import Tensor, nn

from audioic_widget.codec.music2latent import Music2Latent
from audioic_widget.codec.music2latent_decoder import decoder_tensors
from audioic_widget.errors import CheckpointError, ModelError, OutputError
from audioic_widget.model.checkpoint import FORMAT, decoder_beside, fill, load_tensors, read_checkpoint

LICENCE = "CC BY-NC 4.0"


class LicenceNotice(UserWarning):
    """What may be done with a model that was just fetched; shown once."""


@dataclass(frozen=True)
class Source:
    """Where a published model lies on the Hugging Face hub."""

    repository: str
    flow: str
    codec: str


_INSTEAD = "load_model(flow, codec=codec)"

CODECS = {"music2latent": ("SonyCSLParis/music2latent", "music2latent.pt")}
"""Codecs by name: repository on the hub, file. The original Music2Latent, its bottleneck a tanh (Pasini et al. 2024)."""

SOURCES = {"pa-audioic": Source("CPJKU/pa-audioic", "pa_rectflow.pt", "music2latent.pt")}


def models_folder() -> Path:
    """The user's folder of converted models."""
    return Path(platformdirs.user_cache_path("audioic-widget")) / "models"


def find_published(name: str) -> Path:
    """Weights of a published model, fetched if they are not there; see `fetch` for what it raises."""
    path = models_folder() / name / f"{name}.safetensors"
    return path if path.exists() else fetch(name)


def fetch(name: str, revision: str | None = None) -> Path:
    """Fetch a published model and convert it; what is there already is replaced only by another revision.

    Parameters
    ----------
    name : str
        One of `SOURCES`.
    revision : str, optional
        Commit, tag or branch of the hub's repository; its newest commit if not given. No commit is built into this
        package: what was fetched first is kept as it is until it is removed or another revision is asked for, and its
        commit and the checksums of both files stand in the card and so in the provenance of every result.

    Raises
    ------
    ModelError
        If the name is unknown, or the hub cannot be reached and its cache does not hold the files.
    CheckpointError
        If a file is damaged or would have to run code to load.
    """
    if name not in SOURCES:
        raise ModelError(f'There is no published model "{name}": the names are {", ".join(SOURCES)}.')
    source = SOURCES[name]
    flow = _from_hub(name, source.repository, source.flow, revision)
    # Both files of one commit, even if the repository changes in between.
    commit = flow.parent.name
    codec = _from_hub(name, source.repository, source.codec, commit)
    card = {"name": name, "source": {"repository": source.repository, "revision": commit}}
    return _convert(flow, codec, models_folder() / name, card)


def convert_files(flow: Path, codec: Path) -> Path:
    """Weights of the model made of a published flow and a published codec, converted on first use.

    Raises
    ------
    CheckpointError
        If a file is damaged, foreign, or would have to run code to load.
    """
    key = hashlib.sha256("".join(_digest(path) for path in (flow, codec)).encode()).hexdigest()[:16]
    path = models_folder() / f"{flow.stem}-{key}" / f"{flow.stem}.safetensors"
    return path if path.exists() else _convert(flow, codec, path.parent, {"name": flow.stem})


def load_codec(name_or_path: str | os.PathLike[str], revision: str | None = None) -> Music2Latent:
    """A codec by itself, to train a flow of one's own on.

    Parameters
    ----------
    name_or_path : str or path
        "music2latent" (the original one; fetched from the hub on first use, into the hub's own cache), or a file.
    revision : str, optional
        Commit, tag or branch of the hub's repository; its newest commit if not given.

    Raises
    ------
    ModelError
        If there is no such file, or the hub cannot be reached and its cache does not hold it.
    CheckpointError
        If the file is damaged, foreign, incomplete, or would have to run code to load.
    """
    if name_or_path in CODECS:
        name = str(name_or_path)
        repository, file = CODECS[name]
        warnings.warn(
            f"{name} was made by others and is licensed {LICENCE}: no commercial use, and name its makers (Pasini et al. 2024).",
            LicenceNotice,
            stacklevel=2,
        )
        return read_codec(_from_hub(name, repository, file, revision, f'load_codec("{file}")'))
    path = Path(name_or_path).expanduser()
    if not path.is_file():
        raise ModelError(f'There is no codec "{name_or_path}": use {", ".join(CODECS)}, or the path of a file.')
    return read_codec(path)


def read_codec(path: Path) -> Music2Latent:
    """The codec of a ``music2latent.pt``: the published one, or the original one, as its tensors say.

    Raises
    ------
    CheckpointError
        If the file is damaged, foreign, incomplete, or would have to run code to load.
    """
    content = load_tensors(path)
    state = content.get("gen_state_dict") if isinstance(content, dict) else None
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{path} holds no gen_state_dict, so it is no Music2Latent codec: choose another file.")
    encoder = {
        name: value.float()
        for name, value in state.items()
        if isinstance(name, str) and name.startswith("encoder.") and isinstance(value, Tensor)
    }
    normalised = any(name.startswith("encoder.activation_bottleneck.") for name in encoder)
    codec = Music2Latent("layernorm" if normalised else "tanh")
    fill(path, codec, encoder)
    return codec


def remove(name: str) -> list[Path]:
    """Delete the converted copy of a published model and what the hub's cache holds of it; the folders deleted."""
    removed = []
    folder = models_folder() / name
    if name in SOURCES and folder.exists():
        shutil.rmtree(folder)
        removed.append(folder)
    if name in SOURCES:
        from huggingface_hub import constants

        cached = Path(constants.HF_HUB_CACHE) / f"models--{SOURCES[name].repository.replace('/', '--')}"
        if cached.exists():
            shutil.rmtree(cached)
            removed.append(cached)
    if not removed:
        raise ModelError(f'There is no fetched model "{name}": audioic models list shows what there is.')
    return removed


def card_of(name: str) -> dict[str, Any] | None:
    """The card of a fetched model; None if it is not there."""
    path = models_folder() / name / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _from_hub(name: str, repository: str, file: str, revision: str | None, instead: str = _INSTEAD) -> Path:
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise ModelError(
            f'Fetching "{name}" needs the package huggingface-hub: install it with pip install "audioic-widget[published]".'
        ) from error
    try:
        return Path(hf_hub_download(repository, file, revision=revision))
    except Exception as error:  # whatever the network, the hub and its client raise
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(
            f'"{name}" is not here and could not be fetched ({reason}): connect once, or get {file} of {repository} '
            f"by other means and name what you have: {instead}."
        ) from error


def _convert(flow: Path, codec: Path, folder: Path, card: Mapping[str, Any]) -> Path:
    """Write a model folder, whole or not at all."""
    checkpoint, encoder = read_checkpoint(flow), read_codec(codec)
    decoder = decoder_tensors(load_tensors(codec)["gen_state_dict"])
    if not all(bool(value.isfinite().all()) for value in decoder.values()):
        raise CheckpointError(f"{codec}: the decoder holds numbers that are not finite: the file is damaged.")
    parts: dict[str, nn.Module] = {"backbone": checkpoint.backbone, "head": checkpoint.head, "codec": encoder}
    tensors = {
        f"{part}.{name}": value.contiguous()
        for part, module in parts.items()
        for name, value in module.state_dict().items()
    }
    name = str(card["name"])
    source = {**card.get("source", {}), "sha256": {path.name: _digest(path) for path in (flow, codec)}}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".converting-", dir=folder.parent) as temporary:
            made = Path(temporary) / "model"
            made.mkdir()
            save_file(tensors, made / f"{name}.safetensors")
            if decoder:
                file = decoder_beside(made / f"{name}.safetensors")
                file.parent.mkdir()
                save_file(decoder, file)
            whole = {
                "name": name,
                "format": FORMAT,
                "architecture": checkpoint.architecture,
                "codec": encoder.config,
                "sha256": _digest(made / f"{name}.safetensors"),
                "licence": LICENCE,
                "source": source,
            }
            (made / f"{name}.json").write_text(json.dumps(whole, indent=2), encoding="utf-8")
            if folder.exists():
                folder.rename(Path(temporary) / "older")
            made.rename(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{folder} cannot be written ({reason}): make room there.") from error
    warnings.warn(
        f"{name} was made by others and is licensed {LICENCE}: no commercial use, and name its makers (Bjare et al. 2025).",
        LicenceNotice,
        stacklevel=4,
    )
    return folder / f"{name}.safetensors"


def _digest(path: Path) -> str:
    try:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}): check the path.") from error
