"""Codecs: recordings to latents on the file's frame grid, and, for some, back."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ON_DEMAND = 512
"""Latents encoded together when one of them is needed: those of the embedded model's first window."""


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


class Latents(Protocol):
    """Latents ``(T, D)`` to take stretches of: a tensor, or `LatentsOnDemand`."""

    def __len__(self) -> int: ...

    def __getitem__(self, span: slice, /) -> Tensor: ...


class LatentsOnDemand:
    """Latents that are encoded where they are first looked at, so that the first values need not wait for the last latent.

    Parameters
    ----------
    encode : callable
        ``encode(first, stop)``: latents ``(stop - first, D)``, the same in whatever pieces they are asked for.
    count, latent_dim : int
        T and D.
    device : torch.device
        Where they are to be.
    """

    def __init__(self, encode: Callable[[int, int], Tensor], count: int, latent_dim: int, device: torch.device) -> None:
        self._encode = encode
        self._latents = torch.empty(count, latent_dim, device=device)
        self._missing = set(range(0, count, ON_DEMAND))
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._latents)

    def __getitem__(self, span: slice) -> Tensor:
        start, stop, _ = span.indices(len(self))
        with self._lock:
            for first in range(start - start % ON_DEMAND, stop, ON_DEMAND):
                if first in self._missing:
                    end = min(first + ON_DEMAND, len(self))
                    self._latents[first:end] = self._encode(first, end)
                    self._missing.remove(first)
        return self._latents[span]


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
