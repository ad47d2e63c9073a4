"""Onset locking: whether the trace rises where tones begin.

Tones 12 frames apart; the response is the mean trace around their onsets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audioic_widget.validation.items import EDGE_FRAMES, HEARD_FRAMES, NOTE_FRAMES, Effect, Floats, Item, Protocol, Tone
from audioic_widget.validation.melodies import MAJOR, tonic_of, walk
from audioic_widget.validation.statistics import FLAT, effect, mean, standardised
from audioic_widget.validation.synthesis import timbre_of

APART = 12
"""Frames from one onset to the next (1.1 s)."""

N_TONES = 14
LAGS = np.arange(-3, APART - 3)
AT_ONSET = (LAGS >= 0) & (LAGS < HEARD_FRAMES)
BASELINE = LAGS >= NOTE_FRAMES
"""Lags at which the tone has ended and the next is not near."""


def make(n_units: int, seed: int) -> list[Item]:
    """One sequence a unit, of tones that last 4 frames."""
    items = []
    for unit in range(n_units):
        random = np.random.default_rng((seed, unit, 3))
        pitches = tonic_of(random) + np.array(MAJOR)[walk(random, N_TONES)]
        onsets = 2 + APART * np.arange(N_TONES)
        timbre, frames = timbre_of(unit), int(onsets[-1]) + APART
        tones = tuple(
            Tone(int(onset), NOTE_FRAMES, float(pitch), timbre) for onset, pitch in zip(onsets, pitches, strict=True)
        )
        inside = (onsets + LAGS[0] >= EDGE_FRAMES) & (onsets + LAGS[-1] < frames - EDGE_FRAMES)
        items.append(Item(unit, "tones", timbre, tones, frames, onsets[inside]))
    return items


def score(items: Sequence[Item], traces: Sequence[Floats], seed: int) -> list[Effect]:
    """Where the mean response is largest, and how high it stands at the onset over the rest after a tone.

    The height is read where tones begin, not at the peak: the largest of values that mean nothing is above 0.
    """
    if not items:
        return []
    responses = np.array(
        [
            standardised(trace)[0][item.events[:, None] + LAGS].mean(axis=0)
            for item, trace in zip(items, traces, strict=True)
        ]
    )
    heights = responses[:, AT_ONSET].mean(axis=1) - responses[:, BASELINE].mean(axis=1)
    return [
        effect("tones", "peak lag (frames)", peak_lag, responses, chance=np.nan, seed=seed),
        effect("tones", "onset over baseline (sd)", mean, heights, chance=0.0, seed=seed),
    ]


def peak_lag(responses: Floats) -> Floats:
    """Lag of the largest mean response; NaN where there is none."""
    response = responses.mean(axis=-2)
    return np.where(np.ptp(response, axis=-1) > FLAT, LAGS[response.argmax(axis=-1)], np.nan)


PROTOCOL = Protocol("onset", make, score, headline="onset over baseline (sd)")
