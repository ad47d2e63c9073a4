"""Spectrogram tiles: the right band, the right column, the same cost at every zoom."""

from __future__ import annotations

import numpy as np

from audioic_widget.spectrogram import COLUMN_SAMPLES, N_MELS, spectrogram_tile

SECONDS = 4
TIME = np.arange(SECONDS * 44_100) / 44_100


def test_a_tone_is_brightest_in_its_band_at_every_level() -> None:
    tones = [(0.5 * np.sin(2 * np.pi * f * TIME)).astype(np.float32) for f in (440, 4_000)]
    for level in range(4):
        bands = [spectrogram_tile(tone, level, 1, 2, 0.5)[0].argmax() for tone in tones]
        assert bands[0] < N_MELS // 3 < bands[1]
        assert all(spectrogram_tile(tone, level, 1, 2, 0.5)[0].max() > 240 for tone in tones)


def test_a_click_lies_in_its_column_and_silence_is_black() -> None:
    samples = np.zeros(len(TIME), np.float32)
    samples[50 * COLUMN_SAMPLES + 500] = 1.0
    tile = spectrogram_tile(samples, 0, 0, 100, 1.0)
    assert tile.sum(axis=1).argmax() == 50
    assert tile[:48].max() == 0


def test_tiles_fit_together_and_end_with_the_recording() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, len(TIME)).astype(np.float32)
    whole = spectrogram_tile(noise, 0, 0, 10**6, 0.4)
    assert len(whole) == -(-len(noise) // COLUMN_SAMPLES)
    np.testing.assert_array_equal(whole[30:50], spectrogram_tile(noise, 0, 30, 20, 0.4))
    assert len(spectrogram_tile(noise, 0, 10**6, 5, 0.4)) == 0
