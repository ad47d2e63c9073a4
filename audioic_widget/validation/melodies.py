"""Tone sequences that several protocols share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audioic_widget.validation.items import NOTE_FRAMES, Floats, Tone

MAJOR = (0, 2, 4, 5, 7, 9, 11)
MINOR = (0, 2, 3, 5, 7, 8, 11)
"""Semitones of the scales above the tonic; minor is the harmonic one."""


def tonic_of(random: np.random.Generator) -> int:
    """A tonic between G3 and F sharp 4."""
    return int(random.integers(55, 67))


def melody(
    pitches: Sequence[float] | Floats | NDArray[np.int64],
    timbre: str,
    first: int = 0,
    levels: Sequence[float] | Floats | None = None,
) -> tuple[Tone, ...]:
    """Tones of `NOTE_FRAMES`, one after the other from frame `first` on."""
    loud = np.zeros(len(pitches)) if levels is None else levels
    return tuple(
        Tone(first + NOTE_FRAMES * k, NOTE_FRAMES, float(pitch), timbre, float(level))
        for k, (pitch, level) in enumerate(zip(pitches, loud, strict=True))
    )


def walk(random: np.random.Generator, length: int, n_degrees: int = 7) -> NDArray[np.int64]:
    """Scale degrees of a melody that moves mostly by step, never repeats a tone, and stays within `n_degrees`."""
    degrees = [int(random.integers(n_degrees))]
    while len(degrees) < length:
        step = int(random.choice([-3, -2, -1, -1, 1, 1, 2, 3]))
        if 0 <= degrees[-1] + step < n_degrees:
            degrees.append(degrees[-1] + step)
    return np.array(degrees)


def reordered(tones: NDArray[np.int64], times: int, random: np.random.Generator) -> list[NDArray[np.int64]]:
    """`tones`, all different, then ``times - 1`` new orders of them.

    No order begins as the one before it ends: a tone that sounds on is never new, and would make any control tame.
    """
    orders = [tones]
    while len(orders) < times:
        order = random.permutation(tones)
        if order[0] != orders[-1][-1]:
            orders.append(order)
    return orders


def changes(pitches: NDArray[np.int64] | Floats, levels: Floats) -> Floats:
    """For every tone the size of the interval before it (semitones) and of the change of level (dB): ``(2, n)``."""
    return np.stack([np.abs(np.diff(values, prepend=values[:1])) for values in (np.asarray(pitches, float), levels)])
