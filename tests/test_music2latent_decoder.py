"""What noise leaves, by the published codec: random weights in the right format, against the published code."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import DATA
from published import codec_state, decoder_state

import audioic_widget as aw
from audioic_widget.codec import decoder_of, music2latent_decoder
from audioic_widget.codec.music2latent import Music2Latent
from audioic_widget.frames import FRAME_SAMPLES
from audioic_widget.ic import encode
from audioic_widget.model.catalogue import ICModel
from audioic_widget.remains import Remains

pytest.importorskip("music2latent")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ICModel:
    """A published flow and a published codec with its decoder, converted."""
    folder = tmp_path_factory.mktemp("published")
    flow = Path(shutil.copy(DATA / "tiny.pt", folder / "pa_rectflow.pt"))
    state = {**{f"encoder.{name}": value for name, value in codec_state().items()}, **decoder_state()}
    torch.save({"gen_state_dict": state}, folder / "music2latent.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("platformdirs.user_cache_path", lambda name: folder / name)
        patch.setattr("warnings.showwarning", lambda *_, **__: None)
        loaded = aw.load_model(flow, device="cpu", codec=folder / "music2latent.pt")
    (folder / "music2latent.pt").unlink()
    return loaded


@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_sound_is_that_of_the_published_code(model: ICModel, monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from music2latent.inference import decode_latent_inference
    from music2latent.models import UNet

    monkeypatch.setattr(music2latent_decoder, "fast_in_bfloat16", lambda device: False)
    latents = torch.nn.functional.layer_norm(torch.randn(3, 64, generator=torch.Generator().manual_seed(1)), (64,))
    sound = decoder_of(model.codec).sound(latents, 0.0)
    assert sound.shape == (3 * FRAME_SAMPLES,)
    network = UNet()
    network.load_state_dict(decoder_state(), strict=False)
    noise = torch.randn(1, 2, 1024, 24, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr("torch.randn", lambda *_: noise)
    published = decode_latent_inference(latents.T, SimpleNamespace(gen=network), 44_100 * 60, 1, device="cpu")
    np.testing.assert_allclose(sound, published[0, : len(sound)].numpy(), atol=2e-4)


def test_what_noise_leaves_can_be_heard(model: ICModel) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 6 * FRAME_SAMPLES).astype(np.float32)
    encoded = encode(aw.Recording("noise", samples, 44_100), model)
    whole = Remains(encoded, model, 0.3).samples(0, 5 * FRAME_SAMPLES)
    assert np.isfinite(whole).all()
    assert np.abs(whole).max() > 1e-4
    np.testing.assert_array_equal(Remains(encoded, model, 0.3).samples(9_000, 9_100), whole[9_000:9_100])
    assert not np.array_equal(Remains(encoded, model, 0.9).samples(0, len(whole)), whole)


def test_noised_latents_are_brought_to_the_length_the_decoder_knows(model: ICModel) -> None:
    latents = torch.nn.functional.layer_norm(torch.randn(2, 64), (64,))
    decoder = decoder_of(model.codec)
    np.testing.assert_allclose(decoder.sound(0.4 * latents, 0.6), decoder.sound(latents, 0.0), atol=2e-3)


def test_a_codec_without_decoder_does_not_decode(model: ICModel) -> None:
    assert decoder_of(Music2Latent()) is None
    with pytest.raises(aw.ModelError, match="without its decoder"):
        Music2Latent().sound(torch.zeros(2, 64))


def test_a_damaged_decoder_is_named(model: ICModel, tmp_path: Path) -> None:
    codec = Music2Latent()
    codec.decoder_file = tmp_path / "decoder.safetensors"
    for content in (None, b"no tensors"):
        if content is not None:
            codec.decoder_file.write_bytes(content)
        with pytest.raises(aw.errors.CheckpointError, match="missing or damaged: fetch or convert the model again"):
            codec.sound(torch.zeros(2, 64))
