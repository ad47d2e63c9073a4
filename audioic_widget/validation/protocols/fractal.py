"""1/f^b melodies: whether a trace orders white, 1/f and 1/f^2 melodies by how predictable they are.

The three melodies of a unit have the same pitches in another order, so that nothing but the order can matter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from audioic_widget.validation.items import NOTE_FRAMES, Effect, Floats, Item, Protocol
from audioic_widget.validation.melodies import MAJOR, melody, tonic_of
from audioic_widget.validation.statistics import paired, standardised, versions
from audioic_widget.validation.synthesis import timbre_of

N_TONES = 48
EXPONENTS = {"white": 0.0, "1/f": 1.0, "1/f^2": 2.0}
SCALE = np.concatenate([np.array(MAJOR) - 12, MAJOR])


def noise(exponent: float, length: int, random: np.random.Generator) -> Floats:
    """A series whose power falls with frequency f as ``1 / f^exponent``."""
    spectrum = np.fft.rfft(random.standard_normal(4 * length))
    frequency = np.fft.rfftfreq(4 * length)
    spectrum[1:] *= frequency[1:] ** (-exponent / 2)
    spectrum[0] = 0
    return np.asarray(np.fft.irfft(spectrum)[:length])


def make(n_units: int, seed: int) -> list[Item]:
    """A white, a 1/f and a 1/f^2 melody for each unit."""
    items = []
    for unit in range(n_units):
        random = np.random.default_rng((seed, unit, 6))
        tonic, timbre = tonic_of(random), timbre_of(unit)
        pitches = np.sort(tonic + SCALE[np.clip(np.rint(random.normal(6.5, 3, N_TONES)), 0, 13).astype(int)])
        for condition, exponent in EXPONENTS.items():
            ranks = stats.rankdata(noise(exponent, N_TONES, random), method="ordinal").astype(int)
            items.append(Item(unit, condition, timbre, melody(pitches[ranks - 1], timbre), NOTE_FRAMES * N_TONES))
    return items


def score(items: Sequence[Item], traces: Sequence[Floats], seed: int) -> list[Effect]:
    """Mean trace of the smoother melody minus that of the rougher one; below 0 is the order of predictability."""
    effects = []
    for rough, smooth in (("white", "1/f"), ("1/f", "1/f^2")):
        differences = []
        for (_, a), (_, b) in versions(items, traces, smooth, rough):
            smoother, rougher = standardised(a, b)
            differences.append(np.nanmean(smoother) - np.nanmean(rougher))
        effects += paired(f"{smooth} - {rough}", differences, seed) if differences else []
    return effects


PROTOCOL = Protocol("fractal", make, score, headline="share below")
