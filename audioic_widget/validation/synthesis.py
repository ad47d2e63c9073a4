"""Tones in timbres of our own: additive, frequency-modulated and filtered noise, from a seed.

Three are *familiar*: near to instruments of the General MIDI sound font that trained the embedded model. Two are
*unfamiliar*: nothing like them is among the programs used for training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audioic_widget.frames import FRAME_SAMPLES, SAMPLE_RATE
from audioic_widget.validation.items import Floats, Item, Tone

LEVEL = 0.07
"""Root mean square of a tone at 0 dB, full scale 1: leaves room for chords."""

RELEASE = 882
"""Samples (20 ms) over which a tone fades at its end, within its frames."""

HIGHEST = 16_000.0
"""Hz above which no partial is made."""


@dataclass(frozen=True)
class Timbre:
    """How a tone sounds.

    Attributes
    ----------
    familiar : bool
        Whether training has something near it.
    nearest : str
        What that is, or why there is nothing.
    wave : callable
        ``wave(frequency in Hz, samples, random)``: a tone of any loudness, without its release.
    """

    familiar: bool
    nearest: str
    wave: Callable[[float, int, np.random.Generator], Floats]


def partials(frequency: float, highest_number: int = 24) -> Floats:
    """Numbers 1, 2, ... of the harmonics of `frequency` that lie below `HIGHEST`."""
    return np.arange(1.0, min(highest_number, int(HIGHEST / frequency)) + 1)


def seconds(n: int) -> Floats:
    """Times of `n` samples."""
    return np.arange(n) / SAMPLE_RATE


def attack(n: int, duration: float) -> Floats:
    """A rise from 0 to 1 within `duration` seconds."""
    return np.minimum(seconds(n) / duration, 1.0)


def pluck(frequency: float, n: int, random: np.random.Generator) -> Floats:
    """Slightly stretched partials, the higher the sooner gone."""
    k, time = partials(frequency)[:, None], seconds(n)
    stretched = k * np.sqrt(1 + 2e-4 * k**2)
    waves = np.sin(2 * np.pi * frequency * stretched * time) * np.exp(-(2.0 + 0.8 * k) * time) / k**1.2
    return attack(n, 0.003) * waves.sum(axis=0)


def bowed(frequency: float, n: int, random: np.random.Generator) -> Floats:
    """A sawtooth with vibrato and a slow attack."""
    k, time = partials(frequency)[:, None], seconds(n)
    vibrato = 0.01 / 5.5 * np.sin(2 * np.pi * 5.5 * time) / (2 * np.pi)
    waves = np.sin(2 * np.pi * frequency * k * (time + vibrato)) / k
    return attack(n, 0.04) * waves.sum(axis=0)


def organ(frequency: float, n: int, random: np.random.Generator) -> Floats:
    """Few steady partials."""
    stops = np.array([1.0, 2.0, 3.0, 4.0, 6.0, 8.0])
    strength = np.array([1.0, 0.8, 0.5, 0.4, 0.2, 0.2])
    heard = stops * frequency < HIGHEST
    waves = strength[:, None] * np.sin(2 * np.pi * frequency * stops[:, None] * seconds(n))
    return attack(n, 0.02) * waves[heard].sum(axis=0)


def hollow(frequency: float, n: int, random: np.random.Generator) -> Floats:
    """Frequency modulation 1:3, which leaves out every third partial, in a 25 Hz tremolo."""
    time = seconds(n)
    wave = np.sin(2 * np.pi * frequency * time + 1.5 * np.sin(2 * np.pi * 3 * frequency * time))
    return attack(n, 0.005) * (1 - 0.4 * (1 - np.cos(2 * np.pi * 25 * time))) * wave


def whisper(frequency: float, n: int, random: np.random.Generator) -> Floats:
    """Noise through narrow bands at the harmonics: a pitch that is nowhere periodic."""
    spectrum = np.fft.rfft(random.standard_normal(n))
    bins = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    number = np.maximum(np.round(bins / frequency), 1)
    # A band is as narrow as a tone of 0.37 s lets it be, and no wider than a fifth of a semitone.
    width = np.maximum(0.012 * frequency * number, 3.0)
    spectrum *= np.exp(-0.5 * ((bins - number * frequency) / width) ** 2) / number * (bins < HIGHEST)
    return attack(n, 0.01) * np.fft.irfft(spectrum, n)


TIMBRES = {
    "pluck": Timbre(True, "guitar, harpsichord, piano (General MIDI 24, 6, 0)", pluck),
    "bowed": Timbre(True, "violin and string ensemble (40, 48)", bowed),
    "organ": Timbre(True, "drawbar organ (16)", organ),
    "hollow": Timbre(False, "none: every third partial missing, 25 Hz tremolo", hollow),
    "whisper": Timbre(False, "none: harmonic bands of noise without a periodic part", whisper),
}
"""All timbres by name."""

FAMILIAR = tuple(name for name, timbre in TIMBRES.items() if timbre.familiar)
UNFAMILIAR = tuple(name for name, timbre in TIMBRES.items() if not timbre.familiar)


def timbre_of(unit: int) -> str:
    """Timbre of a unit: familiar ones and unfamiliar ones take turns."""
    names = UNFAMILIAR if unit % 2 else FAMILIAR
    return names[unit // 2 % len(names)]


def render(item: Item, seed: int) -> NDArray[np.float32]:
    """Samples ``(4096 n_frames,)`` of a stimulus at 44.1 kHz.

    A tone's noise depends on the seed, the unit and its frame alone: versions of a unit share it.
    """
    samples = np.zeros(item.n_frames * FRAME_SAMPLES)
    for tone in item.tones:
        start = tone.frame * FRAME_SAMPLES
        random = np.random.default_rng((seed, item.unit, tone.frame))
        wave = sound(tone, random)[: len(samples) - start]
        samples[start : start + len(wave)] += wave
    return samples.astype(np.float32)


def sound(tone: Tone, random: np.random.Generator) -> Floats:
    """Samples of one tone, as loud in the mean at every pitch and in every timbre."""
    n = tone.frames * FRAME_SAMPLES
    wave = TIMBRES[tone.timbre].wave(440 * 2 ** ((tone.pitch - 69) / 12), n, random)
    wave[-RELEASE:] *= 0.5 * (1 + np.cos(np.linspace(0, np.pi, RELEASE)))
    return LEVEL * 10 ** (tone.level / 20) / np.sqrt(np.mean(wave**2)) * wave
