"""What noise leaves of a recording, heard in a real notebook."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from .lab import Notebook

pytestmark = pytest.mark.browser

OPEN = "import audioic_widget as aw\nw = aw.AudioICWidget(aw.example('minuet'), preset='draft'); w"
RECORD = """async (root) => {
    const tap = root.audioic.tap(), context = tap.context;
    const source = `registerProcessor("keep", class extends AudioWorkletProcessor {
        process([input]) { if (input[0]) this.port.postMessage(input[0].slice()); return true; }
    });`;
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
    const node = new AudioWorkletNode(context, "keep"), out = [];
    node.port.onmessage = ({ data }) => out.push(...data);
    tap.connect(node);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    tap.disconnect(node);
    return out;
}"""


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
    heard = np.array(notebook.widget.evaluate(RECORD), np.float32)[:30_000]
    notebook.widget.focus()
    page.keyboard.press(" ")
    code = "import json; from audioic_widget.audio import pcm16; from audioic_widget.ic import encode; "
    code += "from audioic_widget.remains import Remains; m = aw.load_model('mini'); "
    code += "e = encode(aw.read_recording(aw.example('minuet')), m); "
    code += "print(json.dumps(pcm16(Remains(e, m, 0.6).samples(0, 12 * 44100)).tolist()))"
    left = np.array(json.loads(notebook.run(code)), np.float32) / 32_768
    # Found where it is most alike, it is that sound, sample by sample; a machine that is busy drops a block now and then.
    size, exact = 2**20, 0
    for piece in np.split(heard, 6):
        match = np.fft.irfft(np.fft.rfft(left, size) * np.conj(np.fft.rfft(piece, size)), size)[: len(left)]
        at = int(match.argmax())
        exact += np.allclose(piece, left[at : at + len(piece)], rtol=0, atol=1e-6)
    assert exact >= 4
    page.keyboard.press("h")
    page.wait_for_timeout(300)
    assert notebook.run("print(w.heard_level)").strip() == "None"
    page.keyboard.press("h")
    page.wait_for_timeout(300)
    assert notebook.run("print(w.heard_level)").strip() == "0.6"
