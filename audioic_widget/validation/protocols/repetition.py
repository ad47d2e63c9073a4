"""Repetition: whether a motif surprises less when it comes again.

A motif of 8 tones in random order sounds 6 to 8 times; in the control every later time brings the same tones in a new
order. So intervals are as large in both, and no tone repeats in either. The effect is the fall from the first time to the
third and later ones, beyond the fall in the control.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audioic_widget.validation.items import NOTE_FRAMES, Effect, Floats, Item, Protocol
from audioic_widget.validation.melodies import MAJOR, melody, reordered, tonic_of
from audioic_widget.validation.statistics import paired, standardised, versions
from audioic_widget.validation.synthesis import timbre_of

LEAD, MOTIF = 4, 8
"""Tones before the first motif, which fall into the frames left out, and in a motif."""

SCALE = np.array([*MAJOR, 12, 14, 16])
"""A tenth of the major scale: more tones than a motif has."""


def make(n_units: int, seed: int) -> list[Item]:
    """A repeated and a permuted sequence for each unit; lead and first motif are the same in both."""
    items = []
    for unit in range(n_units):
        random = np.random.default_rng((seed, unit, 1))
        scale, timbre = tonic_of(random) + SCALE, timbre_of(unit)
        motif = random.choice(len(SCALE), MOTIF, replace=False)
        lead = random.permutation(motif[1:])[:LEAD]
        times = int(random.integers(6, 9))
        permuted = reordered(motif, times, random)
        frames = NOTE_FRAMES * (LEAD + MOTIF * times)
        starts = NOTE_FRAMES * (LEAD + MOTIF * np.arange(times))
        for condition, motifs in (("repeated", [motif] * times), ("permuted", permuted)):
            tones = melody(scale[np.concatenate((lead, *motifs))], timbre)
            items.append(Item(unit, condition, timbre, tones, frames, starts))
    return items


def score(items: Sequence[Item], traces: Sequence[Floats], seed: int) -> list[Effect]:
    """Change from the first motif to the third and later ones, repeated minus permuted; below 0 is learning."""
    differences = []
    for (item, repeated), (_, permuted) in versions(items, traces, "repeated", "permuted"):
        first, _, third = item.events[:3]
        later, earlier = slice(third, None), slice(first, first + NOTE_FRAMES * MOTIF)
        fall, control = (
            np.nanmean(trace[later]) - np.nanmean(trace[earlier]) for trace in standardised(repeated, permuted)
        )
        differences.append(fall - control)
    return paired("repeated - permuted", differences, seed) if differences else []


PROTOCOL = Protocol(
    "repetition", make, score, headline="share below", aims={("repeated - permuted", "share below"): 0.9}
)
