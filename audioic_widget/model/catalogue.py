"""Models by name: where they are found, and the one object that stands for a loaded model."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from audioic_widget.codec import Codec
from audioic_widget.codec.music2latent import Music2Latent, Precision
from audioic_widget.errors import DeviceError, ModelError
from audioic_widget.model.backbone import Backbone
from audioic_widget.model.checkpoint import read_checkpoint
from audioic_widget.model.head import Head
from audioic_widget.model.published import SOURCES, convert_files, find_published

_EMBEDDED = {"mini": Path(__file__).parent / "weights" / "mini.safetensors"}


@dataclass(frozen=True, eq=False)
class ICModel:
    """A loaded model: codec, backbone and head on one device, ready to compute IC.

    Attributes
    ----------
    name : str
    backbone, head : Module
    codec : Codec or None
        None for a bare flow, which takes latents only.
    card : mapping
        What the model says of itself: data, licence, held-out loss.
    device : torch.device
    context_frames : int
        Longest stretch of latents that the backbone is given.
    digest : str
        SHA-256 of the weights file, hexadecimal.

    Examples
    --------
    >>> model = load_model("mini", device="cpu")
    >>> model.latent_dim
    64
    >>> latents = torch.zeros(1, 10, 64)
    >>> model.contexts(latents).shape[:2]
    torch.Size([1, 10])
    >>> model.in_precision("float64").contexts(latents.double()).dtype
    torch.float64
    """

    name: str
    backbone: Backbone
    head: Head
    codec: Codec | None
    card: Mapping[str, Any]
    device: torch.device
    context_frames: int
    digest: str

    @property
    def latent_dim(self) -> int:
        """Dimensions of a latent."""
        return self.head.latent_dim

    def in_precision(self, precision: str) -> ICModel:
        """This model in `precision`, the format of a solve's states: "float64", else float32; the codec stays in float32."""
        if precision != "float64":
            return self
        dtype = torch.float64
        return replace(self, backbone=copy.deepcopy(self.backbone).to(dtype), head=copy.deepcopy(self.head).to(dtype))

    def with_codec_in(self, precision: Precision) -> ICModel:
        """This model with its codec in `precision` "bfloat16" or "float32", for the published codec on a CPU; see `Music2Latent`.

        Raises
        ------
        ModelError
            If its codec has one format only.

        Examples
        --------
        >>> load_model("mini", device="cpu").with_codec_in("bfloat16")
        Traceback (most recent call last):
        audioic_widget.errors.ModelError: The codec of "mini" has no number format to choose.
        """
        if not isinstance(self.codec, Music2Latent):
            raise ModelError(f'The codec of "{self.name}" has no number format to choose.')
        return replace(self, codec=self.codec.in_precision(precision))

    def contexts(self, latents: Tensor) -> Tensor:
        """Contexts ``(rows, F, dim)`` of `latents` ``(rows, F, latent_dim)``."""
        contexts: Tensor = self.backbone(latents)
        return contexts


def load_model(
    name_or_path: str | os.PathLike[str] | ICModel,
    device: str | torch.device = "auto",
    *,
    codec: str | os.PathLike[str] | None = None,
) -> ICModel:
    """Load a model by name or from disk.

    Parameters
    ----------
    name_or_path : str, path or ICModel
        "mini" (embedded), "pa-audioic" (published; its newest commit is fetched on first use and kept, another by
        ``audioic models fetch pa-audioic --revision COMMIT``), a ``.safetensors`` file with its card beside it, a folder that holds one such file, or a flow in the published ``.pt``
        format. A loaded model is returned as it is.
    device : str or torch.device
        "auto" (CUDA, else Apple MPS where it computes correctly, else CPU) or any torch device.
    codec : path, optional
        The codec's ``.pt`` file, for a flow in the published format.

    Returns
    -------
    ICModel
        Cached: the same name (or unchanged file) and device give the same object.

    Raises
    ------
    ModelError
        If the name is unknown, or the model is not here and cannot be fetched.
    CheckpointError
        If the file is damaged, foreign, or would have to run code to load.
    DeviceError
        If the device is not there.

    Examples
    --------
    >>> load_model("mini", device="cpu").name
    'mini'
    """
    if isinstance(name_or_path, ICModel):
        return name_or_path
    path = _find(name_or_path)
    if codec is not None:
        path = _with_codec(path, Path(codec).expanduser())
    return _load(path, path.stat().st_mtime_ns, str(device))


