"""From a score to a performance: instruments, key, tempo and dynamics drawn at random. It knows no sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audioic_widget.frames import FRAME_PERIOD
from audioic_widget.training.scores import DRUM_PART, Score

HELD_OUT_PROGRAMS = (12, 22, 68)
"""Marimba, harmonica, oboe: never heard in training, so that later tests have unknown timbres."""

PROGRAMS = tuple(p for p in (*range(96), *range(104, 112)) if p not in HELD_OUT_PROGRAMS)
"""General MIDI programs used: all but sound effects and percussion."""

FAMILIES = (
    *((0,), (1,), (4,), (6,), (11,), (16,), (19,), (24,), (25,), (46,), (48,), (52,)),  # alone, several parts
    *((40, 41, 42), (40, 40, 41, 42), (73, 71, 70), (56, 57, 60), (64, 65, 66, 67), (24, 32), (0, 32)),
)
"""Instruments that play together; parts take them in turn."""

GRID_SHARE = 0.5
"""Share of performances in exact time on the frame grid: what repeats there repeats in the latents, and copying is easy
to learn; the others teach it for any timing."""

GRID_FRAMES = (2, 3, 4, 4, 5, 6)
"""Frames from onset to onset (median) on the grid."""

GRID_DELAY = 0.003
"""Seconds after the edge of a frame at which an onset on the grid comes: it must not sound in the frame before."""


@dataclass(frozen=True)
class Note:
    """One sounding note: seconds, MIDI pitch, velocity 1-127, channel 0-15."""

    onset: float
    duration: float
    pitch: int
    velocity: int
    channel: int


@dataclass(frozen=True)
class Performance:
    """Notes and the General MIDI program of each channel."""

    notes: tuple[Note, ...]
    programs: dict[int, int]

    @property
    def duration(self) -> float:
        """Seconds until the last note is released."""
        return max(note.onset + note.duration for note in self.notes)


def arrange(score: Score, random: np.random.Generator, shortest: float = 50.0, longest: float = 120.0) -> Performance:
    """A performance of `score`.

    Parameters
    ----------
    score : Score
        The piece; played again from the start until it has lasted `shortest` seconds.
    random : Generator
        Draws instruments, transposition (within 6 semitones), tempo (median time between onsets 0.15 to
        0.6 s, half of the time a whole number of frames), dynamics and timing (8 ms).
    shortest, longest : float
        Seconds; a longer piece is cut to `longest`.
    """
    onsets, durations, pitches, parts = score.notes.T.astype(np.float64)
    gaps = np.diff(np.unique(onsets))
    on_grid = random.random() < GRID_SHARE
    gap = random.choice(GRID_FRAMES) * FRAME_PERIOD if on_grid else np.exp(random.uniform(np.log(0.15), np.log(0.6)))
    seconds = gap / (np.median(gaps) if len(gaps) else 1.0)
    period = float((onsets + durations).max()) * seconds
    times = max(int(np.ceil(min(shortest / period, 8))), 1) if random.random() < 0.8 else 1
    starts = (onsets * seconds + period * np.arange(times)[:, None]).ravel()
    lengths, pitches, parts = (np.tile(column, times) for column in (durations * seconds, pitches, parts))

    part_level = dict(zip(np.unique(parts), random.integers(64, 104, size=len(np.unique(parts))), strict=True))
    level = np.array([part_level[part] for part in parts])
    level = level + 10 * np.sin(2 * np.pi * (starts / random.uniform(6, 30) + random.random()))
    level = np.clip(level + random.normal(0, 6, len(starts)), 20, 127).astype(int)
    unsteady = 0.0 if on_grid else 0.008 * (random.random() < 0.6)
    starts = np.maximum(starts + random.normal(0, unsteady, len(starts)), 0) + GRID_DELAY
    held = random.uniform(0.6, 1.0)
    drums = parts == DRUM_PART
    transposed = np.where(drums, pitches, pitches + random.integers(-6, 7))
    notes = sorted(
        (
            Note(float(start), float(length * held), int(pitch), int(loud), int(part))
            for start, length, pitch, loud, part in zip(starts, lengths, transposed, level, parts, strict=True)
            if start < longest and 21 <= pitch <= 108
        ),
        key=lambda note: note.onset,
    )
    return Performance(tuple(notes), _instruments(sorted({n.channel for n in notes} - {DRUM_PART}), random))


def _instruments(channels: list[int], random: np.random.Generator) -> dict[int, int]:
    if random.random() < 0.4:
        family = FAMILIES[random.integers(len(FAMILIES))]
        return {channel: family[i % len(family)] for i, channel in enumerate(channels)}
    return {channel: int(random.choice(PROGRAMS)) for channel in channels}
