"""Reading weights: our own format (safetensors and a JSON card) and the published one (a PyTorch file).

A checkpoint is data: nothing in it is ever executed. Names, shapes and hyper-parameters are checked against
our own modules, and what does not fit is named.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from audioic_widget.codec import Codec
from audioic_widget.codec.mini import MiniCodec
from audioic_widget.codec.music2latent import Music2Latent
from audioic_widget.errors import AudioICError, CheckpointError
from audioic_widget.model.backbone import HEAD_DIM, Backbone
from audioic_widget.model.head import Head

FORMAT = "audioic-1"
"""Name of our own format, in the card."""

PUBLISHED_TYPE = "LTM-rectflows"
"""`model_type` of the published flow (Bjare et al. 2025)."""

# Published name -> ours, tried in order on names below "backbone." and "diff_mlp.".
_BACKBONE_NAMES = (
    (r"attn_layers\.rotary_pos_emb\.inv_freq", "inv_freq"),
    (r"attn_layers\.final_norm\.", "final_norm."),
)
_HEAD_NAMES = (
    (r"time_emb\.freqs", "time.freqs"),
    (r"emb_proj\.0\.", "time.layers.0."),
    (r"emb_proj\.2\.", "time.layers.1."),
    (r"emb_proj\.4\.", "time.layers.2."),
    (r"layers\.(\d+)\.ff\.to_mlp\.", r"blocks.\1.expand."),
    (r"layers\.(\d+)\.ff\.to_out\.", r"blocks.\1.contract."),
    (r"layers\.(\d+)\.norm\.scale_proj\.", r"blocks.\1.scale."),
    (r"norm_output\.scale_proj\.", "output_scale."),
    (r"norm_output\.shift_proj\.", "output_shift."),
    (r"linear_input\.", "input."),
    (r"linear_output\.", "output."),
)
_LAYER_NAMES = (
    (("0.0.gamma", "attention_norm.gamma"), ("1.to_", "attention.to_")),
    (
        ("0.0.gamma", "feed_forward_norm.gamma"),
        ("1.ff.0.0.", "feed_forward.expand."),
        ("1.ff.2.", "feed_forward.contract."),
    ),
)


@dataclass(frozen=True)
class Checkpoint:
    """A model as read from disk, on the CPU in float32.

    Attributes
    ----------
    codec : Codec or None
        None for a published flow, whose codec is a file of its own.
    card : mapping
        What the model says of itself.
    context_frames : int
        Longest stretch of latents the backbone was made for.
    digest : str
        SHA-256 of the file, hexadecimal.
    """

    backbone: Backbone
    head: Head
    codec: Codec | None
    card: Mapping[str, Any]
    context_frames: int
    digest: str

    @property
    def architecture(self) -> dict[str, int]:
        """The "architecture" entry of the model's card."""
        blocks = self.backbone.blocks
        heads = self.backbone.state_dict()["blocks.0.attention.to_q.weight"].shape[0] // HEAD_DIM
        return {
            "dim": self.backbone.project_in.out_features,
            "depth": len(blocks),
            "heads": heads,
            "reach": self.backbone.reach,
            "head_depth": len(self.head.blocks),
            "latent_dim": self.head.latent_dim,
            "context_frames": self.context_frames,
        }


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a ``.safetensors`` file with its JSON card beside it, or a published ``.pt`` file.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, foreign, incomplete, or would need code to load.
    """
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    if path.suffix == ".safetensors":
        return _read_own(path, digest)
    return _read_published(path, digest)


def decoder_beside(path: Path) -> Path:
    """Where the decoder of a published codec lies, which is read only to be heard: in a folder beside the model's weights."""
    return path.parent / "decoder" / path.name


