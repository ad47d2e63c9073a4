"""The published codec on random weights: the numbers of a straight computation, chunks that do not show."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from published import codec_state, latents_of
from torch import Tensor

from audioic_widget.codec import music2latent as module
from audioic_widget.codec.music2latent import Music2Latent
from audioic_widget.errors import ModelError, SettingsError

pytest.importorskip("music2latent")

FRAME = 4_096


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)


def loaded(bottleneck: str = "layernorm", chunking: str = "overlap") -> Music2Latent:
    codec = Music2Latent(bottleneck, chunking)  # type: ignore[arg-type]
    codec.encoder.load_state_dict(codec_state(bottleneck))
    return codec.eval()


@pytest.mark.parametrize("bottleneck", ["layernorm", "tanh"])
def test_latents_are_those_of_a_straight_computation(bottleneck: str) -> None:
    samples = noise(12 * FRAME + 1_536)
    latents = loaded(bottleneck).encode(samples, 2, 12)
    torch.testing.assert_close(latents, latents_of(codec_state(bottleneck), samples[2 * FRAME :]), atol=5e-4, rtol=1e-4)
    if bottleneck == "layernorm":
        torch.testing.assert_close(latents.square().sum(-1), torch.full((10,), 64.0), atol=0.05, rtol=0)


@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_published_chunks_are_those_of_the_published_code(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from music2latent.inference import encode_audio_inference

    monkeypatch.setattr(module, "PUBLISHED_CHUNK_FRAMES", 4)
    codec, samples = loaded(chunking="published"), noise(10 * FRAME + 1_536)
    published = encode_audio_inference(samples, SimpleNamespace(gen=codec), 4 * FRAME, 1, device="cpu")
    torch.testing.assert_close(codec.encode(samples, 0, 10), published[0].T.clone(), atol=2e-4, rtol=1e-4)


def test_the_end_of_the_file_counts_as_silence_after_it() -> None:
    codec, samples = loaded(), noise(3 * FRAME)
    longer = np.concatenate((samples, np.zeros(FRAME, np.float32)))
    assert torch.equal(codec.encode(samples, 0, 3), codec.encode(longer, 0, 3))
    assert codec.encode(samples, 1, 1).shape == (0, 64)


class Loud(Music2Latent):
    """In place of the network: every chunk has a value of its own, the same for all its frames."""

    def _latents(self, spectrum: Tensor) -> Tensor:
        self.seen.append(spectrum.shape[-1])
        return torch.full((spectrum.shape[-1] // 8, 64), float(len(self.seen)))


def cheap(monkeypatch: pytest.MonkeyPatch, chunking: str = "overlap") -> Loud:
    codec = Loud("tanh", chunking)  # type: ignore[arg-type]
    codec.seen = []
    monkeypatch.setattr(codec, "_spectrum", lambda samples, low, high: torch.zeros(1, 1, 1, 8 * (high - low)))
    return codec


@pytest.mark.parametrize("frames", [1, 159, 160, 161, 288, 289, 1_000])
def test_nothing_jumps_where_a_chunk_ends(monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    codec = cheap(monkeypatch)
    latents = codec.encode(noise(1), 5, 5 + frames)
    assert latents.shape == (frames, 64)
    assert bool(torch.isfinite(latents).all())
    assert set(codec.seen) == {8 * min(frames, 160)}  # all chunks of one length: bounded memory, alike statistics
    if frames > 1:
        # Chunks differ by 1 here; cut hard, that is one step.
        assert float(latents[:, 0].diff().abs().max()) < 0.16


def test_published_chunks_do_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    latents = cheap(monkeypatch, "published").encode(noise(1), 0, 700)
    assert float(latents[:, 0].diff().abs().max()) == 1


def test_work_can_be_ended_between_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    codec, calls = cheap(monkeypatch), list[int]()

    def check() -> None:
        calls.append(len(codec.seen))
        if len(calls) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        codec.encode(noise(1), 0, 1_000, check)
    assert calls == [0, 1, 2]


@pytest.mark.skipif(not torch.cpu.get_capabilities().get("avx512_bf16"), reason="bfloat16 is emulated here")
def test_bfloat16_is_close_and_only_where_asked_for() -> None:
    codec, samples = loaded(), noise(12 * FRAME)
    exact = codec.encode(samples, 0, 12)
    fast = codec.in_precision("bfloat16").encode(samples, 0, 12)
    error = float((fast - exact).norm() / exact.norm())
    assert 1e-4 < error < 0.1
    torch.testing.assert_close(fast.square().sum(-1), torch.full((12,), 64.0), atol=0.5, rtol=0)
    assert torch.equal(codec.encode(samples, 0, 12), exact)
    assert codec.description["precision"] == "float32"


def test_choices_are_checked() -> None:
    with pytest.raises(SettingsError, match="bottleneck"):
        Music2Latent("relu")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="precision"):
        Music2Latent(precision="int8")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="chunking"):
        Music2Latent(chunking="none")  # type: ignore[arg-type]


def test_without_the_package_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "music2latent.models", None)
    with pytest.raises(ModelError, match=r"audioic-widget\[published\]"):
        Music2Latent()
