"""Several recordings on one time axis, in a real notebook."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from .lab import Notebook

pytestmark = pytest.mark.browser

OPEN = """import audioic_widget as aw, json
c = aw.compare(aw.example("minuet"), aw.example("frere_jacques"), preset="draft", noise_levels=[0.3])
a, b = c.widgets
c"""
ALL_DONE = "() => { const all = [...document.querySelectorAll('.audioic')]; return all.length === 2 && "
ALL_DONE += "all.every((root) => root.audioic.status() === 'done'); }"


def test_two_recordings_move_select_and_sound_as_one(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook(OPEN)
    page = notebook.page
    page.wait_for_function(ALL_DONE, timeout=60_000)
    first, second = page.locator(".audioic").nth(0), page.locator(".audioic").nth(1)

    def both(expression: str) -> list[object]:
        script = f"(roots) => roots.map((root) => {{ const w = root.audioic; return {expression}; }})"
        return list(page.locator(".audioic").evaluate_all(script))

    assert first.get_by_test_id("play").is_visible()
    assert not second.get_by_test_id("play").is_visible()
    # One axis, as long as the longer one, at the same place on the page.
    assert both("w.span()") == [[0, pytest.approx(20.93, abs=0.01)]] * 2
    plots = [each.locator(".u-over").bounding_box() for each in (first, second)]
    assert plots[0]["x"] == plots[1]["x"]
    assert plots[0]["width"] == plots[1]["width"]

    # Zoom in one: the other has moved before the script that did it is over.
    moved = page.evaluate(
        """() => {
            const [one, two] = document.querySelectorAll(".audioic");
            const stack = two.querySelector(".aic-stack"), box = stack.getBoundingClientRect();
            const at = { clientX: box.left + 500, clientY: box.top + 20, deltaY: -300, ctrlKey: true, bubbles: true };
            stack.dispatchEvent(new WheelEvent("wheel", { ...at, cancelable: true }));
            return [one.audioic.span(), two.audioic.span()];
        }"""
    )
    assert moved[0] == moved[1]
    assert moved[0][1] - moved[0][0] < 10
    notebook.says("print(a.view is not None and a.view == b.view)", "True")
    views = json.loads(notebook.run("print(json.dumps([a.view, b.view]))"))
    assert views[0] == views[1] == pytest.approx(moved[0])
    notebook.run("a.view = None; b.selection = (3.0, 6.0)")
    notebook.says("print(b.view, a.selection)", "None (3.0, 6.0)")

    # Click in the second, play in the first, let the second take over.
    plot = second.locator(".u-over").bounding_box()
    page.mouse.click(plot["x"] + 0.25 * plot["width"], plot["y"] + 30)
    assert both("w.position()") == [pytest.approx(5.23, abs=0.05)] * 2
    first.get_by_test_id("play").click()
    notebook.until("w.state() === 'playing' && w.position() > 5.6")
    before = float(str(both("w.position()")[0]))
    second.get_by_test_id("solo").click()
    page.wait_for_function("() => document.querySelectorAll('.audioic')[1].audioic.state() === 'playing'")
    assert both("w.state()") == ["stopped", "playing"]
    after = both("w.position()")
    assert after[0] == after[1]
    assert before <= float(str(after[0])) < before + 3
    notebook.says("print(a.solo, b.solo, a.playing, b.playing)", "False True False True")
    notebook.run("c.solo = a")
    page.wait_for_function("() => document.querySelectorAll('.audioic')[0].audioic.state() === 'playing'")
    first.get_by_test_id("play").click()
    assert both("w.state()") == ["stopped", "stopped"]

    # Settings are each one's own.
    assert not second.get_by_test_id("steps").is_visible()
    second.get_by_test_id("settings").click()
    second.get_by_test_id("steps").wait_for()  # what is not there yet cannot have the focus
    second.get_by_test_id("steps").focus()
    page.keyboard.press("ArrowRight")
    notebook.says("print(a.n_steps, b.n_steps)", "6 8")
    page.wait_for_function(ALL_DONE, timeout=60_000)
    # What is under the pointer is read in both.
    page.mouse.move(plot["x"] + 0.5 * plot["width"], plot["y"] + 30)
    for each in (first, second):
        assert each.get_by_test_id("hover").inner_text().startswith("0:10.4")
