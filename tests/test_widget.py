"""The Python side of the widget, with a recorder in place of the browser."""

from __future__ import annotations

import inspect
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soundfile

import audioic_widget as aw
from audioic_widget.audio import pcm16
from audioic_widget.formats import parquet_bytes
from audioic_widget.ic import encode
from audioic_widget.remains import Remains
from audioic_widget.widget import AudioICWidget, messages
from audioic_widget.widget.curves import BELOW_FLOOR, Curves, State
from audioic_widget.widget.widget import SHOWN
from audioic_widget.widget.worker import Worker

LEVELS = (0.3, 0.6)
FAST = {"preset": "draft", "n_steps": 2, "noise_levels": LEVELS}


class Recorded(AudioICWidget):
    """Keeps what it would send."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.sent: list[tuple[dict[str, Any], list[memoryview]]] = []
        super().__init__(*args, **kwargs)

    def send(self, content: dict[str, Any], buffers: list[memoryview] | None = None) -> None:
        self.sent.append((content, list(buffers or [])))

    def of_type(self, kind: str) -> list[tuple[dict[str, Any], list[memoryview]]]:
        return [(content, buffers) for content, buffers in self.sent if content["type"] == kind]

    def hear(self, **content: Any) -> None:
        self._handle_custom_msg(content, [])


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return np.random.default_rng(3).normal(0, 0.1, 3 * 44_100).astype(np.float32)


@pytest.fixture
def widget(samples: np.ndarray) -> Iterator[Recorded]:
    made = Recorded(samples, sample_rate=44_100, **FAST)
    made.wait(60)
    yield made
    made.close()


def drawn(widget: Recorded) -> dict[float, np.ndarray]:
    """The traces as a browser would have put them together."""
    rows: dict[float, np.ndarray] = {}
    for content, buffers in widget.sent:
        if content["type"] == "restart":
            rows = {level: np.full(content["n_frames"], np.nan, np.float32) for level in content["levels"]}
        elif content["type"] == "curves":
            values = np.frombuffer(buffers[0], "<f4").reshape(len(content["levels"]), content["count"])
            for level, row in zip(content["levels"], values, strict=True):
                rows[level][content["first"] : content["first"] + content["count"]] = row
    return rows


def test_what_is_sent_is_the_result_of_the_library(widget: Recorded, samples: np.ndarray) -> None:
    expected = aw.compute_ic(samples, sample_rate=44_100, **FAST)
    np.testing.assert_array_equal(widget.result.ic, expected.ic)
    np.testing.assert_array_equal(widget.result.stderr, expected.stderr)
    assert widget.result.provenance == expected.provenance
    for level, row in drawn(widget).items():
        np.testing.assert_array_equal(row, expected.ic_at(level).astype(np.float32))


def test_traits_tell_of_recording_model_and_work(widget: Recorded) -> None:
    assert (widget.status, widget.progress, widget.error) == ("done", 1.0, "")
    assert (widget.name, widget.model_name, widget.device_name) == ("array", "mini", str(aw.load_model("mini").device))
    assert widget.duration == pytest.approx(3.0)
    assert widget.n_frames == len(widget.result.time)
    assert len(widget.overview) < 20_000
    assert repr(widget) == "AudioICWidget('array')"


def test_a_draft_of_everything_comes_first(samples: np.ndarray) -> None:
    widget = Recorded(samples, sample_rate=44_100, noise_levels=LEVELS, n_steps=12)
    widget.wait(60)
    states = [int(np.frombuffer(buffers[2], np.uint8).max()) & 7 for _, buffers in widget.of_type("curves")]
    assert states[0] == State.DRAFT
    assert states[-1] == State.FINAL
    widget.close()


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


def test_setting_a_trait_computes_anew(widget: Recorded, samples: np.ndarray) -> None:
    widget.n_steps = 3
    assert widget.wait(60).provenance["settings"]["n_steps"] == 3
    widget.monte_carlo_samples = 2
    assert widget.wait(60).provenance["settings"]["noising"] == "monte_carlo"
    widget.preset = "standard"
    assert (widget.n_steps, widget.n_probes) == (16, 8)
    assert widget.settings.monte_carlo_samples == 2
    widget.monte_carlo_samples = None
    expected = aw.compute_ic(samples, sample_rate=44_100, noise_levels=LEVELS)
    np.testing.assert_array_equal(widget.wait(60).ic, expected.ic)


def test_finished_levels_are_not_computed_again(widget: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    from audioic_widget.widget import session

    asked: list[tuple[float, ...]] = []
    original = session.stream_ic

    def counted(encoded: Any, model: Any, settings: aw.ICSettings, **kwargs: Any) -> Any:
        asked.append(settings.noise_levels)
        return original(encoded, model, settings, **kwargs)

    monkeypatch.setattr(session, "stream_ic", counted)
    before = widget.result
    widget.noise_levels = [0.6, 0.9, 0.3]
    after = widget.wait(60)
    assert asked == [(0.9,)]
    np.testing.assert_array_equal(after.ic[[2, 0]], before.ic)
    widget.n_steps = 3
    widget.wait(60)
    widget.n_steps = 2
    widget.wait(60)
    assert asked == [(0.9,), (0.6, 0.9, 0.3)]


@pytest.mark.parametrize(
    ("trait", "value", "words"),
    [
        ("n_steps", 0, "n_steps must be"),
        ("noise_levels", [0.3, 1.2], "1.2 is outside"),
        ("noise_levels", [0.3, 0.3], "given twice"),
        ("preset", "best", "preset must be"),
        ("monte_carlo_samples", -1, "monte_carlo_samples must be"),
    ],
)
def test_a_value_out_of_range_is_refused_and_put_back(widget: Recorded, trait: str, value: object, words: str) -> None:
    before = getattr(widget, trait)
    with pytest.raises(aw.SettingsError, match=words):
        setattr(widget, trait, value)
    assert getattr(widget, trait) == before
    assert widget.status == "done"
    # From the browser there is nobody to raise to: the sentence is shown.
    widget.set_state({trait: value})
    assert words in widget.error
    assert getattr(widget, trait) == before


def test_it_takes_what_compute_ic_takes() -> None:
    """Both spell out their arguments, for help and completion: they must not drift apart."""
    ours, theirs = (dict(inspect.signature(each).parameters) for each in (AudioICWidget, aw.compute_ic))
    del ours["annotations"], theirs["on_partial"]
    assert list(ours.values()) == list(theirs.values())


def test_every_way_to_show_it_is_documented() -> None:
    documented = AudioICWidget.__doc__ or ""
    for name in SHOWN:
        assert re.search(rf"^    ([a-z_]+, )*{name}(, [a-z_]+)*( :.*)?$", documented, re.MULTILINE), name


def test_unknown_keywords_and_bad_settings_are_refused_at_once() -> None:
    with pytest.raises(TypeError, match="steps"):
        AudioICWidget("song.wav", steps=3)
    with pytest.raises(aw.SettingsError):
        AudioICWidget("song.wav", noise_levels=[2])
    with pytest.raises(aw.SettingsError, match=r"leave alignment out here, and take such a table from compute_ic"):
        AudioICWidget("song.wav", alignment="published")


def test_what_is_wrong_with_audio_or_model_is_shown_and_raised(tmp_path: Any) -> None:
    widget = AudioICWidget(tmp_path / "missing.wav")
    with pytest.raises(aw.AudioError, match=r"missing\.wav does not exist"):
        widget.wait(60)
    assert (widget.status, widget.result) == ("error", None)
    assert "missing.wav does not exist: check the path." in widget.error
    widget.close()
    unknown = AudioICWidget(np.zeros(44_100), sample_rate=44_100, model="huge")
    with pytest.raises(aw.ModelError):
        unknown.wait(60)
    assert "huge" in unknown.error
    unknown.close()


def test_a_fault_is_shown_and_raised_too(samples: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    from audioic_widget.widget import session

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(session, "encode", broken)
    widget = Recorded(samples, sample_rate=44_100, **FAST)
    with pytest.raises(ZeroDivisionError):
        widget.wait(60)
    assert widget.error == "ZeroDivisionError: by nothing"
    widget.close()


def test_silence_gives_gaps_and_a_notice() -> None:
    widget = Recorded(np.zeros(44_100), sample_rate=44_100, **FAST)
    assert np.isnan(widget.wait(60).ic).all()
    assert (widget.status, widget.error) == ("done", "")
    assert "no sound" in widget.notice
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


@pytest.mark.parametrize(
    ("trait", "value", "words"),
    [
        ("view", (2.0, 1.0), "start first"),
        ("selection", (0.0, float("inf")), "start first"),
        ("visible_levels", [0.9], "not among noise_levels"),
        ("speed", 3.0, "from 0.25 to 2"),
        ("volume", -0.1, "from 0 to 1"),
        ("smoothing", 0, "from 1 to"),
    ],
)
def test_how_it_is_shown_has_its_ranges_too(widget: Recorded, trait: str, value: object, words: str) -> None:
    before = getattr(widget, trait)
    with pytest.raises(aw.SettingsError, match=words):
        setattr(widget, trait, value)
    assert getattr(widget, trait) == before


def test_a_new_level_is_drawn_and_a_hidden_one_stays_hidden(widget: Recorded) -> None:
    assert widget.visible_levels == list(LEVELS)
    widget.visible_levels = [0.6]
    widget.noise_levels = [0.3, 0.6, 0.9]
    assert widget.visible_levels == [0.6, 0.9]
    widget.noise_levels = [0.3]
    assert widget.visible_levels == [0.3]


def test_the_way_it_is_shown_can_be_given_at_once_and_changes_no_number(samples: np.ndarray) -> None:
    shown = {"unit": "zscore", "overlay": True, "smoothing": 5, "view": (0.5, 1.5), "visible_levels": [0.6]}
    made = Recorded(samples, sample_rate=44_100, **FAST, **shown, annotations=[0.5])
    expected = aw.compute_ic(samples, sample_rate=44_100, **FAST)
    np.testing.assert_array_equal(made.wait(60).ic, expected.ic)
    assert {name: getattr(made, name) for name in shown} == shown
    made.close()
    with pytest.raises(aw.AnnotationError):
        Recorded(samples, sample_rate=44_100, annotations=7)


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


def test_cancel_ends_the_work_and_compute_starts_it_again(samples: np.ndarray) -> None:
    widget = Recorded(np.tile(samples, 10), sample_rate=44_100, preset="exact", noise_levels=LEVELS)
    widget.cancel()
    with pytest.raises(aw.Cancelled):
        widget.wait(60)
    assert widget.status == "cancelled"
    widget.preset = "draft"
    assert widget.wait(60).noise_levels.tolist() == list(LEVELS)
    assert widget.status == "done"
    widget.close()


def test_the_last_of_many_changes_is_what_remains(widget: Recorded) -> None:
    for steps in [*range(2, 12), 4]:
        widget.n_steps = steps
        time.sleep(0.02)
    assert widget.wait(60).provenance["settings"]["n_steps"] == 4
    for level, row in drawn(widget).items():
        np.testing.assert_array_equal(row, widget.result.ic_at(level).astype(np.float32))
    revisions = [content["revision"] for content, _ in widget.of_type("curves")]
    assert revisions == sorted(revisions)


def test_close_ends_the_thread(samples: np.ndarray) -> None:
    before = set(threading.enumerate())
    widget = Recorded(np.tile(samples, 10), sample_rate=44_100, preset="exact")
    widget.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
        assert not thread.is_alive()


def test_a_file_and_its_name(tmp_path: Any, samples: np.ndarray) -> None:
    soundfile.write(tmp_path / "a <b> song.wav", samples, 44_100)
    widget = Recorded(tmp_path / "a <b> song.wav", **FAST)
    assert widget.name == "a <b> song.wav"
    assert widget.plot() is not None
    widget.close()


def test_curves_keep_known_levels_as_out_of_date() -> None:
    curves = Curves((0.3, 0.6), 3)
    curves.put((0.6,), 1, np.array([[1.0, np.nan]]), np.array([[0.1, np.nan]]), State.FINAL)
    later = curves.restarted((0.6, 0.9), 3)
    np.testing.assert_array_equal(later.ic, [[np.nan, 1.0, np.nan], [np.nan] * 3])
    np.testing.assert_array_equal(later.states, [[0, State.STALE | BELOW_FLOOR, 0], [0, 0, 0]])


def test_worker_waits_for_its_work_and_says_if_that_took_too_long() -> None:
    worker = Worker("test")
    release = threading.Event()
    worker.submit(lambda check: release.wait(20))
    assert not worker.wait(0.05)
    release.set()
    assert worker.wait(20)
    assert not worker.cancel()
    worker.close()


def test_what_can_wait_runs_when_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audioic_widget.widget.worker.REST", 0.1)
    worker, ran = Worker("test"), []
    done = threading.Event()
    worker.submit(lambda check: worker.when_idle(lambda check: ran.append("never")))
    worker.wait(20)
    worker.submit(lambda check: worker.when_idle(lambda check: (ran.append("later"), done.set())))
    assert worker.wait(20)
    assert ran == []
    assert done.wait(20)
    assert ran == ["later"]
    worker.close()


def test_many_widgets_leave_no_thread(samples: np.ndarray) -> None:
    before = set(threading.enumerate())
    for _ in range(5):
        opened = [Recorded(samples, sample_rate=44_100, **FAST) for _ in range(4)]
        opened[0].wait(60)
        for each in opened:
            each.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
        assert not thread.is_alive()


def test_the_trace_that_is_saved_is_the_result(widget: Recorded) -> None:
    assert widget.saved["levels"] == list(LEVELS)
    assert widget.saved["n_frames"] == widget.n_frames
