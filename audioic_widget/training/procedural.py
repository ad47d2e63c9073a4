"""Music that repeats, made up from a seed: loops over a bass, chords and drums; and single lines.

Written scores seldom repeat within the model's context; these pieces teach it that what was heard before
comes again, now and then changed, that habits of a melody last, and that other melodies never repeat. It knows no sound.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audioic_widget.training.scores import DRUM_PART, Score

SCALES = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 9, 10),
    (0, 2, 4, 7, 9),
    (0, 3, 5, 7, 10),
)
"""Major, minor, dorian, major and minor pentatonic, in semitones above the tonic."""

RHYTHMS = ((1.0,), (0.5,), (0.5, 0.5, 1.0), (0.75, 0.25), (1.0, 0.5, 0.5), (0.25, 0.25, 0.5), (1.5, 0.5), (2.0,))
KICK, SNARE, HAT = 36, 38, 42

Row = tuple[float, float, float, float]


def loop_piece(seed: int, quarters: float = 160.0) -> Score:
    """A piece of about `quarters` quarter notes in sections A A B A of looped, now and then varied motifs."""
    random = np.random.default_rng((seed, 0x100B))
    sections = [_Section(random), _Section(random)]
    rows: list[Row] = []
    start, section = 0.0, 0
    form = (0, 0, 1, 0)
    while start < quarters:
        for _ in range(int(random.integers(2, 6))):
            rows += sections[form[section % len(form)]].play(start, random)
            start += sections[form[section % len(form)]].length
        section += 1
    return Score(f"loops/{seed}", np.array(sorted(rows), dtype=np.float32))


def melody_piece(seed: int, quarters: float = 200.0) -> Score:
    """A single line of about `quarters` quarter notes: stretches that repeat, follow a Markov chain, or wander."""
    random = np.random.default_rng((seed, 0x3E10))
    rows: list[Row] = []
    start = 0.0
    while start < quarters:
        scale = SCALES[random.integers(len(SCALES))]
        tonic, part = int(random.integers(52, 70)), float(random.integers(2))
        kind = random.choice(["motif", "chain", "walk"], p=[0.55, 0.25, 0.2])
        for duration, pitch in _LINES[kind](
            random, [tonic + 12 * octave + step for octave in (0, 1) for step in scale]
        ):
            if pitch is not None:
                rows.append((start, duration, pitch, part))
            start += duration
        start += float(random.choice([0.0, 0.0, 1.0, 2.0]))
    return Score(f"melodies/{seed}", np.array(sorted(rows), dtype=np.float32))


Line = list[tuple[float, float | None]]
"""Durations (quarters) and pitches, None for a rest."""


def _durations(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Equal ones half of the time, else one or two rhythm cells."""
    if random.random() < 0.6:
        return np.full(count, random.choice([0.5, 1.0]))
    cells = [RHYTHMS[i] for i in random.integers(len(RHYTHMS), size=2)]
    drawn = [duration for i in random.integers(2, size=count) for duration in cells[i]]
    return np.array(drawn[:count])


def _steps(random: np.random.Generator, count: int, tones: int) -> NDArray[np.int64]:
    """Places on a ladder of `tones`: a walk mostly by step, or leaps anywhere."""
    if random.random() < 0.4:
        return random.integers(tones, size=count)
    walk = random.integers(tones) + np.cumsum(random.choice([-3, -2, -1, -1, 0, 1, 1, 2, 3], size=count))
    return np.abs((walk + tones - 1) % (2 * tones - 2) - (tones - 1))


def _motif_line(random: np.random.Generator, ladder: list[int]) -> Line:
    """A motif of 2 to 12 tones, 3 to 8 times, now and then with one tone changed or left out."""
    count, times = int(random.integers(2, 13)), int(random.integers(3, 9))
    durations = _durations(random, count)
    pitches: list[float | None] = [ladder[i] for i in _steps(random, count, int(random.integers(5, len(ladder))))]
    change = random.choice([0.0, 0.15, 0.4])
    line: Line = []
    for _ in range(times):
        played = list(pitches)
        if random.random() < change:
            place = int(random.integers(count))
            other = [None, ladder[random.integers(len(ladder))], (played[place] or 60) + random.choice([-6, -1, 1, 6])]
            played[place] = other[random.choice(3, p=[0.15, 0.5, 0.35])]
        line += list(zip(durations.tolist(), played, strict=True))
    return line


