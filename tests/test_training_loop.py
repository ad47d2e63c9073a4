"""The training loop: it learns, ends early, and goes on where it was killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from audioic_widget.errors import CheckpointError, OutputError
from audioic_widget.training import loop
from audioic_widget.training.loop import Schedule, averaged_weights, fit


def line_fit(checkpoint: Path, steps: int, stop_after: int | None = None) -> nn.Module:
    """Learn y = 3 x + 1, perhaps killed after some steps."""
    torch.manual_seed(0)
    model, calls = nn.Linear(1, 1), 0

    def loss(random: torch.Generator) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == stop_after:
            raise KeyboardInterrupt
        x = torch.randn(64, 1, generator=random)
        return (model(x) - 3 * x - 1).square().mean()

    return fit(model, loss, Schedule(steps, rate=0.1, warmup=5, average=0.9, save_seconds=0.0), checkpoint, seed=1)


def test_training_learns(tmp_path: Path) -> None:
    model = line_fit(tmp_path / "line.pt", 300)
    assert model.weight.item() == pytest.approx(3, abs=0.05)
    assert model.bias.item() == pytest.approx(1, abs=0.05)


def network_fit(checkpoint: Path, steps: int, stop_after: int | None = None) -> nn.Sequential:
    """Three layers of which Muon trains the middle one."""
    torch.manual_seed(0)
    model, calls = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8, bias=False), nn.Linear(8, 8)), 0

    def loss(random: torch.Generator) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == stop_after:
            raise KeyboardInterrupt
        x = torch.randn(64, 8, generator=random)
        return (model(x) - 3 * x).square().mean()

    schedule = Schedule(steps, matrix_rate=0.1, warmup=0, average=0.0, save_seconds=0.0, mixed=False)
    return fit(model, loss, schedule, checkpoint, seed=1, matrices=[model[1].weight])


def test_muon_moves_its_matrices_by_one_length_in_every_direction(tmp_path: Path) -> None:
    """An update is about the orthogonal matrix nearest to the gradient, whatever the scale of that."""
    torch.manual_seed(0)
    before = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8, bias=False))
    after = network_fit(tmp_path / "one.pt", 1)
    lengths = torch.linalg.svdvals(after[1].weight - 0.999 * before[1].weight)
    assert 0.05 < lengths[-1] <= lengths[0] < 0.13
    assert 0 < (after[0].weight - before[0].weight).abs().max() < 1.1e-3


@pytest.mark.parametrize(("learn", "steps", "killed"), [(line_fit, 40, 17), (network_fit, 12, 7)])
def test_a_killed_run_goes_on_to_the_same_weights(
    tmp_path: Path, learn: Callable[..., nn.Module], steps: int, killed: int
) -> None:
    unbroken = learn(tmp_path / "unbroken.pt", steps)
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "broken.pt", steps, stop_after=killed)
    resumed = learn(tmp_path / "broken.pt", steps)
    for a, b in zip(unbroken.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    finished = line_fit(tmp_path / "line.pt", 20)
    again = line_fit(tmp_path / "line.pt", 20, stop_after=1)
    assert again.weight.item() == finished.weight.item()
    assert averaged_weights(tmp_path / "line.pt")["weight"].item() == finished.weight.item()


def test_a_foreign_or_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"model": nn.Linear(2, 2).state_dict()}, tmp_path / "foreign.pt")
    (tmp_path / "damaged.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match="foreign"):
        line_fit(tmp_path / "foreign.pt", 5)
    with pytest.raises(CheckpointError, match="damaged"):
        line_fit(tmp_path / "damaged.pt", 5)


def test_the_rate_rises_then_falls_to_zero() -> None:
    schedule = Schedule(steps=110, warmup=10)
    assert schedule.share_at(4) == pytest.approx(0.5)
    assert schedule.share_at(10) == pytest.approx(1.0)
    assert schedule.share_at(60) == pytest.approx(0.5)
    assert schedule.share_at(109) < 0.01


def test_before_the_fall_the_rate_does_not_depend_on_the_length() -> None:
    short, long = (Schedule(steps, warmup=10, fall=0.2) for steps in (110, 510))
    assert [short.share_at(step) for step in range(90)] == [long.share_at(step) for step in range(90)]
    assert short.share_at(89) == 1.0
    assert short.share_at(100) == pytest.approx(0.5)
    assert short.share_at(109) < 0.01


def test_training_ends_when_held_out_data_gain_nothing_and_keeps_the_best(tmp_path: Path) -> None:
    """A model that overshoots: the best of its checks is returned, killed and resumed or not."""
    weights: list[float] = []

    def run(path: Path, stop_after: int | None = None) -> nn.Module:
        torch.manual_seed(0)
        model, calls = nn.Linear(1, 1), 0

        def loss(random: torch.Generator) -> torch.Tensor:
            nonlocal calls
            calls += 1
            if calls == stop_after:
                raise KeyboardInterrupt
            return (model.weight - 10).square().sum()

        def held_out(averaged: nn.Linear) -> float:
            weights.append(averaged.weight.item())
            return abs(weights[-1] - 3)

        schedule = Schedule(400, rate=0.1, warmup=1, average=0.5, save_seconds=0, check_steps=10, patience=3)
        return fit(model, loss, schedule, path, 0, held_out)

    unbroken = run(tmp_path / "unbroken.pt")
    assert len(weights) < 40
    assert abs(unbroken.weight.item() - 3) == min(abs(weight - 3) for weight in weights)
    assert weights.index(unbroken.weight.item()) == len(weights) - 4
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken.pt", stop_after=len(weights) * 10 - 12)
    assert run(tmp_path / "broken.pt").weight.item() == unbroken.weight.item()


def test_a_full_disk_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loop.torch, "save", full)
    with pytest.raises(OutputError, match="No space left on device"):
        line_fit(tmp_path / "line.pt", 3)
    assert not list(tmp_path.iterdir())
