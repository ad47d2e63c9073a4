"""What Python and the browser share, trait by trait; `Traits` in `js/src/messages.ts` is its twin.

Parameters of the computation are settings and live in `AudioICWidget`; everything else here is how they are shown
and heard. All of it is small: it is saved with the notebook.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from audioic_widget.annotations import Annotations, AnnotationsLike
from audioic_widget.errors import SettingsError

_STATIC = Path(__file__).parent / "static"

SHOWN = (
    *("unit", "overlay", "smoothing", "view", "selection", "visible_levels", "loop", "speed", "volume", "follow"),
    *("group", "compact", "solo", "heard_level"),
)
"""Traits that a widget can be made with: how it is shown and heard."""

UNITS = ("nats", "minmax", "zscore", "headroom")

_RANGES = {
    "speed": (0.25, 2.0),
    "volume": (0.0, 1.0),
    "smoothing": (1, 1_001),
    "current_time": (0.0, math.inf),
    "heard_level": (0.0, 1.0),
}


def _span() -> Any:
    return traitlets.Tuple(traitlets.Float(), traitlets.Float(), default_value=None, allow_none=True)


class _AnnotationsTrait(traitlets.TraitType[Any, Any]):
    """Takes whatever `Annotations.of` takes, and holds what that gives."""

    def validate(self, obj: object, value: AnnotationsLike) -> Annotations | None:
        return None if value is None else Annotations.of(value)


class Traits(anywidget.AnyWidget):
    """The synced state of an `AudioICWidget`, and what values it may take."""

    # Their texts: of files anywidget waits for changes, and keeps every widget there ever was for that.
    _esm = (_STATIC / "loader.js").read_text(encoding="utf-8")
    _css = (_STATIC / "widget.css").read_text(encoding="utf-8")

    _front_end = traitlets.Unicode().tag(sync=True)
    """Code of the front end; the loader runs it once a page, however many widgets there are."""

    @traitlets.default("_front_end")
    def _read_front_end(self) -> str:
        return (_STATIC / "widget.js").read_text(encoding="utf-8")

    # What to compute ---------------------------------------------------------------------------------------------

    preset = traitlets.Unicode().tag(sync=True)
    """Name of the preset in use; setting another refills steps and probes."""
    noise_levels = traitlets.List(traitlets.Float()).tag(sync=True)
    """Noise levels in [0, 1], in the order shown. Set a new list; do not change it in place."""
    n_steps = traitlets.Int().tag(sync=True)
    """Solver steps."""
    n_probes = traitlets.Int().tag(sync=True)
    """Probes a divergence estimate."""
    monte_carlo_samples = traitlets.Int(None, allow_none=True).tag(sync=True)
    """Draws of noise a value, or None for none."""

    # What to see -------------------------------------------------------------------------------------------------

    view = _span().tag(sync=True)
    """Span on screen ``(start, end)`` in seconds; None for the whole recording. What it covers is computed first."""
    selection = _span().tag(sync=True)
    """Selected span ``(start, end)`` in seconds, or None."""
    visible_levels = traitlets.List(traitlets.Float()).tag(sync=True)
    """The noise levels that are drawn, a part of `noise_levels`."""
    overlay = traitlets.Bool(False).tag(sync=True)
    """Whether all levels share one chart; else each has a lane and a scale of its own."""
    unit = traitlets.Enum(UNITS, "nats").tag(sync=True)
    """Scale of the traces: raw "nats", "minmax" (0 to 1), "zscore", or "headroom", nats above the no-knowledge line."""
    smoothing = traitlets.Int(1).tag(sync=True)
    """Frames in the running mean that is drawn; 1 for none. Changes the picture, never the result."""
    follow = traitlets.Bool(True).tag(sync=True)
    """Whether the span on screen turns its page to stay with the playhead."""

    group = traitlets.Unicode("").tag(sync=True)
    """Widgets of one group share a time axis, the playhead and how they are shown; empty for a widget alone."""
    compact = traitlets.Bool(False).tag(sync=True)
    """Whether the controls that a group shares are left to another of its widgets."""

    annotations = _AnnotationsTrait(None, allow_none=True)
    """Labelled spans drawn as a lane: an `Annotations`, set from anything that `Annotations.of` takes."""

    # What to hear ------------------------------------------------------------------------------------------------

    solo = traitlets.Bool(True).tag(sync=True)
    """Whether this is the one of its group that sounds; setting it silences the one that did, at the same moment."""

    current_time = traitlets.Float(0.0).tag(sync=True)
    """Position of the playhead in seconds; setting it seeks."""
    heard_level = traitlets.Float(None, allow_none=True).tag(sync=True)
    """What sounds: None for the recording, or a noise level in [0, 1] for what is left of it there; see `Remains`."""
    playing = traitlets.Bool(False).tag(sync=True)
    """Whether it sounds. Browsers let sound begin only after somebody has clicked on the page."""
    loop = traitlets.Bool(False).tag(sync=True)
    """Whether playing repeats the selection, or everything where nothing is selected."""
    speed = traitlets.Float(1.0).tag(sync=True)
    """Playback rate, 0.25 to 2; pitch follows, as on tape."""
    volume = traitlets.Float(1.0).tag(sync=True)
    """0 to 1."""

    # Read only ---------------------------------------------------------------------------------------------------

    status = traitlets.Enum(["idle", "running", "done", "cancelled", "error"], "idle").tag(sync=True)
    """Read only: what the widget is doing."""
    progress = traitlets.Float(0.0).tag(sync=True)
    """Read only: share of the work done, in [0, 1]."""
    encoded = traitlets.Float(1.0).tag(sync=True)
    """Read only: share of the recording that is encoded, in [0, 1], while that goes on; it comes before any value."""
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
    decodes = traitlets.Bool(False).tag(sync=True)
    """Read only: whether the model's codec makes sound of latents, as `heard_level` needs."""
    solver = traitlets.Unicode("").tag(sync=True)
    """Read only: the solver; steps mean nothing to "scipy"."""
    divergence = traitlets.Unicode("").tag(sync=True)
    """Read only: "hutchinson", or "exact", which needs no probes."""

    saved = traitlets.Dict().tag(sync=True)
    """Read only: a small copy of the traces, drawn where no kernel answers; see `snapshot.saved_traces`."""

    @traitlets.validate("view", "selection")
    def _check_span(self, proposal: Mapping[str, Any]) -> tuple[float, float] | None:
        span: tuple[float, float] | None = proposal["value"]
        if span is not None and not (all(map(math.isfinite, span)) and span[0] < span[1]):
            raise SettingsError(f"{proposal['trait'].name} must be (start, end) in seconds, start first, not {span!r}.")
        return span

    @traitlets.validate("visible_levels")
    def _check_visible(self, proposal: Mapping[str, Any]) -> list[float]:
        shown: list[float] = proposal["value"]
        unknown = [level for level in shown if level not in self.noise_levels]
        if unknown:
            raise SettingsError(f"Noise level {unknown[0]:g} is not among noise_levels: add it there first.")
        return [level for level in self.noise_levels if level in shown]

    @traitlets.validate("speed", "volume", "smoothing", "current_time", "heard_level")
    def _check_number(self, proposal: Mapping[str, Any]) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        low, high = _RANGES[name]
        if value is not None and not (low <= value <= high and math.isfinite(value)):
            raise SettingsError(f"{name} must be from {low:g} to {high:g}, not {value:g}.")
        return value
