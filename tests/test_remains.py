"""What noise leaves of a recording: that it is that recording, less of it at higher levels, the same in any part."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import audioic_widget as aw
from audioic_widget.codec import Decoder
from audioic_widget.codec.inversion import spectrum, waveform
from audioic_widget.codec.mini import MiniCodec
from audioic_widget.frames import FRAME_SAMPLES
from audioic_widget.ic import Encoded, encode
from audioic_widget.model.catalogue import ICModel
from audioic_widget.remains import STRETCH, Remains


@pytest.fixture(scope="module")
def model() -> ICModel:
    return aw.load_model("mini", device="cpu")


@pytest.fixture(scope="module")
def encoded(model: ICModel) -> Encoded:
    recording = aw.read_recording(aw.example("minuet"))
    return encode(aw.Recording("part", recording.samples[: 70 * FRAME_SAMPLES], 44_100), model)


def likeness(encoded: Encoded, model: ICModel, sound: np.ndarray) -> float:
    """Mean cosine of the latents of `sound` and of the recording."""
    assert model.codec is not None
    again = model.codec.encode(sound, 3, 66)
    first = encoded.first
    return float(torch.cosine_similarity(again, encoded.latents[3 - first : 66 - first]).mean())


def test_encoded_again_it_is_the_recording_and_less_of_it_at_higher_levels(encoded: Encoded, model: ICModel) -> None:
    found = [
        likeness(encoded, model, Remains(encoded, model, level).samples(0, 70 * FRAME_SAMPLES))
        for level in (0.0, 0.6, 1.0)
    ]
    assert found[0] > 0.9
    assert found[0] > found[1] + 0.1 > found[2] + 0.2


def test_a_part_sounds_as_in_the_whole_and_seams_cannot_be_heard(encoded: Encoded, model: ICModel) -> None:
    whole = Remains(encoded, model, 0.3).samples(0, 70 * FRAME_SAMPLES)
    seam = STRETCH * FRAME_SAMPLES
    for first, stop in ((seam - 9_000, seam + 9_000), (100_000, 100_001), (2 * seam + 5, 2 * seam + 800)):
        np.testing.assert_array_equal(Remains(encoded, model, 0.3).samples(first, stop), whole[first:stop])
    jumps = np.abs(np.diff(whole))
    assert jumps[seam - 2 * FRAME_SAMPLES :][: 4 * FRAME_SAMPLES].max() < 1.5 * jumps.max()
    # As loud at a seam as the recording is, within the loss of the codec.
    power = [np.mean(each[seam - 4096 :][:8192] ** 2) for each in (whole, encoded.recording.samples)]
    assert 0.15 < power[0] / power[1] < 1.5


def test_outside_of_what_sounds_it_is_silent_and_the_seed_decides(model: ICModel) -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, 40 * FRAME_SAMPLES).astype(np.float32)
    sound[: 10 * FRAME_SAMPLES] = sound[30 * FRAME_SAMPLES :] = 0
    encoded = encode(aw.Recording("middle", sound, 44_100), model)
    left = Remains(encoded, model, 0.5).samples(0, 41 * FRAME_SAMPLES)
    begin, end = encoded.first * FRAME_SAMPLES, (encoded.first + len(encoded.latents)) * FRAME_SAMPLES
    assert not left[:begin].any()
    assert not left[end:].any()
    # Faded nowhere but at seams: as loud in its first frame as in the others, within the chance of noise.
    loud = np.sqrt(np.mean(left[begin:end].reshape(-1, FRAME_SAMPLES) ** 2, axis=1))
    assert loud[1:-1].min() > 0.5 * np.median(loud)
    other = Remains(encoded, model, 0.5, seed=1).samples(0, 41 * FRAME_SAMPLES)
    assert not np.array_equal(other, left)


def test_codecs_that_cannot_decode_are_named(tiny: ICModel, encoded: Encoded, model: ICModel) -> None:
    assert isinstance(model.codec, Decoder)
    with pytest.raises(aw.ModelError, match="cannot turn latents into sound"):
        Remains(encoded, tiny, 0.3)
    with pytest.raises(aw.SettingsError, match="outside"):
        Remains(encoded, model, 1.1)


def test_a_sine_comes_back_at_its_pitch_and_in_its_place(model: ICModel) -> None:
    """Of features without error, the sound is that sound: frequency to 1 %, power to 1 dB, onset to a hop."""
    codec = model.codec
    assert isinstance(codec, MiniCodec)
    time = np.arange(20 * FRAME_SAMPLES) / 44_100
    onset = 10 * FRAME_SAMPLES
    sine = np.where(np.arange(len(time)) < onset, 0, 0.5 * np.sin(2 * math.pi * 233.1 * time)).astype(np.float32)
    features = codec.features(codec.samples_of(sine, 0, 20)).exp()
    mel, low = features[:, : 8 * codec.n_mels], features[:, 8 * codec.n_mels :]
    frequencies = 55.0 * 2 ** (torch.arange(codec.config.low_bins) / 24)
    power = spectrum(
        mel.reshape(-1, codec.n_mels),
        low.reshape(40, -1).repeat_interleave(4, dim=0),
        codec.features.mel,
        frequencies,
    )
    sound = waveform(power, 512, seed=0).numpy()
    assert len(sound) == len(sine)
    steady = sound[13 * FRAME_SAMPLES : 18 * FRAME_SAMPLES] * np.hanning(5 * FRAME_SAMPLES)
    spectra = np.abs(np.fft.rfft(steady))
    assert spectra.argmax() * 44_100 / len(steady) == pytest.approx(233.1, rel=0.01)
    loudness = np.mean(sound[13 * FRAME_SAMPLES : 18 * FRAME_SAMPLES] ** 2)
    assert 10 * math.log10(loudness / 0.125) == pytest.approx(0, abs=1)
    loud = np.abs(sound) > 0.1
    assert abs(int(loud.argmax()) - onset) < 1_024
