"""Corpus melodies: whether surprise follows that of a symbolic model on tunes that neither has heard.

Airs of the training collection that training leaves out, tones of equal length, in a familiar and an unfamiliar timbre.
The symbolic model is PPM over intervals, trained on the other airs. In the null a melody's tones come in random order,
and each keeps the surprisal of its place in the tune: what follows a tone rather than its context stays.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audioic_widget.errors import OutputError, SettingsError
from audioic_widget.validation.items import NOTE_FRAMES, Effect, Floats, Item, Protocol
from audioic_widget.validation.melodies import changes, melody
from audioic_widget.validation.ppm import PPM, surprisal
from audioic_widget.validation.protocols.surprisal import PARTIAL, correlations
from audioic_widget.validation.synthesis import FAMILIAR, UNFAMILIAR

COLLECTION = "airs"
N_TONES = 48
LEARNING = 8
"""Tones before the first that counts."""

LARGEST = 12
"""Larger intervals count as an octave."""

LEVEL_SPREAD = 1.5
"""Decibels by which tones differ in level (sd)."""

CENTRE = 67
"""MIDI pitch about which melodies lie, as far as whole octaves do it."""


def cache() -> Path:
    """Where parsed scores are kept: reading them takes most of a minute."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "audioic-widget" / "scores"


@lru_cache(maxsize=1)
def tunes() -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Pitches of the tunes that training may use, and of those it leaves out."""
    from audioic_widget.training.dataset import Rendering
    from audioic_widget.training.scores import collection_files, load_scores, top_line

    used: list[NDArray[np.int64]] = []
    held_out: list[NDArray[np.int64]] = []
    try:
        for path in collection_files(COLLECTION):
            for score in load_scores(COLLECTION, path, cache()):
                (held_out if Rendering(path, score.name).held_out else used).append(top_line(score.notes))
    except OSError as error:
        raise OutputError(
            f"Parsed scores cannot be kept in {cache()} ({error.strerror}): set XDG_CACHE_HOME to a folder with room."
        ) from error
    return used, held_out


def symbols(pitches: NDArray[np.int64]) -> list[int]:
    """Intervals between tones as symbols ``0 .. 24``."""
    return (np.clip(np.diff(pitches), -LARGEST, LARGEST) + LARGEST).tolist()


@lru_cache(maxsize=1)
def long_term_model() -> PPM:
    """PPM of all tunes that training may use."""
    model = PPM(2 * LARGEST + 1)
    for pitches in tunes()[0]:
        model.learn(symbols(pitches))
    return model


def make(n_units: int, seed: int) -> list[Item]:
    """Each tune as it is and with its tones shuffled, in two timbres."""
    long_enough = [pitches for pitches in tunes()[1] if len(pitches) >= N_TONES]
    if n_units > len(long_enough):
        raise SettingsError(f"The protocol corpus has {len(long_enough)} tunes: ask for no more items.")
    order = np.random.default_rng((seed, 9)).permutation(len(long_enough))
    items = []
    for unit in range(n_units):
        random = np.random.default_rng((seed, unit, 9))
        pitches = long_enough[order[unit]][:N_TONES]
        pitches = pitches + 12 * round((CENTRE - float(np.median(pitches))) / 12)
        bits = np.append(np.nan, surprisal(symbols(pitches), long_term_model()))
        levels = random.normal(0, LEVEL_SPREAD, N_TONES)
        shuffle = np.concatenate((np.arange(LEARNING), LEARNING + random.permutation(N_TONES - LEARNING)))
        for condition, places in (("melody", np.arange(N_TONES)), ("shuffled", shuffle)):
            for timbre in (FAMILIAR[unit % len(FAMILIAR)], UNFAMILIAR[unit % len(UNFAMILIAR)]):
                items.append(item_of(unit, condition, timbre, pitches[places], bits[places], levels))
    return items


def item_of(unit: int, condition: str, timbre: str, pitches: NDArray[np.int64], bits: Floats, levels: Floats) -> Item:
    """A melody in tones of equal length; the last four lie in the frames left out."""
    counted = slice(LEARNING, len(pitches) - 4)
    return Item(
        unit,
        condition,
        timbre,
        melody(pitches, timbre, levels=levels),
        NOTE_FRAMES * len(pitches),
        NOTE_FRAMES * np.arange(len(pitches))[counted],
        bits[counted],
        changes(pitches, levels)[:, counted],
    )


def score(items: Sequence[Item], traces: Sequence[Floats], seed: int) -> list[Effect]:
    """Rank correlation with the PPM's surprisal, plain and partialled, of melodies and of the null."""
    return [each for condition in ("melody", "shuffled") for each in correlations(condition, items, traces, seed)]


PROTOCOL = Protocol(
    "corpus", make, score, headline=PARTIAL, aims={("melody", PARTIAL): 0.35}, needs=("music21", "mido")
)
