"""What observers, failures and refused changes leave behind: nothing hangs, nothing is lost, the thread lives on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from recorded import FAST, LEVELS, Recorded

import audioic_widget as aw
from audioic_widget.widget import still
from audioic_widget.widget.outgoing import joined
from audioic_widget.widget.session import Session


def until(holds: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Errors that the widget's thread reports."""
    errors: list[BaseException] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: errors.append(args.exc_value))
    return errors


@pytest.fixture
def fresh(samples: np.ndarray) -> Iterator[Recorded]:
    """A widget for one test, complete."""
    widget = Recorded(samples, sample_rate=44_100, **FAST)
    widget.wait(60)
    yield widget
    widget.close()


def test_an_observer_may_export_the_page_as_soon_as_all_is_done(fresh: Recorded, tmp_path: Path) -> None:
    fresh.observe(lambda change: change.new == "done" and fresh.export_html(tmp_path / "song.html"), "status")
    fresh.n_steps = 3
    until(lambda: (tmp_path / "song.html").exists())
    fresh.wait(30)


def test_an_observer_cannot_wait_for_what_has_not_been_computed(fresh: Recorded, reported: list[BaseException]) -> None:
    fresh.observe(lambda change: change.new and fresh.wait(), "progress")
    fresh.n_steps = 3
    with pytest.raises(RuntimeError, match="cannot wait for it"):
        fresh.wait(30)


def test_an_observer_that_fails_costs_neither_result_nor_thread(fresh: Recorded, reported: list[BaseException]) -> None:
    def fail(change: Any) -> None:
        if change.new == "done":
            raise ZeroDivisionError("of the observer")

    fresh.observe(fail, "status")
    for steps in (3, 4):
        fresh.n_steps = steps
        assert fresh.wait(30).provenance["settings"]["n_steps"] == steps
        assert (fresh.status, fresh.error) == ("done", "")
    until(lambda: len(reported) == 2)
    assert {str(error) for error in reported} == {"of the observer"}


def test_what_an_observer_sets_is_computed(fresh: Recorded) -> None:
    def go_on(change: Any) -> None:
        if change.new == "done" and fresh.n_steps == 3:
            fresh.n_steps = 4

    fresh.observe(go_on, "status")
    fresh.n_steps = 3
    until(lambda: fresh.result is not None and fresh.result.provenance["settings"]["n_steps"] == 4)
    assert (fresh.settings.n_steps, fresh.n_steps, fresh.progress) == (4, 4, 1.0)


def test_what_is_set_while_the_widget_tells_of_its_work_is_not_lost(fresh: Recorded) -> None:
    telling, may_go_on = threading.Event(), threading.Event()

    def hold(change: Any) -> None:
        if change.new and not telling.is_set():
            telling.set()
            assert may_go_on.wait(30)

    fresh.observe(hold, "progress")
    fresh.n_steps = 3
    assert telling.wait(30)
    setting = threading.Thread(target=lambda: setattr(fresh, "n_probes", 2))
    setting.start()
    until(lambda: fresh.n_probes == 2)
    may_go_on.set()
    setting.join(30)
    assert fresh.wait(30).provenance["settings"]["n_probes"] == 2


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
def test_a_picture_that_cannot_be_drawn_is_no_failure(fresh: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("no LaTeX")

    monkeypatch.setattr(still, "still_picture", broken)
    fresh.show_still()
    with pytest.warns(UserWarning, match="cannot be drawn: no LaTeX"):
        assert fresh.wait(30) is fresh.result
    fresh.n_steps = 3
    assert fresh.wait(30).provenance["settings"]["n_steps"] == 3


def test_all_outputs_of_a_widget_get_its_picture(fresh: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []

    class Output:
        def update(self, picture: Any) -> None:
            shown.append((self, picture.data[:4]))

    monkeypatch.setattr("IPython.display.display", lambda *_, **__: Output())
    fresh.show_still()
    fresh.show_still()
    fresh.wait(30)
    assert len({output for output, _ in shown}) == 2
    assert {begin for _, begin in shown} == {"<img"}


def test_the_browser_is_told_what_is_wrong_and_all_stays_as_it_was(fresh: Recorded) -> None:
    fresh.set_state({"visible_levels": [LEVELS[0], 0.123], "volume": 0.5})
    assert "0.123 is not among noise_levels" in fresh.error
    assert (fresh.visible_levels, fresh.volume) == (list(LEVELS), 1.0)
    fresh.set_state({"volume": 0.5})
    assert fresh.volume == 0.5


def test_levels_that_are_all_hidden_stay_hidden_until_one_is_new(fresh: Recorded) -> None:
    fresh.visible_levels = []
    fresh.n_steps = 3
    assert fresh.visible_levels == []
    fresh.noise_levels = [0.3]
    assert fresh.visible_levels == [0.3]


def test_the_slider_of_draws_does_not_leave_the_flow_mode(samples: np.ndarray) -> None:
    widget = Recorded(samples, sample_rate=44_100, **FAST, noising="flow")
    widget.wait(60)
    widget.set_state({"monte_carlo_samples": 4})
    assert widget.settings.noising == "flow"
    assert widget.monte_carlo_samples is None
    assert "flow" in widget.error
    widget.close()


def test_a_page_plays_the_recording_whatever_was_heard(fresh: Recorded, tmp_path: Path) -> None:
    fresh.heard_level = 0.6
    fresh.export_html(tmp_path / "song.html", sound=True)
    page = (tmp_path / "song.html").read_text()
    assert '"heard_level": null' in page
    assert '"decodes": false' in page


def test_a_name_that_is_no_text_can_be_shown_and_written(samples: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "Ch\udcf6re.wav"  # latin-1 bytes, as the system hands them on
    try:
        with path.open("wb") as file:
            soundfile.write(file, samples, 44_100, format="WAV")
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system takes no such names")
    widget = Recorded(path, **FAST)
    widget.wait(60)
    assert widget.name == r"Ch\xf6re.wav"
    widget.export_html(tmp_path / "page.html")
    widget.result.to_csv(tmp_path / "song.csv")
    widget.close()


def test_spans_that_touch_are_joined_and_no_others() -> None:
    assert joined([(10, 20), (0, 5), (20, 30), (4, 6), (40, 41)]) == [(0, 6), (10, 30), (40, 41)]
    assert joined([]) == []
