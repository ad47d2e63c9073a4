"""Mel spectrograms to look at, in tiles of any zoom. Made from the sound alone; nothing is computed from them."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from audioic_widget.codec.mini import WINDOW, MiniConfig, mel_filters

COLUMN_SAMPLES = 1_024
"""Samples in a column of the finest level: 23 ms."""

FACTOR = 4
"""Columns of one level in a column of the next."""

N_MELS = 96
RANGE = 75.0
"""Decibels from black to white."""

_MOST_WINDOWS = 4
"""Spectra averaged for a column: coarse columns sample their span, so that a tile costs the same at every zoom."""

_BLOCK = 512
"""Spectra computed at a time: 20 MB."""


def spectrogram_tile(
    samples: NDArray[np.float32], level: int, first: int, count: int, peak: float
) -> NDArray[np.uint8]:
    """Columns of a mel spectrogram.

    Parameters
    ----------
    samples : ndarray (n,)
        The whole recording, mono at 44.1 kHz.
    level : int
        A column covers ``1024 * 4 ** level`` samples.
    first, count : int
        Columns ``first .. first + count - 1``; those past the end are left out.
    peak : float
        The recording's loudest sample, which decides what is white.

    Returns
    -------
    ndarray (n_columns, 96)
        0 to 255, from `RANGE` decibels under the loudest to the loudest; low frequencies first.
    """
    size = COLUMN_SAMPLES * FACTOR**level
    stop = min(first + count, -(-len(samples) // size))
    if stop <= first:
        return np.zeros((0, N_MELS), np.uint8)
    each = min(size // COLUMN_SAMPLES, _MOST_WINDOWS)
    middles = (np.arange(first * each, stop * each) + 0.5) * (size / each)
    starts = middles.astype(np.int64) - WINDOW // 2
    power = np.concatenate([_powers(samples, starts[at : at + _BLOCK]) for at in range(0, len(starts), _BLOCK)])
    power = power.reshape(stop - first, each, N_MELS).mean(axis=1)
    decibels = 10 * np.log10(np.maximum(power / max(peak, 1e-6) ** 2, 1e-12))
    return np.clip(255 * (decibels / RANGE + 1), 0, 255).astype(np.uint8)


def _powers(samples: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Mel powers ``(n, N_MELS)`` of the windows from `starts` on; around the recording there is silence."""
    window, filters = _analysis()
    index = starts[:, None] + np.arange(WINDOW)
    inside = (index >= 0) & (index < len(samples))
    windows = np.where(inside, samples[np.clip(index, 0, len(samples) - 1)], np.float32(0)) * window
    powers: NDArray[np.float32] = np.square(np.abs(rfft(windows, axis=1))) @ filters
    return powers


@cache
def _analysis() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    window = np.hanning(WINDOW).astype(np.float32)
    # A full-scale sine comes out near 0 dB, whatever the width of its band.
    filters = mel_filters(MiniConfig(n_mels=N_MELS))
    return 2 * window / window.sum(), filters / filters.max(axis=0)
