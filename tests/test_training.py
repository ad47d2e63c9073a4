"""Codec and flow in small: what they learn, how they are measured, and the exported model."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from audioic_widget.codec.mini import MiniCodec, MiniConfig
from audioic_widget.training import evaluate, loop, train_codec, train_flow
from audioic_widget.training.arrange import Note, Performance
from audioic_widget.training.export import export, rounded
from audioic_widget.training.loop import Schedule
from audioic_widget.training.train_flow import Flow, corrupted, stratified

# Codec and flow


def test_the_codec_learns_to_survive_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_codec, "BATCH_FRAMES", 64)
    random = np.random.default_rng(0)
    features = (random.normal(size=(512, 2)) @ random.normal(size=(2, 80)) - 3).astype(np.float16)
    torch.manual_seed(0)
    codec = MiniCodec(MiniConfig(hidden=16, n_mels=8, low_bins=8))
    schedule = Schedule(200, rate=1e-2, warmup=10, average=0.9)
    trained = train_codec.train_codec(codec, features, schedule, tmp_path / "codec.pt", seed=0)
    errors = evaluate.codec_errors(trained, features, seed=0)
    assert errors["0.0"] < 0.3
    assert errors["0.0"] < errors["0.5"] < errors["1.0"]


def tiny_flow() -> Flow:
    torch.manual_seed(0)
    return Flow(dim=32, depth=1, heads=1, head_depth=1)


def test_the_flow_learns_what_follows(tmp_path: Path) -> None:
    """Latents that alternate between two points are soon predicted better than by a unit Gaussian."""
    points = np.random.default_rng(0).normal(size=(2, 64)).astype(np.float32)
    latents = np.tile(points, (100, 1))
    schedule = Schedule(200, rate=1e-2, warmup=5, average=0.9)
    flow = train_flow.train_flow(tiny_flow(), latents, 16, schedule, tmp_path / "flow.pt", 0)
    losses = evaluate.flow_losses(flow, latents, 16, seed=0)
    assert evaluate.mean_loss(losses) < 0.6 < math.pi / 2


def test_a_flow_run_killed_and_resumed_gives_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    latents = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    schedule = Schedule(6, warmup=2, save_seconds=0.0)
    unbroken = train_flow.train_flow(tiny_flow(), latents, 8, schedule, tmp_path / "unbroken.pt", 0)
    saves = 0
    save = loop.torch.save

    def save_then_die(*arguments: object) -> None:
        nonlocal saves
        saves += 1
        if saves == 4:
            raise KeyboardInterrupt
        save(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop.torch, "save", save_then_die)
        with pytest.raises(KeyboardInterrupt):
            train_flow.train_flow(tiny_flow(), latents, 8, schedule, tmp_path / "broken.pt", 0)
    resumed = train_flow.train_flow(tiny_flow(), latents, 8, schedule, tmp_path / "broken.pt", 0)
    for a, b in zip(unbroken.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


def test_times_are_one_in_each_stratum() -> None:
    times = stratified(16, torch.Generator().manual_seed(0))
    assert sorted((times * 16).int().tolist()) == list(range(16))


def test_half_of_the_windows_stay_clean_and_none_is_lost() -> None:
    latents = torch.ones(3000, 2, 4)
    shown = corrupted(latents, torch.Generator().manual_seed(0))
    clean = (shown == 1).flatten(1).all(1)
    scaled = (shown == shown[:, :1, :1]).flatten(1).all(1) & ~clean
    assert clean.float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert scaled.float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert (shown[scaled] < 1).all()


# Evaluation and export


def test_ic_at_level_one_is_that_of_the_normal_density_at_its_centre(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "IC_LEVELS", (1.0,))
    content = evaluate.information_content(tiny_flow(), torch.randn(5, 64), seed=0)
    torch.testing.assert_close(content, torch.full((1, 4), 58.81207), rtol=0, atol=1e-4)


def test_the_onset_response_finds_a_peak_where_it_is() -> None:
    onsets = [10, 20, 30, 31, 32, 45]
    performance = Performance(tuple(Note((k + 0.5) * 4096 / 44100, 0.1, 60, 80, 0) for k in onsets), {0: 0})
    assert evaluate.lonely_onsets(performance).tolist() == [10, 20, 30, 45]
    content = torch.randn(3, 59, generator=torch.Generator().manual_seed(0))
    content[:, [k - 1 + 1 for k in onsets]] += 20  # one frame after each onset
    for response in evaluate.onset_response([content], [performance]).values():
        assert response["lag"] == 1
        assert response["peak"] > 1


def test_the_floor_and_the_mean_loss_have_their_closed_forms() -> None:
    assert evaluate.floor(0.3) == pytest.approx(-18.24, abs=0.01)
    assert evaluate.floor(0.0) == -math.inf
    assert evaluate.mean_loss({"0": 0.0, "0.5": 0.5, "1": 1.0}) == pytest.approx(0.5)
    below = evaluate.share_below_floor([torch.tensor([[0.0, 0.0], [-20.0, 0.0], [26.0, 27.0]])])
    assert below == {"0.0": 0.0, "0.3": 0.5, "0.6": 0.5}


def test_an_exported_model_is_complete_and_rounded(tmp_path: Path) -> None:
    codec, flow = rounded(MiniCodec(MiniConfig(hidden=16))), rounded(tiny_flow())
    export("toy", tmp_path, codec, flow, 16, {"version": "0"})
    card = json.loads((tmp_path / "toy.json").read_text())
    assert card["architecture"] == {
        "latent_dim": 64, "dim": 32, "depth": 1, "heads": 1, "reach": 8, "head_depth": 1, "context_frames": 16
    }  # fmt: skip
    tensors = {name: tensor.float() for name, tensor in load_file(tmp_path / "toy.safetensors").items()}
    again = MiniCodec.from_config(card["codec"])
    for prefix, module, fresh in (("codec", codec, again), ("backbone", flow.backbone, tiny_flow().backbone)):
        fresh.load_state_dict(
            {k.removeprefix(f"{prefix}."): v for k, v in tensors.items() if k.startswith(f"{prefix}.")}
        )
        for name, value in module.state_dict().items():
            assert torch.equal(fresh.state_dict()[name], value)
    assert {path.name for path in tmp_path.iterdir()} == {"toy.json", "toy.safetensors"}
