"""What comes out of a page, recorded sample by sample, and where in a recording it is from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Locator

_RECORD = """async (root, seconds) => {
    const tap = root.audioic.tap(), context = tap.context;
    const source = `registerProcessor("keep", class extends AudioWorkletProcessor {
        process([input]) { if (input[0]) this.port.postMessage(input[0].slice()); return true; }
    });`;
    await context.audioWorklet.addModule(`data:text/javascript;base64,${btoa(source)}`);
    const node = new AudioWorkletNode(context, "keep"), out = [];
    node.port.onmessage = ({ data }) => out.push(...data);
    tap.connect(node);
    while (out.length < 44100 * seconds) await new Promise((resolve) => setTimeout(resolve, 50));
    tap.disconnect(node);
    return out;
}"""


def recorded(widget: Locator, seconds: float) -> NDArray[np.float32]:
    """`seconds` of what a playing widget gives to the loudspeaker."""
    return np.array(widget.evaluate(_RECORD, seconds), np.float32)


def place(heard: NDArray[np.float32], within: NDArray[np.float32]) -> int:
    """The sample of `within` from which on it is most like `heard`, loud or soft."""
    size = 2 ** int(np.ceil(np.log2(len(within) + len(heard))))
    products = np.fft.irfft(np.fft.rfft(within, size) * np.conj(np.fft.rfft(heard, size)), size)
    energy = np.convolve(within.astype(np.float64) ** 2, np.ones(len(heard)), "valid")
    return int((products[: len(energy)] / np.sqrt(energy + 1e-9)).argmax())
