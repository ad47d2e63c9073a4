"""The still picture under a widget, for pages that cannot show widgets; the front end hides it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from audioic_widget.errors import Cancelled
from audioic_widget.result import ICResult
from audioic_widget.widget.snapshot import still_picture
from audioic_widget.widget.worker import Worker

_drawing = threading.Lock()
"""One picture at a time: those of twenty widgets, drawn side by side, would be there no sooner, and none could be ended."""


class Still:
    """An output of a notebook that holds a picture of the latest result, drawn when there is nothing better to do."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._output: Any = None
        self._undrawn: tuple[ICResult, str] | None = None

    def show(self) -> None:
        """Make the output, empty, where the cell that runs has its outputs."""
        from IPython.display import HTML, display

        self._output = display(HTML(""), display_id=True)

    def draw(self, result: ICResult, name: str) -> None:
        """Have `result` drawn into it soon, if it was made."""
        if self._output is not None:
            self._undrawn = result, name
            self._worker.when_idle(self._draw)

    def draw_now(self) -> None:
        """Draw what has not been drawn yet."""
        self._draw(lambda: None)

    def _draw(self, check: Callable[[], None]) -> None:
        from IPython.display import HTML

        with suppress(Cancelled), _drawing:
            check()
            undrawn, self._undrawn = self._undrawn, None
            if undrawn is not None:
                self._output.update(HTML(still_picture(*undrawn)))
