"""The head as a solver uses it: value and exact tangents in one pass, without autograd.

The tangent pass is written by hand: it shares every product of the value pass. What lies between the products is in
`workspace`, and for CPUs in `fused`. What does not change is computed once: the context's half of the input layer for a
trajectory, what depends on time alone for a solve.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from audioic_widget.model.fused import COMPILES, FusedWorkspace
from audioic_widget.model.workspace import Workspace, flat

if TYPE_CHECKING:
    from audioic_widget.model.head import Head

KEPT_TIMES = 4096
"""Times whose modulation is kept, 40 MB at the published width: more than the grids of most requests have."""


class FrozenHead:
    """The weights of a head laid out for one solve; a head that is trained further needs a new one.

    The mean of the residual stream is taken off in the weights that write to it. The norms, all that reads
    the stream, would take it off anyway, at every evaluation.

    Parameters
    ----------
    head : Head
    products_in : dtype, optional
        Number format of the blocks' products, nine tenths of the work. In bfloat16 they are summed up in float32, and
        everything else, the residual stream above all, stays in the format of the head.
    """

    def __init__(self, head: Head, products_in: torch.dtype | None = None) -> None:
        self.dtype = products_in or head.input.weight.dtype
        blocks, weight = head.gated_blocks, centred(head.input.weight.detach())
        self.latent_weight, self.context_weight = weight[:, : head.latent_dim], weight[:, head.latent_dim :]
        self.input_bias = centred(head.input.bias.detach())
        self.expand = [block.expand.weight.detach().to(self.dtype) for block in blocks]
        self.contract = [centred(block.contract.weight.detach()).to(self.dtype) for block in blocks]
        self.output_weight, self.output_bias = head.output.weight.detach(), head.output.bias.detach()
        # All that depends on time, in one product.
        scales = [*(block.scale for block in blocks), head.output_scale]
        time_weight = torch.cat([layer.weight.detach() for layer in (*scales, head.output_shift)])
        time_bias = torch.cat([*(1 + layer.bias.detach() for layer in scales), head.output_shift.bias.detach()])

        @torch.inference_mode()
        def modulated(t: Tensor) -> tuple[Tensor, ...]:
            return F.linear(head.time(t), time_weight, time_bias).chunk(len(blocks) + 2, dim=-1)

        self._modulated = modulated
        self._kept = lru_cache(KEPT_TIMES)(lambda times, dtype: modulated(torch.tensor(times, dtype=dtype)))

    def bind(self, context: Tensor) -> ContextField:
        """The field of fixed contexts ``(..., F, dim)``, ready for a solver."""
        return ContextField(self, F.linear(context, self.context_weight, self.input_bias))

    def modulation(self, t: Tensor) -> tuple[Tensor, ...]:
        """Scale of every block's norm, then scale and shift of the last norm, each ``(*t.shape, dim)``."""
        # A look-up needs the times on the host: no device should wait for that.
        return self._kept(tuple(t.tolist()), t.dtype) if t.device.type == "cpu" and t.ndim == 1 else self._modulated(t)


class ContextField:
    """The head with its contexts fixed: a velocity field over the states of their frames, for one thread.

    Shapes: states ``(..., F, D)``, times ``(...)`` (one for all frames of a row) or ``(..., F)``,
    tangents ``(k, ..., F, D)``.
    """

    def __init__(self, head: FrozenHead, context_part: Tensor) -> None:
        self._head, self._context_part = head, context_part
        self._workspaces: dict[torch.Size, Workspace] = {}

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """``v(x, t)``, shape of `x`."""
        return self._pass(x.unsqueeze(0), t)[0]

    def velocity_and_tangents(self, x: Tensor, t: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """``v(x, t)`` and its directional derivatives ``J u`` for every tangent u, in one pass."""
        out = self._pass(torch.cat((x.unsqueeze(0), tangents)), t)
        return out[0], out[1:]

    @torch.inference_mode()
    def _pass(self, rows: Tensor, t: Tensor) -> Tensor:
        """Row 0 is the value, the others are tangents; linear maps serve all rows, biases row 0 alone."""
        head = self._head
        space = self._workspaces.get(rows.shape)
        if space is None:
            space = self._workspaces[rows.shape] = workspace_for(rows)(rows, head.expand[0])
        modulation = head.modulation(t)
        if modulation[0].ndim < rows.ndim - 1:
            modulation = tuple(each.unsqueeze(-2) for each in modulation)
        *scales, output_scale, output_shift = modulation

        torch.mm(flat(rows), head.latent_weight.T, out=flat(space.stream))
        space.value += self._context_part
        for scale, expand, contract in zip(scales, head.expand, head.contract, strict=True):
            torch.mm(flat(space.normalised(scale)), expand.T, out=flat(space.wide))
            space.gate()
            space.add_to_stream(contract)
        space.normalise(output_scale)
        space.normal_value += output_shift
        out = F.linear(space.normal, head.output_weight)
        out[0] += head.output_bias
        return out


def workspace_for(rows: Tensor) -> type[Workspace]:
    """Fused passes where they run: on a CPU, in single precision."""
    fused = COMPILES and rows.device.type == "cpu" and rows.dtype == torch.float32
    return FusedWorkspace if fused else Workspace


def centred(weight: Tensor) -> Tensor:
    """`weight` ``(width, ...)`` without its mean over the width."""
    return weight - weight.mean(0, keepdim=True)
