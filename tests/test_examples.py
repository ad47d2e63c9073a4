"""The example recordings: there, as long and as loud as written, and refused by name where unknown."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from audioic_widget.errors import AudioError
from audioic_widget.examples import example
from audioic_widget.training.examples import PIECES, TAIL, midi_pitch, read


@pytest.mark.parametrize("name", PIECES)
def test_an_example_lasts_as_long_as_its_notes(name: str) -> None:
    info = soundfile.info(example(name))
    assert info.samplerate == 44_100
    assert info.duration == pytest.approx(PIECES[name].performance().duration + TAIL, abs=1e-3)


def test_the_melody_of_an_example_is_the_one_that_is_written() -> None:
    """The strongest frequency during each of the recorder's notes is the note's, in some octave."""
    samples, rate = soundfile.read(example("frere_jacques"))
    for note in PIECES["frere_jacques"].performance().notes:
        at, length = round((note.onset + 0.05) * rate), round((note.duration - 0.05) * rate)
        sounding = samples[at : at + length] * np.hanning(length)
        strongest = np.abs(np.fft.rfft(sounding, 1 << 17)).argmax() * rate / (1 << 17)
        assert (12 * np.log2(strongest / 440) + 69 - note.pitch) % 12 == pytest.approx(0, abs=0.5) or (
            12 * np.log2(strongest / 440) + 69 - note.pitch
        ) % 12 == pytest.approx(12, abs=0.5)


def test_the_voices_of_a_piece_end_together() -> None:
    for piece in PIECES.values():
        ends = {max(onset + length for onset, length, _ in read(words)) for words in piece.voices.values()}
        assert len(ends) == 1


def test_words_become_notes() -> None:
    assert list(read("C4/1 -/0.5 G3+Bb3/2")) == [(0.0, 1.0, 60), (1.5, 2.0, 55), (1.5, 2.0, 58)]
    assert [midi_pitch(name) for name in ("A4", "F#5", "Eb2")] == [69, 78, 39]


def test_the_examples_are_small() -> None:
    assert sum(example(name).stat().st_size for name in PIECES) < 1_500_000


def test_an_unknown_example_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(AudioError, match=r"frere_jacques, loop, minuet"):
        example("../minuet")