def _chain_line(random: np.random.Generator, ladder: list[int]) -> Line:
    """Tones drawn from a first-order Markov chain that prefers some transitions."""
    n, count = int(random.integers(4, 9)), int(random.integers(32, 80))
    first = int(random.integers(len(ladder) - n + 1))
    weights = random.gamma(random.choice([0.2, 0.5]), size=(n, n)) + 0.01
    states = [int(random.integers(n))]
    for _ in range(count - 1):
        row = weights[states[-1]]
        states.append(int(random.choice(n, p=row / row.sum())))
    return list(zip(_durations(random, count).tolist(), [float(ladder[first + i]) for i in states], strict=True))


def _walk_line(random: np.random.Generator, ladder: list[int]) -> Line:
    """Tones that follow no plan."""
    count = int(random.integers(16, 48))
    places = _steps(random, count, len(ladder))
    return list(zip(_durations(random, count).tolist(), [float(ladder[i]) for i in places], strict=True))


_LINES = {"motif": _motif_line, "chain": _chain_line, "walk": _walk_line}


class _Section:
    """One motif with its accompaniment; `play` gives its notes from a starting point, perhaps varied."""

    def __init__(self, random: np.random.Generator) -> None:
        self.tonic = int(random.integers(55, 67))
        self.scale = SCALES[random.integers(len(SCALES))]
        self.length = float(random.choice([2, 4, 4, 8]))
        self.variation = random.choice([0.0, 0.1, 0.4])
        self.motif = self._motif(random)
        self.with_bass, self.with_chords, self.with_drums = random.random(3) < (0.6, 0.4, 0.45)
        self.roots = random.integers(0, len(self.scale), size=max(int(self.length // 2), 1))
        self.beat = float(random.choice([0.5, 0.25]))
        self.drums = random.random((int(self.length / self.beat), 3)) < (0.3, 0.2, 0.7)

    def play(self, start: float, random: np.random.Generator) -> list[Row]:
        rows = [
            (start + onset, duration, self._pitch(degree), 0.0)
            for onset, duration, degree in self._varied(random).tolist()
        ]
        for bar, root in enumerate(self.roots):
            at, lasts = start + 2 * bar, min(2.0, self.length)
            if self.with_bass:
                rows.append((at, lasts, self._pitch(int(root)) - 24, 1.0))
            if self.with_chords:
                rows += [(at, lasts, self._pitch(int(root) + third) - 12, 2.0) for third in (0, 2, 4)]
        if self.with_drums:
            for beat, hit in np.argwhere(self.drums):
                rows.append((start + beat * self.beat, self.beat, (KICK, SNARE, HAT)[hit], float(DRUM_PART)))
        return rows

    def _motif(self, random: np.random.Generator) -> NDArray[np.float64]:
        """Rows (onset, duration, scale degree): a walk over the scale in one or two rhythm cells."""
        cells = [RHYTHMS[i] for i in random.integers(len(RHYTHMS), size=2)]
        notes: list[tuple[float, float, float]] = []
        onset, degree = 0.0, float(random.integers(0, len(self.scale)))
        while onset < self.length:
            for duration in cells[random.integers(2)]:
                if onset < self.length and random.random() < 0.92:
                    notes.append((onset, min(duration, self.length - onset), degree))
                onset += duration
                degree = float(np.clip(degree + random.choice([-3, -2, -1, -1, 0, 1, 1, 2, 4]), -4, 11))
        return np.array(notes).reshape(-1, 3)

    def _varied(self, random: np.random.Generator) -> NDArray[np.float64]:
        """The motif as it is, or with one note moved along the scale."""
        motif = self.motif.copy()
        if len(motif) and random.random() < self.variation:
            motif[random.integers(len(motif)), 2] += random.choice([-2, -1, 1, 2])
        return motif

    def _pitch(self, degree: float) -> float:
        octave, step = divmod(int(degree), len(self.scale))
        return float(self.tonic + 12 * octave + self.scale[step])
