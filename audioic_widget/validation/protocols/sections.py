"""Sections: whether the highest peaks of a trace mark where the texture changes.

Blocks A B A of one timbre: chords in quick succession against slow single tones in another register. Foote's novelty
(2000), which sees the future, stands beside the traces.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from scipy.signal import find_peaks

from audioic_widget.frames import FRAME_PERIOD
from audioic_widget.validation.items import Effect, Floats, Item, Protocol, Tone
from audioic_widget.validation.melodies import MAJOR, tonic_of
from audioic_widget.validation.statistics import FLAT, effect, mean
from audioic_widget.validation.synthesis import timbre_of

TOLERANCES = (0.5, 3.0)
"""Seconds within which a boundary counts as found, as is usual for musical structure."""

SMOOTHING = np.hanning(7)[1:-1] / np.hanning(7).sum()
"""Five frames: one tone is no section."""

APART = 21
"""Least distance of two boundaries picked, in frames (2 s)."""

CHANCE_DRAWS = 200


def make(n_units: int, seed: int) -> list[Item]:
    """One A B A sequence a unit, blocks of 6 to 9 s."""
    items = []
    for unit in range(n_units):
        random = np.random.default_rng((seed, unit, 7))
        timbre, scale = timbre_of(unit), tonic_of(random) + np.array(MAJOR)
        dense, sparse = partial(chords, scale - 12, timbre), partial(singles, scale + 5, timbre)
        blocks = (dense, sparse, dense) if random.random() < 0.5 else (sparse, dense, sparse)
        ends = np.cumsum(4 * random.integers(16, 25, 3))
        tones = [
            tone
            for block, start, end in zip(blocks, [0, *ends], ends, strict=False)
            for tone in block(int(start), int(end), random)
        ]
        items.append(Item(unit, "A B A", timbre, tuple(tones), int(ends[-1]), ends[:-1]))
    return items


def chords(scale: Floats, timbre: str, start: int, end: int, random: np.random.Generator) -> list[Tone]:
    """Triads every 2 frames, together as loud as one tone."""
    return [
        Tone(frame, 2, float(scale[(root + third) % 7]), timbre, -10 * np.log10(3))
        for frame in range(start, end, 2)
        for root in [int(random.integers(7))]
        for third in (0, 2, 4)
    ]


def singles(scale: Floats, timbre: str, start: int, end: int, random: np.random.Generator) -> list[Tone]:
    """Single tones every 4 frames."""
    return [Tone(frame, 4, float(random.choice(scale)), timbre) for frame in range(start, end, 4)]


def boundaries(trace: Floats, count: int) -> Floats:
    """Frames of the `count` highest peaks of the smoothed trace, none within `APART` of a higher one."""
    known = np.flatnonzero(~np.isnan(trace))
    smooth = np.convolve(np.pad(trace[known], 2, mode="edge"), SMOOTHING, mode="valid")
    if np.ptp(smooth) <= FLAT:
        return np.zeros(0)
    peaks, _ = find_peaks(smooth, distance=APART)
    best = peaks[np.argsort(-smooth[peaks], kind="stable")][:count]
    return np.asarray(known[best], dtype=np.float64)


def f_measure(found: ArrayLike, true: ArrayLike, tolerance: float) -> float:
    """Harmonic mean of precision and recall of frames `found`, matched one to one within `tolerance` seconds."""
    a, b = np.asarray(found, dtype=np.float64), np.asarray(true, dtype=np.float64)
    if not len(a) or not len(b):
        return 0.0
    near = np.abs(a[:, None] - b) * FRAME_PERIOD <= tolerance
    hits = near[linear_sum_assignment(near, maximize=True)].sum()
    return float(2 * hits / (len(a) + len(b)))


def by_chance(item: Item, trace: Floats, tolerance: float, seed: int) -> float:
    """Mean F of as many frames drawn at random, as far apart as those picked."""
    known = np.flatnonzero(~np.isnan(trace))
    random = np.random.default_rng((seed, item.unit))
    order = [random.permutation(known) for _ in range(CHANCE_DRAWS)]
    drawn = [spread(frames, len(item.events)) for frames in order]
    return float(np.mean([f_measure(frames, item.events, tolerance) for frames in drawn]))


def spread(frames: Floats, count: int) -> list[float]:
    """The first `count` of `frames` that are `APART` from those taken before."""
    taken: list[float] = []
    for frame in frames:
        if all(abs(frame - other) >= APART for other in taken):
            taken.append(float(frame))
        if len(taken) == count:
            break
    return taken


def score(items: Sequence[Item], traces: Sequence[Floats], seed: int) -> list[Effect]:
    """F of as many peaks as there are boundaries, at each tolerance; chance is that of random frames."""
    effects = []
    pairs = list(zip(items, traces, strict=True))
    found = [boundaries(trace, len(item.events)) for item, trace in pairs]
    for tolerance in TOLERANCES if items else ():
        values = [f_measure(f, item.events, tolerance) for f, item in zip(found, items, strict=True)]
        chance = float(np.mean([by_chance(item, trace, tolerance, seed) for item, trace in pairs]))
        effects.append(effect("A B A", f"F at {tolerance:g} s", mean, values, chance=chance, seed=seed))
    return effects


PROTOCOL = Protocol("sections", make, score, headline="F at 0.5 s", with_novelty=True)
