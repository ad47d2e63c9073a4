"""Markov melodies: whether surprise follows the exact probability of each tone.

First-order chains over the 7 degrees of the major scale, each with a random transition matrix of its own that favours
small steps: what is more than a preference for steps must be learnt while listening. No tone repeats, since sound that
goes on as it is surprises nobody, whatever it knows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audioic_widget.validation.items import NOTE_FRAMES, Effect, Floats, Item, Protocol
from audioic_widget.validation.melodies import MAJOR, changes, melody, tonic_of
from audioic_widget.validation.protocols.surprisal import correlations
from audioic_widget.validation.synthesis import timbre_of

N_TONES = 96
LEARNING = 16
"""Tones before the first that counts."""

CONCENTRATION = 0.4
"""Shape of the gamma draws behind a row: smaller, and fewer transitions share its probability."""

REACH = 2.0
"""Degrees over which the preference for small steps falls by e."""

LEVEL_SPREAD = 1.5
"""Decibels by which tones differ in level (sd)."""


def transitions(random: np.random.Generator, n: int = 7) -> Floats:
    """A transition matrix ``(n, n)``: rows sum to 1, the diagonal is 0, all else positive."""
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    weights = (random.gamma(CONCENTRATION, size=(n, n)) + 0.02) * np.exp(-apart / REACH)
    np.fill_diagonal(weights, 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def chain(matrix: Floats, length: int, random: np.random.Generator) -> tuple[NDArray[np.int64], Floats]:
    """States drawn from `matrix`, and the surprisal of each in bits (of the first: log2 of their number)."""
    states, bits = [int(random.integers(len(matrix)))], [np.log2(len(matrix))]
    for _ in range(length - 1):
        row = matrix[states[-1]]
        states.append(int(random.choice(len(row), p=row)))
        bits.append(-np.log2(row[states[-1]]))
    return np.array(states), np.array(bits)


def make(n_units: int, seed: int) -> list[Item]:
    """One melody a unit."""
    items = []
    for unit in range(n_units):
        random = np.random.default_rng((seed, unit, 4))
        degrees, bits = chain(transitions(random), N_TONES, random)
        pitches, timbre = tonic_of(random) + np.array(MAJOR)[degrees], timbre_of(unit)
        levels = random.normal(0, LEVEL_SPREAD, N_TONES)
        counted = slice(LEARNING, N_TONES - 4)  # the last four tones lie in the frames left out
        items.append(
            Item(
                unit,
                "order 1",
                timbre,
                melody(pitches, timbre, levels=levels),
                NOTE_FRAMES * N_TONES,
                NOTE_FRAMES * np.arange(N_TONES)[counted],
                bits[counted],
                changes(pitches, levels)[:, counted],
            )
        )
    return items


def score(items: Sequence[Item], traces: Sequence[Floats], seed: int) -> list[Effect]:
    """Rank correlation with -log2 P; also with interval size and change of level partialled out."""
    return correlations("order 1", items, traces, seed)


PROTOCOL = Protocol("markov", make, score, headline="rank correlation", aims={("order 1", "rank correlation"): 0.4})
