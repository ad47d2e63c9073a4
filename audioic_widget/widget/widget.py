"""`AudioICWidget`: what Python and the browser share of one recording and its traces."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from audioic_widget.annotations import Annotations, AnnotationsLike, annotation_ic
from audioic_widget.audio import Recording
from audioic_widget.errors import AnnotationError, AudioICError, Cancelled, SettingsError
from audioic_widget.formats import csv_text, replacing
from audioic_widget.frames import frame_at
from audioic_widget.ic import Audio
from audioic_widget.model.catalogue import ICModel
from audioic_widget.result import ICResult
from audioic_widget.settings import ICSettings
from audioic_widget.widget import messages
from audioic_widget.widget.curves import Curves
from audioic_widget.widget.outgoing import Outgoing
from audioic_widget.widget.session import Session
from audioic_widget.widget.snapshot import saved_traces, self_contained_page, still_picture
from audioic_widget.widget.traits import Traits
from audioic_widget.widget.worker import Worker

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_CONTROLS = ("preset", "noise_levels", "n_steps", "n_probes", "monte_carlo_samples")
_SHOWN = ("unit", "overlay", "smoothing", "view", "selection", "visible_levels", "loop", "speed", "volume", "follow")


class _AnnotationsTrait(traitlets.TraitType[Any, Any]):
    """Takes whatever `Annotations.of` takes, and holds what that gives."""

    def validate(self, obj: object, value: AnnotationsLike) -> Annotations | None:
        return None if value is None else Annotations.of(value)


class AudioICWidget(Traits):
    """Waveform, sound and information content of a recording, in a notebook.

    The traces appear as a draft and sharpen in the background. Setting `noise_levels`, `n_steps`, `n_probes`,
    `monte_carlo_samples` or `preset`, here or in the browser, computes anew; finished noise levels are remembered.

    Parameters
    ----------
    audio : path, file object, ndarray or Recording
        A file that libsndfile reads, or samples ``(n,)`` or ``(n, channels)`` with their `sample_rate`.
    sample_rate : int, optional
        Samples a second, for arrays.
    model : str, path or ICModel
        See `load_model`.
    device : str
        "auto", "cpu", "cuda", ...
    settings : ICSettings, optional
        How to compute; the preset "standard" if not given.
    annotations : optional
        What `Annotations.of` takes: a table, a file, times or ``(start, end, label)`` rows, to be drawn as a lane.
    **fields
        Fields of `ICSettings` (``noise_levels=...``, ``preset=...``), on top of `settings`; and how to show it:
        `unit`, `overlay`, `smoothing`, `view`, `selection`, `visible_levels`, `loop`, `speed`, `volume`.

    Raises
    ------
    AudioICError
        If a setting is out of range, or annotations cannot be used. What is wrong with audio or model is shown in the widget, and raised by `wait`.
    TypeError
        For an unknown keyword.

    Examples
    --------
    >>> import audioic_widget as aw
    >>> widget = AudioICWidget(aw.example("minuet"), noise_levels=[0.3], preset="draft")
    >>> widget.wait().noise_levels
    array([0.3])
    >>> widget.close()
    """

    annotations = _AnnotationsTrait(None, allow_none=True)
    """Labelled spans drawn as a lane: an `Annotations`, set from anything that `Annotations.of` takes."""

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
        shown = {name: fields.pop(name) for name in _SHOWN if name in fields}
        self._settings = (settings or ICSettings()).replace(**fields)
        self._session = Session(audio, sample_rate, model, device)
        # Traits and curves are written by the worker and by whoever sets a parameter.
        self._lock = threading.RLock()
        self._showing_settings = False
        self._revision = 0
        self._curves = Curves()
        self._result: ICResult | None = None
        self._failure: Exception | None = None
        self._still: Any = None
        self._undrawn: ICResult | None = None
        shown.setdefault("visible_levels", list(self._settings.noise_levels))
        super().__init__(
            name=_name_of(audio),
            model_name=_name_of(model),
            annotations=annotations,
            **self._shown_settings(),
            **shown,
        )
        self.observe(self._on_control, names=list(_CONTROLS))
        self.observe(self._on_annotations, names="annotations")
        self.on_msg(self._on_message)
        self.compute()

    def __repr__(self) -> str:
        return f"AudioICWidget({self.name!r})"

    @property
    def settings(self) -> ICSettings:
        """All settings in use."""
        return self._settings

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
        Exception
            What made it fail.
        """
        if not self._worker.wait(timeout):
            raise TimeoutError(f"{self.name} is not complete after {timeout:g} s.")
        if self._failure is not None:
            raise self._failure
        if self._result is None:
            raise Cancelled(f"Computing {self.name} was ended before it was complete: call compute() to start again.")
        # Who executes a notebook to make a page of it ends the kernel after the last cell.
        self._draw_still()
        return self._result

    def compute(self) -> None:
        """Compute with the present settings; what runs is ended."""
        with self._lock:
            self._revision += 1
            self._result, self._failure = None, None
            settings, revision = self._settings, self._revision
            self._tell(status="running", progress=0.0, error="", notice="")
            self._worker.submit(lambda check: self._run(settings, revision, check))

    def cancel(self) -> None:
        """End the computation; what was computed stays on the screen."""
        with self._lock:
            if self._worker.cancel():
                self._tell(status="cancelled")

    def close(self) -> None:
        """End the computation, the thread and the widget."""
        self._worker.close()
        super().close()

    def plot(self, ax: Axes | None = None) -> Axes | NDArray[np.object_]:
        """Draw the traces with matplotlib, when they are complete; see `ICResult.plot`."""
        return self.wait().plot(ax=ax)

    def export_html(self, path: str | os.PathLike[str]) -> None:
        """Write the widget as one page that opens from disk: traces to zoom and read, without sound and kernel.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        self.wait()
        traits = {name: getattr(self, name) for name in Traits.class_own_traits(sync=True) if not name.startswith("_")}
        page = self_contained_page(traits, self.name, str(self._esm), str(self._css))
        with replacing(path) as file:
            file.write(page.encode())

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
        from IPython.display import HTML, display

        bundle = None if self.comm is None else self._repr_mimebundle_()
        if bundle is None:
            display({"text/plain": repr(self)}, raw=True)
            return
        display(bundle[0], raw=True)
        with self._lock:
            self._still = display(HTML(""), display_id=True)
            if self._result is not None:
                self._put_off_still(self._result)

    def _put_off_still(self, result: ICResult) -> None:
        """Have the still picture drawn when there is nothing better to do."""
        if self._still is not None:
            self._undrawn = result
            self._worker.when_idle(lambda _: self._draw_still())

    def _draw_still(self) -> None:
        with self._lock:
            result, self._undrawn = self._undrawn, None
        if result is None:
            return
        from IPython.display import HTML

        picture = HTML(still_picture(result, self.name))
        if result is self._result:
            self._still.update(picture)

    # Parameters ------------------------------------------------------------------------------------------------

    def set_state(self, sync_data: Mapping[str, Any]) -> None:
        """Take in what the browser set; what is out of range is answered with its sentence."""
        try:
            super().set_state(sync_data)
        except AudioICError as error:
            self._tell(error=str(error))

    def _on_control(self, change: Mapping[str, Any]) -> None:
        if self._showing_settings:
            return
        try:
            settings = self._settings.replace(**{change["name"]: change["new"]})
        except SettingsError:
            self._tell(**self._shown_settings())
            raise
        with self._lock:
            before = self._settings.noise_levels
            self._settings = settings
            # A level that is new is drawn; one that was hidden stays so.
            visible = [each for each in settings.noise_levels if each in self.visible_levels or each not in before]
            self._tell(**self._shown_settings(), visible_levels=visible or list(settings.noise_levels))
            self.compute()

    def _on_annotations(self, _: object) -> None:
        self._send_all([messages.annotation_lane(self.annotations)])

    def _shown_settings(self) -> dict[str, Any]:
        names = (*_CONTROLS, "solver", "divergence")
        shown = {name: getattr(self._settings, name) for name in names}
        return {**shown, "noise_levels": list(self._settings.noise_levels)}

    def _tell(self, **values: object) -> None:
        """Set traits without taking them for somebody's wish."""
        with self._lock:
            self._showing_settings = True
            try:
                for name, value in values.items():
                    self.set_trait(name, value)
            finally:
                self._showing_settings = False

    # In the worker thread --------------------------------------------------------------------------------------

    def _run(self, settings: ICSettings, revision: int, check: Callable[[], None]) -> None:
        try:
            self._open()
            with self._lock:
                check()
                self._curves = self._curves.restarted(settings.noise_levels, self.n_frames)
                outgoing = Outgoing(self._curves, revision, self._send_all)
                outgoing.begin()
            visible = None if self.view is None else (frame_at(self.view[0]), frame_at(self.view[1]) + 1)
            for update in self._session.compute(settings, visible, check):
                with self._lock:
                    check()
                    if outgoing.take(update):
                        self._tell(progress=update.progress)
                    if update.result is not None:
                        self._finish(update.result)
        except Cancelled:
            pass  # whoever asked for it has said so already
        except Exception as error:
            self._fail(error)

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
            # Last: the browser takes it as the sign that the rest is there.
            n_frames=recording.grid.n_frames,
        )

    def _finish(self, result: ICResult) -> None:
        self._result = result
        self._put_off_still(result)
        silent = result.provenance["silent"]
        self._tell(
            saved=saved_traces(result),
            status="done",
            progress=1.0,
            notice="There is no sound in this recording to compute information content of." if silent else "",
        )

    def _fail(self, error: Exception) -> None:
        with self._lock:
            self._failure = error
            expected = isinstance(error, AudioICError)
            self._tell(status="error", error=str(error) if expected else f"{type(error).__name__}: {error}")

    # Messages --------------------------------------------------------------------------------------------------

    def _on_message(self, _: object, content: Mapping[str, Any], __: object) -> None:
        match messages.parse(content):
            case messages.Ready():
                with self._lock:
                    self._send_all([messages.annotation_lane(self.annotations)])
                    Outgoing(self._curves, self._revision, self._send_all).send_all()
            case messages.AudioRequest(first, count) if self.n_frames:
                samples = self._session.samples(first, min(count, messages.MESSAGE_SAMPLES))
                self._send_all([messages.audio(first, samples)])
            case messages.WaveformRequest(level, first, count) if level < len(self.bin_samples):
                bins = self._session.bins(level, first, min(count, messages.MESSAGE_SAMPLES // 2))
                self._send_all([messages.waveform(level, first, bins)])
            case messages.SpectrogramRequest(level, first, count) if self.n_frames:
                tile = self._session.tile(level, first, min(count, messages.MESSAGE_COLUMNS))
                self._send_all([messages.spectrogram(level, first, tile)])
            case messages.PeaksRequest(noise_level, count) if self._result and noise_level in self._curves.levels:
                self._send_all([messages.peaks(noise_level, self._result.peaks(noise_level, min(count, 100)))])
            case messages.TableRequest() if self._result:
                self._send_all([messages.table(f"{Path(self.name).stem}_ic.csv", csv_text(self._result))])
            case messages.Cancel():
                self.cancel()
            case messages.Compute():
                self.compute()

    def _send_all(self, outgoing: Iterable[messages.Message]) -> None:
        for content, buffers in outgoing:
            self.send(content, buffers)


def _name_of(source: Audio | str | os.PathLike[str] | ICModel | Sequence[float]) -> str:
    """Name a source before it is read."""
    if isinstance(source, str | os.PathLike):
        return Path(source).name
    if isinstance(source, Recording | ICModel):
        return source.name
    return Path(str(getattr(source, "name", "array"))).name
