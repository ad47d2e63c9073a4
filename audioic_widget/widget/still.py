"""The still picture under a widget, for pages that cannot show widgets; the front end hides it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

from audioic_widget.result import ICResult
from audioic_widget.widget.snapshot import still_picture
from audioic_widget.widget.worker import Worker

_drawing = threading.Lock()
"""One picture at a time: those of twenty widgets, drawn side by side, would be there no sooner, and none could be ended."""


class Still:
    """Outputs of a notebook that hold a picture of the latest result, drawn when there is nothing better to do."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._outputs: list[Any] = []
        self._undrawn: tuple[ICResult, str] | None = None

    def show(self) -> None:
        """Make an output, empty, where the cell that runs has its outputs."""
        from IPython.display import HTML, display

        self._outputs.append(display(HTML(""), display_id=True))

    def draw(self, result: ICResult, name: str) -> None:
        """Have `result` drawn into them soon, if there are any."""
        if self._outputs:
            self._undrawn = result, name
            self._worker.when_idle(self._draw)

    def draw_now(self) -> None:
        """Draw what has not been drawn yet."""
        self._draw(lambda: None)

    def _draw(self, check: Callable[[], None]) -> None:
        from IPython.display import HTML

        with _drawing:
            check()
            undrawn, self._undrawn = self._undrawn, None
            if undrawn is None:
                return
            try:
                picture = still_picture(*undrawn)
            except Exception as error:
                # The user's own settings of matplotlib may be what cannot be drawn; the result is there without it.
                warnings.warn(f"The still picture of {undrawn[1]} cannot be drawn: {error}", stacklevel=2)
                return
            for output in self._outputs:
                output.update(HTML(picture))
