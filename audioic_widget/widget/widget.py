"""`AudioICWidget`: what Python and the browser share of one recording and its traces."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audioic_widget.annotations import AnnotationsLike, annotation_ic
from audioic_widget.audio import Recording, name_of
from audioic_widget.errors import AnnotationError, AudioICError, Cancelled, SettingsError
from audioic_widget.frames import frame_at
from audioic_widget.ic import Audio
from audioic_widget.model.catalogue import ICModel
from audioic_widget.result import ICResult
from audioic_widget.settings import ICSettings
from audioic_widget.widget import messages
from audioic_widget.widget.answers import answer
from audioic_widget.widget.curves import Curves
from audioic_widget.widget.decoding import Decoding
from audioic_widget.widget.outgoing import Outgoing
from audioic_widget.widget.page import Part, compressed_sound, write_page
from audioic_widget.widget.parameters import Parameters
from audioic_widget.widget.session import Session
from audioic_widget.widget.snapshot import saved_traces
from audioic_widget.widget.still import Still
from audioic_widget.widget.traits import SHOWN, Traits
from audioic_widget.widget.worker import Worker

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

ENCODING_SECONDS = 0.3
"""Between two reports of how much is encoded."""

PLAYHEAD_FRAMES = 54
"""Frames from the playhead on that are computed first: five seconds."""


class AudioICWidget(Parameters):
    """Waveform, sound and information content of a recording, in a notebook.

    The traces appear as a draft and sharpen in the background. Setting `noise_levels`, `n_steps`, `n_probes`,
    `monte_carlo_samples` or `preset`, here or in the browser, computes anew; finished noise levels are remembered.

    Parameters
    ----------
    audio : path, file object, ndarray or Recording
        A file that libsndfile reads, or samples ``(n,)`` or ``(n, channels)`` with their `sample_rate`.
    sample_rate : int, optional
        Samples a second, 1 or more; needed for arrays, and for them only.
    model : str, path or ICModel
        What computes, see `load_model`; "mini" if not given.
    device : str
        Where it computes: "auto" (the fastest that is right), "cpu", "cuda", ...
    settings : ICSettings, optional
        How to compute; the preset "standard" if not given.
    annotations : optional
        What `Annotations.of` takes: a table, a file, times in seconds or ``(start, end, label)`` rows, to be drawn as a lane.
    **fields
        Fields of `ICSettings` (``noise_levels=...``, ``preset=...``), on top of `settings`; and how to show it, below.

    Other Parameters
    ----------------
    unit : {"nats", "minmax", "zscore", "headroom"}
        Scale of the traces; "headroom" is nats above the no-knowledge line. Default "nats".
    overlay : bool
        One chart for all levels in place of a lane each. Default False.
    smoothing : int
        Frames (93 ms) in the running mean that is drawn, 1 to 1001. Default 1, none.
    view, selection : (float, float), optional
        Span on screen, and span selected, in seconds. Default: the whole recording; none.
    visible_levels : list of float
        Those of `noise_levels` that are drawn. Default: all.
    loop : bool
        Whether playing repeats the selection. Default False.
    speed : float
        Playback rate, 0.25 to 2; pitch follows. Default 1.
    volume : float
        Loudness, 0 to 1. Default 1.
    follow : bool
        Whether the span on screen stays with the playhead. Default True.
    heard_level : float, optional
        What sounds: the recording (default), or what is left of it at a noise level, 0 to 1.
    group, compact, solo
        How several are one; see `compare`, which sets them.

    Raises
    ------
    AudioICError
        If a setting is out of range, or annotations cannot be used. What is wrong with audio or model is shown in the widget, and raised by `wait`.
    TypeError
        For an unknown keyword.

    Examples
    --------
    >>> import audioic_widget as aw
    >>> widget = AudioICWidget(aw.example("minuet"), noise_levels=[0.3], preset="draft", annotations=[(0, 10, "A")])
    >>> widget.wait(timeout=300).noise_levels
    array([0.3])
    >>> widget.annotation_ic()["label"].tolist()
    ['A']
    >>> axes = widget.plot()
    >>> widget.export_html("minuet.html")
    >>> widget.n_steps = 12  # computes anew
    >>> widget.cancel()
    >>> widget.result is None, widget.settings.n_steps
    (True, 12)
    >>> widget.compute()
    >>> widget.wait(timeout=300)
    ICResult(225 frames, 20.9 s, noise levels 0.3)
    >>> widget.close()
    """

    def __init__(
        self,
        audio: Audio,
        *,
        sample_rate: int | None = None,
        model: str | os.PathLike[str] | ICModel = "mini",
        device: str = "auto",
        settings: ICSettings | None = None,
        annotations: AnnotationsLike = None,
        **fields: Any,
    ) -> None:
        # First, since `close` is called even on a widget that was refused.
        self._worker = Worker("audioic-widget")
        self._own_layout: Any = None
        shown = {name: fields.pop(name) for name in SHOWN if name in fields}
        settings = (settings or ICSettings()).replace(**fields)
        if settings.alignment == "published":
            raise SettingsError(
                'The widget draws every value over the frame it is about; alignment="published" puts it 93 to 186 ms '
                'early: leave alignment out here, and take such a table from compute_ic(..., alignment="published").'
            )
        self._session = Session(audio, sample_rate, model, device)
        self._revision = 0
        self._curves = Curves()
        self._result: ICResult | None = None
        self._failure: Exception | None = None
        self._still = Still(self._worker)
        self._decoding = Decoding(self._worker, self._session)
        shown.setdefault("visible_levels", list(settings.noise_levels))
        super().__init__(settings, name=_name_of(audio), model_name=_name_of(model), annotations=annotations, **shown)
        self._own_layout = self.layout
        self.observe(self._on_annotations, names="annotations")
        self.on_msg(self._on_message)
        self.compute()

    def __repr__(self) -> str:
        return f"AudioICWidget({self.name!r})"

    @property
    def result(self) -> ICResult | None:
        """The result for the present settings, or None while it is not complete."""
        return self._result

    def wait(self, timeout: float | None = None) -> ICResult:
        """Wait for the result, and for the still picture of it if the widget is shown.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.

        Raises
        ------
        TimeoutError
            If that was not enough.
        Cancelled
            If the computation was ended.
        RuntimeError
            If it is called by what observes the widget, before the result is there.
        Exception
            What made it fail.
        """
        if self._worker.inside and self._result is None:
            raise RuntimeError(
                f"{self.name} is not complete: what observes the widget cannot wait for it, only for status."
            )
        if not self._worker.inside and not self._worker.wait(timeout):
            raise TimeoutError(f"{self.name} is not complete after {timeout:g} s.")
        if self._failure is not None:
            raise self._failure
        if self._result is None:
            raise Cancelled(f"Computing {self.name} was ended before it was complete: call compute() to start again.")
        # Who executes a notebook to make a page of it ends the kernel after the last cell.
        self._still.draw_now()
        return self._result

    def compute(self) -> None:
        """Compute with the present settings; what runs is ended."""
        with self._lock:
            self._revision += 1
            self._result, self._failure = None, None
            settings, revision = self._settings, self._revision
            self._tell(status="running", progress=0.0, encoded=1.0, error="", notice="")
            self._worker.submit(lambda check: self._run(settings, revision, check))

    def cancel(self) -> None:
        """End the computation; what was computed stays on the screen."""
        with self._lock:
            if self._worker.cancel():
                self._tell(status="cancelled")

    def close(self) -> None:
        """End the computation, the thread and the widget."""
        # Also called for a widget whose making failed.
        if not hasattr(self, "_worker"):
            return
        self._worker.close()
        super().close()
        # A widget of its own, which the other's end would leave behind, in the kernel and in every page.
        if self._own_layout is not None:
            self._own_layout.close()

    def plot(self, ax: Axes | None = None) -> Axes | NDArray[np.object_]:
        """Draw the traces with matplotlib, when they are complete: lanes ``(L, 1)``, or all in `ax`; see `ICResult.plot`."""
        return self.wait().plot(ax=ax)

    def export_html(self, path: str | os.PathLike[str], *, sound: bool = False) -> None:
        """Write the widget as one page that opens from disk, without kernel and network: traces to zoom and read.

        Parameters
        ----------
        path : path
            The file to write, ``.html``; some 200 kB.
        sound : bool
            Whether the page plays: MP3 inside it, 0.65 MB a minute, an hour at most. Default: no.

        Raises
        ------
        AudioError
            If it is too long for `sound`.
        OutputError
            If the file cannot be written.
        """
        # Of a widget that is compared, this is the page of it alone.
        part = self._page_part(sound=sound, group="", compact=False, solo=True)
        write_page(path, [part], self._front_end, str(self._css))

    def _page_part(self, *, sound: bool, **traits: object) -> Part:
        """This widget in a page, complete, with some `traits` set to others."""
        self.wait()
        own = {name: getattr(self, name) for name in Traits.class_own_traits(sync=True) if not name.startswith("_")}
        return Part(own | traits, self.annotations, compressed_sound(self._session.recording) if sound else ())

    def annotation_ic(self) -> pd.DataFrame:
        """Mean and highest IC inside every annotation, for every noise level; see `annotations.annotation_ic`.

        Raises
        ------
        AnnotationError
            If there are no annotations.
        """
        if self.annotations is None:
            raise AnnotationError("There are no annotations: set widget.annotations first.")
        return annotation_ic(self.wait(), self.annotations)

    # In a notebook ---------------------------------------------------------------------------------------------

    def _ipython_display_(self) -> None:
        """Show the widget, and under it a still picture that only pages without a kernel show."""
        from IPython.display import display

        bundle = None if self.comm is None else self._repr_mimebundle_()
        if bundle is None:
            display({"text/plain": repr(self)}, raw=True)
            return
        display(bundle[0], raw=True)
        self.show_still()

    def show_still(self) -> None:
        """Show a still picture of the traces, now or when they are there; the front end hides it.

        Examples
        --------
        In a notebook, where it is hidden while the widget is alive: ``widget.show_still()``.
        """
        with self._lock:
            self._still.show()
            if self._result is not None:
                self._still.draw(self._result, self.name)

    # In the worker thread --------------------------------------------------------------------------------------

    def _run(self, settings: ICSettings, revision: int, check: Callable[[], None]) -> None:
        try:
            self._open()
            with self._lock:
                check()
                self._curves = self._curves.restarted(settings.noise_levels, self.n_frames)
                outgoing = Outgoing(self._curves, settings, revision, self._send_all)
                outgoing.begin()
            for update in self._session.compute(settings, self._urgent, check, self._encoding(check)):
                self._worker.make_room()
                with self._lock:
                    check()
                    self._tell(encoded=1.0)
                    if outgoing.take(update):
                        self._tell(progress=update.progress)
                    if update.result is not None:
                        self._finish(update.result)
        except Cancelled:
            raise  # whoever asked for it has said so already
        except Exception as error:
            with self._lock:
                check()  # nobody wants to know any more
                if self._result is not None:
                    raise  # what observes the widget has failed, not the computation
                self._fail(error)

    def _encoding(self, check: Callable[[], None]) -> Callable[[float], None]:
        """Gives what tells of the share encoded, now and then."""
        told = time.monotonic()

        def tell(share: float) -> None:
            nonlocal told
            with self._lock:
                check()
                if time.monotonic() > told + ENCODING_SECONDS:
                    told = time.monotonic()
                    self._tell(encoded=share)

        return tell

    def _urgent(self) -> list[tuple[int, int]]:
        """Frames to compute first: on screen those under the playhead, then the others there, then where it is else."""
        start, end = self.view or (0.0, self.duration)
        on_screen = frame_at(start), frame_at(end) + 1
        at = frame_at(self.current_time)
        under = at, at + PLAYHEAD_FRAMES
        return [under, on_screen] if on_screen[0] <= at < on_screen[1] else [on_screen, under]

    def _open(self) -> None:
        if self.n_frames:
            return
        self._session.open()
        recording = self._session.recording
        self._tell(
            name=recording.name,
            duration=recording.duration,
            overview=self._session.pyramid[-1].astype("<i2").tobytes(),
            bin_samples=self._session.bin_samples,
            model_name=self._session.model.name,
            device_name=str(self._session.model.device),
            decodes=self._session.decodes,
            # Last: the browser takes it as the sign that the rest is there.
            n_frames=recording.grid.n_frames,
        )

    def _finish(self, result: ICResult) -> None:
        self._result = result
        self._still.draw(result, self.name)
        silent = result.provenance["silent"]
        self._tell(
            saved=saved_traces(result),
            progress=1.0,
            notice="There is no sound in this recording to compute information content of." if silent else "",
            # Last: who observes it may set off the next computation.
            status="done",
        )

    def _notify(self, error: Exception) -> None:
        self._tell(error=_sentence(error))

    def _fail(self, error: Exception) -> None:
        with self._lock:
            self._failure = error
            self._tell(error=_sentence(error), status="error")

    # Messages --------------------------------------------------------------------------------------------------

    def _on_annotations(self, _: object) -> None:
        self._send_all([messages.annotation_lane(self.annotations)])

    def _on_message(self, _: object, content: Mapping[str, Any], __: object) -> None:
        match messages.parse(content):
            case messages.Ready():
                with self._lock:
                    self._send_all([messages.annotation_lane(self.annotations)])
                    Outgoing(self._curves, self._settings, self._revision, self._send_all).send_all()
            case messages.AudioRequest(float() | int() as level, first, count):
                if self.decodes:
                    self._decoding.ask(self._settings, level, first, count, self._send_all, self._notify)
            case messages.Cancel():
                self.cancel()
            case messages.Compute():
                self.compute()
            case request if self.n_frames:
                self._send_all(answer(request, self._session, self._result))

    def _send_all(self, outgoing: Iterable[messages.Message]) -> None:
        for content, buffers in outgoing:
            self.send(content, buffers)


def _sentence(error: Exception) -> str:
    """What went wrong, for people; with its kind where nobody expected it."""
    return str(error) if isinstance(error, AudioICError) else f"{type(error).__name__}: {error}"


def _name_of(source: Audio | str | os.PathLike[str] | ICModel | Sequence[float]) -> str:
    """Name a source before it is read."""
    if isinstance(source, str | os.PathLike):
        return name_of(source)
    if isinstance(source, Recording | ICModel):
        return source.name
    return name_of(getattr(source, "name", "array"))
