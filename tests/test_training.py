"""The recipe in small: scores to notes, notes to MIDI, the loop and its resumption, export."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from torch import nn

from audioic_widget.codec.mini import MiniCodec, MiniConfig
from audioic_widget.errors import AudioError, CheckpointError, OutputError
from audioic_widget.frames import FRAME_PERIOD
from audioic_widget.training import evaluate, loop, train_codec, train_flow
from audioic_widget.training.arrange import GRID_DELAY, HELD_OUT_PROGRAMS, Note, Performance, arrange
from audioic_widget.training.dataset import PROCEDURAL, SHARES, Rendering, coloured
from audioic_widget.training.export import export, rounded
from audioic_widget.training.loop import Schedule, averaged_weights, fit
from audioic_widget.training.procedural import loop_piece, melody_piece
from audioic_widget.training.render import midi_file, render, require_fluidsynth
from audioic_widget.training.scores import COLLECTIONS, DRUM_PART, Score, load_scores, note_table
from audioic_widget.training.train_flow import Flow, corrupted, stratified

SCALE = Score("test/scale", np.array([[k, 1, 60 + k, 0] for k in range(16)], dtype=np.float32))


# Scores and performances


def test_a_written_tune_becomes_a_note_table_with_its_repeats(tmp_path: Path) -> None:
    pytest.importorskip("music21", reason="reading scores needs the extra `training`")
    path = tmp_path / "tunes" / "tune.abc"
    path.parent.mkdir()
    path.write_text('X:1\nT:Tune\nM:4/4\nL:1/4\nK:C\n|:"C"C D E F|G A B-B:|\n|:c4|c4:|\n')
    (score,) = load_scores("fiddle", path, tmp_path / "cache")
    assert score.name == "fiddle/tunes-tune-0"
    onsets, durations, pitches, parts = score.notes.T
    assert pitches.tolist() == 2 * [60, 62, 64, 65, 67, 69, 71] + 4 * [72]  # the chord symbol does not sound
    assert onsets.tolist() == [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 16, 20, 24, 28]
    assert durations[6] == 2  # tied notes are one
    assert (parts == 0).all()


def test_a_parsed_score_is_read_from_the_cache(tmp_path: Path) -> None:
    np.savez(tmp_path / "tunes-tune.npz", **{"3": SCALE.notes})
    (score,) = load_scores("fiddle", tmp_path / "tunes" / "tune.abc", tmp_path)
    assert score.name == "fiddle/tunes-tune-3"
    np.testing.assert_array_equal(score.notes, SCALE.notes)


def test_parts_and_chords_of_a_score_are_kept_apart() -> None:
    music21 = pytest.importorskip("music21", reason="reading scores needs the extra `training`")
    upper = music21.stream.Part([music21.chord.Chord(["C4", "E4"], quarterLength=2)])
    lower = music21.stream.Part([music21.note.Rest(quarterLength=1), music21.note.Note("C3", quarterLength=1)])
    table = note_table(music21.stream.Score([upper, lower]))
    assert table.tolist() == [[0, 2, 60, 0], [0, 2, 64, 0], [1, 1, 48, 1]]


def test_the_shares_name_known_collections_and_add_up() -> None:
    assert set(SHARES) == {*COLLECTIONS, *PROCEDURAL}
    assert sum(SHARES.values()) == pytest.approx(1)


def test_an_arrangement_keeps_rhythm_and_intervals() -> None:
    performance = arrange(SCALE, np.random.default_rng(3), shortest=0, longest=1e3)
    pitches = np.array([note.pitch for note in performance.notes])
    assert np.diff(pitches).tolist() == [1] * 15
    onsets = np.array([note.onset for note in performance.notes])
    assert 0.15 < np.median(np.diff(onsets)) < 0.6
    assert onsets[0] > 0
    assert all(1 <= note.velocity <= 127 for note in performance.notes)


def test_about_half_of_the_arrangements_keep_to_the_frame_grid() -> None:
    on_grid = 0
    for seed in range(60):
        onsets = np.array([note.onset for note in arrange(SCALE, np.random.default_rng(seed)).notes])
        offsets = (onsets - GRID_DELAY) / FRAME_PERIOD
        on_grid += bool(np.abs(offsets - offsets.round()).max() < 1e-3)
    assert 18 <= on_grid <= 42


def test_arrangements_repeat_short_pieces_cut_long_ones_and_avoid_held_out_instruments() -> None:
    durations = []
    for seed in range(40):
        performance = arrange(SCALE, np.random.default_rng(seed), shortest=20, longest=25)
        assert not set(performance.programs.values()) & set(HELD_OUT_PROGRAMS)
        durations.append(performance.duration)
    assert max(durations) < 26
    assert np.median(durations) > 15


def test_drums_are_not_transposed() -> None:
    drums = Score("test/drums", np.array([[k, 1, 36, DRUM_PART] for k in range(8)], dtype=np.float32))
    performance = arrange(drums, np.random.default_rng(1))
    assert {note.pitch for note in performance.notes} == {36}
    assert not performance.programs


def test_a_loop_piece_is_the_same_for_the_same_seed_and_repeats_itself() -> None:
    piece = loop_piece(7)
    np.testing.assert_array_equal(piece.notes, loop_piece(7).notes)
    assert len(piece.notes) != len(loop_piece(8).notes)
    assert piece.notes[:, 0].max() > 100
    assert (np.diff(piece.notes[:, 0]) >= 0).all()
    opening = {tuple(row) for row in piece.notes[piece.notes[:, 0] < 2].tolist()}
    later = {tuple(row) for row in piece.notes.tolist()}
    assert any({(onset + shift, *rest) for onset, *rest in opening} <= later for shift in (2, 4, 8))


def test_a_melody_piece_is_one_line_from_its_seed() -> None:
    piece = melody_piece(7)
    np.testing.assert_array_equal(piece.notes, melody_piece(7).notes)
    onsets, durations = piece.notes[:, 0], piece.notes[:, 1]
    assert onsets[-1] > 150
    assert (onsets[1:] >= onsets[:-1] + durations[:-1] - 1e-3).all()  # one tone at a time
    assert (np.abs(piece.notes[:, 2] - 66) < 40).all()


def test_colouring_is_a_filter_that_smears_nothing() -> None:
    click = np.zeros(44_100, dtype=np.float32)
    click[20_000] = 1
    heard = coloured(click, np.random.default_rng(0))
    assert heard.shape == click.shape
    assert np.square(heard[19_000:21_000]).sum() > 0.98 * np.square(heard).sum()
    assert not np.allclose(heard, click, atol=0.05)


def test_midi_has_notes_at_their_times() -> None:
    notes = (Note(0.0, 0.5, 60, 100, 0), Note(0.5, 1.0, 60, 90, 0), Note(0.25, 0.5, 36, 80, DRUM_PART))
    file = midi_file(Performance(notes, {0: 40}))
    now, starts, kinds = 0.0, [], []
    for message in file:
        now += message.time
        if message.type == "note_on":
            starts.append((round(now, 3), message.note, message.channel))
        kinds.append(message.type)
    assert starts == [(0.0, 60, 0), (0.25, 36, DRUM_PART), (0.5, 60, 0)]
    assert file.length == pytest.approx(1.5, abs=2e-3)
    assert kinds.index("program_change") < kinds.index("note_on")


def test_rendering_sounds_where_the_note_is() -> None:
    try:
        require_fluidsynth()
    except AudioError as error:
        pytest.skip(str(error))
    samples = render(Performance((Note(0.5, 0.5, 69, 100, 0),), {0: 0}))
    assert samples.shape[1] == 2
    assert np.abs(samples[:20_000]).max() < 1e-3 < 1e-2 < np.abs(samples[22_050:40_000]).max()


def test_a_missing_fluidsynth_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AudioError, match="apt install fluidsynth"):
        require_fluidsynth()


def test_held_out_goes_by_piece() -> None:
    pieces = [f"loops/{seed}" for seed in range(2000)]
    held = [Rendering(Path("a.flac"), piece).held_out for piece in pieces]
    assert held == [Rendering(Path("b.flac"), piece).held_out for piece in pieces]
    assert 0.04 < np.mean(held) < 0.08


# The loop


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


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    unbroken = line_fit(tmp_path / "unbroken.pt", 40)
    with pytest.raises(KeyboardInterrupt):
        line_fit(tmp_path / "broken.pt", 40, stop_after=17)
    resumed = line_fit(tmp_path / "broken.pt", 40)
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
    schedule = Schedule(steps=110, rate=2.0, warmup=10)
    assert schedule.rate_at(4) == pytest.approx(1.0)
    assert schedule.rate_at(10) == pytest.approx(2.0)
    assert schedule.rate_at(60) == pytest.approx(1.0)
    assert schedule.rate_at(109) < 0.01


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


# Codec and flow


def test_a_pitch_roll_says_what_sounds_in_each_frame(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(4096 * 6), 44_100)
    notes = [Note(1.5 * FRAME_PERIOD, 2 * FRAME_PERIOD, 60, 80, 0), Note(0.0, 0.5, 36, 80, DRUM_PART)]
    roll = train_codec.pitch_rolls([Rendering(tmp_path / "a.wav", "a")], lambda _: notes)
    assert roll.shape == (6, 88)
    assert np.argwhere(roll).tolist() == [[1, 39], [2, 39]]


def test_latents_tell_the_notes_when_they_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two notes whose spectra differ in a dimension that reconstruction alone would drown in louder ones."""
    monkeypatch.setattr(train_codec, "BATCH_FRAMES", 64)
    random = np.random.default_rng(0)
    rolls = np.zeros((512, 88), dtype=np.bool_)
    notes = random.integers(2, size=512)
    rolls[np.arange(512), 40 + notes] = True
    features = random.normal(size=(512, 80))
    features[:, 0] += 6 * notes
    apart = {}
    for known in (None, rolls):
        torch.manual_seed(0)
        codec = MiniCodec(MiniConfig(hidden=16, n_mels=8, low_bins=8))
        path = tmp_path / f"{known is None}.pt"
        schedule = Schedule(150, rate=1e-2, warmup=10, average=0.9)
        trained = train_codec.train_codec(codec, features.astype(np.float16), schedule, path, 0, known)
        latents = trained.squeeze(torch.from_numpy(features).float()).detach()
        means = [latents[torch.from_numpy(notes == k)].mean(0) for k in (0, 1)]
        apart[known is None] = (means[0] - means[1]).norm().item()
    assert apart[False] > 1.2 * apart[True]


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


def test_most_windows_stay_clean_and_none_is_lost() -> None:
    latents = torch.ones(3000, 2, 4)
    shown = corrupted(latents, torch.Generator().manual_seed(0))
    clean = (shown == 1).flatten(1).all(1)
    scaled = (shown == shown[:, :1, :1]).flatten(1).all(1) & ~clean
    assert clean.float().mean().item() == pytest.approx(0.6, abs=0.03)
    assert scaled.float().mean().item() == pytest.approx(0.2, abs=0.03)
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
        "latent_dim": 64, "dim": 32, "depth": 1, "heads": 1, "head_depth": 1, "context_frames": 16
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
