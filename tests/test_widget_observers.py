"""What observers, failures and refused changes leave behind: nothing hangs, nothing is lost, the thread lives on."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import write_with_a_name_that_is_no_text
from recorded import FAST, LEVELS, Recorded, until

import audioic_widget as aw
from audioic_widget.widget import still
from audioic_widget.widget.outgoing import joined
from audioic_widget.widget.session import Session


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Errors that the widget's thread reports."""
    errors: list[BaseException] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: errors.append(args.exc_value))
    return errors


def test_an_observer_may_export_the_page_as_soon_as_all_is_done(widget: Recorded, tmp_path: Path) -> None:
    widget.observe(lambda change: change.new == "done" and widget.export_html(tmp_path / "song.html"), "status")
    widget.n_steps = 3
    until(lambda: (tmp_path / "song.html").exists())
    widget.wait(30)


def test_an_observer_cannot_wait_for_what_has_not_been_computed(
    widget: Recorded, reported: list[BaseException]
) -> None:
    widget.observe(lambda change: change.new and widget.wait(), "progress")
    widget.n_steps = 3
    with pytest.raises(RuntimeError, match="cannot wait for it"):
        widget.wait(30)


def test_an_observer_that_fails_costs_neither_result_nor_thread(
    widget: Recorded, reported: list[BaseException]
) -> None:
    def fail(change: Any) -> None:
        if change.new == "done":
            raise ZeroDivisionError("of the observer")

    widget.observe(fail, "status")
    for steps in (3, 4):
        widget.n_steps = steps
        assert widget.wait(30).provenance["settings"]["n_steps"] == steps
        assert (widget.status, widget.error) == ("done", "")
    until(lambda: len(reported) == 2)
    assert {str(error) for error in reported} == {"of the observer"}


def test_what_an_observer_sets_is_computed(widget: Recorded) -> None:
    def go_on(change: Any) -> None:
        if change.new == "done" and widget.n_steps == 3:
            widget.n_steps = 4

    widget.observe(go_on, "status")
    widget.n_steps = 3
    until(lambda: widget.result is not None and widget.result.provenance["settings"]["n_steps"] == 4)
    assert (widget.settings.n_steps, widget.n_steps, widget.progress) == (4, 4, 1.0)


def test_what_is_set_while_the_widget_tells_of_its_work_is_not_lost(widget: Recorded) -> None:
    telling, may_go_on = threading.Event(), threading.Event()

    def hold(change: Any) -> None:
        if change.new and not telling.is_set():
            telling.set()
            assert may_go_on.wait(30)

    widget.observe(hold, "progress")
    widget.n_steps = 3
    assert telling.wait(30)
    setting = threading.Thread(target=lambda: setattr(widget, "n_probes", 2))
    setting.start()
    until(lambda: widget.n_probes == 2)
    may_go_on.set()
    setting.join(30)
    assert widget.wait(30).provenance["settings"]["n_probes"] == 2


def test_the_failure_of_what_nobody_waits_for_any_more_is_no_failure(
    samples: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_fail = threading.Event(), threading.Event()
    compute = Session.compute

    def doomed(self: Session, settings: aw.ICSettings, *rest: Any) -> Any:
        if settings.n_steps == 5:
            begun.set()
            assert may_fail.wait(30)
            raise MemoryError("of the former settings")
        yield from compute(self, settings, *rest)

    monkeypatch.setattr(Session, "compute", doomed)
    widget = Recorded(samples, sample_rate=44_100, **FAST | {"n_steps": 5})
    assert begun.wait(30)
    widget.n_steps = 2
    may_fail.set()
    assert widget.wait(30).provenance["settings"]["n_steps"] == 2
    assert (widget.status, widget.error) == ("done", "")
    widget.close()


@pytest.mark.filterwarnings("ignore:.*cannot be drawn")
def test_a_picture_that_cannot_be_drawn_is_no_failure(widget: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("no LaTeX")

    monkeypatch.setattr(still, "still_picture", broken)
    widget.show_still()
    with pytest.warns(UserWarning, match="cannot be drawn: no LaTeX"):
        assert widget.wait(30) is widget.result
    widget.n_steps = 3
    assert widget.wait(30).provenance["settings"]["n_steps"] == 3


def test_all_outputs_of_a_widget_get_its_picture(widget: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []

    class Output:
        def update(self, picture: Any) -> None:
            shown.append((self, picture.data[:4]))

    monkeypatch.setattr("IPython.display.display", lambda *_, **__: Output())
    widget.show_still()
    widget.show_still()
    widget.wait(30)
    assert len({output for output, _ in shown}) == 2
    assert {begin for _, begin in shown} == {"<img"}


def test_the_browser_is_told_what_is_wrong_and_all_stays_as_it_was(widget: Recorded) -> None:
    widget.set_state({"visible_levels": [LEVELS[0], 0.123], "volume": 0.5})
    assert "0.123 is not among noise_levels" in widget.error
    assert (widget.visible_levels, widget.volume) == (list(LEVELS), 1.0)
    widget.set_state({"volume": 0.5})
    assert widget.volume == 0.5


def test_levels_that_are_all_hidden_stay_hidden_until_one_is_new(widget: Recorded) -> None:
    widget.visible_levels = []
    widget.n_steps = 3
    assert widget.visible_levels == []
    widget.noise_levels = [0.3]
    assert widget.visible_levels == [0.3]


def test_the_slider_of_draws_does_not_leave_the_flow_mode(samples: np.ndarray) -> None:
    widget = Recorded(samples, sample_rate=44_100, **FAST, noising="flow")
    widget.wait(60)
    widget.set_state({"monte_carlo_samples": 4})
    assert widget.settings.noising == "flow"
    assert widget.monte_carlo_samples is None
    assert "flow" in widget.error
    widget.close()


def test_a_page_plays_the_recording_whatever_was_heard(widget: Recorded, tmp_path: Path) -> None:
    widget.heard_level = 0.6
    widget.export_html(tmp_path / "song.html", sound=True)
    page = (tmp_path / "song.html").read_text()
    assert '"heard_level": null' in page
    assert '"decodes": false' in page


def test_a_name_that_is_no_text_can_be_shown_and_written(samples: np.ndarray, tmp_path: Path) -> None:
    widget = Recorded(write_with_a_name_that_is_no_text(tmp_path, samples), **FAST)
    widget.wait(60)
    assert widget.name == r"Ch\xf6re.wav"
    widget.export_html(tmp_path / "page.html")
    widget.result.to_csv(tmp_path / "song.csv")
    widget.close()


def test_spans_that_touch_are_joined_and_no_others() -> None:
    assert joined([(10, 20), (0, 5), (20, 30), (4, 6), (40, 41)]) == [(0, 6), (10, 30), (40, 41)]
    assert joined([]) == []
