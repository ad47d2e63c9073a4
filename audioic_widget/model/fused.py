"""The passes between the products on a CPU, each fused into one walk over memory by Numba.

PyTorch takes four walks for a norm with its tangents and three for a gate, and in bfloat16 another two to widen and to round. Where a
CPU has a matrix unit they take longer than the products between them. Numbers in bfloat16 are read and written as
the upper 16 bits of float32, rounded to the nearest, ties to even (a NaN stays one: the lower bits of those that arithmetic makes are zero);
everything between is float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import torch
from numba.extending import overload, register_jitable
from torch import Tensor

from audioic_widget.model.workspace import NORM_EPS, Workspace, flat

Function = Callable[..., Any]

_FREEDOM = {"reassoc", "contract", "nsz"}
"""What the compiler may do to sums and products. Not: to assume that no number is infinite or NaN."""

COMPILES = not numba.config.DISABLE_JIT  # type: ignore[attr-defined]
"""Whether there is machine code. As Python, where NUMBA_DISABLE_JIT is set, these loops would take hours."""

_SINGLE, _HALF = "float32[:, :, ::1]", "uint16[:, :, ::1]"

f32, u32, i32 = np.float32, np.uint32, np.int32


def compiled(*signatures: str) -> Callable[[Function], Function]:
    """A function as machine code, made now and kept on disk for the processes to come.

    At the import, since waking Numba takes a quarter of a second, which would otherwise come before the first picture. Where
    nothing can be kept, as in a container whose user has no home, every process compiles anew: two seconds.
    """

    def decorator(function: Function) -> Function:
        def made(*, kept: bool) -> Function:
            return numba.njit(list(signatures), nogil=True, fastmath=_FREEDOM, error_model="numpy", cache=kept)(
                function
            )

        try:
            return made(kept=True)
        except RuntimeError:
            return made(kept=False)

    return decorator


def wide(number: Any) -> Any:
    """A number of either format as float32."""
    raise NotImplementedError("Known to machine code alone.")


@overload(wide, inline="always")
def _wide(number: Any) -> Function:
    def upper_bits(number: Any) -> Any:
        return u32(u32(number) << u32(16)).view(f32)

    def plain(number: Any) -> Any:
        return number

    return upper_bits if number == numba.types.uint16 else plain


def as_in(array: Any, number: Any) -> Any:
    """A float32 in the format of the array."""
    raise NotImplementedError("Known to machine code alone.")


@overload(as_in, inline="always")
def _as_in(array: Any, number: Any) -> Function:
    def upper_bits(array: Any, number: Any) -> Any:
        bits = f32(number).view(u32)
        return np.uint16((bits + u32(0x7FFF) + ((bits >> u32(16)) & u32(1))) >> u32(16))

    def plain(array: Any, number: Any) -> Any:
        return number

    return upper_bits if array.dtype == numba.types.uint16 else plain


@register_jitable
def exp(x: Any) -> Any:
    """``exp(x)`` to 2e-7, by additions and products alone, so that it is vectorised (coefficients: Cephes, Moshier 1992)."""
    x = min(max(x, f32(-87.0)), f32(88.0))
    power = np.floor(x * f32(1.44269504) + f32(0.5))
    r = x - power * f32(0.693359375) + power * f32(2.12194440e-4)
    p = f32(1.9875691500e-4)
    p = p * r + f32(1.3981999507e-3)
    p = p * r + f32(8.3334519073e-3)
    p = p * r + f32(4.1665795894e-2)
    p = p * r + f32(1.6666665459e-1)
    p = p * r + f32(5.0000001201e-1)
    return (p * r * r + r + f32(1)) * i32((i32(power) + i32(127)) << i32(23)).view(f32)


@compiled(*(f"void({_SINGLE}, float32[:, ::1], {out})" for out in (_SINGLE, _HALF)))
def normalise(stream: Any, scale: Any, out: Any) -> None:
    """`Workspace.normalise` of `stream` ``(1 + k, frames, width)``, each row of `scale` being for as many frames as the next."""
    rows, frames, width = stream.shape
    each, share = frames // len(scale), f32(1 / width)
    factor, along = np.empty(width, f32), np.empty(width, f32)
    for frame in range(frames):
        value, by = stream[0, frame], scale[frame // each]
        squares = f32(0)
        for i in range(width):
            squares += value[i] * value[i]
        inverse_variance = f32(1) / (squares * share + f32(NORM_EPS))
        inverse = np.sqrt(inverse_variance)
        for i in range(width):
            factor[i] = inverse * by[i]
            along[i] = value[i] * factor[i] * inverse_variance * share
        for i in range(width):
            out[0, frame, i] = as_in(out, value[i] * factor[i])
        for row in range(1, rows):
            tangent = stream[row, frame]
            product = f32(0)
            for i in range(width):
                product += tangent[i] * value[i]
            for i in range(width):
                out[row, frame, i] = as_in(out, tangent[i] * factor[i] - product * along[i])


@compiled(*(f"void({each}, {each})" for each in (_SINGLE, _HALF)))
def gate(halves: Any, out: Any) -> None:
    """`Workspace.gate` of `halves` ``(1 + k, frames, 2 n)``, into `out` ``(1 + k, frames, n)``."""
    rows, frames, width = out.shape
    silu, slope = np.empty(width, f32), np.empty(width, f32)
    for frame in range(frames):
        value = halves[0, frame]
        for i in range(width):
            a, b = wide(value[i]), wide(value[width + i])
            sigmoid = f32(1) / (f32(1) + exp(-a))
            silu[i] = a * sigmoid
            slope[i] = b * sigmoid * (f32(1) + a * (f32(1) - sigmoid))
            out[0, frame, i] = as_in(out, silu[i] * b)
        for row in range(1, rows):
            tangent = halves[row, frame]
            for i in range(width):
                out[row, frame, i] = as_in(out, wide(tangent[i]) * slope[i] + wide(tangent[width + i]) * silu[i])


@compiled("void(float32[::1], uint16[::1])")
def add(stream: Any, part: Any) -> None:
    """Add `part` to `stream`, both flat."""
    for i in range(len(stream)):
        stream[i] += wide(part[i])


class FusedWorkspace(Workspace):
    """A `Workspace` for states in float32 on a CPU."""

    def __init__(self, rows: Tensor, expand: Tensor) -> None:
        super().__init__(rows, expand)
        self._stream, self._normal, self._rounded, self._wide, self._gated = (
            array(each).reshape(len(rows), -1, each.shape[-1])
            for each in (self.stream, self.normal, self.rounded, self.wide, self.gated)
        )

    def normalise(self, scale: Tensor) -> None:
        normalise(self._stream, array(flat(scale).contiguous()), self._normal)

    def normalised(self, scale: Tensor) -> Tensor:
        normalise(self._stream, array(flat(scale).contiguous()), self._rounded)
        return self.rounded

    def gate(self) -> None:
        gate(self._wide, self._gated)

    def add_rounded(self) -> None:
        add(self._stream.reshape(-1), self._rounded.reshape(-1))


def array(x: Tensor) -> Any:
    """The memory of `x` as an array, bfloat16 as uint16."""
    return (x.view(torch.uint16) if x.dtype == torch.bfloat16 else x).numpy()
