"""The frame grid: the one place where frames, seconds and samples are converted.

A frame is 4096 samples at 44.1 kHz. Frame ``k`` of a file is the samples ``[4096 k, 4096 (k + 1))``;
samples after the last whole frame belong to no frame. A value about frame ``k`` carries the time at
which the frame *ends*: only then has all of it been heard.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 44_100
"""Samples a second of everything behind the audio reader."""

FRAME_SAMPLES = 4_096
"""Samples in one frame."""

FRAME_PERIOD = FRAME_SAMPLES / SAMPLE_RATE
"""Seconds in one frame: 0.0929."""


@dataclass(frozen=True)
class FrameGrid:
    """The whole frames of a recording of `n_samples` samples at 44.1 kHz.

    Examples
    --------
    >>> grid = FrameGrid(10_000)
    >>> grid.n_frames
    2
    >>> grid.end_times()
    array([0.09287982, 0.18575964])
    """

    n_samples: int

    @property
    def n_frames(self) -> int:
        """Whole frames in the recording."""
        return self.n_samples // FRAME_SAMPLES

    def end_times(self) -> NDArray[np.float64]:
        """End of every frame in seconds, shape ``(n_frames,)``."""
        return np.arange(1, self.n_frames + 1) * FRAME_SAMPLES / SAMPLE_RATE

    def covering(self, first_sample: int, stop_sample: int) -> tuple[int, int]:
        """Frames ``(first, stop)`` that together hold the samples ``[first_sample, stop_sample)``."""
        stop = -(-stop_sample // FRAME_SAMPLES)
        return max(first_sample // FRAME_SAMPLES, 0), min(stop, self.n_frames)


def frame_at(seconds: float) -> int:
    """Index of the frame that is sounding at `seconds`."""
    return int(seconds * SAMPLE_RATE // FRAME_SAMPLES)
