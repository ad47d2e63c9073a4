"""Published files with random weights, and what the published networks compute, written down straight."""

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


DIM, DEPTH, HEADS, HEAD_DIM, BLOCKS = 256, 12, 8, 64, 8
"""Of the published flow: width, layers and attention heads of the backbone, width of one, blocks of the velocity field."""


def flow_state(seed: int = 0) -> State:
    """Random weights of the published flow, 16.7 M of them, under the published names."""
    torch.manual_seed(seed)
    state: State = {}

    def linear(name: str, size_in: int, size_out: int, bias: bool = True) -> None:
        state[f"{name}.weight"] = torch.randn(size_out, size_in) / math.sqrt(size_in)
        if bias:
            state[f"{name}.bias"] = 0.1 * torch.randn(size_out)

    linear("backbone.project_in", 64, DIM, bias=False)
    for layer in range(DEPTH):
        attention, forward = (f"backbone.attn_layers.layers.{2 * layer + half}" for half in (0, 1))
        for name in ("to_q", "to_k", "to_v"):
            linear(f"{attention}.1.{name}", DIM, HEADS * HEAD_DIM, bias=False)
        linear(f"{attention}.1.to_out", HEADS * HEAD_DIM, DIM, bias=False)
        linear(f"{forward}.1.ff.0.0", DIM, 4 * DIM)
        linear(f"{forward}.1.ff.2", 4 * DIM, DIM)
        for part in (attention, forward):
            state[f"{part}.0.0.gamma"] = 0.1 * torch.randn(DIM)
    state["backbone.attn_layers.rotary_pos_emb.inv_freq"] = 10_000.0 ** (-torch.arange(0, 32, 2) / 32)
    state["backbone.attn_layers.final_norm.gamma"] = 0.1 * torch.randn(DIM)
    state["diff_mlp.time_emb.freqs"] = 16 * torch.randn(DIM // 2)
    for number in (0, 2, 4):
        linear(f"diff_mlp.emb_proj.{number}", DIM, DIM)
    linear("diff_mlp.linear_input", 64 + DIM, DIM)
    for block in range(BLOCKS):
        linear(f"diff_mlp.layers.{block}.ff.to_mlp", DIM, 4 * DIM, bias=False)
        linear(f"diff_mlp.layers.{block}.ff.to_out", 2 * DIM, DIM, bias=False)
        linear(f"diff_mlp.layers.{block}.norm.scale_proj", DIM, DIM)
    linear("diff_mlp.norm_output.scale_proj", DIM, DIM)
    linear("diff_mlp.norm_output.shift_proj", DIM, DIM)
    linear("diff_mlp.linear_output", DIM, 64)
    return state


def save_flow(path: Path) -> Path:
    """A flow file in the published format and size; its solver holds the head a second time."""
    state = flow_state()
    twins = {
        name.replace("diff_mlp.", "ode.ode_approx."): state[name] for name in state if name.startswith("diff_mlp.")
    }
    shape = {"dim": DIM, "depth": DEPTH, "heads": HEADS, "rotary_pos_emb": True, "attn_flash": True}
    kwargs = {"transformer_wrapper_hparams": {}, "causal_transformer_hparams": shape}
    content = {"model_state_dict": {**state, **twins}, "max_seq_length": 4600, "model_type": "LTM-rectflows"}
    torch.save({**content, "model_kwargs": kwargs}, path)
    return path


def contexts_of(state: State, latents: Tensor) -> Tensor:
    """Contexts ``(T, 256)`` of `latents` ``(T, 64)``."""

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (DIM,)) * (state[f"backbone.attn_layers.{name}.gamma"] + 1)

    angles = torch.outer(torch.arange(len(latents)).float(), state["backbone.attn_layers.rotary_pos_emb.inv_freq"])

    def rotated(x: Tensor) -> Tensor:
        turned = torch.view_as_complex(x[..., :32].unflatten(-1, (16, 2)).contiguous()) * torch.exp(1j * angles)
        return torch.cat((torch.view_as_real(turned).flatten(-2), x[..., 32:]), dim=-1)

    unseen = torch.ones(len(latents), len(latents)).triu(1).bool()
    x = latents @ state["backbone.project_in.weight"].T
    for layer in range(0, 2 * DEPTH, 2):
        y, name = norm(x, f"layers.{layer}.0.0"), f"backbone.attn_layers.layers.{layer}.1"
        q, k, v = (
            (y @ state[f"{name}.to_{which}.weight"].T).unflatten(-1, (HEADS, HEAD_DIM)).transpose(0, 1)
            for which in "qkv"
        )
        scores = rotated(q) @ rotated(k).transpose(-1, -2) / math.sqrt(HEAD_DIM)
        mixed = scores.masked_fill(unseen, -math.inf).softmax(-1) @ v
        x = x + mixed.transpose(0, 1).flatten(1) @ state[f"{name}.to_out.weight"].T
        y, name = norm(x, f"layers.{layer + 1}.0.0"), f"backbone.attn_layers.layers.{layer + 1}.1.ff"
        y = F.gelu(y @ state[f"{name}.0.0.weight"].T + state[f"{name}.0.0.bias"])
        x = x + y @ state[f"{name}.2.weight"].T + state[f"{name}.2.bias"]
    return norm(x, "final_norm")


def velocity_of(state: State, x: Tensor, context: Tensor, t: float) -> Tensor:
    """Velocity ``(64,)`` of one frame at `x` ``(64,)`` and time `t`, given its context ``(256,)``."""

    def linear(y: Tensor, name: str) -> Tensor:
        return state[f"diff_mlp.{name}.weight"] @ y + state.get(f"diff_mlp.{name}.bias", 0.0)

    def norm(y: Tensor) -> Tensor:
        return (y - y.mean()) / (y.var(correction=0) + 1e-5).sqrt()

    angles = (2 * t - 1) * state["diff_mlp.time_emb.freqs"]
    time = torch.cat((angles.cos(), angles.sin()))
    for number in (0, 2, 4):
        time = F.silu(linear(time, f"emb_proj.{number}"))
    h = linear(torch.cat((x, context)), "linear_input")
    for block in range(BLOCKS):
        y = norm(h) * (1 + linear(time, f"layers.{block}.norm.scale_proj"))
        a, b = linear(y, f"layers.{block}.ff.to_mlp").chunk(2)
        h = h + linear(F.silu(a) * b, f"layers.{block}.ff.to_out")
    y = norm(h) * (1 + linear(time, "norm_output.scale_proj")) + linear(time, "norm_output.shift_proj")
    return linear(y, "linear_output")
