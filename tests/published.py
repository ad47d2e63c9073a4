"""Published files with random weights, and what the published codec computes, written down straight."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]


def codec_state(bottleneck: str = "layernorm", seed: int = 0) -> State:
    """Random weights of the published codec's encoder; no layer is left at zero."""
    from music2latent.models import Encoder

    torch.manual_seed(seed)
    state: State = Encoder().state_dict()
    for name, value in state.items():
        if value.ndim > 1 and not value.any():
            torch.nn.init.kaiming_uniform_(value, a=math.sqrt(5))
        elif value.ndim == 1:
            value += 0.1 * torch.randn_like(value)
        state[name] = value
    if bottleneck == "layernorm":
        state["activation_bottleneck.l.weight"] = torch.full((64,), 0.06)
        state["activation_bottleneck.l.bias"] = torch.zeros(64)
    return state


def decoder_state(seed: int = 0) -> State:
    """Random weights of what decodes in a published codec; no layer is left at zero."""
    from music2latent.models import UNet

    torch.manual_seed(seed)
    state = {name: value for name, value in UNet().state_dict().items() if not name.startswith("encoder.")}
    for value in state.values():
        if value.ndim > 1 and not value.any():
            torch.nn.init.normal_(value, std=0.01)
    return state


def save_codec(path: Path, bottleneck: str = "layernorm", **extra: Any) -> Path:
    """A codec file in the published format."""
    state = {f"encoder.{name}": value for name, value in codec_state(bottleneck).items()}
    torch.save({"gen_state_dict": {**state, "decoder.conv_inp.weight": torch.zeros(1)}, "it": 5, **extra}, path)
    return path


def latents_of(state: State, samples: np.ndarray) -> Tensor:
    """Latents ``(frames, 64)`` of all `samples`: the facts of the architecture, one after the other."""

    def conv(x: Tensor, name: str, **options: Any) -> Tensor:
        call = F.conv2d if x.ndim == 4 else F.conv1d
        return call(x, state[f"{name}.weight"], state[f"{name}.bias"], **options)

    def norm(x: Tensor, name: str) -> Tensor:
        return F.group_norm(x, min(x.shape[1] // 4, 32), state[f"{name}.weight"], state[f"{name}.bias"])

    def residual(x: Tensor, name: str) -> Tensor:
        y = conv(F.silu(norm(x, f"{name}.norm1")), f"{name}.conv1", padding=1)
        y = conv(F.silu(norm(y, f"{name}.norm2")), f"{name}.conv2", padding=1)
        return y + (conv(x, f"{name}.res_conv") if f"{name}.res_conv.weight" in state else x)

    def attention(x: Tensor, name: str) -> Tensor:
        # Over frequencies, each time by itself; 4 heads.
        y = norm(x, f"{name}.norm")[0].permute(2, 1, 0)
        projected = y @ state[f"{name}.mha.in_proj_weight"].T + state[f"{name}.mha.in_proj_bias"]
        q, k, v = (part.unflatten(-1, (4, -1)).transpose(1, 2) for part in projected.chunk(3, -1))
        weights = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
        z = (weights @ v).transpose(1, 2).flatten(2)
        z = z @ state[f"{name}.mha.out_proj.weight"].T + state[f"{name}.mha.out_proj.bias"]
        return x + z.permute(2, 1, 0)[None]

    window = 0.5 - 0.5 * torch.cos(2 * torch.pi * torch.arange(2_048) / 2_048)
    signal = torch.from_numpy(samples)
    columns = [torch.fft.rfft(signal[at : at + 2_048] * window)[:1_024] for at in range(0, len(signal) - 2_047, 512)]
    complexes = torch.stack(columns[: len(columns) // 8 * 8], dim=-1)
    magnitude = 0.34 * complexes.abs() ** 0.65
    x = torch.stack((magnitude * complexes.angle().cos(), magnitude * complexes.angle().sin()))[None].float()

    x = conv(x, "conv_inp", padding=1) * state["gain.scale"]
    x = residual(x, "down_layers.0")
    x = conv(norm(x, "down_layers.1.norm"), "down_layers.1.c", stride=(4, 1), padding=(2, 0))
    x = residual(x, "down_layers.2")
    x = conv(norm(x, "down_layers.3.norm"), "down_layers.3.c", stride=2, padding=1)
    for block, down in ((4, 5), (6, 7), (8, None)):
        x = attention(residual(x, f"down_layers.{block}"), f"down_layers.{block}.att")
        if down is not None:
            x = conv(norm(x, f"down_layers.{down}.norm"), f"down_layers.{down}.c", stride=2, padding=1)
    x = norm(x, "prenorm_1d_to_2d").flatten(1, 2)
    x = conv(x, "bottleneck_layers.0")
    for block in range(1, 5):
        x = residual(x, f"bottleneck_layers.{block}")
    x = conv(F.silu(norm(x, "norm_out")), "conv_out")[0].T
    if "activation_bottleneck.l.weight" not in state:
        return x.tanh() / 0.06
    x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    return (0.06 * x) / 0.06
