"""The still picture under a widget, for pages that cannot show widgets; the front end hides it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from audioic_widget.errors import Cancelled
from audioic_widget.result import ICResult
from audioic_widget.widget.snapshot import still_picture
from audioic_widget.widget.worker import Worker


class Still:
    """An output of a notebook that holds a picture of the latest result, drawn when there is nothing better to do."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._output: Any = None

    def show(self) -> None:
        """Make the output, empty, where the cell that runs has its outputs."""
        from IPython.display import HTML, display

        self._output = display(HTML(""), display_id=True)

    def draw(self, result: ICResult, name: str) -> None:
        """Draw `result` into it, if it was made."""
        output = self._output
        if output is None:
            return

        def draw(check: Callable[[], None]) -> None:
            from IPython.display import HTML

            with contextlib.suppress(Cancelled):
                picture = HTML(still_picture(result, name))
                check()
                output.update(picture)

        self._worker.when_idle(draw)
