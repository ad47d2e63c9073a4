"""Information content of audio: how unexpected each moment is, given all before it.

``AudioICWidget("song.wav")`` shows and plays it in a notebook; `compute_ic` gives the numbers.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from audioic_widget.annotations import Annotations, annotation_ic
from audioic_widget.audio import Recording, read_recording
from audioic_widget.errors import (
    AnnotationError,
    AudioError,
    AudioICError,
    Cancelled,
    CheckpointError,
    DeviceError,
    ExecutorError,
    ModelError,
    OutputError,
    SettingsError,
)
from audioic_widget.examples import example
from audioic_widget.ic import Partial, SilenceWarning, compute_ic, compute_ic_from_latents
from audioic_widget.model.catalogue import ICModel, load_model
from audioic_widget.result import ICResult
from audioic_widget.settings import ICSettings

if TYPE_CHECKING:
    from audioic_widget.corpus import ICDataset, compute_corpus
    from audioic_widget.widget import AudioICWidget, compare

__version__ = version("audioic-widget")

__all__ = [
    "AnnotationError",
    "Annotations",
    "AudioError",
    "AudioICError",
    "AudioICWidget",
    "Cancelled",
    "CheckpointError",
    "DeviceError",
    "ExecutorError",
    "ICDataset",
    "ICModel",
    "ICResult",
    "ICSettings",
    "ModelError",
    "OutputError",
    "Partial",
    "Recording",
    "SettingsError",
    "SilenceWarning",
    "annotation_ic",
    "compare",
    "compute_corpus",
    "compute_ic",
    "compute_ic_from_latents",
    "example",
    "load_model",
    "read_recording",
]


def __dir__() -> list[str]:
    # What is imported when it is first asked for is to be found by completion, too.
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    # The widget brings the whole notebook machinery: the library and the command start without it.
    if name in ("AudioICWidget", "compare"):
        from audioic_widget import widget

        return getattr(widget, name)
    if name in ("ICDataset", "compute_corpus"):
        from audioic_widget import corpus

        return getattr(corpus, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
