"""Codecs: recordings to latents on the file's frame grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Codec(Protocol):
    """What the rest of the package needs of a codec."""

    name: str
    latent_dim: int
    look_ahead: int
    """Frames after frame k that latent k depends on."""

    def encode(
        self, samples: NDArray[np.float32], first: int, stop: int, check: Callable[[], None] | None = None
    ) -> Tensor:
        """Latents ``(stop - first, latent_dim)`` of the file's frames `first` to ``stop - 1``.

        `samples` is the whole file, mono at 44.1 kHz. Works in pieces of bounded memory and calls `check`
        between them, which may raise to end the work.
        """
        ...
