"""The embedded model's codec: local, streamed, normalised, fit for any content."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
import torch

from audioic_widget.codec.mini import PIECE_FRAMES, Features, MiniCodec, MiniConfig
from audioic_widget.errors import Cancelled, ModelError
from audioic_widget.frames import FRAME_SAMPLES, SAMPLE_RATE


@pytest.fixture(scope="module")
def codec() -> MiniCodec:
    torch.manual_seed(0)
    return MiniCodec(MiniConfig(hidden=32)).eval()


def noise(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, frames * FRAME_SAMPLES).astype(np.float32)


def tone(frequency: float, frames: int, silent: int = 0) -> np.ndarray:
    samples = 0.5 * np.sin(2 * np.pi * frequency * np.arange(frames * FRAME_SAMPLES) / SAMPLE_RATE)
    samples[: silent * FRAME_SAMPLES] = 0
    return samples.astype(np.float32)


def test_a_latent_hears_nothing_after_its_frame_and_the_look_ahead(codec: MiniCodec) -> None:
    before = noise(12)
    after = before.copy()
    changed = 5
    after[(changed + codec.look_ahead + 1) * FRAME_SAMPLES :] = noise(12, seed=1)[: -(changed + 1) * FRAME_SAMPLES]
    a, b = codec.encode(before, 0, 12), codec.encode(after, 0, 12)
    assert torch.equal(a[: changed + 1], b[: changed + 1])
    assert not torch.allclose(a[changed + 1], b[changed + 1])


def test_a_latent_remembers_only_the_windows_before_its_frame(codec: MiniCodec) -> None:
    before, after = noise(12), noise(12)
    after[: 4 * FRAME_SAMPLES] = 0
    a, b = codec.encode(before, 0, 12), codec.encode(after, 0, 12)
    assert torch.equal(a[6:], b[6:])
    assert not torch.allclose(a[4], b[4])


def test_pieces_and_ranges_give_what_one_pass_gives(codec: MiniCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = noise(40)
    monkeypatch.setattr("audioic_widget.codec.mini.PIECE_FRAMES", 7)
    in_pieces = codec.encode(samples, 0, 40)
    monkeypatch.setattr("audioic_widget.codec.mini.PIECE_FRAMES", 100)
    at_once = codec.encode(samples, 0, 40)
    torch.testing.assert_close(in_pieces, at_once, rtol=0, atol=1e-5)
    torch.testing.assert_close(codec.encode(samples, 11, 23), at_once[11:23], rtol=0, atol=1e-5)


def test_what_is_not_a_whole_frame_is_not_heard(codec: MiniCodec) -> None:
    samples = noise(3)
    torch.testing.assert_close(codec.encode(np.append(samples, samples[:999]), 0, 3), codec.encode(samples, 0, 3))


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(4 * FRAME_SAMPLES, np.float32),
        np.ones(4 * FRAME_SAMPLES, np.float32),
        np.sign(noise(4)),
        tone(440.0, 4, silent=2),
        1e-30 * noise(4),
    ],
    ids=["silence", "constant", "full scale", "onset", "denormal"],
)
def test_latents_of_any_content_lie_on_the_sphere(codec: MiniCodec, samples: np.ndarray) -> None:
    latents = codec.encode(samples, 0, 4)
    assert latents.shape == (4, codec.latent_dim)
    torch.testing.assert_close(latents.mean(-1), torch.zeros(4), rtol=0, atol=1e-4)
    torch.testing.assert_close(latents.square().sum(-1), torch.full((4,), 64.0), rtol=2e-2, atol=0)


def test_no_frames_give_no_latents(codec: MiniCodec) -> None:
    assert codec.encode(noise(3), 2, 2).shape == (0, 64)


def test_a_check_between_pieces_can_end_the_encoding(codec: MiniCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = count()
    encoded = []
    squeeze = codec.squeeze
    monkeypatch.setattr(codec, "squeeze", lambda features: encoded.append(len(features)) or squeeze(features))

    def check() -> None:
        if next(checked) >= 1:
            raise Cancelled("ended")

    frames = 20 * PIECE_FRAMES
    with pytest.raises(Cancelled):
        codec.encode(np.zeros(frames * FRAME_SAMPLES, np.float32), 0, frames, check)
    assert encoded == [PIECE_FRAMES]


def test_decoding_gives_eight_mel_rows_a_frame(codec: MiniCodec) -> None:
    decoded = codec.decode(codec.encode(noise(5), 0, 5))
    assert decoded.shape == (40, codec.n_mels)
    assert torch.isfinite(decoded).all()


def features_of(codec: MiniCodec, samples: np.ndarray, frame: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mel bands ``(8, n_mels)`` and low frequencies ``(2, low_bins)`` of one frame."""
    both = codec.features(codec.samples_of(samples, frame, frame + 1))[0]
    mel, low = both[: 8 * codec.n_mels], both[8 * codec.n_mels :]
    return mel.view(8, -1), low.view(2, -1)


@pytest.mark.parametrize("semitones", [12, 17, 24, 36, 47])
def test_low_frequencies_tell_semitones_apart(codec: MiniCodec, semitones: int) -> None:
    """The strongest bin is the one at the tone's frequency: two bins a semitone."""
    _, low = features_of(codec, tone(55 * 2 ** (semitones / 12), 4), 3)
    assert abs(int(low[1].argmax()) - 2 * semitones) <= 1


def test_a_full_scale_tone_has_a_power_near_one(codec: MiniCodec) -> None:
    mel, low = features_of(codec, 2 * tone(440.0, 4), 3)
    assert abs(low.max()) < 0.2
    assert -1.5 < mel.max() < 0.2


def test_an_onset_is_heard_in_its_own_frame(codec: MiniCodec) -> None:
    samples = tone(440.0, 5, silent=3)
    quiet, _ = features_of(codec, samples, 2)
    loud, low = features_of(codec, samples, 3)
    assert quiet.max() < -15
    assert loud[7].max() > -3.5
    assert low[1].max() > -6


def test_every_mel_band_hears_something() -> None:
    assert (Features(MiniConfig()).mel.sum(0) > 0.99).all()


def test_the_card_describes_the_codec() -> None:
    config = {
        "latent_dim": 64, "hidden": 16, "n_mels": 40, "mel_range": [40.0, 8000.0],
        "low_bins": 24, "low_bins_per_octave": 12, "low_frequency": 110.0,
    }  # fmt: skip
    codec = MiniCodec.from_config(config)
    assert codec.encode(noise(2), 0, 2).shape == (2, 64)
    assert codec.decode(torch.zeros(2, 64)).shape == (16, 40)


def test_a_foreign_description_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match="hops"):
        MiniCodec.from_config({"latent_dim": 64, "hops": 8})
