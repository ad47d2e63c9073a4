"""What browser and kernel say to each other beside the synced traits; `js/src/messages.ts` mirrors this file.

Traits carry parameters and status, since they are saved with the notebook. Sound, waveform and curves are
messages the browser asks for: they are large, and saved nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audioic_widget.annotations import Annotations
from audioic_widget.formats import csv_text, parquet_bytes
from audioic_widget.likelihood.bounds import floor, no_knowledge
from audioic_widget.result import ICResult
from audioic_widget.settings import ICSettings

if TYPE_CHECKING:
    import pandas as pd

MESSAGE_VALUES = 100_000
"""Values (levels times frames) in one message of curves: under 1 MB."""

MESSAGE_SAMPLES = 500_000
"""Samples, or halves of waveform bins, in one answer: 1 MB."""

MESSAGE_COLUMNS = 4_096
"""Columns of a spectrogram in one answer: 0.4 MB."""

MESSAGE_PEAKS = 100
"""Peaks in one answer."""

TABLES: dict[str, Callable[[ICResult], bytes]] = {
    "csv": lambda result: csv_text(result).encode(),
    "parquet": parquet_bytes,
}
"""Files that a result can be taken away as."""

Message = tuple[dict[str, Any], list[memoryview]]


@dataclass(frozen=True)
class Ready:
    """The page shows the widget: send all there is."""


@dataclass(frozen=True)
class AudioRequest:
    """Samples ``first .. first + count - 1`` to play: the recording's, or what is left of them at a noise level."""

    noise_level: float | None
    first: int
    count: int


@dataclass(frozen=True)
class WaveformRequest:
    """Bins ``first .. first + count - 1`` of a pyramid level (0 is the finest)."""

    level: int
    first: int
    count: int


@dataclass(frozen=True)
class SpectrogramRequest:
    """Columns ``first .. first + count - 1`` of a spectrogram level (0 is the finest)."""

    level: int
    first: int
    count: int


@dataclass(frozen=True)
class PeaksRequest:
    """The `count` most surprising moments of a noise level."""

    noise_level: float
    count: int


@dataclass(frozen=True)
class TableRequest:
    """The result as a file: "csv" or "parquet"."""

    format: str


@dataclass(frozen=True)
class Cancel:
    """End what is running."""


@dataclass(frozen=True)
class Compute:
    """Start again after an end."""


Request = Ready | AudioRequest | WaveformRequest | SpectrogramRequest | PeaksRequest | TableRequest | Cancel | Compute

_REQUESTS: dict[str, type[Request]] = {
    "ready": Ready,
    "audio": AudioRequest,
    "waveform": WaveformRequest,
    "spectrogram": SpectrogramRequest,
    "peaks": PeaksRequest,
    "table": TableRequest,
    "cancel": Cancel,
    "compute": Compute,
}


def parse(content: Mapping[str, Any]) -> Request:
    """The request in `content`.

    Raises
    ------
    ValueError
        If it is none, or a number in it is negative, not finite, or not whole where it counts.
    """
    fields = dict(content)
    kind = _REQUESTS.get(fields.pop("type", ""))
    if kind is None or set(fields) != set(kind.__dataclass_fields__):
        raise ValueError(f"Not a message of this widget: {dict(content)!r}.")
    for name, value in fields.items():
        if name == "format":
            if value not in TABLES:
                raise ValueError(f"format must be one of {', '.join(TABLES)}, not {value!r}.")
            continue
        if value is None and kind is AudioRequest and name == "noise_level":
            continue
        allowed = (int, float) if name == "noise_level" else int
        if isinstance(value, bool) or not isinstance(value, allowed) or not 0 <= value < math.inf:
            raise ValueError(f"{name} must be a number of 0 or more, not {value!r}.")
    return kind(**fields)


def restart(revision: int, levels: Sequence[float], n_frames: int, settings: ICSettings) -> Message:
    """A computation begins: curves of other levels are dropped, those of these levels are out of date.

    With every level come the closed-form lines to read it against, in nats; null for a floor there is not.
    """
    floors = [floor(level) for level in levels]
    return {
        "type": "restart",
        "revision": revision,
        "levels": list(levels),
        "n_frames": n_frames,
        "floor": [each if math.isfinite(each) else None for each in floors],
        "no_knowledge": [no_knowledge(level, settings.noising, settings.monte_carlo_samples) for level in levels],
    }, []


def curves(
    revision: int,
    levels: Sequence[float],
    first: int,
    stop: int,
    ic: NDArray[np.float32],
    stderr: NDArray[np.float32],
    states: NDArray[np.uint8],
) -> Iterator[Message]:
    """Frames ``first .. stop - 1`` of arrays ``(levels, all frames)``, in pieces no channel is blocked by."""
    size = max(MESSAGE_VALUES // max(len(levels), 1), 1)
    for low in range(first, stop, size):
        high = min(low + size, stop)
        content = {"type": "curves", "revision": revision, "levels": list(levels), "first": low, "count": high - low}
        # Copies: a channel may send later, when newer values are in these arrays.
        yield content, [_buffer(part[:, low:high].copy()) for part in (ic, stderr, states)]


def audio(noise_level: float | None, first: int, samples: NDArray[np.int16]) -> Message:
    """Samples to play, from sample `first` on: the recording's, or what is left of them at a noise level."""
    content = {"type": "audio", "noise_level": noise_level, "first": first, "count": len(samples)}
    return content, [_buffer(samples)]


def waveform(level: int, first: int, bins: NDArray[np.int16]) -> Message:
    """Lowest and highest sample ``(n, 2)`` of bins of a pyramid level, from bin `first` on."""
    return {"type": "waveform", "level": level, "first": first, "count": len(bins)}, [_buffer(bins)]


def spectrogram(level: int, first: int, columns: NDArray[np.uint8]) -> Message:
    """Columns ``(n, mels)`` of a spectrogram level, 0 to 255, low frequencies first."""
    count, mels = columns.shape
    return {"type": "spectrogram", "level": level, "first": first, "count": count, "mels": mels}, [_buffer(columns)]


def peaks(noise_level: float, table: pd.DataFrame) -> Message:
    """The most surprising moments of a level: ends of frames in seconds, and nats, highest first."""
    return {
        "type": "peaks",
        "noise_level": noise_level,
        "times": table["time"].tolist(),
        "values": table["ic"].tolist(),
    }, []


def table(name: str, content: bytes) -> Message:
    """A file to save on the browser's side."""
    return {"type": "table", "name": name}, [memoryview(content)]


def annotation_lane(given: Annotations | None) -> Message:
    """Labelled spans to draw: starts and ends in seconds, as float64."""
    given = given or Annotations([])
    return {"type": "annotations", "labels": list(given.label)}, [_buffer(given.start), _buffer(given.end)]


def _buffer(values: NDArray[Any]) -> memoryview:
    little_endian = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little_endian).data.cast("B")
