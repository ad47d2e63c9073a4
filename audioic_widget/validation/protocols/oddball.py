"""Oddball: whether one altered tone in a late repetition surprises more than its unaltered twin.

A motif of 8 tones sounds four times; in the fourth, one tone is moved by 1 or 6 semitones (to a tone of the key or
another), changes timbre or loudness, or is left out. Up to then both members of a pair are the same sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audioic_widget.validation.items import NOTE_FRAMES, Effect, Floats, Item, Protocol, Tone
from audioic_widget.validation.melodies import MAJOR, melody, tonic_of, walk
from audioic_widget.validation.statistics import at_events, auc, d_prime, effect, standardised, versions
from audioic_widget.validation.synthesis import TIMBRES, timbre_of

LEAD, MOTIF, TIMES = 4, 8, 4
TWIN = "unaltered"
FA, TI = 3, 6
"""Degrees of the major scale with a tone of the key at 1 semitone, and at 6."""

STAND_INS = {FA: {2, TI}, TI: {FA}}
"""Degrees within the octave that replace them in key."""

LOUDNESS = 9.0
"""Decibels by which the tone of odd loudness is louder or softer."""

GROUPS = {
    "1 semitone, in key": ("1 semitone, in key",),
    "1 semitone, out of key": ("1 semitone, out of key",),
    "1 semitone": ("1 semitone, in key", "1 semitone, out of key"),
    "6 semitones, in key": ("6 semitones, in key",),
    "6 semitones, out of key": ("6 semitones, out of key",),
    "6 semitones": ("6 semitones, in key", "6 semitones, out of key"),
    "timbre": ("timbre",),
    "loudness": ("loudness",),
    "omission": ("omission",),
}
"""Which alterations each row of the table pools."""


def make(n_units: int, seed: int) -> list[Item]:
    """The unaltered sequence of each unit and one with each alteration."""
    items = []
    for unit in range(n_units):
        random = np.random.default_rng((seed, unit, 2))
        tonic, timbre = tonic_of(random), timbre_of(unit)
        motif, place, other = motif_with_places(random)
        degrees = np.concatenate((walk(random, LEAD), np.tile(motif, TIMES), motif[:LEAD]))
        tones = melody(tonic + np.array(MAJOR)[degrees], timbre)
        last = LEAD + MOTIF * (TIMES - 1)
        for condition, index, changed in alterations(tones, last + place, last + other, tonic, unit):
            altered = (*tones[:index], *changed, *tones[index + 1 :])
            event = np.array([NOTE_FRAMES * index])
            items.append(Item(unit, condition, timbre, altered, NOTE_FRAMES * len(tones), event))
        items.append(Item(unit, TWIN, timbre, tones, NOTE_FRAMES * len(tones)))
    return items


def motif_with_places(random: np.random.Generator) -> tuple[NDArray[np.int64], int, int]:
    """A motif and two inner places in it: one of the fourth or seventh degree, one of another.

    No tone of the key that stands in for the first is a neighbour of its own: a tone that sounds on surprises nobody.
    """
    while True:
        motif = walk(random, MOTIF)
        inner = range(2, MOTIF - 1)
        special = [k for k in inner if motif[k] in STAND_INS and not {*motif[[k - 1, k + 1]]} & STAND_INS[motif[k]]]
        others = [k for k in inner if motif[k] not in STAND_INS]
        if special and others:
            return motif, int(random.choice(special)), int(random.choice(others))


def alterations(
    tones: Sequence[Tone], place: int, other: int, tonic: int, unit: int
) -> list[tuple[str, int, tuple[Tone, ...]]]:
    """Condition, index and what stands there instead."""
    tone, plain = tones[place], tones[other]
    is_fa = (tone.pitch - tonic) % 12 == MAJOR[FA]
    up = -1 if is_fa else 1  # mi lies under fa, do over ti
    names = list(TIMBRES)
    timbre = names[(names.index(tone.timbre) + 1) % len(names)]

    def moved(by: Tone, semitones: int) -> tuple[Tone, ...]:
        return (replace(by, pitch=by.pitch + semitones),)

    return [
        ("1 semitone, in key", place, moved(tone, up)),
        ("1 semitone, out of key", place, moved(tone, -up)),
        ("6 semitones, in key", place, moved(tone, 6 if is_fa else -6)),
        ("6 semitones, out of key", other, moved(plain, 6 if plain.pitch < tonic + 6 else -6)),
        ("timbre", place, (replace(tone, timbre=timbre),)),
        ("loudness", place, (replace(tone, level=LOUDNESS if unit % 4 < 2 else -LOUDNESS),)),
        ("omission", place, ()),
    ]


def score(items: Sequence[Item], traces: Sequence[Floats], seed: int) -> list[Effect]:
    """AUC and d' of altered against unaltered tones, each relative to the same tone one repetition before."""
    effects = []
    for group, conditions in GROUPS.items():
        altered, unaltered = [], []
        for *odd, (_, twin) in versions(items, traces, *conditions, TWIN):
            values = [surprises(trace, twin, item) for item, trace in odd]
            altered.append([high for high, _ in values])
            unaltered.append([low for _, low in values])
        if altered:
            effects.append(effect(group, "AUC", auc, altered, unaltered, chance=0.5, seed=seed))
            effects.append(effect(group, "d'", d_prime, altered, unaltered, chance=0.0, seed=seed))
    return effects


def surprises(altered: Floats, twin: Floats, item: Item) -> tuple[float, float]:
    """Values of the altered tone and of its twin."""
    before = item.events - NOTE_FRAMES * MOTIF
    high, low = (
        float((at_events(trace, item.events) - at_events(trace, before))[0]) for trace in standardised(altered, twin)
    )
    return high, low


PROTOCOL = Protocol(
    "oddball",
    make,
    score,
    headline="AUC",
    drawn=("1 semitone", "6 semitones", "timbre", "loudness", "omission"),
    aims={("1 semitone", "AUC"): 0.75, ("6 semitones", "AUC"): 0.9},
)
