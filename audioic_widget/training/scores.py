"""Scores: what the embedded model learns from, as plain note tables. It knows no sound.

The notes are music long in the public domain, read from the corpus that comes with music21. Collections
whose encoding is restricted (the Essen folk songs, the Humdrum transcriptions) are not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from audioic_widget.formats.files import replacing

if TYPE_CHECKING:
    from music21.stream import Score as MusicScore

DRUM_PART = 9
"""The part that holds percussion, like the General MIDI channel of the same number."""


@dataclass(frozen=True)
class Score:
    """A piece as notes.

    Parameters
    ----------
    name : str
        Unique name, ``collection/piece``; the split into training and held-out goes by it.
    notes : ndarray (n, 4)
        Onset and duration in quarter notes, MIDI pitch, part (0-8 or `DRUM_PART`), sorted by onset.
    """

    name: str
    notes: NDArray[np.float32]


@dataclass(frozen=True)
class Collection:
    """Files of the music21 corpus, and what is known about their rights."""

    folders: tuple[str, ...]
    pattern: str
    music: str
    encoding: str


COLLECTIONS: Mapping[str, Collection] = {
    "chorales": Collection(
        ("bach",),
        "bwv*.mxl",
        "J. S. Bach, four-part chorales; public domain",
        "(c) 2003/2004 Margaret Greentree, in the music21 corpus by permission",
    ),
    "fiddle": Collection(
        ("ryansMammoth",),
        "*.abc",
        "Ryan's Mammoth Collection of fiddle tunes, Boston 1883; public domain",
        "ABC transcriptions by Ray Davies, John Chambers and others; no restriction stated",
    ),
    "airs": Collection(
        ("airdsAirs",),
        "book*.abc",
        "James Aird, A Selection of Scotch, English, Irish and Foreign Airs, Glasgow 1778-1801; public domain",
        "ABC transcription by Jack Campin 2009; no restriction stated",
    ),
    "quartets": Collection(
        ("beethoven", "haydn", "mozart"),
        "**/movement*.mxl",
        "Beethoven, Haydn and Mozart, string quartet movements and a piano sonata; public domain",
        "MusicXML in the music21 corpus; no restriction stated",
    ),
}
"""The collections by name."""


@lru_cache
def collection_files(collection: str) -> tuple[Path, ...]:
    """Files of `collection` in the installed music21 corpus, in a fixed order."""
    from music21 import common

    wanted, root = COLLECTIONS[collection], common.getCorpusFilePath()
    return tuple(sorted(path for folder in wanted.folders for path in (root / folder).glob(wanted.pattern)))


def load_scores(collection: str, path: Path, cache: Path) -> list[Score]:
    """All pieces of one corpus file; parsed once (that takes seconds) and kept in the folder `cache`."""
    stem = "-".join(path.relative_to(path.parents[1]).with_suffix("").parts)
    kept = cache / f"{stem}.npz"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with replacing(kept) as file:
            np.savez_compressed(file, **cast(Any, parse(path)))
    with np.load(kept) as tables:
        return [Score(f"{collection}/{stem}-{number}", tables[number]) for number in tables.files]


def parse(path: Path) -> dict[str, NDArray[np.float32]]:
    """Note tables of the pieces in a score file, by their number in it.

    The repeats of a tune that has a file to itself are written out (music21 takes minutes for larger scores).
    """
    from music21 import converter, stream

    parsed: Any = converter.parse(path)
    if isinstance(parsed, stream.Opus):
        tables = {str(number): note_table(piece) for number, piece in enumerate(parsed.scores)}
    else:
        tables = {"0": note_table(parsed if len(parsed.parts) > 1 else with_repeats(parsed))}
    return {number: table for number, table in tables.items() if len(table) >= 16}


def with_repeats(tune: MusicScore) -> MusicScore:
    """`tune` with its repeats written out; as it is where it has no bars or its repeat signs contradict each other."""
    from music21 import exceptions21, repeat

    try:
        return tune.expandRepeats()
    except (repeat.ExpanderException, exceptions21.StreamException):
        return tune


def note_table(piece: MusicScore) -> NDArray[np.float32]:
    """Rows (onset, duration, pitch, part) of everything that sounds in `piece`."""
    from music21 import harmony

    voices: list[Any] = list(piece.parts) or [piece]
    rows = []
    for part, voice in enumerate(voices[:DRUM_PART]):
        for element in voice.flatten().stripTies().notes:
            length = float(element.quarterLength)
            if length > 0 and not isinstance(element, harmony.ChordSymbol):
                rows += [(float(element.offset), length, pitch.midi, part) for pitch in element.pitches]
    return np.array(sorted(rows), dtype=np.float32).reshape(-1, 4)


def top_line(notes: NDArray[np.float32]) -> NDArray[np.int64]:
    """The highest pitch at each onset of a note table (onset, duration, pitch, part)."""
    ordered = notes[np.lexsort((notes[:, 2], notes[:, 0]))]
    last_of_onset = np.append(np.diff(ordered[:, 0]) > 0, True)
    return ordered[last_of_onset, 2].astype(np.int64)
