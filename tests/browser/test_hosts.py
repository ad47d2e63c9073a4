"""Other places than JupyterLab where a widget is shown: Notebook 7, marimo, a page made by nbconvert."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Page

from . import lab as labs

pytestmark = pytest.mark.browser

OPEN = "import audioic_widget as aw\nw = aw.AudioICWidget(aw.example('minuet'), preset='draft'); w"
MARIMO = """import marimo

app = marimo.App()


@app.cell
def _():
    import audioic_widget as aw

    w = aw.AudioICWidget(aw.example("minuet"), preset="draft")
    w
    return (w,)
"""


def assert_it_computes_and_plays(page: Page) -> None:
    """What a user does first: look at the traces, zoom, press play, move a slider."""
    page.get_by_test_id("status").get_by_text("done").wait_for(timeout=60_000)
    widget = page.locator(".audioic")
    trace = widget.evaluate("(root) => root.audioic.trace(0.3).ic.filter((v) => !Number.isNaN(v)).length")
    assert trace > 200
    page.get_by_test_id("zoom-in").click()
    start, end = widget.evaluate("(root) => root.audioic.span()")
    assert end - start == pytest.approx(20.93 / 1.6, rel=0.01)
    page.get_by_test_id("play").click()
    labs.until(widget, "w.state() === 'playing' && w.position() > 0.2")
    page.get_by_test_id("play").click()
    revision = widget.evaluate("(root) => root.audioic.revision()")
    page.get_by_test_id("steps").focus()
    page.keyboard.press("ArrowRight")
    labs.until(widget, f"w.revision() > {revision} && w.status() === 'done'")
    assert page.get_by_test_id("steps-value").inner_text() == "8"


def test_notebook_7(lab: labs.Lab, browser: Browser) -> None:
    path = lab.folder / "seven.ipynb"
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(OPEN)])
    document.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(document, path)
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{lab.url}/notebooks/{path.name}?token={labs.TOKEN}")
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel")
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.locator(".audioic").wait_for()
    assert_it_computes_and_plays(page)
    assert not page.locator(".audioic-still").is_visible()
    # Keys of a focused control are no commands of the notebook: these would add cells.
    page.get_by_test_id("rewind").focus()
    for key in ("Escape", "b", "a"):
        page.keyboard.press(key)
    page.wait_for_timeout(200)
    assert page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length") == 1
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.close()


@pytest.fixture
def marimo(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "notebook.py").write_text(MARIMO)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": labs.PACKAGE, "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "marimo", "run", "--headless", "--no-token", f"--port={port}", "notebook.py"]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        labs.answers(url, server, tmp_path / "log")
        yield url
    finally:
        server.terminate()
        server.wait(20)


def test_marimo(marimo: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(marimo)
    page.locator(".audioic").wait_for(timeout=60_000)
    assert_it_computes_and_plays(page)
    page.close()


def test_a_page_made_by_nbconvert_shows_the_picture(browser: Browser, tmp_path: Path) -> None:
    """Without kernel and network; with a network, the page's own widget manager draws the saved traces instead."""
    cells = [nbformat.v4.new_code_cell(source) for source in (OPEN, "w.wait()")]
    document = nbformat.v4.new_notebook(cells=cells)
    document.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(document, tmp_path / "page.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "html", "page.ipynb"]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": labs.PACKAGE}, check=True)
    text = (tmp_path / "page.html").read_text()
    state = json.loads(text.split('application/vnd.jupyter.widget-state+json">')[1].split("</script>")[0])
    saved = [each["state"]["saved"] for each in state["state"].values() if "saved" in each["state"]]
    assert [each["levels"] for each in saved] == [[0.0, 0.3, 0.6]]
    page = browser.new_page()
    page.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
    page.goto((tmp_path / "page.html").as_uri())
    picture = page.locator(".audioic-still")
    assert picture.is_visible()
    assert picture.evaluate("(image) => image.naturalWidth") > 500
    page.close()
