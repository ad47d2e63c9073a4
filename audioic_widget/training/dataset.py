"""The training recordings: which piece is rendered how, and which pieces are held out."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

from audioic_widget.formats.files import replacing
from audioic_widget.frames import SAMPLE_RATE
from audioic_widget.training.arrange import Performance, arrange
from audioic_widget.training.procedural import loop_piece, melody_piece
from audioic_widget.training.render import render
from audioic_widget.training.scores import Score, collection_files, load_scores

SHARES = {"chorales": 0.12, "fiddle": 0.15, "airs": 0.13, "quartets": 0.1, "loops": 0.2, "melodies": 0.3}
"""Share of the renderings that each collection gets."""

PROCEDURAL = {"loops": loop_piece, "melodies": melody_piece}
"""Collections that are made up."""

COLOUR = 5.0
"""Decibels (sd) by which an octave of a recording is louder or softer than rendered: more timbres than a sound font has."""

SHIFT = 4
"""Semitones by which a recording is heard higher or lower at most."""

HELD_OUT_SHARE = 0.06


class Sound(Protocol):
    """What codec and flow learn from."""

    @property
    def held_out(self) -> bool:
        """Whether it is kept from training."""

    def samples(self) -> NDArray[np.float32]:
        """Mono samples at 44.1 kHz."""


@dataclass(frozen=True)
class Rendering:
    """One rendered piece on disk: mono 16-bit FLAC at 44.1 kHz."""

    path: Path
    piece: str

    @property
    def held_out(self) -> bool:
        """Whether its piece (hence every rendering of it) is kept from training."""
        return zlib.crc32(self.piece.encode()) % 1000 < 1000 * HELD_OUT_SHARE

    def samples(self) -> NDArray[np.float32]:
        """Mono samples."""
        return soundfile.read(self.path, dtype="float32")[0]


@dataclass(frozen=True)
class AtSpeed:
    """A recording as it sounds played faster or slower: other keys, tempi and timbres at no rendering's cost."""

    recording: Rendering
    semitones: int

    @property
    def held_out(self) -> bool:
        """As the recording's."""
        return self.recording.held_out

    def samples(self) -> NDArray[np.float32]:
        """Mono samples, all pitches `semitones` higher."""
        recorded = SAMPLE_RATE * 2 ** (self.semitones / 12)
        return np.asarray(soxr.resample(self.recording.samples(), recorded, SAMPLE_RATE), dtype=np.float32)


def at_speeds(recordings: Sequence[Rendering], copies: int, seed: int) -> list[AtSpeed]:
    """`copies` of each of `recordings` that training may hear, up to a major third higher or lower."""
    random = np.random.default_rng((seed, 0x59EED))
    shifts = [shift for shift in range(-SHIFT, SHIFT + 1) if shift]
    learnt = [recording for recording in recordings if not recording.held_out]
    return [AtSpeed(recording, int(random.choice(shifts))) for _ in range(copies) for recording in learnt]


def render_all(folder: Path, count: int, seed: int, workers: int) -> list[Rendering]:
    """`count` renderings in ``folder/audio``; those already there are kept."""
    with ProcessPoolExecutor(workers) as pool:
        for _ in pool.map(partial(_render_one, folder, seed), range(count)):
            pass
    return list(renderings(folder))


def renderings(folder: Path) -> Iterator[Rendering]:
    """Finished renderings in ``folder/audio``, in order."""
    for path in sorted((folder / "audio").glob("[0-9]*.flac")):
        with soundfile.SoundFile(path) as file:
            yield Rendering(path, file.title)


def _render_one(folder: Path, seed: int, index: int) -> None:
    path = folder / "audio" / f"{index:05}.flac"
    if path.exists():
        return
    random = np.random.default_rng((seed, index))
    name, performance = _draw_performance(random, folder / "scores")
    samples = coloured(render(performance).mean(axis=1), random)
    samples *= 10 ** (random.uniform(-14, -1) / 20) / max(float(np.abs(samples).max()), 1e-6)
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        replacing(path) as target,
        soundfile.SoundFile(target, "w", SAMPLE_RATE, 1, "PCM_16", format="FLAC") as file,
    ):
        file.title = name
        file.write(samples)


def coloured(samples: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """`samples` through a smooth random filter, one gain for each of 9 octaves and lines between."""
    length = next_fast_len(len(samples), real=True)
    octaves = np.log2(np.maximum(rfftfreq(length, 1 / SAMPLE_RATE), 1) / 62.5)
    gains = np.interp(octaves, np.arange(9), random.normal(0, COLOUR, 9))
    filtered = irfft(rfft(samples, length) * (10 ** (gains / 20)).astype(np.float32), length)[: len(samples)]
    return np.asarray(filtered, dtype=np.float32)


def performance_of(folder: Path, seed: int, rendering: Rendering) -> Performance:
    """The notes that were played in `rendering`."""
    random = np.random.default_rng((seed, int(rendering.path.stem)))
    return _draw_performance(random, folder / "scores")[1]


def _draw_performance(random: np.random.Generator, cache: Path) -> tuple[str, Performance]:
    score = _draw_score(random, cache)
    return score.name, arrange(score, random)


def _draw_score(random: np.random.Generator, cache: Path) -> Score:
    collection = str(random.choice(list(SHARES), p=list(SHARES.values())))
    if collection in PROCEDURAL:
        return PROCEDURAL[collection](int(random.integers(1 << 31)))
    while True:
        files = collection_files(collection)
        scores = load_scores(collection, files[random.integers(len(files))], cache)
        if scores:
            return scores[random.integers(len(scores))]
