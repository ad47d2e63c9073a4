"""The flow head: the velocity field ``v(x, t, c)`` of one frame given its context, as it is trained.

A residual network modulated by time, in the published format (Bjare et al. 2025). Solvers use `Head.frozen`.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audioic_widget.model.frozen import FrozenHead
from audioic_widget.model.workspace import NORM_EPS


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

    def forward(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """Velocity at `x` ``(..., F, D)`` and times `t` ``(...)`` or ``(..., F)``, given `context` ``(..., F, dim)``."""
        time = self.time(t)
        time = time if time.ndim == x.ndim else time.unsqueeze(-2)
        weight = self.input.weight
        h = F.linear(x, weight[:, : self.latent_dim])
        h = h + F.linear(context, weight[:, self.latent_dim :], self.input.bias)
        for block in self.gated_blocks:
            a, b = block.expand(normalise(h) * (1 + block.scale(time))).chunk(2, dim=-1)
            h = h + block.contract(F.silu(a) * b)
        return self.output(normalise(h) * (1 + self.output_scale(time)) + self.output_shift(time))

    def frozen(self, products_in: torch.dtype | None = None) -> FrozenHead:
        """This head for a solver, its blocks' products in another number format if one is given."""
        return FrozenHead(self, products_in)


def normalise(h: Tensor) -> Tensor:
    """LayerNorm without affine parameters over the last axis."""
    return F.layer_norm(h, h.shape[-1:], eps=NORM_EPS)
