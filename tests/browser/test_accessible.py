"""Who does not see, does not use a mouse, or does not want motion: checked by axe-core and by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .lab import Notebook

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "js" / "node_modules" / "axe-core" / "axe.min.js"
OPEN = """import audioic_widget as aw
w = aw.AudioICWidget(aw.example('minuet'), preset='draft', annotations=[(0.0, 10.0, 'first half')]); w"""
DONE = "w.status() === 'done'"
EVERYTHING = ("spectrogram", "peaks", "help")
CONTROLS = "button:not(:disabled), input:not(:disabled), select:not(:disabled)"

Open = Callable[..., Notebook]


def violations(notebook: Notebook) -> list[dict[str, Any]]:
    """What axe-core finds in the widget, as rule, impact and elements."""
    if not notebook.page.evaluate("() => 'axe' in window"):
        # Not as a script element, since JupyterLab's module loader would take it.
        notebook.page.evaluate(f"() => {{ const define = undefined, module = undefined; {AXE.read_text()} }}")
    return notebook.page.evaluate(  # type: ignore[no-any-return]
        """async () => {
            const { violations, passes } = await axe.run(".audioic");
            if (passes.length < 15) throw new Error(`axe-core has looked at ${passes.length} rules only`);
            return violations.map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map((n) => n.html.slice(0, 200)) }));
        }"""
    )


@pytest.fixture(scope="module", params=["JupyterLab Light", "JupyterLab Dark"])
def notebook(open_notebook: Open, request: pytest.FixtureRequest) -> Notebook:
    opened = open_notebook(OPEN, theme=request.param, size=(1280, 1500))
    opened.until(DONE)
    for panel in EVERYTHING:
        opened.page.get_by_test_id(panel).click()
    opened.page.get_by_test_id("peak-0").wait_for()
    return opened


def test_axe_finds_nothing(notebook: Notebook) -> None:
    notebook.run("w.selection = (2.0, 4.0)")
    assert violations(notebook) == []
    notebook.page.get_by_test_id("layout").select_option("overlay")
    notebook.page.get_by_test_id("overlay").wait_for()
    assert violations(notebook) == []
    notebook.page.get_by_test_id("layout").select_option("lanes")


def test_every_control_is_reached_by_tab_and_has_a_name(notebook: Notebook) -> None:
    wanted = notebook.widget.locator(CONTROLS).evaluate_all(
        "(all) => all.filter((e) => e.checkVisibility()).map((e) => e.dataset.testid)"
    )
    assert len(wanted) > 25
    notebook.widget.focus()
    reached = []
    for _ in wanted:
        notebook.page.keyboard.press("Tab")
        test_id, outline = notebook.page.evaluate(
            """() => {
                const { activeElement } = document;
                return [activeElement.dataset.testid ?? activeElement.outerHTML, getComputedStyle(activeElement).outlineStyle];
            }"""
        )
        assert outline != "none", test_id
        reached.append(test_id)
    assert sorted(reached) == sorted(wanted)
    unnamed = "(all) => all.filter((e) => !e.getAttribute('aria-label') && !e.labels?.length).map((e) => e.outerHTML)"
    assert notebook.widget.locator(CONTROLS).evaluate_all(unnamed) == []


def test_a_summary_is_read_out_once_for_every_result(notebook: Notebook) -> None:
    spoken = notebook.widget.get_by_test_id("spoken")
    assert spoken.get_attribute("aria-live") == "polite"
    mean, best, at = json.loads(
        notebook.run(
            "import json, numpy as np; v = w.result.ic_at(0.3); k = int(np.nanargmax(v)); "
            "print(json.dumps([float(np.nanmean(v)), float(v[k]), k * 4096 / 44100]))"
        )
    )
    when = f"0:{math.floor(10 * at + 1e-4) / 10:04.1f}"
    expected = f"Noise level 0.3: mean {mean:.1f}, highest {best:.1f} nats at {when}."
    assert expected in (spoken.text_content() or "")
    # While it computes and while it plays, nothing is read out.
    said = notebook.widget.evaluate(
        """async (root) => {
            let changes = 0;
            const watch = new MutationObserver(() => changes++);
            watch.observe(root.querySelector("[data-testid=spoken]"), { childList: true, characterData: true, subtree: true });
            root.querySelector("[data-testid=play]").click();
            await new Promise((resolve) => setTimeout(resolve, 1500));
            root.querySelector("[data-testid=play]").click();
            return changes;
        }"""
    )
    assert said == 0
    live = notebook.widget.locator("[aria-live]:not([aria-live=off]), output, [role=status], [role=alert]")
    chatty = live.evaluate_all("(all) => all.filter((e) => e.matches('[data-testid=time], [data-testid=status]'))")
    assert chatty == []


def test_curves_are_told_apart_by_more_than_colour(notebook: Notebook) -> None:
    page = notebook.page
    for level in ("0.0", "0.3", "0.6"):
        assert page.get_by_text(f"noise level {level}", exact=True).is_visible()
    page.get_by_test_id("layout").select_option("overlay")
    keys = page.locator(".aic-key")
    keys.first.wait_for()
    patterns = keys.evaluate_all("(all) => all.map((e) => getComputedStyle(e).getPropertyValue('--aic-dash'))")
    assert len(set(patterns)) == 3
    page.get_by_test_id("layout").select_option("lanes")


def test_reduced_motion_is_honoured(notebook: Notebook) -> None:
    notebook.page.emulate_media(reduced_motion="reduce")
    moving = notebook.widget.evaluate(
        """(root) => [...root.querySelectorAll("*")].filter((e) => {
            const { animationName, transitionDuration } = getComputedStyle(e);
            return animationName !== "none" || transitionDuration.split(",").some((d) => parseFloat(d) > 0);
        }).map((e) => e.className)"""
    )
    assert moving == []
    notebook.page.emulate_media(reduced_motion=None)


def test_arrows_do_not_take_the_playhead_off_the_screen(notebook: Notebook) -> None:
    notebook.run("w.view = (5.0, 8.0); w.current_time = 7.5")
    notebook.until("w.span()[0] === 5 && w.position() === 7.5")
    notebook.widget.focus()
    for key, place in (("ArrowRight", 8.5), ("Home", 0), ("End", float(notebook.run("print(w.duration)")))):
        notebook.page.keyboard.press(key)
        start, end = notebook.ask("w.span()")
        assert notebook.ask("w.position()") == pytest.approx(place, abs=1e-4)
        assert start <= place <= end, key
    notebook.run("w.view = None")
    notebook.until("w.span()[0] === 0")


def test_who_uses_the_keyboard_keeps_the_place(notebook: Notebook) -> None:
    """A control that has the focus when it is made anew, removed, disabled or hidden gives it to one that is near."""
    page = notebook.page

    def assert_focus_after(test_id: str, change: str, heir: str) -> None:
        page.get_by_test_id(test_id).focus()
        page.keyboard.press("Enter")
        notebook.until(change)
        script = "(root) => document.activeElement === root ? 'root' : document.activeElement.dataset.testid"
        assert notebook.widget.evaluate(script) == heir, test_id

    found = "document.querySelector('[data-testid=\"{}\"]')".format
    assert_focus_after("level-0.6", f"{found('level-0.6')}.ariaPressed === 'false'", "level-0.6")
    assert_focus_after("remove-0.6", f"!{found('level-0.6')}", "new-level")
    page.get_by_test_id("zoom-in").click()
    notebook.until(f"!{found('zoom-whole')}.disabled")
    assert_focus_after("zoom-whole", f"{found('zoom-whole')}.disabled", "root")
    notebook.run("w.preset = 'pa-audioic'")
    notebook.until(f"!{found('cancel')}.hidden")
    assert_focus_after("cancel", f"{found('cancel')}.hidden", "root")
    assert_focus_after("compute", f"{found('compute')}.hidden", "root")
