"""A notebook to measure in, and what it holds: for `benchmarks/widget.py`."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

import soundfile
from playwright.sync_api import Browser

from benchmarks.long_file import make
from benchmarks.widget_sound import RATE
from tests.browser.lab import Lab, Notebook, open_notebook

MB = 1e6
PAGE = (Path(__file__).parent / "widget_page.js").read_text()
WARM = """import json, os, threading, time
import numpy as np, psutil
import audioic_widget as aw
if "warm" not in globals():
    warm = aw.compute_ic(aw.example("minuet"), preset="draft")
def state():
    own = sum(t.name == "audioic-widget" for t in threading.enumerate())
    return json.dumps([psutil.Process().memory_info().rss, own, threading.active_count()])
None"""


class Bench:
    """A server, a browser, and notebooks opened in them."""

    def __init__(self, lab: Lab, browser: Browser) -> None:
        self.lab = lab
        self.browser = browser

    def song(self, name: str, minutes: int) -> str:
        """Put a tune into the notebook's folder, unless it is there."""
        path = self.lab.folder / name
        if not path.exists():
            make(self.lab.folder / "part.wav", RATE, 1, "PCM_16", 180.0)
            part, _ = soundfile.read(self.lab.folder / "part.wav", dtype="int16")
            with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
                for _ in range(minutes // 3):
                    file.write(part)
        return name

    def open(self, *cells: str) -> Notebook:
        """A notebook whose first cell has run, and whose other cells have not."""
        notebook = open_notebook(self.lab, self.browser, WARM, size=(1280, 1400), script=PAGE)
        notebook.run("None")
        notebook.page.evaluate(
            """async (cells) => {
                const { content } = window.jupyterapp.shell.currentWidget;
                for (const source of cells) content.model.sharedModel.addCell({ cell_type: "code", source });
            }""",
            list(cells),
        )
        return notebook


def heap(notebook: Notebook) -> float:
    """Bytes that the page's scripts hold, garbage collected."""
    session = notebook.page.context.new_cdp_session(notebook.page)
    session.send("HeapProfiler.collectGarbage")
    usage = session.send("Runtime.getHeapUsage")
    session.detach()
    return float(usage["usedSize"] + usage.get("backingStorageSize", 0))


def kernel(notebook: Notebook) -> tuple[float, int, int]:
    """Bytes that the kernel holds, its widgets' threads, all its threads."""
    held, own, everything = json.loads(notebook.run("import gc; gc.collect(); print(state())"))
    return held, own, everything


def saved_size(notebook: Notebook) -> int:
    """Bytes of the notebook, saved now."""
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    notebook.page.wait_for_timeout(1000)
    return notebook.path.stat().st_size


def seconds(values: list[float] | float) -> str:
    """Milliseconds as seconds; of several, the median and the most."""
    if isinstance(values, float | int):
        return f"{values / 1000:.2f} s"
    return f"{median(values) / 1000:.2f} s (most {max(values) / 1000:.2f})"
