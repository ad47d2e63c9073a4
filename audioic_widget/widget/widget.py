"""`AudioICWidget`: what Python and the browser share of one recording and its traces."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import traitlets
from numpy.typing import NDArray

from audioic_widget.audio import Recording
from audioic_widget.errors import AudioICError, Cancelled, SettingsError
from audioic_widget.ic import Audio
from audioic_widget.model.catalogue import ICModel
from audioic_widget.result import ICResult
from audioic_widget.settings import ICSettings
from audioic_widget.widget import messages
from audioic_widget.widget.curves import Curves, State
from audioic_widget.widget.session import Session, Update
from audioic_widget.widget.worker import Worker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SEND_INTERVAL = 0.1
"""Least seconds between two messages of curves."""

_STATIC = Path(__file__).parent / "static"
_CONTROLS = ("preset", "noise_levels", "n_steps", "n_probes", "monte_carlo_samples")


class AudioICWidget(anywidget.AnyWidget):
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
    **fields
        Fields of `ICSettings` (``noise_levels=...``, ``preset=...``), on top of `settings`.

    Raises
    ------
    SettingsError
        If a setting is out of range. What is wrong with audio or model is shown in the widget, and raised by `wait`.
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

    _esm = _STATIC / "widget.js"
    _css = _STATIC / "widget.css"

    preset = traitlets.Unicode().tag(sync=True)
    """Name of the preset in use; setting it refills steps and probes."""
    noise_levels = traitlets.List(traitlets.Float()).tag(sync=True)
    """Noise levels in [0, 1], in the order shown. Set a new list; do not change it in place."""
    n_steps = traitlets.Int().tag(sync=True)
    """Solver steps."""
    n_probes = traitlets.Int().tag(sync=True)
    """Probes a divergence estimate."""
    monte_carlo_samples = traitlets.Int(None, allow_none=True).tag(sync=True)
    """Draws of noise a value, or None for none."""
    current_time = traitlets.Float(0.0).tag(sync=True)
    """Position of the playhead in seconds; setting it seeks."""
    selection = traitlets.Tuple(traitlets.Float(), traitlets.Float(), default_value=None, allow_none=True).tag(
        sync=True
    )
    """Selected span ``(start, end)`` in seconds, or None."""

    status = traitlets.Enum(["idle", "running", "done", "cancelled", "error"], "idle").tag(sync=True)
    """Read only: what the widget is doing."""
    progress = traitlets.Float(0.0).tag(sync=True)
    """Read only: share of the work done, in [0, 1]."""
    error = traitlets.Unicode("").tag(sync=True)
    """Read only: what went wrong, as a sentence; empty if nothing did."""
    notice = traitlets.Unicode("").tag(sync=True)
    """Read only: what one should know of the result, as a sentence."""
    name = traitlets.Unicode("").tag(sync=True)
    """Read only: name of the recording."""
    duration = traitlets.Float(0.0).tag(sync=True)
    """Read only: length in seconds; 0 until the recording is read."""
    n_frames = traitlets.Int(0).tag(sync=True)
    """Read only: frames of 4096 samples in the recording."""
    overview = traitlets.Bytes(b"").tag(sync=True)
    """Read only: coarsest level of the waveform, pairs of 16-bit lowest and highest sample."""
    bin_samples = traitlets.List(traitlets.Int()).tag(sync=True)
    """Read only: samples a bin at every level of the waveform, finest first."""
    model_name = traitlets.Unicode("").tag(sync=True)
    """Read only: the model that computes."""
    device_name = traitlets.Unicode("").tag(sync=True)
    """Read only: where it computes."""
    solver = traitlets.Unicode("").tag(sync=True)
    """Read only: the solver; steps mean nothing to "scipy"."""
    divergence = traitlets.Unicode("").tag(sync=True)
    """Read only: "hutchinson", or "exact", which needs no probes."""

    def __init__(
        self,
        audio: Audio,
        *,
        sample_rate: int | None = None,
        model: str | os.PathLike[str] | ICModel = "mini",
        device: str = "auto",
        settings: ICSettings | None = None,
        **fields: Any,
    ) -> None:
        # First, since `close` is called even on a widget that was refused.
        self._worker = Worker("audioic-widget")
        self._settings = (settings or ICSettings()).replace(**fields)
        self._session = Session(audio, sample_rate, model, device)
        # Traits and curves are written by the worker and by whoever sets a parameter.
        self._lock = threading.RLock()
        self._showing_settings = False
        self._revision = 0
        self._curves = Curves()
        self._visible: tuple[int, int] | None = None
        self._result: ICResult | None = None
        self._failure: Exception | None = None
        super().__init__(name=_name_of(audio), model_name=_name_of(model), **self._shown_settings())
        self.observe(self._on_control, names=list(_CONTROLS))
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
        """Wait for the result.

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
            self._settings = settings
            self._tell(**self._shown_settings())
            self.compute()

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
                self._send_all([messages.restart(revision, self._curves.levels, self.n_frames)])
            outgoing = _Outgoing(self, revision)
            for update in self._session.compute(settings, self._visible, check):
                with self._lock:
                    check()
                    outgoing.take(update)
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
        silent = result.provenance["silent"]
        self._tell(
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
                    if self._curves.n_frames:
                        self._send_all([messages.restart(self._revision, self._curves.levels, self._curves.n_frames)])
                        self._send_all(self._curves_between(0, self._curves.n_frames, self._revision))
            case messages.AudioRequest(first, count) if self.n_frames:
                samples = self._session.samples(first, min(count, messages.MESSAGE_SAMPLES))
                self._send_all([messages.audio(first, samples)])
            case messages.WaveformRequest(level, first, count) if level < len(self.bin_samples):
                bins = self._session.bins(level, first, min(count, messages.MESSAGE_SAMPLES // 2))
                self._send_all([messages.waveform(level, first, bins)])
            case messages.Visible(first, stop):
                self._visible = (first, stop)
            case messages.Cancel():
                self.cancel()
            case messages.Compute():
                self.compute()

    def _curves_between(self, first: int, stop: int, revision: int) -> Iterable[messages.Message]:
        curves = self._curves
        return messages.curves(revision, curves.levels, first, stop, curves.ic, curves.stderr, curves.states)

    def _send_all(self, outgoing: Iterable[messages.Message]) -> None:
        for content, buffers in outgoing:
            self.send(content, buffers)


class _Outgoing:
    """Gathers updates, so that the browser gets at most ten messages a second."""

    def __init__(self, widget: AudioICWidget, revision: int) -> None:
        self._widget = widget
        self._revision = revision
        self._first, self._stop = widget.n_frames, 0
        self._sent = 0.0

    def take(self, update: Update) -> None:
        widget = self._widget
        state = State.FINAL if update.stage == "final" else State.DRAFT
        widget._curves.put(update.levels, update.first, update.ic, update.stderr, state)
        self._first = min(self._first, update.first)
        self._stop = max(self._stop, update.first + update.ic.shape[1])
        now = time.monotonic()
        if update.result is None and now - self._sent < SEND_INTERVAL:
            return
        widget._send_all(widget._curves_between(self._first, self._stop, self._revision))
        widget._tell(progress=update.progress)
        self._first, self._stop = widget.n_frames, 0
        self._sent = now


def _name_of(source: Audio | str | os.PathLike[str] | ICModel | Sequence[float]) -> str:
    """Name a source before it is read."""
    if isinstance(source, str | os.PathLike):
        return Path(source).name
    if isinstance(source, Recording | ICModel):
        return source.name
    return Path(str(getattr(source, "name", "array"))).name
