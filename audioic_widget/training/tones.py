"""Recordings of plain tones, made up and synthesised: what repeats, what follows a rule and what follows none.

Sequences of tones in random timbres, mostly on the frame grid: motifs that come again (now and then with one tone
changed), Markov chains, tunes, scales of chords, and the same tones in ever new order. In rendered music most of what
can be predicted is the sound itself; here it is the next tone, for whoever remembers the last ones. A minute costs
a tenth of what FluidSynth takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audioic_widget.codec.mini import MiniCodec
from audioic_widget.formats.files import replacing
from audioic_widget.frames import FRAME_SAMPLES, SAMPLE_RATE
from audioic_widget.training.dataset import Rendering
from audioic_widget.training.scores import collection_files, load_scores, top_line

FRAMES = 1_024
"""Length of one recording (95 s): two training windows."""

TUNES = ("airs", "fiddle")
"""Collections whose single lines are played; the pieces that training leaves out stay out."""

SCALES = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 11),
    (0, 2, 3, 5, 7, 9, 10),
    (0, 2, 4, 7, 9),
    tuple(range(12)),
)
"""Major, harmonic minor, dorian, pentatonic and all twelve tones, in semitones above the tonic."""

GAPS = {2: 0.1, 3: 0.2, 4: 0.35, 5: 0.1, 6: 0.1, 8: 0.1, 12: 0.05}
"""Frames from tone to tone, and how often."""

BREATH = 0.06
"""Rests for each tone of a tune that has some."""

PROGRESSIONS = ((3, 3, 4, 4, 5, 1), (4, 4, 6), (5, 3), (4, 4, 0, 1), (0, 0, 0, 5), (3, 1, 4), (0,))
"""Degrees to which the triad on each degree of a scale leads in common practice."""

OFF_GRID = 0.2
"""Share of stretches whose tones begin anywhere in a frame."""

PARTIALS = 24
HIGHEST = 16_000.0
"""Most partials of a tone, and Hz above which it has none."""

Floats = NDArray[np.float32]
Event = tuple[float, ...]
"""Pitches (MIDI) that sound together; none is a rest."""

Tunes = Sequence[NDArray[np.int64]]


@dataclass(frozen=True)
class Timbre:
    """A random voice: harmonic partials that are struck or held.

    Attributes
    ----------
    strength : ndarray (24,)
        Of each partial.
    stretch : float
        Inharmonicity of stiff strings.
    attack, release : float
        Seconds.
    decay, damping : float
        Decay of the first partial, and how much faster each further one goes, in 1/s.
    vibrato, rate : float
        Depth (relative frequency) and rate in Hz.
    """

    strength: Floats
    stretch: float
    attack: float
    release: float
    decay: float
    damping: float
    vibrato: float
    rate: float
    made: dict[tuple[float, int], Floats] = field(default_factory=dict)

    @classmethod
    def drawn(cls, random: np.random.Generator) -> Timbre:
        """From the seed; no two are alike."""
        number = np.arange(1, PARTIALS + 1)
        loudness = -20 * random.uniform(0.3, 2.2) * np.log10(number) + random.normal(0, random.uniform(0, 8), PARTIALS)
        loudness[1::2] -= random.choice([0.0, 0.0, 20.0])  # some have odd partials only, like a clarinet
        struck, shaken = random.random(2) < (0.5, 0.3)
        return cls(
            strength=(10 ** (loudness / 20)).astype(np.float32),
            stretch=float(struck * random.uniform(0, 4e-4)),
            attack=float(np.exp(random.uniform(np.log(0.002), np.log(0.01 if struck else 0.06)))),
            release=float(random.uniform(0.005, 0.06)),
            decay=float(struck * random.uniform(0.5, 6)),
            damping=float(struck * random.uniform(0, 1.2)),
            vibrato=float(shaken * random.uniform(0.002, 0.012)),
            rate=float(random.uniform(4, 7)),
        )

    def tone(self, pitch: float, n: int) -> Floats:
        """`n` samples of one tone, as loud in the mean at every pitch; kept for the next time."""
        if (pitch, n) not in self.made:
            self.made[pitch, n] = self._tone(440 * 2 ** ((pitch - 69) / 12), n)
        return self.made[pitch, n]

    def _tone(self, frequency: float, n: int) -> Floats:
        time = np.arange(n, dtype=np.float32) / SAMPLE_RATE
        phase = 2 * np.pi * (time + self.vibrato / self.rate * np.sin(2 * np.pi * self.rate * time) / (2 * np.pi))
        wave = np.zeros(n, dtype=np.float32)
        for k, strength in enumerate(self.strength.tolist(), 1):
            partial = frequency * k * np.sqrt(1 + self.stretch * k**2)
            if partial < HIGHEST:
                # Phase in turns is folded first: a float32 sine of large numbers is coarse.
                each = strength * np.sin((partial * phase + k * k).astype(np.float32))
                wave += each * np.exp(-(self.decay + self.damping * k) * time) if self.decay else each
        wave *= np.minimum(time / self.attack, 1)
        fading = min(int(self.release * SAMPLE_RATE), n)
        wave[n - fading :] *= 0.5 * (1 + np.cos(np.linspace(0, np.pi, fading, dtype=np.float32)))
        return wave / np.sqrt(np.mean(wave**2) + 1e-12)


def tone_recording(seed: int, tunes: Tunes) -> Floats:
    """A recording of `FRAMES` frames at 44.1 kHz: stretches of tones, one after another.

    Parameters
    ----------
    seed : int
        Same seed, same samples.
    tunes : sequence of ndarray
        Pitches of melodies to play.
    """
    random = np.random.default_rng((seed, 0x70E5))
    samples = np.zeros(FRAMES * FRAME_SAMPLES, dtype=np.float32)
    timbre, tonic = Timbre.drawn(random), int(random.integers(48, 68))
    other = Timbre.drawn(random)
    start = float(random.integers(0, 4))
    while start < FRAMES:
        if random.random() < 0.3:
            timbre, other = Timbre.drawn(random), timbre
        if random.random() < 0.5:
            tonic = int(random.integers(48, 68))
        gap: float = random.choice(list(GAPS), p=list(GAPS.values()))
        if random.random() < OFF_GRID:
            gap, start = gap * random.uniform(0.85, 1.15), start + random.random()
        else:
            start = float(np.ceil(start))
        held = 1.0 if random.random() < 0.5 else random.uniform(0.5, 1.0)
        unsteady = random.choice([0.0, 0.0, 1.5, 3.0])
        kind = random.choice(list(STRETCHES), p=[share for share, _ in STRETCHES.values()])
        for event, odd in STRETCHES[kind][1](random, tonic, tunes):
            loud = 10 ** ((random.normal(0, unsteady) + (random.choice([-9, 9]) if odd == "loudness" else 0)) / 20)
            first, n = int(start * FRAME_SAMPLES), int(gap * held * FRAME_SAMPLES)
            for pitch in event:
                room = samples[first : first + n]
                voice = other if odd == "timbre" else timbre
                room += loud / np.sqrt(len(event)) * voice.tone(pitch, n)[: len(room)]
            start += gap
            if start >= FRAMES:
                break
        start += gap * random.choice([0, 0, 1, 2])
    level = 10 ** (random.uniform(-32, -12) / 20)
    return level / np.sqrt(np.mean(samples**2) + 1e-12) * samples


Stretch = list[tuple[Event, str]]
"""Events, and what is odd about their sound: "", "timbre" or "loudness"."""


def ladder(random: np.random.Generator, tonic: int) -> NDArray[np.int64]:
    """Pitches of one or two octaves of a scale."""
    scale = np.array(SCALES[random.integers(len(SCALES))])
    return tonic + np.concatenate((scale, scale + 12))[: random.integers(5, 2 * len(scale) + 1)]


def places(random: np.random.Generator, count: int, size: int) -> NDArray[np.int64]:
    """`count` places on a ladder of `size`: all different while there are enough, a walk, or anywhere."""
    kind = random.random()
    if kind < 0.4 and count <= size:
        return random.permutation(size)[:count]
    if kind < 0.8:
        walk = random.integers(size) + np.cumsum(random.choice([-3, -2, -1, -1, 1, 1, 2, 3], size=count))
        return np.abs((walk + size - 1) % (2 * size - 2) - (size - 1))
    return random.integers(size, size=count)


def motif(random: np.random.Generator, tonic: int, tunes: Tunes) -> Stretch:
    """A motif of 3 to 12 tones, 3 to 9 times; in most later times nothing, else one tone is altered."""
    steps = ladder(random, tonic)
    pitches = steps[places(random, int(random.integers(3, 13)), len(steps))]
    altering = random.choice([0.0, 0.0, 0.2, 0.5])
    played: Stretch = []
    for time in range(int(random.integers(3, 10))):
        again: Stretch = [((float(pitch),), "") for pitch in pitches]
        if time > 1 and random.random() < altering:
            place = int(random.integers(len(again)))
            pitch = float(pitches[place])
            again[place] = alteration(random, pitch, steps)
        played += again
    return played


def alteration(random: np.random.Generator, pitch: float, steps: NDArray[np.int64]) -> tuple[Event, str]:
    """What stands in the place of a tone."""
    kind = random.choice(["near", "far", "scale", "omission", "timbre", "loudness"], p=[0.2, 0.2, 0.25, 0.1, 0.15, 0.1])
    moved = {"near": pitch + random.choice([-1, 1]), "far": pitch + random.choice([-6, 6])}
    if kind in moved:
        return (float(moved[kind]),), ""
    if kind == "scale":
        return (float(random.choice(steps)),), ""
    return ((), "") if kind == "omission" else ((pitch,), str(kind))


def reordered(random: np.random.Generator, tonic: int, tunes: Tunes) -> Stretch:
    """The same tones in a new order each time."""
    steps = ladder(random, tonic)
    chosen = random.choice(steps, min(int(random.integers(4, 11)), len(steps)), replace=False)
    times = int(random.integers(3, 9))
    return [((float(pitch),), "") for _ in range(times) for pitch in random.permutation(chosen)]


def markov(random: np.random.Generator, tonic: int, tunes: Tunes) -> Stretch:
    """A first-order chain with a random matrix, in half of all cases one that favours small steps."""
    n = int(random.integers(4, 10))
    steps = ladder(random, tonic)
    steps = steps[: min(n, len(steps))]
    weights = random.gamma(random.choice([0.2, 0.4, 0.8]), size=(len(steps),) * 2) + 0.02
    if random.random() < 0.5:
        weights *= np.exp(-np.abs(np.subtract.outer(range(len(steps)), range(len(steps)))) / random.uniform(1, 3))
    if random.random() < 0.6:
        np.fill_diagonal(weights, 0)
    states = [int(random.integers(len(steps)))]
    for _ in range(int(random.integers(40, 130))):
        row = weights[states[-1]]
        states.append(int(random.choice(len(row), p=row / row.sum())))
    return [((float(steps[state]),), "") for state in states]


def wandering(random: np.random.Generator, tonic: int, tunes: Tunes) -> Stretch:
    """Tones that follow no plan, or move by small steps, in the end perhaps into a cycle."""
    steps = ladder(random, tonic)
    free = steps[places(random, int(random.integers(8, 40)), len(steps))]
    cycle = random.choice(steps, min(int(random.integers(3, 9)), len(steps)), replace=False)
    pitches = np.concatenate((free, np.tile(cycle, int(random.integers(0, 8)))))
    return [((float(pitch),), "") for pitch in pitches]


def tune(random: np.random.Generator, tonic: int, tunes: Tunes) -> Stretch:
    """Up to 128 tones of a melody, in any key, some with a breath now and then."""
    pitches = tunes[int(random.integers(len(tunes)))]
    first = int(random.integers(max(len(pitches) - 32, 1))) if random.random() < 0.3 else 0
    pitches = pitches[first : first + int(random.integers(32, 129))] + random.integers(-6, 7)
    breath = random.choice([0.0, BREATH])
    played: Stretch = []
    for pitch in pitches:
        played += [((float(pitch),), "")] + [((), "")] * int(random.random() < breath)
    return played


def chords(random: np.random.Generator, tonic: int, tunes: Tunes) -> Stretch:
    """A row of triads, several times: any, or as one leads to the next; then perhaps single tones of the same scale."""
    scale = np.array(SCALES[random.integers(3)])
    rungs = tonic + np.concatenate((scale, scale + 12))
    roots = random.integers(0, 7, size=int(random.integers(3, 9)))
    if random.random() < 0.6:
        roots[0] = 0
        for k in range(1, len(roots)):
            roots[k] = random.choice(PROGRESSIONS[roots[k - 1]])
    row: Stretch = [(tuple(float(rungs[root + third]) for third in (0, 2, 4)), "") for root in roots]
    line = rungs[places(random, int(random.integers(0, 24)), len(rungs))]
    return row * int(random.integers(2, 6)) + [((float(pitch),), "") for pitch in line]


STRETCHES: dict[str, tuple[float, Callable[[np.random.Generator, int, Tunes], Stretch]]] = {
    "motif": (0.3, motif),
    "markov": (0.14, markov),
    "tune": (0.34, tune),
    "reordered": (0.06, reordered),
    "wandering": (0.08, wandering),
    "chords": (0.08, chords),
}
"""Kinds of stretches: how often, and what they play."""


def training_tunes(cache: Path) -> list[NDArray[np.int64]]:
    """Top lines of the pieces in `TUNES` that training may use; scores are kept in `cache`."""
    lines = []
    for collection in TUNES:
        for path in collection_files(collection):
            for score in load_scores(collection, path, cache):
                if not Rendering(path, score.name).held_out:
                    lines.append(top_line(score.notes))
    return lines


def encode_tones(codec: MiniCodec, count: int, seed: int, folder: Path) -> Floats:
    """Latents ``(count * FRAMES, 64)`` of `count` recordings; those of each are kept in ``folder/tones``."""
    tunes = training_tunes(folder / "scores")
    parts = []
    for number in range(count):
        kept = folder / "tones" / f"{number:05}.npy"
        if not kept.exists():
            samples = tone_recording(seed * 1_000_003 + number, tunes)
            kept.parent.mkdir(parents=True, exist_ok=True)
            with replacing(kept) as file:
                np.save(file, codec.encode(samples, 0, FRAMES).cpu().numpy())
        parts.append(np.load(kept))
    return np.concatenate(parts) if parts else np.zeros((0, codec.latent_dim), dtype=np.float32)