def _read_own(path: Path, digest: str) -> Checkpoint:
    card_path = path.with_suffix(".json")
    try:
        card = json.loads(card_path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"The card {card_path} is missing or damaged: a model is two files, keep both."
        ) from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise CheckpointError(f'The card {card_path} does not describe a model in the format "{FORMAT}".')
    if card.get("sha256", digest) != digest:
        raise CheckpointError(f"{path} is not the file its card {card_path} describes: get both again.")
    try:
        tensors = {name: value.float() for name, value in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or no safetensors file ({error}): get it again.") from error
    try:
        shape = card["architecture"]
        context_frames = int(shape["context_frames"])
        dim, depth, heads, latent_dim = (int(shape[name]) for name in ("dim", "depth", "heads", "latent_dim"))
        reach = int(shape.get("reach", 1))
        _refuse_sizes(path, dim, depth, heads, int(shape["head_depth"]), latent_dim, context_frames, reach)
        backbone = Backbone(dim, depth, heads, latent_dim, reach)
        head = Head(dim, int(shape["head_depth"]), latent_dim)
        described = card["codec"]
        published = described.get("type") == "music2latent"
        codec = Music2Latent.from_config(described) if published else MiniCodec.from_config(described)
    except AudioICError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise CheckpointError(f"The card {card_path} lacks or garbles the model's shape: {error}.") from error
    if isinstance(codec, Music2Latent) and (decoder := decoder_beside(path)).exists():
        codec.decoder_file = decoder
    parts: dict[str, nn.Module] = {"backbone": backbone, "head": head, "codec": codec}
    _refuse_others(path, tensors, parts)
    for prefix, module in parts.items():
        fill(path, module, {n.removeprefix(f"{prefix}."): v for n, v in tensors.items() if n.startswith(f"{prefix}.")})
    return Checkpoint(backbone, head, codec, card, context_frames, digest)


def _read_published(path: Path, digest: str) -> Checkpoint:
    content = load_tensors(path)
    if not isinstance(content, dict) or content.get("model_type") != PUBLISHED_TYPE:
        found = content.get("model_type") if isinstance(content, dict) else type(content).__name__
        raise CheckpointError(f'{path} is not a flow of type "{PUBLISHED_TYPE}" but {found!r}: choose another file.')
    try:
        state: dict[str, Tensor] = dict(content["model_state_dict"])
        shape = content["model_kwargs"]["causal_transformer_hparams"]
        dim, depth, heads = (int(shape[name]) for name in ("dim", "depth", "heads"))
        context_frames = int(content["max_seq_length"])
        classes = content["model_kwargs"].get("n_cls")
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} lacks {error} of the published format: get the file again.") from error
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor) or value.layout != torch.strided:
            raise CheckpointError(f"{path} holds {name!r}, which is no tensor with a name: get the file again.")
    if classes:
        raise CheckpointError(f"{path} is conditioned on {classes} classes, which this package does not support.")
    backbone_state, head_state = _renamed(path, state)
    latent_dim = _width(path, backbone_state, "project_in.weight", 1)
    numbers = (re.match(r"blocks\.(\d+)\.", name) for name in head_state)
    head_depth = 1 + max((int(number[1]) for number in numbers if number), default=-1)
    _refuse_sizes(path, dim, depth, heads, head_depth, latent_dim, context_frames)
    backbone, head = Backbone(dim, depth, heads, latent_dim), Head(dim, head_depth, latent_dim)
    fill(path, backbone, backbone_state)
    fill(path, head, head_state)
    card = {"name": path.stem, "format": PUBLISHED_TYPE, "licence": "CC BY-NC 4.0"}
    return Checkpoint(backbone, head, None, card, context_frames, digest)


