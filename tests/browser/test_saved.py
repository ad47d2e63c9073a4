"""What is left of a widget without its kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

import audioic_widget as aw

from .lab import Notebook

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
    page.get_by_text("No kernel answers").wait_for()
    assert page.get_by_test_id("play").is_disabled()
    assert page.evaluate("() => window.broken") is None
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    page.close()
