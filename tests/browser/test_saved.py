"""What is left of a widget without its kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

import audioic_widget as aw

from .lab import Notebook
from .sound import place, recorded

pytestmark = pytest.mark.browser

OPEN = "import audioic_widget as aw\nw = aw.AudioICWidget(aw.example('minuet'), preset='draft'); w"


def test_a_saved_notebook_keeps_a_picture_and_the_traces(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook(OPEN)
    notebook.until("w.status() === 'done'")
    page = notebook.page
    picture = page.locator(".audioic-still")
    picture.wait_for(state="attached", timeout=20_000)
    assert not picture.is_visible()
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_timeout(1500)
    text = notebook.path.read_text()
    state = notebook.run("import json; s = w.get_state(); s['saved'] = {}; print(len(json.dumps(s, default=len)))")
    saved = notebook.run("print(sum(len(v) for v in w.saved.values() if isinstance(v, bytes)))")
    # State is saved along only where somebody has switched that on: it is counted as if.
    assert len(text) + int(state) + 1.4 * int(saved) < 300_000
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.reload()
    picture.wait_for(timeout=30_000)
    assert page.locator(".audioic").count() == 0
    width = picture.evaluate("(image) => image.naturalWidth")
    assert width > 500


def test_an_exported_page_opens_from_disk_and_can_be_zoomed(browser: Browser, tmp_path: Path) -> None:
    widget = aw.AudioICWidget(aw.example("minuet"), preset="draft", noise_levels=[0.3], unit="zscore")
    result = widget.wait(60)
    widget._tell(name="</script><img src=x onerror=window.broken=1>.wav")
    widget.export_html(tmp_path / "page.html")
    widget.close()
    assert (tmp_path / "page.html").stat().st_size < 300_000
    page = browser.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto((tmp_path / "page.html").as_uri())
    page.get_by_test_id("lane-0.3").wait_for()
    shown = page.evaluate("() => document.querySelector('.audioic').audioic.trace(0.3).ic")
    np.testing.assert_allclose([np.nan if v is None else v for v in shown], result.ic_at(0.3), atol=0.01)
    page.get_by_test_id("zoom-in").click()
    start, end = page.evaluate("() => document.querySelector('.audioic').audioic.span()")
    assert end - start == pytest.approx(20.94 / 1.6, rel=0.01)
    assert page.get_by_test_id("play").is_disabled()
    for name in ("steps", "new-level", "spectrogram", "heard"):
        assert not page.get_by_test_id(name).is_visible()
    page.get_by_test_id("level-0.3").click()
    page.get_by_test_id("lane-0.3").wait_for(state="detached")
    assert page.evaluate("() => window.broken") is None
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    page.close()


def test_an_exported_comparison_moves_as_one(browser: Browser, tmp_path: Path) -> None:
    fast = {"preset": "draft", "noise_levels": [0.3]}
    both = aw.compare(aw.example("minuet"), aw.example("frere_jacques"), **fast)
    both.wait(60)
    durations = [widget.duration for widget in both.widgets]
    both.export_html(tmp_path / "both.html", sound=True)
    both.close()
    page = browser.new_page()
    page.goto((tmp_path / "both.html").as_uri())
    page.get_by_test_id("lane-0.3").nth(1).wait_for()

    def each(expression: str) -> list[object]:
        return page.evaluate(
            f"() => [...document.querySelectorAll('.audioic')].map(({{ audioic: w }}) => {expression})"
        )

    assert each("w.span()") == 2 * [[0, pytest.approx(max(durations), abs=0.1)]]
    page.get_by_test_id("zoom-in").first.click()
    first, second = each("w.span()")
    assert first == second
    assert first[1] - first[0] == pytest.approx(max(durations) / 1.6, rel=0.01)
    # Noise levels can be hidden, each one's own.
    assert not page.get_by_test_id("level-0.3").first.is_visible()
    page.get_by_test_id("settings").nth(1).click()
    page.get_by_test_id("level-0.3").nth(1).click()
    page.wait_for_function("() => document.querySelectorAll('[data-testid=\"lane-0.3\"]').length === 1")
    page.get_by_test_id("play").first.click()
    page.wait_for_function("() => document.querySelector('.audioic').audioic.position() > 0.3")
    page.get_by_test_id("solo").nth(1).click()
    page.wait_for_function("() => document.querySelectorAll('.audioic')[1].audioic.state() === 'playing'")
    assert each("w.state()") == ["stopped", "playing"]
    page.close()


def test_an_exported_page_plays_with_its_playhead(browser: Browser, tmp_path: Path) -> None:
    notes = [(1.0, 2.0, "</script>verse")]
    widget = aw.AudioICWidget(aw.example("minuet"), preset="draft", noise_levels=[0.3], annotations=notes)
    widget.wait(60)
    widget.export_html(tmp_path / "page.html", sound=True)
    widget.close()
    # 20.9 s of sound at 65 kbit/s, in base64.
    assert (tmp_path / "page.html").stat().st_size < 500_000
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    page.get_by_test_id("lane-0.3").wait_for()
    assert page.get_by_test_id("annotations").is_visible()
    # Over a seam of two pieces of sound.
    widget_on_page = page.locator(".audioic")
    box = page.locator(".u-over").first.bounding_box()
    page.mouse.click(box["x"] + 3 / 20.93 * box["width"], box["y"] + 20)
    page.get_by_test_id("play").click()
    page.wait_for_function("() => document.querySelector('.audioic').audioic.state() === 'playing'")
    heard = recorded(widget_on_page, 4)
    position = widget_on_page.evaluate("(root) => root.audioic.position()")
    samples = aw.read_recording(aw.example("minuet")).samples
    at = place(heard, samples)
    assert 3 <= at / 44_100 < 5 < position - 0.2
    error = heard - samples[at : at + len(heard)]
    assert 10 * np.log10(np.mean(heard**2) / np.mean(error**2)) > 20
    page.close()
