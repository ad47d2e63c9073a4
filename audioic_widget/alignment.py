"""Rows and times as the published tool gives them (Bjare et al. 2025), to compare with its CSV files.

It trims silence to multiples of 512 samples, not of a frame, encodes what is left, and counts rows from the trimmed
begin rounded down; the row's time is its number times the frame period. So its times are those of the START of the
predicted frame, and stand 93 to 186 ms before the end of what was heard. The default, frames on the file's own grid
with the time at their end, is the right one; this is for replication.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audioic_widget.audio import BLOCK, SILENCE_BELOW_PEAK, Recording, release, voiced_range
from audioic_widget.frames import FRAME_SAMPLES

HOP = 512
HOPS_IN_WINDOW = 4
AMPLITUDE_FLOOR = 1e-5
"""Root mean squares below this count as this."""


@dataclass(frozen=True)
class PublishedRows:
    """How a recording is trimmed, and which rows its table has.

    Attributes
    ----------
    start, stop : int
        Samples that are encoded.
    n_latents : int
        Latents of them; the first has no value.
    leading, trailing : int
        Rows without a value before and after the others.
    """

    start: int
    stop: int
    n_latents: int
    leading: int
    trailing: int

    @property
    def n_rows(self) -> int:
        """Rows of the table."""
        return self.leading + max(self.n_latents - 1, 0) + self.trailing


def published_rows(recording: Recording, audio_type: str = "music") -> PublishedRows:
    """Trim and rows of `recording`; a recording of nothing but silence has one row a frame and no latents.

    Parameters
    ----------
    recording : Recording
    audio_type : {"music", "voice"}
        "music": within 60 dB of the loudest window of 2048 samples, every 512. "voice": by this package's voice
        detector, since the published one is part of torchaudio.
    """
    samples = recording.samples
    found = voiced_range(samples) if audio_type == "voice" else _loud(samples)
    if found is None:
        return PublishedRows(0, 0, 0, recording.grid.n_frames, 0)
    start, stop = found
    n_latents = max(((stop - start - 3 * HOP) // HOP) // 8, 0)
    return PublishedRows(start, stop, n_latents, start // FRAME_SAMPLES, -(-(len(samples) - stop) // FRAME_SAMPLES))


def _loud(samples: NDArray[np.float32]) -> tuple[int, int] | None:
    """Samples from the first to the last window that is not silent; a window is centred on its hop."""
    n_windows = 1 + len(samples) // HOP
    sums = np.zeros(n_windows + HOPS_IN_WINDOW)
    for begin in range(0, len(samples), BLOCK):  # BLOCK is a multiple of HOP
        block = samples[begin : begin + BLOCK].astype(np.float64) ** 2
        hops = np.add.reduceat(block, np.arange(0, len(block), HOP))
        sums[begin // HOP + 2 : begin // HOP + 2 + len(hops)] = hops
        release(samples)
    window = np.convolve(sums, np.ones(HOPS_IN_WINDOW), "valid")[:n_windows]
    amplitude = np.sqrt(window / (HOPS_IN_WINDOW * HOP))
    if amplitude.max() < AMPLITUDE_FLOOR:
        return None
    loud = np.flatnonzero(np.maximum(amplitude, AMPLITUDE_FLOOR) > amplitude.max() * 10 ** (-SILENCE_BELOW_PEAK / 20))
    return int(loud[0]) * HOP, min((int(loud[-1]) + 1) * HOP, len(samples))
