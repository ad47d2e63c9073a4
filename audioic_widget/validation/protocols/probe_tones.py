"""Probe tones: whether a tone surprises less the better it fits the key.

After a scale or a cadence, each of the 12 chromatic tones; expected are the ratings of Krumhansl and Kessler (1982). Theirs
were Shepard tones, which have no height. Ours have, and what is far from the last tone surprises, so the octave
that is probed begins elsewhere in every unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from audioic_widget.validation.items import EDGE_FRAMES, NOTE_FRAMES, Effect, Floats, Item, Protocol, Tone
from audioic_widget.validation.melodies import MAJOR, MINOR, melody, tonic_of
from audioic_widget.validation.statistics import FLAT, at_events, effect, mean, pearson
from audioic_widget.validation.synthesis import timbre_of

PROFILES = {
    "major": np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88]),
    "minor": np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17]),
}
"""Rated fit of the 12 tones above the tonic, on a scale of 1 to 7."""

SCALES = {"major": MAJOR, "minor": MINOR}
CADENCE = ((0, 2, 4), (3, 5, 7), (4, 6, 8), (0, 2, 4))
"""Scale degrees of the chords I, IV, V, I."""

N_CONTEXT = 8
"""Tones, or twice the chords, of a context; a rest as long as a tone comes before the probe."""


def make(n_units: int, seed: int) -> list[Item]:
    """For each unit and mode one context (scale up, scale down, cadence in turn) with each of 12 probes."""
    items = []
    for unit in range(n_units):
        random = np.random.default_rng((seed, unit, 8))
        tonic, timbre = tonic_of(random), timbre_of(unit)
        probe = NOTE_FRAMES * (N_CONTEXT + 1)
        for mode, ratings in PROFILES.items():
            context = context_of(tonic, SCALES[mode], timbre, unit % 3)
            for degree, rating in enumerate(ratings):
                lowest = 7 * unit % 12  # semitones of the probed octave that lie below the tonic
                pitch = tonic - lowest + (degree + lowest) % 12
                tones = (*context, Tone(probe, NOTE_FRAMES, pitch, timbre))
                frames = probe + NOTE_FRAMES + EDGE_FRAMES
                items.append(Item(unit, mode, timbre, tones, frames, np.array([probe]), np.array([rating])))
    return items


def context_of(tonic: int, scale: tuple[int, ...], timbre: str, kind: int) -> tuple[Tone, ...]:
    """What establishes the key: the scale up (0) or down (1), or a cadence (2)."""
    if kind < 2:
        pitches = tonic + np.array([*scale, 12])
        return melody(pitches if kind == 0 else pitches[::-1], timbre)
    return tuple(
        Tone(2 * NOTE_FRAMES * k, 2 * NOTE_FRAMES, tonic + 12 * (degree // 7) + scale[degree % 7], timbre, -5.0)
        for k, chord in enumerate(CADENCE)
        for degree in chord
    )


def score(items: Sequence[Item], traces: Sequence[Floats], seed: int) -> list[Effect]:
    """Correlation of the ratings with minus the trace at the probe: of the mean profile, and of each unit's."""
    effects = []
    for mode, ratings in PROFILES.items():
        found: dict[int, list[float]] = {}
        for item, trace in zip(items, traces, strict=True):
            if item.condition == mode:
                found.setdefault(item.unit, []).append(-float(at_events(trace, item.events)[0]))
        if not found:
            continue
        fits = np.array([scaled(np.array(each)) for each in found.values()])
        each = [pearson(fit, ratings) for fit in fits]
        effects.append(effect(mode, "r of mean profile", partial(profile_r, ratings), fits, chance=0.0, seed=seed))
        effects.append(effect(mode, "mean r", mean, each, chance=0.0, seed=seed))
    return effects


def scaled(fits: Floats) -> Floats:
    """On a scale of its own, so that every unit counts the same."""
    spread = fits.std()
    return (fits - fits.mean()) / spread if spread > FLAT else np.zeros_like(fits)


def profile_r(ratings: Floats, fits: Floats) -> Floats:
    """Pearson's correlation of `ratings` with the mean over units of `fits` ``(..., units, 12)``; 0 if that is flat."""
    profile = fits.mean(axis=-2)
    a, b = profile - profile.mean(axis=-1, keepdims=True), ratings - ratings.mean()
    scale = np.sqrt((a**2).sum(axis=-1) * (b @ b))
    return np.where(scale > FLAT, (a @ b) / np.maximum(scale, FLAT), 0.0)


PROTOCOL = Protocol(
    "probe tones",
    make,
    score,
    headline="r of mean profile",
    aims={("major", "r of mean profile"): 0.6, ("minor", "r of mean profile"): 0.6},
)
