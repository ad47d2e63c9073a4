"""A widget with a recorder in place of the browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from audioic_widget.widget import AudioICWidget

LEVELS = (0.3, 0.6)
FAST = {"preset": "draft", "n_steps": 2, "noise_levels": LEVELS}


class Recorded(AudioICWidget):
    """Keeps what it would send."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.sent: list[tuple[dict[str, Any], list[memoryview]]] = []
        super().__init__(*args, **kwargs)

    def send(self, content: dict[str, Any], buffers: list[memoryview] | None = None) -> None:
        self.sent.append((content, list(buffers or [])))

    def of_type(self, kind: str) -> list[tuple[dict[str, Any], list[memoryview]]]:
        return [(content, buffers) for content, buffers in self.sent if content["type"] == kind]

    def hear(self, **content: Any) -> None:
        self._handle_custom_msg(content, [])


def drawn(widget: Recorded) -> dict[float, np.ndarray]:
    """The traces as a browser would have put them together."""
    rows: dict[float, np.ndarray] = {}
    for content, buffers in widget.sent:
        if content["type"] == "restart":
            rows = {level: np.full(content["n_frames"], np.nan, np.float32) for level in content["levels"]}
        elif content["type"] == "curves":
            values = np.frombuffer(buffers[0], "<f4").reshape(len(content["levels"]), content["count"])
            for level, row in zip(content["levels"], values, strict=True):
                rows[level][content["first"] : content["first"] + content["count"]] = row
    return rows


def until(holds: Callable[[], object], seconds: float = 30) -> None:
    """Wait until `holds` gives something true."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)
