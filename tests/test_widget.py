"""The Python side of the widget: traits, results, ends. What it sends is in test_widget_messages.py."""

from __future__ import annotations

import dataclasses
import gc
import inspect
import re
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from ipywidgets.widgets.widget import _instances
from recorded import FAST, LEVELS, Recorded, drawn

import audioic_widget as aw
from audioic_widget.codec.music2latent import Music2Latent
from audioic_widget.widget import AudioICWidget
from audioic_widget.widget.traits import SHOWN


def test_traits_tell_of_recording_model_and_work(widget: Recorded) -> None:
    assert (widget.status, widget.progress, widget.error) == ("done", 1.0, "")
    assert (widget.name, widget.model_name, widget.device_name) == ("array", "mini", str(aw.load_model("mini").device))
    assert widget.duration == pytest.approx(3.0)
    assert widget.n_frames == len(widget.result.time)
    assert len(widget.overview) < 20_000
    assert repr(widget) == "AudioICWidget('array')"


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


class Slow(Music2Latent):
    """In place of the network: latents of nothing."""

    def encode(
        self, samples: np.ndarray, first: int, stop: int, check: Callable[[], None] | None = None
    ) -> torch.Tensor:
        assert check is not None
        for _ in range(first, stop, self.piece_frames):
            check()
        return torch.randn(stop - first, 64, generator=torch.Generator().manual_seed(0))


def test_it_tells_how_much_is_encoded(samples: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audioic_widget.widget.widget.ENCODING_SECONDS", 0.0)
    told: list[float] = []
    tell = Recorded._tell
    monkeypatch.setattr(
        Recorded, "_tell", lambda self, **values: (told.extend([values.get("encoded", 1.0)]), tell(self, **values))
    )
    model = dataclasses.replace(aw.load_model("mini", device="cpu"), codec=Slow("tanh"))
    widget = Recorded(np.tile(samples, 40), sample_rate=44_100, model=model, **FAST)
    widget.wait(60)
    shares = [each for each in told if each < 1]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.2 < 0.8 < shares[-1]
    assert widget.encoded == 1
    widget.close()


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


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_widget_that_could_not_be_made_goes_quietly() -> None:
    with pytest.raises(TypeError, match="audio"):
        AudioICWidget()  # type: ignore[call-arg]
    gc.collect()


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


def test_a_closed_widget_is_forgotten(samples: np.ndarray) -> None:
    models = set(_instances)
    widget = aw.AudioICWidget(samples, sample_rate=44_100, **FAST)
    widget.wait(60)
    known, thread = weakref.ref(widget), next(t for t in threading.enumerate() if t.name == "audioic-widget")
    widget.close()
    thread.join(20)
    del widget
    gc.collect()
    assert known() is None
    assert set(_instances) <= models, "nor does it leave its layout"


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
