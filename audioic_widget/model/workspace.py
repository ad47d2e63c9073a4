"""What happens between the products of a pass through the head, in memory that stays.

Beside the products, what costs is memory: new buffers cost more to get from the operating system than to fill, so a
trajectory keeps one set.
"""

from __future__ import annotations

import torch
from torch import Tensor

NORM_EPS = 1e-5


class Workspace:
    """The memory of a pass over `rows` ``(1 + k, ..., F, D)`` in a network whose first matrix is `expand`."""

    def __init__(self, rows: Tensor, expand: Tensor) -> None:
        lead, width = rows.shape[:-1], expand.shape[1]
        self.stream = rows.new_empty((*lead, width))
        self.value, self.tangents = self.stream[0], self.stream[1:]
        self.normal = torch.empty_like(self.stream)
        self.normal_value, self.normal_tangents = self.normal[0], self.normal[1:]
        self.same_format = expand.dtype == rows.dtype
        self.rounded = self.normal if self.same_format else expand.new_empty(self.stream.shape)
        self.wide = expand.new_empty((*lead, 4 * width))
        self.a, self.b = self.wide.chunk(2, dim=-1)
        self.gated = expand.new_empty((*lead, 2 * width))
        self.silu, self.slope = torch.empty_like(self.gated[0]), torch.empty_like(self.gated[0])

    def normalise(self, scale: Tensor) -> None:
        """``scale`` times the norm of the stream's value, and its derivative along the tangents.

        With ``y = h / sd``, h having no mean: ``dy = (dh - y mean(y dh)) / sd``.
        """
        inverse_variance = (self.value.square().mean(-1, keepdim=True) + NORM_EPS).reciprocal_()
        factor = inverse_variance.sqrt() * scale
        torch.mul(self.value, factor, out=self.normal_value)
        if len(self.tangents):
            out = self.normal_tangents
            along = torch.mul(self.tangents, self.value, out=out).sum(-1, keepdim=True)
            torch.mul(self.tangents, factor, out=out)
            out.addcmul_(along, self.normal_value * inverse_variance, value=-1 / self.stream.shape[-1])

    def normalised(self, scale: Tensor) -> Tensor:
        """As `normalise`, in the format of the products."""
        self.normalise(scale)
        return self.normal if self.same_format else self.rounded.copy_(self.normal)

    def gate(self) -> None:
        """``silu(a) b`` of the value and its derivative along the tangents, a and b being the halves of `wide`."""
        torch.ops.aten.silu.out(self.a[0], out=self.silu)
        torch.mul(self.silu, self.b[0], out=self.gated[0])
        if len(self.tangents):
            # What stands before da: the derivative of silu(a) b by a.
            torch.ops.aten.silu_backward.grad_input(self.b[0], self.a[0], grad_input=self.slope)
            torch.mul(self.a[1:], self.slope, out=self.gated[1:]).addcmul_(self.b[1:], self.silu)

    def add_to_stream(self, weight: Tensor) -> None:
        """Add the product of what was gated with `weight`."""
        if self.same_format:
            flat(self.stream).addmm_(flat(self.gated), weight.T)
        else:
            torch.mm(flat(self.gated), weight.T, out=flat(self.rounded))
            self.add_rounded()

    def add_rounded(self) -> None:
        """Add what is in the format of the products to the stream."""
        self.stream += self.normal.copy_(self.rounded)


def flat(x: Tensor) -> Tensor:
    """`x` as ``(rows, width)``."""
    return x.reshape(-1, x.shape[-1])
