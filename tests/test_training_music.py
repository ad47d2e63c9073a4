"""The recipe's music: scores to notes, notes to performances, performances to sound, and tones made up."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from audioic_widget.errors import AudioError
from audioic_widget.frames import FRAME_PERIOD, FRAME_SAMPLES, SAMPLE_RATE
from audioic_widget.training import tones
from audioic_widget.training.arrange import GRID_DELAY, HELD_OUT_PROGRAMS, Note, Performance, arrange
from audioic_widget.training.dataset import PROCEDURAL, SHARES, Rendering, coloured
from audioic_widget.training.procedural import loop_piece, melody_piece
from audioic_widget.training.render import midi_file, render, require_fluidsynth
from audioic_widget.training.scores import COLLECTIONS, DRUM_PART, Score, load_scores, note_table
from audioic_widget.training.tones import tone_recording

SCALE = Score("test/scale", np.array([[k, 1, 60 + k, 0] for k in range(16)], dtype=np.float32))


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


def test_a_tone_recording_is_the_same_for_the_same_seed() -> None:
    tunes = [np.arange(60, 72)]
    recording = tone_recording(5, tunes)
    assert recording.shape == (tones.FRAMES * FRAME_SAMPLES,)
    assert recording.dtype == np.float32
    assert 0.02 < np.sqrt(np.mean(recording**2)) < 0.3
    np.testing.assert_array_equal(recording, tone_recording(5, tunes))
    assert not np.allclose(recording, tone_recording(6, tunes))


@pytest.mark.parametrize("pitch", [45, 60, 81])
def test_a_synthesised_tone_has_its_pitch_and_loudness(pitch: int) -> None:
    timbre = tones.Timbre(np.ones(24, dtype=np.float32), 0.0, 0.01, 0.01, 1.0, 0.5, 0.0, 5.0)
    wave = timbre.tone(pitch, 4 * FRAME_SAMPLES)
    assert np.sqrt(np.mean(wave**2)) == pytest.approx(1, rel=1e-3)
    spectrum = np.abs(np.fft.rfft(wave))
    partials = np.arange(1, 4) * 440 * 2 ** ((pitch - 69) / 12) * len(wave) / SAMPLE_RATE
    for partial in partials:
        near = spectrum[int(partial) - 8 : int(partial) + 10]
        assert abs(int(partial) - 8 + near.argmax() - partial) < 1
        assert near.max() > 20 * np.median(spectrum)


def test_a_motif_comes_again_and_reordered_tones_do_not() -> None:
    counts = {}
    for kind in (tones.motif, tones.reordered):
        pairs = 0
        for seed in range(30):
            row = [event for event, _ in kind(np.random.default_rng(seed), 60, [])]
            pairs += len(row) - 1 - len({*pairwise(row)})
        counts[kind] = pairs
    assert counts[tones.motif] > 1.5 * counts[tones.reordered]


def test_kinds_of_stretches_add_up_and_play_in_range() -> None:
    assert sum(share for share, _ in tones.STRETCHES.values()) == pytest.approx(1)
    assert sum(tones.GAPS.values()) == pytest.approx(1)
    for name, (_, play) in tones.STRETCHES.items():
        for seed in range(20):
            stretch = play(np.random.default_rng(seed), 60, [np.arange(55, 100)])
            assert len(stretch) >= 6, name
            assert all(40 <= pitch <= 110 for event, _ in stretch for pitch in event), name


def test_tunes_held_out_from_training_are_not_played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = [f"airs/{k}" for k in range(200)]
    scores = [Score(name, np.array([[0, 1, k, 0]] * 2, dtype=np.float32)) for k, name in enumerate(names)]
    monkeypatch.setattr(tones, "collection_files", lambda collection: [tmp_path] if collection == "airs" else [])
    monkeypatch.setattr(tones, "load_scores", lambda *_: scores)
    played = {int(line[0]) for line in tones.training_tunes(tmp_path)}
    assert played == {k for k, name in enumerate(names) if not Rendering(tmp_path, name).held_out} != set(range(200))


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
