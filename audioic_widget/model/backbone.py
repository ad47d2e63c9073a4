"""The backbone: a causal transformer that turns latents ``z_1 .. z_k`` into contexts ``c_k``.

Pre-norm decoder with rotary positions, numerically the same as the `ContinuousTransformerWrapper` around
a `Decoder` of x-transformers 1.42 (Wang 2020-2025), which the tests use as an oracle. It knows no ODE and
no noise level.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEAD_DIM = 64
"""Width of one attention head; fixed in the published format."""

ROTARY_DIM = 32
"""Leading dimensions of each head that are rotated by position (Su et al. 2021)."""


class Norm(nn.Module):
    """LayerNorm without bias whose scale is ``gamma + 1``."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.gamma + 1)


class Attention(nn.Module):
    """Causal multi-head attention with rotary positions on part of each head."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        inner = heads * HEAD_DIM
        self.heads = heads
        self.to_q = nn.Linear(dim, inner, bias=False)
        self.to_k = nn.Linear(dim, inner, bias=False)
        self.to_v = nn.Linear(dim, inner, bias=False)
        self.to_out = nn.Linear(inner, dim, bias=False)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        batch, frames, _ = x.shape
        q, k, v = (
            project(x).view(batch, frames, self.heads, HEAD_DIM).transpose(1, 2)
            for project in (self.to_q, self.to_k, self.to_v)
        )
        # No mask tensor: an all-true mask would force the slow attention kernel.
        mixed = F.scaled_dot_product_attention(rotate(q, rotation), rotate(k, rotation), v, is_causal=True)
        return self.to_out(mixed.transpose(1, 2).reshape(batch, frames, -1))


class FeedForward(nn.Module):
    """Two linear maps with an exact GELU between them, four times as wide inside."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.expand = nn.Linear(dim, 4 * dim)
        self.contract = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.contract(F.gelu(self.expand(x)))


class Block(nn.Module):
    """One layer: attention, then feed-forward, each behind a norm and added to the stream."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = Norm(dim)
        self.attention = Attention(dim, heads)
        self.feed_forward_norm = Norm(dim)
        self.feed_forward = FeedForward(dim)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.attention(self.attention_norm(x), rotation)
        return x + self.feed_forward(self.feed_forward_norm(x))


class Backbone(nn.Module):
    """Latents to contexts.

    Parameters
    ----------
    dim, depth, heads : int
        Width, number of layers, attention heads of 64 dimensions each.
    latent_dim : int
        Width of a latent.
    reach : int
        Latents that the input layer sees at once, the newest last; 1 in the published format. With more, "what followed
        when it last sounded like this" takes one layer of attention instead of two that have to find each other, and
        is learnt many times sooner (the smeared keys of Olsson et al. 2022).
    """

    inv_freq: Tensor

    def __init__(self, dim: int, depth: int, heads: int, latent_dim: int = 64, reach: int = 1) -> None:
        super().__init__()
        self.reach = reach
        self.project_in = nn.Linear(reach * latent_dim, dim, bias=False)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.final_norm = Norm(dim)
        self.register_buffer("inv_freq", 10_000.0 ** (-torch.arange(0, ROTARY_DIM, 2) / ROTARY_DIM))

    def forward(self, latents: Tensor) -> Tensor:
        """Contexts ``(batch, frames, dim)`` of `latents` ``(batch, frames, latent_dim)``.

        Context k depends on latents 1 .. k only.
        """
        positions = torch.arange(latents.shape[1], device=latents.device, dtype=self.inv_freq.dtype)
        angles = torch.outer(positions, self.inv_freq).repeat_interleave(2, dim=-1)
        rotation = (angles.cos(), angles.sin())
        # Before the first latent there is nothing, zeros.
        lately = F.pad(latents, (0, 0, self.reach - 1, 0)).unfold(1, self.reach, 1).transpose(-1, -2).flatten(-2)
        x = self.project_in(lately)
        for block in self.blocks:
            x = block(x, rotation)
        return self.final_norm(x)


def rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Turn interleaved pairs of the first 32 of each head's dimensions by the angle of their position."""
    cos, sin = rotation
    turned, kept = x[..., :ROTARY_DIM], x[..., ROTARY_DIM:]
    even, odd = turned[..., 0::2], turned[..., 1::2]
    quarter = torch.stack((-odd, even), dim=-1).flatten(-2)
    return torch.cat((turned * cos + quarter * sin, kept), dim=-1)
