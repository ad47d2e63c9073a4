"""Several widgets on one time axis. Linking them is the front end's: it moves all at once, without a way to the kernel."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import ipywidgets

from audioic_widget.errors import SettingsError
from audioic_widget.ic import Audio
from audioic_widget.result import ICResult
from audioic_widget.widget.page import write_page
from audioic_widget.widget.widget import AudioICWidget


class Comparison(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """What `compare` gives: widgets below each other, with span, playhead, selection and looks in common.

    Attributes
    ----------
    widgets : tuple of AudioICWidget
        In the order shown. What is common can be read from and set on any of them.
    """

    def __init__(self, widgets: Sequence[AudioICWidget]) -> None:
        self.widgets = tuple(widgets)
        group = uuid4().hex
        for place, widget in enumerate(self.widgets):
            widget.group, widget.compact, widget.solo = group, place > 0, place == 0
        super().__init__(self.widgets)

    def __repr__(self) -> str:
        return f"Comparison({', '.join(map(repr, self.widgets))})"

    @property
    def solo(self) -> AudioICWidget:
        """The one that sounds; setting it lets another sound, from the same moment on."""
        return next((widget for widget in self.widgets if widget.solo), self.widgets[0])

    @solo.setter
    def solo(self, wanted: AudioICWidget) -> None:
        if wanted not in self.widgets:
            raise SettingsError(f"{wanted!r} is not compared here: choose one of widgets.")
        # This one first: as long as both are, the front end knows where the other was.
        wanted.solo = True
        for widget in self.widgets:
            widget.solo = widget is wanted

    def wait(self, timeout: float | None = None) -> list[ICResult]:
        """Wait for all results; see `AudioICWidget.wait`. `timeout` is for each, in seconds."""
        return [widget.wait(timeout) for widget in self.widgets]

    def export_html(self, path: str | os.PathLike[str], *, sound: bool = False) -> None:
        """Write all of them as one page that opens from disk, linked as they are here; see `AudioICWidget.export_html`.

        Parameters
        ----------
        path : path
            The file to write, ``.html``; some 200 kB.
        sound : bool
            Whether the page plays: MP3 inside it, 0.65 MB a minute of every recording. Default: no.

        Raises
        ------
        AudioError
            If a recording is longer than an hour, which is too long for `sound`.
        OutputError
            If the file cannot be written.
        """
        first = self.widgets[0]
        parts = [widget._page_part(sound=sound) for widget in self.widgets]
        write_page(path, parts, first._front_end, str(first._css))

    def close(self) -> None:
        """Close all of them."""
        for widget in getattr(self, "widgets", ()):
            widget.close()
        super().close()

    def _ipython_display_(self) -> None:
        """Show them, and under them the still pictures that only pages without a kernel show."""
        from IPython.display import display

        if self.comm is None:
            display({"text/plain": repr(self)}, raw=True)
            return
        display(self._repr_mimebundle_(), raw=True)
        for widget in self.widgets:
            widget.show_still()


def compare(*sources: AudioICWidget | Audio, **fields: Any) -> Comparison:
    """Put several recordings, models or settings on one time axis.

    Zoom, selection, playhead and looks are linked. One sounds; the loudspeaker beside a name, or the key A, lets
    another one sound from the same moment on.

    Parameters
    ----------
    *sources : AudioICWidget, path, file object, ndarray or Recording
        Two or more. A widget keeps its model and settings; of anything else a widget is made.
    **fields
        Any keyword of `AudioICWidget`, for those made here: ``noise_levels=...``, ``model=...``.

    Returns
    -------
    Comparison
        Shows itself in a notebook; its `widgets` are the single ones.

    Raises
    ------
    SettingsError
        If there are fewer than two sources, or one is given twice.

    Examples
    --------
    One recording, two precisions:

    >>> import audioic_widget as aw
    >>> song = aw.example("minuet")
    >>> both = compare(
    ...     AudioICWidget(song, preset="draft", noise_levels=[0.3]),
    ...     AudioICWidget(song, preset="draft", noise_levels=[0.3], n_steps=3),
    ... )
    >>> [result.provenance["settings"]["n_steps"] for result in both.wait()]
    [6, 3]
    >>> both.export_html("both.html")
    >>> both.close()

    Two recordings: ``compare("take1.wav", "take2.wav", noise_levels=[0.3])``.
    """
    if len(sources) < 2:
        raise SettingsError("There is nothing to compare: give two or more recordings or widgets.")
    given = [source for source in sources if isinstance(source, AudioICWidget)]
    if len({id(widget) for widget in given}) < len(given):
        raise SettingsError("A widget is given twice: make a second one to compare it with.")
    made = [each if isinstance(each, AudioICWidget) else AudioICWidget(each, **fields) for each in sources]
    return Comparison(made)
