"""What kernel and browser say to each other, with a recorder in place of the browser."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from recorded import FAST, LEVELS, Recorded, drawn

import audioic_widget as aw
from audioic_widget.audio import pcm16
from audioic_widget.formats import parquet_bytes
from audioic_widget.ic import encode
from audioic_widget.remains import Remains
from audioic_widget.widget import messages, outgoing
from audioic_widget.widget.curves import BELOW_FLOOR, Curves, State
from audioic_widget.widget.session import Update


def test_what_is_sent_is_the_result_of_the_library(widget: Recorded, samples: np.ndarray) -> None:
    expected = aw.compute_ic(samples, sample_rate=44_100, **FAST)
    np.testing.assert_array_equal(widget.result.ic, expected.ic)
    np.testing.assert_array_equal(widget.result.stderr, expected.stderr)
    assert widget.result.provenance == expected.provenance
    for level, row in drawn(widget).items():
        np.testing.assert_array_equal(row, expected.ic_at(level).astype(np.float32))


def test_a_draft_of_everything_comes_first(samples: np.ndarray) -> None:
    widget = Recorded(samples, sample_rate=44_100, noise_levels=LEVELS, n_steps=12)
    widget.wait(60)
    states = [int(np.frombuffer(buffers[2], np.uint8).max()) & 7 for _, buffers in widget.of_type("curves")]
    assert states[0] == State.DRAFT
    assert states[-1] == State.FINAL
    widget.close()


def test_curves_are_sent_at_once_in_the_beginning_and_ten_times_a_second_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(outgoing.time, "monotonic", lambda: now)
    sent: list[tuple[int, int]] = []

    def send(batch: Iterable[messages.Message]) -> None:
        sent.extend((each["first"], each["first"] + each["count"]) for each, _ in batch)

    gathering = outgoing.Outgoing(Curves((0.3,), 400), aw.ICSettings(noise_levels=[0.3]), 1, send)
    piece = np.zeros((1, 1))
    for frame in range(400):  # a frame every 10 ms, for 4 s
        gathering.take(Update((0.3,), frame, piece, piece, "draft", 0.5))
        now += 0.01
    assert sent[:3] == [(0, 1), (1, 2), (2, 3)]
    assert len(sent) == pytest.approx(3 + 40, abs=2)
    assert [first for first, _ in sent[1:]] == [stop for _, stop in sent[:-1]], "nothing is left out"
    # After a pause it may be at once again.
    now += 1.0
    taken = [gathering.take(Update((0.3,), frame, piece, piece, "draft", 0.5)) for frame in range(5)]
    assert taken == [True, True, True, False, False]


def test_a_draft_is_there_at_once_after_steps_have_changed(samples: np.ndarray) -> None:
    widget = Recorded(samples, sample_rate=44_100, noise_levels=LEVELS, n_steps=12)
    widget.wait(60)
    before, values = widget.of_type("curves")[0]
    widget.sent.clear()
    widget.n_steps = 14
    widget.wait(60)
    content, buffers = widget.of_type("curves")[0]
    assert (content["first"], content["count"]) == (0, widget.n_frames)
    states = np.frombuffer(buffers[2], np.uint8)
    assert set(states & 7) == {State.NONE, State.DRAFT}
    drafts = np.frombuffer(buffers[0], "<f4").reshape(len(LEVELS), -1)
    span = slice(before["first"], before["first"] + before["count"])
    np.testing.assert_array_equal(drafts[:, span].ravel(), np.frombuffer(values[0], "<f4"))
    expected = aw.compute_ic(samples, sample_rate=44_100, noise_levels=LEVELS, n_steps=14)
    np.testing.assert_array_equal(widget.result.ic, expected.ic)
    widget.close()


def test_sound_and_waveform_are_what_the_model_sees(widget: Recorded, samples: np.ndarray) -> None:
    widget.hear(type="audio", noise_level=None, first=1000, count=500)
    content, (buffer,) = widget.of_type("audio")[-1]
    assert (content["first"], content["count"]) == (1000, 500)
    np.testing.assert_array_equal(np.frombuffer(buffer, "<i2"), pcm16(samples[1000:1500]))
    widget.hear(type="audio", noise_level=None, first=len(samples) - 10, count=500)
    assert widget.of_type("audio")[-1][0]["count"] == 10
    widget.hear(type="waveform", level=0, first=2, count=3)
    _, (bins,) = widget.of_type("waveform")[-1]
    expected = pcm16(samples[512 : 512 + 3 * 256]).reshape(3, 256)
    np.testing.assert_array_equal(
        np.frombuffer(bins, "<i2").reshape(3, 2), np.stack([expected.min(1), expected.max(1)], axis=1)
    )


def arrived(widget: Recorded, kind: str, count: int) -> list[tuple[dict[str, Any], list[memoryview]]]:
    """Messages of a kind that are made in the worker thread, when there are `count`."""
    end = time.monotonic() + 60
    while len(widget.of_type(kind)) < count and time.monotonic() < end:
        time.sleep(0.01)
    return widget.of_type(kind)


def test_what_noise_leaves_is_decoded_aside(widget: Recorded) -> None:
    assert widget.decodes
    widget.hear(type="audio", noise_level=0.6, first=1000, count=50_000)
    (content, (buffer,)) = arrived(widget, "audio", 1)[-1]
    assert (content["noise_level"], content["first"], content["count"]) == (0.6, 1000, 50_000)
    encoded = encode(widget._session.recording, widget._session.model)
    expected = pcm16(Remains(encoded, widget._session.model, 0.6).samples(1000, 51_000))
    np.testing.assert_array_equal(np.frombuffer(buffer, "<i2"), expected)
    assert widget.status == "done"
    with pytest.raises(aw.SettingsError, match="heard_level must be from 0 to 1"):
        widget.heard_level = 1.5


def test_decoding_goes_on_between_the_pieces_of_a_computation(samples: np.ndarray) -> None:
    widget = Recorded(np.tile(samples, 4), sample_rate=44_100, preset="exact", noise_levels=LEVELS)
    widget.hear(type="ready")
    while not widget.n_frames:
        time.sleep(0.01)
    both_asked = threading.Event()
    widget._worker.aside(lambda check: both_asked.wait(20))
    # Not wanted any more before its turn has come: left out.
    widget.hear(type="audio", noise_level=0.1, first=0, count=1000)
    widget.hear(type="audio", noise_level=0.3, first=0, count=1000)
    both_asked.set()
    assert [content["noise_level"] for content, _ in arrived(widget, "audio", 1)] == [0.3]
    assert widget.status == "running"
    widget.close()


def test_no_answer_is_large_however_much_is_asked(widget: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MESSAGE_SAMPLES", 100)
    monkeypatch.setattr(messages, "MESSAGE_VALUES", 10)
    widget.hear(type="audio", noise_level=None, first=0, count=10**9)
    assert widget.of_type("audio")[-1][0]["count"] == 100
    widget.sent.clear()
    widget.hear(type="ready")
    assert max(content["count"] for content, _ in widget.of_type("curves")) == 5
    for level, row in drawn(widget).items():
        np.testing.assert_array_equal(row, widget.result.ic_at(level).astype(np.float32))


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"type": "shell"},
        {"type": "audio"},
        {"type": "audio", "noise_level": None, "first": -1, "count": 2},
        {"type": "peaks", "noise_level": None, "count": 2},
        {"type": "table", "format": "exe"},
        {"type": "ready", "x": 1},
    ],
)
def test_messages_of_others_are_refused(content: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        messages.parse(content)


def test_closed_form_lines_come_with_the_curves(widget: Recorded) -> None:
    content, _ = widget.of_type("restart")[-1]
    assert content["no_knowledge"] == pytest.approx([68.42, 47.73], abs=0.005)
    assert content["floor"] == pytest.approx([-18.24, 26.12], abs=0.005)
    widget.noise_levels = [0.0]
    widget.wait(60)
    assert widget.of_type("restart")[-1][0]["floor"] == [None]


def test_peaks_table_and_spectrogram_are_sent_when_asked_for(widget: Recorded) -> None:
    widget.hear(type="peaks", noise_level=0.6, count=3)
    content, _ = widget.of_type("peaks")[-1]
    expected = widget.result.peaks(0.6, 3)
    assert (content["times"], content["values"]) == (expected["time"].tolist(), expected["ic"].tolist())
    widget.hear(type="table", format="parquet")
    content, buffers = widget.of_type("table")[-1]
    assert content["name"] == "array_ic.parquet"
    assert bytes(buffers[0]) == parquet_bytes(widget.result)
    widget.hear(type="table", format="csv")
    content, buffers = widget.of_type("table")[-1]
    assert content["name"] == "array_ic.csv"
    assert bytes(buffers[0]).decode().splitlines()[0] == "Time,IC_0.3,IC_0.6"
    widget.hear(type="spectrogram", level=0, first=2, count=10**9)
    content, buffers = widget.of_type("spectrogram")[-1]
    assert content["count"] == -(-len(widget._session.recording.samples) // 1024) - 2
    assert len(buffers[0]) == content["count"] * content["mels"]


def test_annotations_are_a_lane_and_a_table(widget: Recorded) -> None:
    widget.annotations = [(0.5, 1.5, "<b>verse</b>"), (1.5, 2.0)]
    content, buffers = widget.of_type("annotations")[-1]
    assert content["labels"] == ["<b>verse</b>", ""]
    assert np.frombuffer(buffers[0], "<f8").tolist() == [0.5, 1.5]
    table = widget.annotation_ic()
    assert table["mean"].iloc[0] == np.nanmean(widget.result.between(0.5, 1.5).ic_at(0.3))
    widget.annotations = None
    with pytest.raises(aw.AnnotationError, match="no annotations"):
        widget.annotation_ic()


def test_curves_keep_known_levels_as_out_of_date() -> None:
    curves = Curves((0.3, 0.6), 3)
    curves.put((0.6,), 1, np.array([[1.0, np.nan]]), np.array([[0.1, np.nan]]), State.FINAL)
    later = curves.restarted((0.6, 0.9), 3)
    np.testing.assert_array_equal(later.ic, [[np.nan, 1.0, np.nan], [np.nan] * 3])
    np.testing.assert_array_equal(later.states, [[0, State.STALE | BELOW_FLOOR, 0], [0, 0, 0]])
