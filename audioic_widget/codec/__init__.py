"""Codecs: recordings to latents on the file's frame grid, and, for some, back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Codec(Protocol):
    """What the rest of the package needs of a codec."""

    name: str
    latent_dim: int
    look_ahead: int
    """Frames after frame k that latent k depends on."""

    @property
    def piece_frames(self) -> int:
        """Frames it encodes between two calls of `check`."""
        ...

    def encode(
        self, samples: NDArray[np.float32], first: int, stop: int, check: Callable[[], None] | None = None
    ) -> Tensor:
        """Latents ``(stop - first, latent_dim)`` of the file's frames `first` to ``stop - 1``.

        `samples` is the whole file, mono at 44.1 kHz. Works in pieces of bounded memory and calls `check`
        between them, which may raise to end the work.
        """
        ...


@runtime_checkable
class Decoder(Protocol):
    """A codec that can also turn latents back into sound."""

    @property
    def decodes(self) -> bool:
        """Whether it can: the weights for that may be missing."""
        ...

    def sound(self, latents: Tensor, noise_level: float) -> NDArray[np.float32]:
        """Samples ``(4096 frames,)`` that `latents` ``(frames, latent_dim)`` stand for.

        `latents` are noised to `noise_level` s, ``(1 - s) z + s n``; 0 for clean ones.
        """
        ...


def decoder_of(codec: object) -> Decoder | None:
    """`codec`, if it can decode."""
    return codec if isinstance(codec, Decoder) and codec.decodes else None
