"""The example recordings: their notes, written out here, and the command that renders them.

``python -m audioic_widget.training.examples [FOLDER]`` renders every piece to ``FOLDER/<name>.flac``. The music is
in the public domain or our own; onsets are exactly those written.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from audioic_widget.errors import AudioICError
from audioic_widget.formats.files import replacing
from audioic_widget.frames import SAMPLE_RATE
from audioic_widget.training.arrange import Note, Performance
from audioic_widget.training.render import render
from audioic_widget.training.scores import DRUM_PART

PEAK = 0.28
"""Largest sample of an example: soft, so that the files stay small."""

GAIN = 1.0
"""Of FluidSynth: loud, so that its 16-bit output adds no audible noise."""

TAIL = 0.8
"""Seconds of reverberation kept after the last note."""

HELD = 0.92
"""Share of its written length that a note sounds."""

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ACCIDENTALS = {"": 0, "#": 1, "b": -1}


@dataclass(frozen=True)
class Piece:
    """A piece written out.

    Parameters
    ----------
    quarter : float
        Seconds.
    voices : mapping of int to str
        What each channel plays, as words ``pitch/quarters``: "D5/1", a chord "G3+B3/2", a rest "-/1".
    programs : mapping of int to int
        General MIDI program of each melodic channel.
    """

    quarter: float
    voices: Mapping[int, str]
    programs: Mapping[int, int]

    def performance(self) -> Performance:
        """The notes in seconds."""
        notes = [
            Note(onset * self.quarter, length * self.quarter * HELD, pitch, 92, channel)
            for channel, words in self.voices.items()
            for onset, length, pitch in read(words)
        ]
        return Performance(tuple(sorted(notes, key=lambda note: note.onset)), dict(self.programs))


def read(words: str) -> Iterator[tuple[float, float, int]]:
    """Onset, length (quarters) and MIDI pitch of every note in `words`."""
    now = 0.0
    for word in words.split():
        pitches, length = word.split("/")
        if pitches != "-":
            yield from ((now, float(length), midi_pitch(pitch)) for pitch in pitches.split("+"))
        now += float(length)


def midi_pitch(name: str) -> int:
    """MIDI number of a pitch name: "C4" is 60."""
    step, accidental, octave = re.fullmatch(r"([A-G])([#b]?)(\d)", name).groups()  # type: ignore[union-attr]
    return STEPS[step] + ACCIDENTALS[accidental] + 12 * (int(octave) + 1)


MINUET_RIGHT = """
D5/1 G4/.5 A4/.5 B4/.5 C5/.5    D5/1 G4/1 G4/1    E5/1 C5/.5 D5/.5 E5/.5 F#5/.5    G5/1 G4/1 G4/1
C5/1 D5/.5 C5/.5 B4/.5 A4/.5    B4/1 C5/.5 B4/.5 A4/.5 G4/.5    F#4/1 G4/.5 A4/.5 B4/.5 G4/.5    A4/3
D5/1 G4/.5 A4/.5 B4/.5 C5/.5    D5/1 G4/1 G4/1    E5/1 C5/.5 D5/.5 E5/.5 F#5/.5    G5/1 G4/1 G4/1
C5/1 D5/.5 C5/.5 B4/.5 A4/.5    B4/1 C5/.5 B4/.5 A4/.5 G4/.5    A4/1 B4/.5 A4/.5 G4/.5 F#4/.5    G4/3
"""
MINUET_LEFT = """
G3+B3+D4/2 A3/1    B3/3    C4/3    B3/3
A3/3    G3/3    D4/1 B3/1 G3/1    D4/1 D3/.5 C4/.5 B3/.5 A3/.5
B3/2 A3/1    G3/1 B3/1 G3/1    C4/3    B3/1 C4/.5 B3/.5 A3/.5 G3/.5
A3/2 F#3/1    G3/2 B3/1    C4/1 D4/1 D3/1    G3/2 G2/1
"""

FRERE_JACQUES = """
G4/1 A4/1 B4/1 G4/1    G4/1 A4/1 B4/1 G4/1
B4/1 C5/1 D5/2    B4/1 C5/1 D5/2
D5/.5 E5/.5 D5/.5 C5/.5 B4/1 G4/1    D5/.5 E5/.5 D5/.5 C5/.5 B4/1 G4/1
G4/1 D4/1 G4/2    G4/1 D4/1 G4/2
"""

LOOP_MELODY = "E5/.5 G5/.5 A5/1 G5/.5 E5/.5 D5/1    E5/.5 D5/.5 C5/1 D5/.5 E5/.5 A4/1 "
LOOP_SURPRISE = "E5/.5 G5/.5 A5/1 G5/.5 E5/.5 D5/1    E5/.5 D5/.5 C5/1 D5/.5 E5/.5 Eb5/1 "
LOOP_BASS = "A2/1 A2/.5 E3/.5 G2/1 G2/1    F2/1 F2/.5 C3/.5 E2/1 E2/1 "
# Bass drum C2 (36), snare D2 (38).
LOOP_DRUMS = "C2/1 D2/1 C2/.5 C2/.5 D2/1 "

PIECES: Mapping[str, Piece] = {
    # Christian Petzold, Minuet in G (BWV Anh. 114), first half; on two guitars.
    "minuet": Piece(0.42, {0: MINUET_RIGHT, 1: MINUET_LEFT}, {0: 24, 1: 24}),
    # French, 18th century; on a recorder.
    "frere_jacques": Piece(0.58, {0: FRERE_JACQUES}, {0: 74}),
    # Our own: five times the same two bars, but the fourth time they end on a wrong note.
    "loop": Piece(
        0.45,
        {0: 3 * LOOP_MELODY + LOOP_SURPRISE + LOOP_MELODY, 1: 5 * LOOP_BASS, DRUM_PART: 10 * LOOP_DRUMS},
        {0: 4, 1: 32},
    ),
}


def main() -> int:
    """Render every example into a folder."""
    command = argparse.ArgumentParser("python -m audioic_widget.training.examples", description=__doc__)
    shipped = Path(__file__).parents[1] / "examples"
    command.add_argument("folder", type=Path, nargs="?", default=shipped, help="default: where the package keeps them")
    folder = command.parse_args().folder
    try:
        for name, piece in PIECES.items():
            save(piece, folder / f"{name}.flac")
    except AudioICError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def save(piece: Piece, path: Path) -> None:
    """Render `piece` to a mono 16-bit FLAC file."""
    performance = piece.performance()
    samples = render(performance, GAIN).mean(axis=1)[: round((performance.duration + TAIL) * SAMPLE_RATE)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        samples *= PEAK / np.abs(samples).max()
        soundfile.write(file, samples, SAMPLE_RATE, "PCM_16", format="FLAC", compression_level=1.0)


if __name__ == "__main__":
    sys.exit(main())
