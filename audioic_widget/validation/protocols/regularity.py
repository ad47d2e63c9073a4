"""Random to regular: whether a trace falls once a random sequence starts to cycle.

After random tones, six pitches cycle; in the control the same six come in a new order each time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audioic_widget.validation.items import EDGE_FRAMES, NOTE_FRAMES, Effect, Floats, Item, Protocol
from audioic_widget.validation.melodies import melody, reordered, tonic_of
from audioic_widget.validation.statistics import paired, standardised, versions
from audioic_widget.validation.synthesis import timbre_of

N_RANDOM, CYCLE, TIMES = 16, 6, 6
LEARNING = 2
"""Cycles before the first that counts: the first cannot be known to be one."""


def make(n_units: int, seed: int) -> list[Item]:
    """A regular and a random sequence for each unit; the random beginning and the first cycle are the same."""
    items = []
    for unit in range(n_units):
        random = np.random.default_rng((seed, unit, 5))
        lowest, timbre = tonic_of(random), timbre_of(unit)
        beginning = lowest + random.integers(0, 18, N_RANDOM)
        cycle = lowest + random.choice(18, CYCLE, replace=False)
        shuffled = reordered(cycle, TIMES, random)
        start = np.array([NOTE_FRAMES * (N_RANDOM + CYCLE * LEARNING)])
        for condition, cycles in (("regular", [cycle] * TIMES), ("random", shuffled)):
            tones = melody(np.concatenate((beginning, *cycles)), timbre)
            items.append(Item(unit, condition, timbre, tones, NOTE_FRAMES * len(tones), start))
    return items


def score(items: Sequence[Item], traces: Sequence[Floats], seed: int) -> list[Effect]:
    """Mean trace from the third cycle on, regular minus random, relative to the random beginning of each."""
    differences = []
    for (item, regular), (_, random) in versions(items, traces, "regular", "random"):
        late, early = slice(int(item.events[0]), None), slice(EDGE_FRAMES, NOTE_FRAMES * N_RANDOM)
        a, b = (np.nanmean(t[late]) - np.nanmean(t[early]) for t in standardised(regular, random))
        differences.append(a - b)
    return paired("regular - random", differences, seed) if differences else []


PROTOCOL = Protocol("regularity", make, score, headline="share below")