@lru_cache(maxsize=4)
def _load(path: Path, modified: int, device: str) -> ICModel:
    """Load once; `modified` makes a changed file a new model."""
    checkpoint = read_checkpoint(path)
    on_cpu = ICModel(
        name=str(checkpoint.card.get("name", path.stem)),
        backbone=checkpoint.backbone,
        head=checkpoint.head,
        codec=checkpoint.codec,
        card=checkpoint.card,
        device=torch.device("cpu"),
        context_frames=checkpoint.context_frames,
        digest=checkpoint.digest,
    )
    found = checked_device(device)
    if device == "auto" and found.type == "cpu" and torch.backends.mps.is_available():
        on_mps = _moved(on_cpu, torch.device("mps"))
        if _agree(on_cpu, on_mps):
            return on_mps
    return _moved(on_cpu, found)


def _find(name_or_path: str | os.PathLike[str]) -> Path:
    if name_or_path in _EMBEDDED:
        return _EMBEDDED[str(name_or_path)]
    if name_or_path in SOURCES:
        return find_published(str(name_or_path))
    try:
        path = Path(name_or_path).expanduser()
        path.stat()
    except (OSError, RuntimeError, ValueError):
        path = None
    if path is not None and path.is_dir():
        files = sorted(path.glob("*.safetensors"))
        if len(files) != 1:
            raise ModelError(
                f"The folder {path} holds {len(files)} .safetensors files: a model folder has exactly one."
            )
        return files[0]
    if path is not None and path.is_file():
        return path
    names = ", ".join(f'"{name}"' for name in (*_EMBEDDED, *SOURCES))
    raise ModelError(f'There is no model "{name_or_path}": use {names}, or the path of a model file or folder.')


def _with_codec(flow: Path, codec: Path) -> Path:
    if flow.suffix == ".safetensors":
        raise ModelError(f"The model {flow} has a codec of its own: leave codec out.")
    if not codec.is_file():
        raise ModelError(f"There is no codec file {codec}: check the path.")
    return _converted(flow, flow.stat().st_mtime_ns, codec, codec.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _converted(flow: Path, flow_modified: int, codec: Path, codec_modified: int) -> Path:
    """Hash the two files once; a changed one is another model."""
    return convert_files(flow, codec)


def checked_device(name: str) -> torch.device:
    """The device called `name`; for "auto" CUDA where it is there, else the CPU.

    Raises
    ------
    DeviceError
        If it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(name)
        torch.zeros(1, device=found).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise DeviceError(f'The device "{name}" is not available here: use device="cpu" or "auto".') from error
    return found


def _moved(model: ICModel, device: torch.device) -> ICModel:
    if device.type == "cpu":
        return model
    backbone, head, codec = copy.deepcopy(model.backbone), copy.deepcopy(model.head), copy.deepcopy(model.codec)
    if isinstance(codec, nn.Module):
        codec.to(device)
    return replace(model, backbone=backbone.to(device), head=head.to(device), codec=codec, device=device)


def _agree(reference: ICModel, model: ICModel) -> bool:
    """Whether a device computes what the CPU does (some MPS releases have miscomputed attention)."""
    latents = torch.randn(1, 64, reference.latent_dim, generator=torch.Generator().manual_seed(0))
    answers = []
    with torch.inference_mode():
        for each in (reference, model):
            x = latents.to(each.device)
            answers.append(each.head(x, x.new_full((1,), 0.7), each.contexts(x)).cpu())
    return torch.allclose(answers[0], answers[1], atol=1e-3)
