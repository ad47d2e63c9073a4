"""What noise leaves of a recording, heard in a real notebook."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import audioic_widget as aw
from audioic_widget.audio import pcm16
from audioic_widget.ic import encode
from audioic_widget.remains import Remains

from .lab import Notebook
from .sound import place, recorded

pytestmark = pytest.mark.browser

OPEN = "import audioic_widget as aw\nw = aw.AudioICWidget(aw.example('minuet'), preset='draft'); w"


def test_what_is_left_sounds_in_place_of_the_recording_from_the_same_moment_on(
    open_notebook: Callable[..., Notebook],
) -> None:
    notebook = open_notebook(OPEN)
    page = notebook.page
    notebook.until("w.status() === 'done'")
    assert page.get_by_test_id("heard").locator("option").all_inner_texts() == [
        "recording",
        "left at 0.0",
        "left at 0.3",
        "left at 0.6",
    ]
    notebook.run("w.current_time = 2.0; w.playing = True")
    notebook.until("w.state() === 'playing' && w.position() > 2.3")
    page.get_by_test_id("heard").select_option("0.6")
    samples = notebook.widget.evaluate(
        """async (root) => {
            const out = [], start = performance.now();
            while (performance.now() - start < 4000) {
                out.push([performance.now() / 1000, root.audioic.position()]);
                await new Promise((resolve) => setTimeout(resolve, 50));
            }
            return out;
        }"""
    )
    assert notebook.run("print(w.heard_level)").strip() == "0.6"
    clock, position = np.array(samples).T
    # It never stood still for longer than the sound's way out.
    drift = (position - position[0]) - (clock - clock[0])
    assert np.abs(drift).max() < 0.2
    notebook.until("!w.turning()")
    heard = recorded(notebook.widget, 0.7)
    notebook.widget.focus()
    page.keyboard.press(" ")
    model = aw.load_model("mini")
    encoded = encode(aw.read_recording(aw.example("minuet")), model)
    left = pcm16(Remains(encoded, model, 0.6).samples(0, 20 * 44_100)).astype(np.float32) / 32_768
    at = place(heard, left)
    np.testing.assert_allclose(heard, left[at : at + len(heard)], atol=1e-6)
    page.keyboard.press("h")
    page.wait_for_timeout(300)
    assert notebook.run("print(w.heard_level)").strip() == "None"
    page.keyboard.press("h")
    page.wait_for_timeout(300)
    assert notebook.run("print(w.heard_level)").strip() == "0.6"
