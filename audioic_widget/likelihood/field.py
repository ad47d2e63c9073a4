"""What the likelihood needs of a velocity field, and nothing more."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class VelocityField(Protocol):
    """A time-dependent velocity field on states of D dimensions.

    Shapes: states ``x (rows, F, D)``; times ``t (rows,)``, one for all F states of a row; tangents
    ``(k, rows, F, D)``. The states are independent of each other: the Jacobian is block diagonal, one
    ``(D, D)`` block a state.
    """

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """``v(x, t)``, shape of `x`."""
        ...

    def velocity_and_tangents(self, x: Tensor, t: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """``v(x, t)`` and ``J(x, t) u`` for every tangent u, shapes of `x` and of `tangents`."""
        ...
