"""Make the pictures of the widget that the documentation shows: ``python -m docs.screenshots`` from the root."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from tests.browser.lab import Lab, Notebook, open_notebook, running_browser, running_lab

HERE = Path(__file__).parent
IMPORT = "import audioic_widget as aw"
SONG = f"""{IMPORT}
w = aw.AudioICWidget(aw.example("minuet"), annotations=[(0.0, 10.3, "A"), (10.3, 20.2, "A repeated")])
w"""
SILENCE = f"{IMPORT}\nimport numpy as np\nw = aw.AudioICWidget(np.zeros(10 * 44_100), sample_rate=44_100)\nw"
DONE = "w.status() === 'done'"
COMPARED = f"""{IMPORT}
both = aw.compare(aw.example("minuet"), aw.example("frere_jacques"), noise_levels=[0.3, 0.6])
both"""
ALL_DONE = "() => { const all = [...document.querySelectorAll('.audioic')]; return all.length === 2 && "
ALL_DONE += "all.every((root) => root.audioic.status() === 'done'); }"


def shoot(notebook: Notebook, name: str) -> None:
    """Keep a picture of the widget."""
    notebook.widget.evaluate("(root) => root.scrollIntoView({ block: 'start' })")
    notebook.page.wait_for_timeout(600)
    notebook.widget.screenshot(path=HERE / f"widget{name}.png")


def pictures(lab: Lab, browser: Browser) -> None:
    """All of them."""
    light = open_notebook(lab, browser, SONG, size=(1280, 1500))
    light.until(DONE)
    light.run("w.current_time = 4.15; w.selection = (9.2, 11.6)")
    shoot(light, "")
    light.page.get_by_test_id("layout").select_option("overlay")
    light.page.get_by_test_id("unit").select_option("zscore")
    light.run("w.smoothing = 5; w.view = (5.0, 15.0)")
    for panel in ("spectrogram", "peaks", "help"):
        light.page.get_by_test_id(panel).click()
    light.page.get_by_test_id("peak-9").wait_for()
    shoot(light, "-overlay")
    light.close()
    dark = open_notebook(lab, browser, SONG, theme="JupyterLab Dark", size=(1280, 1200))
    dark.until(DONE)
    dark.run("w.current_time = 4.15")
    dark.page.get_by_test_id("unit").select_option("headroom")
    dark.page.get_by_test_id("spectrogram").click()
    shoot(dark, "-dark")
    dark.close()
    narrow = open_notebook(lab, browser, SONG, size=(600, 1400))
    narrow.until(DONE)
    narrow.widget.evaluate("(root) => { root.style.width = '480px'; }")
    shoot(narrow, "-narrow")
    narrow.close()
    both = open_notebook(lab, browser, COMPARED, size=(1280, 1200))
    both.page.wait_for_function(ALL_DONE, timeout=60_000)
    both.run("both.widgets[0].selection = (9.2, 11.6); both.widgets[0].current_time = 4.15")
    both.page.wait_for_timeout(600)
    both.page.locator(".jp-OutputArea-output:has(.audioic)").screenshot(path=HERE / "widget-compare.png")
    both.close()
    running = open_notebook(lab, browser, SONG.replace("annotations", "preset='pa-audioic', n_steps=800, annotations"))
    running.until("w.status() === 'running' && w.trace(0.3)?.states.filter((s) => s === 3).length > 60")
    shoot(running, "-running")
    running.close()
    empty = open_notebook(lab, browser, SILENCE)
    empty.until(DONE)
    shoot(empty, "-empty")
    empty.close()
    error = open_notebook(lab, browser, f"{IMPORT}\naw.AudioICWidget('song.wav')")
    error.until("w.status() === 'error'")
    shoot(error, "-error")
    error.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home, running_lab(Path(home)) as lab, running_browser() as browser:
        pictures(lab, browser)
