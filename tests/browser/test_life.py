"""What happens to a widget around its page and its kernel: reloaded, restarted, killed, shown twice, shaken, repeated."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from . import lab as labs
from .lab import Notebook

pytestmark = pytest.mark.browser

OPEN = "import audioic_widget as aw\nw = aw.AudioICWidget(aw.example('minuet'), preset='draft'); w"
DONE = "w.status() === 'done'"
MANY = """import json, threading
import audioic_widget as aw
from IPython.display import display
sound = aw.read_recording(aw.example('minuet')).samples[:88_200]
ws = [aw.AudioICWidget(sound, sample_rate=44_100, preset='draft', noise_levels=[0.3]) for _ in range(5)]
for each in ws: display(each)"""
THREADS = "print(sum(t.name == 'audioic-widget' for t in threading.enumerate()))"

Open = Callable[..., Notebook]


@pytest.fixture(scope="module")
def twice(open_notebook: Open) -> Notebook:
    """A notebook that shows one widget twice."""
    notebook = open_notebook(OPEN, "w")
    notebook.until(DONE)
    notebook.page.locator(".audioic").nth(1).wait_for()
    return notebook


def test_two_views_stay_in_step(twice: Notebook) -> None:
    page = twice.page
    one, other = page.locator(".audioic").first, page.locator(".audioic").nth(1)
    one.get_by_test_id("zoom-in").click()
    span = one.evaluate("(root) => root.audioic.span()")
    labs.until(other, f"w.span()[1] === {span[1]}")
    other.get_by_test_id("level-0.6").click()
    one.get_by_test_id("lane-0.6").wait_for(state="detached")
    twice.run("w.current_time = 7.5; w.selection = (2.0, 4.0)")
    for view in (one, other):
        labs.until(view, "w.position() === 7.5")
        view.get_by_test_id("selected").get_by_text("0:02.0–0:04.0").wait_for()


def test_python_moves_the_playhead_while_it_plays(twice: Notebook) -> None:
    twice.run("w.view = None; w.selection = None; w.playing = True")
    for place in (12.0, 3.0, 8.0, 1.0):
        twice.until("w.state() === 'playing'")
        twice.page.wait_for_timeout(400)
        twice.run(f"w.current_time = {place}")
        twice.until(f"w.position() >= {place} && w.position() < {place} + 2", 5)
    twice.run("w.playing = False")
    twice.until("w.state() === 'stopped'")


def test_nothing_sounds_when_no_view_is_left(twice: Notebook) -> None:
    twice.run("w.loop = True; w.playing = True")
    twice.until("w.state() === 'playing'")
    twice.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    twice.says("print(w.playing)", "False")
    twice.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    twice.page.locator(".audioic").nth(1).wait_for()
    twice.until(DONE)


def test_a_reloaded_page_has_everything_again(twice: Notebook) -> None:
    page = twice.page
    twice.run("w.view = (5.0, 15.0); w.selection = (6.0, 7.0); w.annotations = [(0, 10, 'first half')]; w.n_steps = 8")
    twice.until(DONE)
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_timeout(1000)
    page.reload()
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel")
    twice.widget.wait_for()
    twice.until("w.trace(0.3)?.states.filter((s) => s === 3).length > 200")
    kernel = json.loads(twice.run("import json; print(json.dumps(w.result.ic_at(0.3).tolist()))"))
    shown = np.array(twice.ask("w.trace(0.3).ic"), float)
    np.testing.assert_allclose(shown, kernel, rtol=1e-6)
    assert twice.ask("w.span()") == [5, 15]
    assert twice.widget.get_by_test_id("steps-value").inner_text() == "8"
    assert twice.widget.get_by_test_id("annotations").is_visible()
    assert not page.locator(".audioic-still").first.is_visible()
    twice.widget.get_by_test_id("play").click()
    twice.until("w.state() === 'playing' && w.position() > 0")
    twice.widget.get_by_test_id("play").click()


@pytest.mark.parametrize("end", ["restart", "kill"])
def test_an_ended_kernel_leaves_the_traces_and_a_hint(open_notebook: Open, end: str) -> None:
    notebook = open_notebook(OPEN)
    notebook.until(DONE)
    page = notebook.page
    page.locator(".audioic-still").wait_for(state="attached")
    kernel = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
    if end == "restart":
        page.evaluate(f"async () => {kernel}.restart()")
    else:
        page.evaluate(f"() => {{ {kernel}.requestExecute({{ code: 'import os; os.kill(os.getpid(), 9)' }}); }}")
    notebook.widget.get_by_text("The kernel has ended: this is what it had sent.").wait_for(timeout=30_000)
    assert notebook.ask("w.trace(0.3).ic.filter((v) => !Number.isNaN(v)).length") > 200
    assert notebook.widget.get_by_test_id("play").is_disabled()
    dialog = page.locator(".jp-Dialog button.jp-mod-accept")
    if dialog.count():
        dialog.click()
    notebook.widget.get_by_test_id("zoom-in").click()
    notebook.until("w.span()[1] < 20")
    # Another page has nothing but what was saved.
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_timeout(1000)
    page.reload()
    page.locator(".audioic-still").wait_for(timeout=30_000)
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel")


def test_widgets_opened_and_closed_leave_nothing(open_notebook: Open) -> None:
    notebook = open_notebook(MANY)
    page = notebook.page
    every = "[...document.querySelectorAll('.audioic')].filter((root) => root.audioic.status() === 'done').length"
    threads = []
    for _ in range(5):
        page.wait_for_function(f"() => {every} === 5", timeout=60_000)
        assert notebook.run(THREADS).strip() == "5"
        notebook.run("for each in ws: each.close()")
        page.wait_for_function("() => document.querySelectorAll('.audioic').length === 0")
        # A thread that draws a still picture ends when that is drawn.
        notebook.run("for t in threading.enumerate(): t.join(20) if t.name == 'audioic-widget' else None")
        assert notebook.run(THREADS).strip() == "0"
        threads.append(notebook.run("print(threading.active_count())").strip())
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    assert len(set(threads[1:])) == 1
