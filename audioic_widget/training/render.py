"""From a performance to sound, by the program FluidSynth (LGPL) and a General MIDI sound font."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
from numpy.typing import NDArray

from audioic_widget.errors import AudioError
from audioic_widget.frames import SAMPLE_RATE
from audioic_widget.training.arrange import Performance

if TYPE_CHECKING:
    import mido

SOUND_FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
"""FluidR3 GM (MIT licence), as Debian's fluid-soundfont-gm installs it."""

TICKS = 480
QUARTER_MICROSECONDS = 500_000
TICKS_A_SECOND = TICKS * 1_000_000 / QUARTER_MICROSECONDS


def midi_file(performance: Performance) -> mido.MidiFile:
    """`performance` as a MIDI file of one track at a fixed tempo."""
    import mido  # not needed to train on recordings

    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=QUARTER_MICROSECONDS)])
    for channel, program in performance.programs.items():
        track.append(mido.Message("program_change", channel=channel, program=program))
    events = []
    for note in performance.notes:
        common = {"channel": note.channel, "note": note.pitch}
        events.append((note.onset, 1, mido.Message("note_on", velocity=note.velocity, **common)))
        events.append((note.onset + note.duration, 0, mido.Message("note_off", **common)))
    now = 0
    for seconds, _, message in sorted(events, key=lambda event: event[:2]):  # a release goes before an attack
        tick = round(seconds * TICKS_A_SECOND)
        track.append(message.copy(time=tick - now))
        now = tick
    return mido.MidiFile(ticks_per_beat=TICKS, tracks=[track])


def render(performance: Performance, gain: float = 0.2, sound_font: Path = SOUND_FONT) -> NDArray[np.float32]:
    """Stereo samples ``(n, 2)`` of `performance` at 44.1 kHz.

    FluidSynth's usual `gain` of 0.2 leaves room for many voices; a few sound cleaner (16 bits) with more.

    Raises
    ------
    AudioError
        If FluidSynth or the sound font is not installed, or FluidSynth fails.
    """
    program = require_fluidsynth(sound_font)
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = Path(folder) / "score.mid", Path(folder) / "score.wav"
        midi_file(performance).save(midi)
        options = ["-C", "0", "-g", str(gain), "-r", str(SAMPLE_RATE), "-O", "s16", "-T", "wav", "-F", str(wav)]
        done = subprocess.run(
            [program, "-ni", "-q", *options, str(sound_font), str(midi)], capture_output=True, text=True, check=False
        )
        if done.returncode or not wav.exists():
            raise AudioError(f"FluidSynth could not render the score: {done.stderr.strip() or done.returncode}.")
        samples, _ = soundfile.read(wav, dtype="float32", always_2d=True)
    return samples


def require_fluidsynth(sound_font: Path = SOUND_FONT) -> str:
    """Path of the FluidSynth program; an `AudioError` that says how to install it where it or the font is missing."""
    program = shutil.which("fluidsynth")
    if program is None or not sound_font.exists():
        missing = "the program fluidsynth" if program is None else f"the sound font {sound_font}"
        raise AudioError(
            f"Rendering needs {missing}: install it, on Debian with `apt install fluidsynth fluid-soundfont-gm`."
        )
    return program
