"""What a protocol is made of: tones on the frame grid, stimuli with what is known about them, effects.

The score of a protocol sees traces, never a model or sound: it can be tested with traces made by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NOTE_FRAMES = 4
"""Frames from one tone's onset to the next (0.37 s), unless a protocol says otherwise."""

HEARD_FRAMES = 2
"""Frames from an onset on over which a tone's value is averaged: where a tone of four frames surprises; the rest is decay."""

EDGE_FRAMES = 13
"""Frames left out at both ends of a stimulus: as far as the widest of the codecs looks to either side."""


@dataclass(frozen=True)
class Tone:
    """One sounding tone.

    Attributes
    ----------
    frame, frames : int
        Where it begins and how long it lasts, on the frame grid.
    pitch : float
        MIDI number; 69 is 440 Hz.
    timbre : str
        One of `synthesis.TIMBRES`.
    level : float
        Decibels relative to the usual loudness.
    """

    frame: int
    frames: int
    pitch: float
    timbre: str
    level: float = 0.0


@dataclass(frozen=True, eq=False)
class Item:
    """One stimulus.

    Attributes
    ----------
    unit : int
        What is resampled: stimuli of one unit (a pair, a melody in several versions) stay together.
    condition : str
        Which version of the unit this is.
    timbre : str
        Timbre of the unit; decides whether it counts as familiar.
    tones : tuple of Tone
    n_frames : int
    events : ndarray of int (E,)
        Frames of interest: onsets that are scored, boundaries, the altered tone.
    expected : ndarray (E,)
        What theory says of each event (surprisal in bits, rated fit); empty where it says nothing.
    covariates : ndarray (C, E)
        What else differs between events and could explain a trace.
    """

    unit: int
    condition: str
    timbre: str
    tones: tuple[Tone, ...]
    n_frames: int
    events: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    expected: Floats = field(default_factory=lambda: np.zeros(0))
    covariates: Floats = field(default_factory=lambda: np.zeros((0, 0)))


@dataclass(frozen=True)
class Effect:
    """One number about one trace.

    Attributes
    ----------
    condition, measure : str
    estimate, low, high : float
        With its 95 % interval, from resampling units.
    n : int
        Units.
    chance : float
        What a trace that knows nothing gives; NaN where there is no such value.
    """

    condition: str
    measure: str
    estimate: float
    low: float
    high: float
    n: int
    chance: float


Score = Callable[[Sequence[Item], Sequence[Floats], int], list[Effect]]
"""Effects of one trace: from items, the trace on each ``(n_frames,)`` with NaN where left out, and a seed."""


@dataclass(frozen=True)
class Protocol:
    """A listening experiment.

    Attributes
    ----------
    name : str
    make : callable
        ``make(n_units, seed)`` gives the stimuli.
    score : Score
    headline : str
        The measure that the figure shows.
    drawn : tuple of str
        Conditions in the figure; all if empty.
    aims : mapping
        Least estimate that a good model reaches, by condition and measure.
    needs : tuple of str
        Modules of the extra `training` without which there are no stimuli.
    with_novelty : bool
        Whether Foote's novelty is one of the baselines.
    """

    name: str
    make: Callable[[int, int], list[Item]]
    score: Score
    headline: str
    drawn: tuple[str, ...] = ()
    aims: Mapping[tuple[str, str], float] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    with_novelty: bool = False
