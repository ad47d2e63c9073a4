"""Seeded random numbers that belong to a frame, not to a batch.

Every draw is addressed by what it is for, which sample of it, and the frame it belongs to. A frame
therefore gets the same numbers whatever else is computed with it, in whatever order.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

_BLOCK = 64
"""Frames that share one random stream; a range of frames costs the streams it touches."""


class Purpose(IntEnum):
    """What a draw is for; each purpose has streams of its own."""

    NOISE = 1
    PROBE = 2


@dataclass(frozen=True)
class Draws:
    """Random draws for latents of `dim` dimensions.

    Parameters
    ----------
    seed : int
        Non-negative; the only state there is.
    dim : int
        Numbers a frame and draw.
    """

    seed: int
    dim: int = 64

    def normal(self, purpose: Purpose, index: int, first: int, stop: int, level: float = 0.0) -> NDArray[np.float32]:
        """Standard normal numbers ``(stop - first, dim)`` for the frames ``first .. stop - 1``.

        `index` counts independent draws; `level` separates the noise levels.
        """
        return self._gather(purpose, index, first, stop, level, gaussian=True)

    def signs(self, purpose: Purpose, index: int, first: int, stop: int, level: float = 0.0) -> NDArray[np.float32]:
        """Random signs ``(stop - first, dim)``, each +1 or -1 with equal chance."""
        return self._gather(purpose, index, first, stop, level, gaussian=False)

    def _gather(
        self, purpose: Purpose, index: int, first: int, stop: int, level: float, *, gaussian: bool
    ) -> NDArray[np.float32]:
        out = np.empty((stop - first, self.dim), dtype=np.float32)
        for block in range(first // _BLOCK, -(-stop // _BLOCK)):
            low, high = max(first, block * _BLOCK), min(stop, (block + 1) * _BLOCK)
            values = self._block(purpose, index, level, block, gaussian=gaussian)
            out[low - first : high - first] = values[low - block * _BLOCK : high - block * _BLOCK]
        return out

    def _block(self, purpose: Purpose, index: int, level: float, block: int, *, gaussian: bool) -> NDArray[np.float32]:
        level_key = struct.unpack("<Q", struct.pack("<d", level))[0]
        stream = np.random.Philox(np.random.SeedSequence((self.seed, purpose, index, level_key, block)))
        generator = np.random.Generator(stream)
        if gaussian:
            return generator.standard_normal((_BLOCK, self.dim), dtype=np.float32)
        return generator.integers(0, 2, (_BLOCK, self.dim), dtype=np.int8).astype(np.float32) * 2 - 1