def load_tensors(path: Path) -> Any:
    """What a PyTorch file holds, nothing executed; a `CheckpointError` for what is damaged or would need code."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is not None:
                    raise CheckpointError(f"{path} is damaged, its checksums do not fit: get the file again.")
        return torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        try:
            needed = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        except Exception:  # not a torch archive at all: the file is simply damaged
            needed = []
        if needed:
            raise CheckpointError(
                f"{path} would have to run code to load ({', '.join(needed)}) and is refused: ask its maker for plain weights."
            ) from error
        raise CheckpointError(f"{path} is damaged or no PyTorch checkpoint: get the file again.") from error
    except Exception as error:  # unpickling damaged bytes raises whatever it trips over
        raise CheckpointError(f"{path} is damaged or no PyTorch checkpoint: get the file again.") from error


def _renamed(path: Path, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Split a published state dict into backbone and head under our names; aliases must repeat the head."""
    backbone: dict[str, Tensor] = {}
    head: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.startswith("backbone."):
            backbone[_backbone_name(name.removeprefix("backbone."))] = value
        elif name.startswith("diff_mlp."):
            head[_substituted(name.removeprefix("diff_mlp."), _HEAD_NAMES)] = value
        elif name.startswith("ode.ode_approx."):
            twin = state.get("diff_mlp." + name.removeprefix("ode.ode_approx."))
            if twin is None or not torch.equal(twin, value):
                raise CheckpointError(f"{path} holds two different heads ({name} differs from its twin).")
        else:
            raise CheckpointError(f"{path} holds an unknown tensor, {name}: it is no published flow.")
    return backbone, head


def _backbone_name(name: str) -> str:
    layer = re.fullmatch(r"attn_layers\.layers\.(\d+)\.(.+)", name)
    if layer is None:
        return _substituted(name, _BACKBONE_NAMES)
    block, half = divmod(int(layer[1]), 2)
    rest = layer[2]
    for theirs, ours in _LAYER_NAMES[half]:
        if rest.startswith(theirs):
            return f"blocks.{block}.{ours}{rest.removeprefix(theirs)}"
    return name


def _substituted(name: str, table: tuple[tuple[str, str], ...]) -> str:
    for theirs, ours in table:
        name, found = re.subn(f"^{theirs}", ours, name)
        if found:
            return name
    return name


def _width(path: Path, state: Mapping[str, Tensor], name: str, axis: int) -> int:
    if name not in state:
        raise CheckpointError(f"{path} lacks the tensor {name}: it is incomplete.")
    if state[name].ndim != 2:
        raise CheckpointError(f"{path}: the tensor {name} has {state[name].ndim} dimensions instead of 2.")
    return state[name].shape[axis]


def _refuse_sizes(
    path: Path,
    dim: int,
    depth: int,
    heads: int,
    head_depth: int,
    latent_dim: int,
    context_frames: int,
    reach: int = 1,
) -> None:
    """Refuse a shape that no module can have, or that this file cannot hold, before memory is asked for it."""
    if min(dim, depth, heads, latent_dim, reach) < 1 or head_depth < 0 or context_frames < 2:
        raise CheckpointError(f"{path} describes a model of impossible size: get the file again.")
    least = dim * dim * (depth + head_depth) + dim * latent_dim * reach
    if least > path.stat().st_size:
        raise CheckpointError(f"{path} is too small for the model it describes: it is damaged or incomplete.")


def _refuse_others(path: Path, tensors: Mapping[str, Tensor], parts: Mapping[str, nn.Module]) -> None:
    for name in tensors:
        if name.split(".")[0] not in parts:
            raise CheckpointError(f"{path} holds an unknown tensor, {name}: it belongs to another kind of model.")


def fill(path: Path, module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load `state` into `module`: every tensor there, none too many, all of the right shape and finite."""
    expected = module.state_dict()
    kind = type(module).__name__.lower()
    for name in expected.keys() - state.keys():
        raise CheckpointError(f"{path} lacks the {kind}'s tensor {name}: it is incomplete or of another architecture.")
    for name, value in state.items():
        if name not in expected:
            raise CheckpointError(f"{path} holds the tensor {name}, which the {kind} does not have.")
        if value.shape != expected[name].shape:
            shapes = f"{tuple(value.shape)} instead of {tuple(expected[name].shape)}"
            raise CheckpointError(f"{path}: the {kind}'s tensor {name} has shape {shapes}.")
        if not bool(torch.isfinite(value).all()):
            raise CheckpointError(f"{path}: the {kind}'s tensor {name} is not finite: the file is damaged.")
    module.load_state_dict(dict(state))
    module.eval().requires_grad_(False)
