"""The flow head: the velocity field ``v(x, t, c)`` of one frame given its context, and its exact tangents.

A residual network modulated by time, in the published format (Bjare et al. 2025). The tangent pass is
written by hand: it shares every product of the value pass, compiles, and needs no autograd graph. What does
not change along a trajectory (the context's half of the input layer) is computed once, by `bind`.

A head whose large matrices are bfloat16 (`with_products_in`) multiplies in bfloat16 with float32 accumulation and
keeps everything else, the residual stream above all, in its own format.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPS = 1e-5


class TimeEmbedding(nn.Module):
    """Fourier features of time: ``cos`` and ``sin`` of ``(2 t - 1) freqs``, through three linear layers."""

    freqs: Tensor

    def __init__(self, dim: int, scale: float = 16.0) -> None:
        super().__init__()
        self.register_buffer("freqs", scale * torch.randn(dim // 2))
        self.layers = nn.ModuleList(nn.Linear(dim, dim) for _ in range(3))

    def forward(self, t: Tensor) -> Tensor:
        angles = (2 * t - 1).unsqueeze(-1) * self.freqs
        x = torch.cat((angles.cos(), angles.sin()), dim=-1)
        for layer in self.layers:
            x = F.silu(layer(x))
        return x


class GatedBlock(nn.Module):
    """``x + W_out(silu(a) b)`` with ``(a, b) = W_in(norm(x) scale(time))``."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Linear(dim, dim)
        self.expand = nn.Linear(dim, 4 * dim, bias=False)
        self.contract = nn.Linear(2 * dim, dim, bias=False)


class Head(nn.Module):
    """Velocity of the probability flow.

    Parameters
    ----------
    dim : int
        Width of context and hidden layers.
    depth : int
        Residual blocks.
    latent_dim : int
        Dimensions D of a latent.
    """

    def __init__(self, dim: int, depth: int = 8, latent_dim: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.time = TimeEmbedding(dim)
        self.input = nn.Linear(latent_dim + dim, dim)
        self.blocks = nn.ModuleList(GatedBlock(dim) for _ in range(depth))
        self.output_scale = nn.Linear(dim, dim)
        self.output_shift = nn.Linear(dim, dim)
        self.output = nn.Linear(dim, latent_dim)

    @property
    def gated_blocks(self) -> list[GatedBlock]:
        """The blocks with their type, which a `ModuleList` does not keep."""
        return cast("list[GatedBlock]", list(self.blocks))

    def with_products_in(self, dtype: torch.dtype) -> Head:
        """A copy whose large matrices, and so the products with them, are in `dtype`."""
        head = copy.deepcopy(self)
        for block in head.gated_blocks:
            for layer in (block.expand, block.contract):
                layer.weight.data = layer.weight.data.to(dtype)
        return head

    def bind(self, context: Tensor) -> ContextField:
        """The field of fixed contexts ``(..., F, dim)``, ready for a solver."""
        weight = self.input.weight[:, self.latent_dim :]
        return ContextField(self, F.linear(context, weight, self.input.bias))

    def forward(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """Velocity at `x` ``(..., F, D)`` and times `t` ``(...)`` or ``(..., F)``, given `context` ``(..., F, dim)``."""
        return self.bind(context).velocity(x, t)


@dataclass(frozen=True)
class ContextField:
    """The head with its contexts fixed: a velocity field over the states of their frames.

    Shapes: states ``(..., F, D)``, times ``(...)`` (one for all frames of a row) or ``(..., F)``,
    tangents ``(k, ..., F, D)``.
    """

    head: Head
    context_part: Tensor

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """``v(x, t)``, shape of `x`; differentiable."""
        head, time = self.head, self._time(x, t)
        h = F.linear(x, head.input.weight[:, : head.latent_dim]) + self.context_part
        for block in head.gated_blocks:
            a, b = product(normalise(h) * (1 + block.scale(time)), block.expand.weight).chunk(2, dim=-1)
            h = h + product(F.silu(a) * b, block.contract.weight)
        return head.output(normalise(h) * (1 + head.output_scale(time)) + head.output_shift(time))

    def velocity_and_tangents(self, x: Tensor, t: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """``v(x, t)`` and its directional derivatives ``J u`` for every tangent u, in one pass."""
        head, time = self.head, self._time(x, t)
        # Row 0 is the value, the others are tangents; linear maps serve all rows, biases row 0 alone.
        h = F.linear(torch.cat((x.unsqueeze(0), tangents)), head.input.weight[:, : head.latent_dim])
        h[0] += self.context_part
        for block in head.gated_blocks:
            normal = normalise_tangents(h, 1 + block.scale(time), block.expand.weight.dtype)
            a, b = product(normal, block.expand.weight).chunk(2, dim=-1)
            h += product(gate_tangents(a, b, h.dtype), block.contract.weight)
        out = normalise_tangents(h, 1 + head.output_scale(time), h.dtype)
        out[0] += head.output_shift(time)
        out = F.linear(out, head.output.weight)
        out[0] += head.output.bias
        return out[0], out[1:]

    def _time(self, x: Tensor, t: Tensor) -> Tensor:
        embedded = self.head.time(t)
        return embedded if embedded.ndim == x.ndim else embedded.unsqueeze(-2)


def product(x: Tensor, weight: Tensor) -> Tensor:
    """``x W^T`` in the number format of the weights, which decides the speed of a large product."""
    return F.linear(x.to(weight.dtype), weight)


def normalise(h: Tensor) -> Tensor:
    """LayerNorm without affine parameters over the last axis."""
    return F.layer_norm(h, h.shape[-1:], eps=NORM_EPS)


def normalise_tangents(h: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """``scale`` times the LayerNorm of ``h[0]``, and its derivative along ``h[1:]``, rounded to `dtype`.

    With ``y = (h - mean) / sd``: ``dy = (dh - mean(dh) - y mean(y dh)) / sd``.
    """
    centred = h - h.mean(-1, keepdim=True)
    inverse_sd = torch.rsqrt(centred[0].square().mean(-1, keepdim=True) + NORM_EPS)
    value, tangents = centred[0] * inverse_sd, centred[1:]
    along = torch.linalg.vecdot(tangents, value).unsqueeze(-1) / h.shape[-1]
    out = torch.empty(h.shape, dtype=dtype, device=h.device)
    out[0] = value * scale
    out[1:] = tangents.addcmul_(value, along, value=-1).mul_(inverse_sd * scale)
    return out


def gate_tangents(a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
    """``silu(a) b`` of row 0 and its derivative along the other rows; what all tangents share is made in `dtype`."""
    value, other = a[0].to(dtype), b[0].to(dtype)
    sigmoid = value.sigmoid()
    gate = value * sigmoid
    slope = sigmoid * (1 + value - gate) * other
    out = torch.empty(a.shape, dtype=a.dtype, device=a.device)
    out[0] = gate * other
    torch.mul(a[1:], slope.to(a.dtype), out=out[1:])
    out[1:].addcmul_(b[1:], gate.to(b.dtype))
    return out
