"""What is saved with a notebook: right to what can be seen, and small."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import soundfile
from recorded import until

import audioic_widget as aw
from audioic_widget.widget import snapshot, still, worker
from audioic_widget.widget.page import CHUNK, compressed_sound
from audioic_widget.widget.snapshot import GAP, saved_traces, still_picture


def result(frames: int, levels: int = 2) -> aw.ICResult:
    rng = np.random.default_rng(1)
    ic = rng.normal(40, 20, (levels, frames))
    ic[:, :3] = np.nan
    stderr = np.abs(rng.normal(0.5, 0.1, ic.shape))
    stderr[:, :3] = np.nan
    return aw.ICResult(np.arange(1, frames + 1) * 4096 / 44_100, np.linspace(0.1, 0.9, levels), ic, stderr)


def unpacked(saved: dict) -> np.ndarray:
    values = np.frombuffer(saved["values"], "<i2").reshape(len(saved["levels"]), -1)
    shown = np.array(saved["low"])[:, None] + values * np.array(saved["step"])[:, None]
    return np.where(values == GAP, np.nan, shown)


def test_saved_traces_are_the_result_to_a_hundredth_of_a_nat() -> None:
    full = result(500)
    saved = saved_traces(full)
    np.testing.assert_allclose(unpacked(saved), full.ic, atol=0.01)
    errors = np.frombuffer(saved["errors"], np.uint8).reshape(2, -1) * np.array(saved["error_step"])[:, None]
    np.testing.assert_allclose(errors[:, 3:], full.stderr[:, 3:], atol=0.01)


def test_an_hour_of_five_levels_is_small_and_keeps_its_peaks() -> None:
    full = result(38_760, levels=5)
    saved = saved_traces(full)
    assert len(saved["values"]) + len(saved["errors"]) < 100_000
    shown = unpacked(saved)
    assert shown.shape[1] == 2 * -(-38_760 // saved["group"])
    np.testing.assert_allclose(np.nanmax(shown, axis=1), np.nanmax(full.ic, axis=1), atol=0.01)
    np.testing.assert_allclose(np.nanmin(shown, axis=1), np.nanmin(full.ic, axis=1), atol=0.01)


def test_silence_is_saved_as_gaps() -> None:
    nothing = aw.ICResult([0.1, 0.2], [0.3], [[np.nan, np.nan]], [[np.nan, np.nan]])
    assert np.isnan(unpacked(saved_traces(nothing))).all()


def test_the_still_picture_is_escaped_and_small() -> None:
    html = still_picture(result(1_938), '"><script>alert(1)</script>.wav')
    assert "<script>" not in html
    assert html.startswith('<img class="audioic-still" alt="Information content of &quot;')
    assert 20_000 < len(html) < 60_000


def test_what_is_saved_of_an_hour_of_five_levels_is_below_300_kb() -> None:
    """The traces, the picture and the front end itself, as they stand in the notebook's JSON."""
    full = result(38_760, levels=5)
    saved = saved_traces(full)
    static = Path(snapshot.__file__).parent / "static"
    front_end = sum(len(json.dumps((static / name).read_text())) for name in ("widget.js", "widget.css", "loader.js"))
    binary = 4 / 3 * (len(saved["values"]) + len(saved["errors"]))
    # The rest of the state, the overview of the waveform included, is 10 kB.
    assert binary + front_end + len(still_picture(full, "hour.wav")) + 10_000 < 300_000


def test_sound_in_a_page_is_as_long_as_the_recording_and_small() -> None:
    recording = aw.read_recording(aw.example("minuet"))
    pieces = compressed_sound(recording)
    assert len(pieces) == -(-len(recording.samples) // CHUNK)
    assert 8 * sum(map(len, pieces)) / recording.duration < 75_000
    decoded = [soundfile.read(io.BytesIO(piece), dtype="float32")[0] for piece in pieces]
    assert [len(each) for each in decoded[:-1]] == [CHUNK + 1] * (len(pieces) - 1)
    # The sample that follows a piece is the first of the next one.
    together = np.concatenate([each[:CHUNK] for each in decoded])
    assert len(together) == len(recording.samples)
    error = together - recording.samples
    assert 10 * np.log10(np.mean(recording.samples**2) / np.mean(error**2)) > 25


def test_too_much_sound_for_a_page_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audioic_widget.widget.page.SOUND_SECONDS", 60)
    with pytest.raises(aw.AudioError, match="long has 2 minutes, and a page holds 1 of sound"):
        compressed_sound(aw.Recording("long", np.zeros(120 * 44_100, np.float32), 44_100))


def test_pictures_are_drawn_one_at_a_time_and_none_of_what_is_closed_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_end = threading.Event(), threading.Event()
    drawn = []

    def slow_picture(_: aw.ICResult, name: str) -> str:
        drawn.append(name)
        begun.set()
        assert may_end.wait(30)
        return ""

    monkeypatch.setattr(still, "still_picture", slow_picture)
    monkeypatch.setattr(worker, "REST", 0.01)
    monkeypatch.setattr("IPython.display.display", lambda *_, **__: Mock())
    workers = [worker.Worker("drawing") for _ in range(5)]
    for each in workers:
        each.submit(lambda check: None)
        picture = still.Still(each)
        picture.show()
        picture.draw(result(3), "song")
    assert begun.wait(30)
    for each in workers:
        each.close()
    may_end.set()
    until(lambda: all(thread.name != "drawing" for thread in threading.enumerate()))
    assert drawn == ["song"]
