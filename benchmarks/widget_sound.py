"""A sound that tells its own time, and how far a playhead is from it: for `benchmarks/widget.py`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 44_100


def clock(seconds: int) -> NDArray[np.int16]:
    """Samples that count up, second by second."""
    return (np.arange(seconds * RATE) % RATE - RATE // 2).astype(np.int16)


def recorded(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of a second at which a sample was recorded, to half a sample: 32768 levels became 32767 on their way."""
    return value * 32_768**2 / 32_767 / RATE + 0.5


def telling(blocks: NDArray[np.float64], speed: float) -> NDArray[np.float64]:
    """The blocks that sound and hold neither the turn of a second nor a seam."""
    run = recorded(blocks[:, 2]) - recorded(blocks[:, 1])
    return blocks[np.abs(run - 127 * speed / RATE) < 2e-4]


def apart(blocks: NDArray[np.float64], said: NDArray[np.float64], speed: float) -> str:
    """How far the playhead was from what sounded: 95 % of the time, and at most."""
    blocks = telling(blocks, speed)
    frame = (said[:, 0] - said[:, 1]) * RATE
    row = np.searchsorted(blocks[:, 0], frame, side="right") - 1
    inside = (row >= 0) & (frame - blocks[row, 0] < 128)
    row, frame, position = row[inside], frame[inside], said[inside, 2]
    heard = recorded(blocks[row, 1]) + (frame - blocks[row, 0]) * speed / RATE
    error = 1000 * np.abs((position - heard + 0.5) % 1 - 0.5)
    return f"{np.percentile(error, 95):.1f}, {error.max():.1f} ms of {len(error)} frames"


def seams(blocks: NDArray[np.float64], length: float) -> int:
    """Samples by which what sounds strays from a loop of `length` seconds, at most."""
    # Counted, since a busy browser may give two blocks the same time.
    blocks = np.column_stack((128 * np.arange(len(blocks)), blocks[:, 1:]))
    blocks = telling(blocks, 1.0)
    jumps = np.diff(recorded(blocks[:, 1])) * RATE - np.diff(blocks[:, 0])
    # A turn of the second and a turn of the loop may fall together.
    expected = np.array([turn * RATE - back * length * RATE for turn in (-1, 0, 1, 2) for back in (0, 1)])
    return int(np.rint(np.abs(jumps[:, None] - expected).min(axis=1).max()))
