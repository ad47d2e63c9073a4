"""The trained model as two files: weights (safetensors, parameters in float16) and a JSON card."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from safetensors.torch import save
from torch import Tensor, nn

from audioic_widget.codec.mini import MiniCodec
from audioic_widget.codec.music2latent import Music2Latent
from audioic_widget.formats.files import replacing
from audioic_widget.training.train_flow import Flow

FORMAT = "audioic-1"
"""Format of weights and card; the loader refuses others."""

SomeModule = TypeVar("SomeModule", bound=nn.Module)


def rounded(module: SomeModule) -> SomeModule:
    """A copy with every parameter rounded to float16: what a loader of the exported file will see."""
    copied = copy.deepcopy(module)
    for parameter in copied.parameters():
        parameter.data = parameter.data.half().float()
    return copied


def export(
    name: str, folder: Path, codec: MiniCodec | Music2Latent, flow: Flow, frames: int, card: Mapping[str, object]
) -> None:
    """Write ``name.safetensors`` and ``name.json`` into `folder`.

    Parameters
    ----------
    name : str
        Of the model.
    folder : Path
        Made if missing.
    codec, flow : MiniCodec or Music2Latent, Flow
        The trained modules, and a codec that was given as it is. Tensors are named ``codec.*``, ``backbone.*``, ``head.*``.
    frames : int
        Window length the flow was trained on.
    card : mapping
        What else the card says.
    """
    # Buffers (frequencies, feature statistics) stay float32: rounding those would shift phases.
    tensors: dict[str, Tensor] = {}
    for prefix, module in {"codec": codec, "backbone": flow.backbone, "head": flow.head}.items():
        if not isinstance(module, Music2Latent):
            tensors |= {f"{prefix}.{key}": parameter.detach().half() for key, parameter in module.named_parameters()}
        tensors |= {
            f"{prefix}.{key}": value.contiguous()
            for key, value in module.state_dict().items()
            if f"{prefix}.{key}" not in tensors
        }
    description = {
        "name": name,
        "format": FORMAT,
        "architecture": {**flow.architecture, "context_frames": frames},
        "codec": codec.config if isinstance(codec, Music2Latent) else asdict(codec.config),
        "parameters": {"codec": count(codec), "backbone": count(flow.backbone), "head": count(flow.head)},
    }
    weights = save(tensors, metadata={"format": FORMAT})
    description["sha256"] = hashlib.sha256(weights).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / f"{name}.safetensors") as file:
        file.write(weights)
    with replacing(folder / f"{name}.json") as file:
        file.write(json.dumps({**description, **card}, indent=2).encode() + b"\n")


def count(module: nn.Module) -> int:
    """Number of trained values in `module`."""
    return sum(parameter.numel() for parameter in module.parameters())
