"""What browser and kernel say to each other beside the synced traits; `js/src/messages.ts` mirrors this file.

Traits carry parameters and status, since they are saved with the notebook. Sound, waveform and curves are
messages the browser asks for: they are large, and saved nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MESSAGE_VALUES = 100_000
"""Values (levels times frames) in one message of curves: under 1 MB."""

MESSAGE_SAMPLES = 500_000
"""Samples, or halves of waveform bins, in one answer: 1 MB."""

Message = tuple[dict[str, Any], list[memoryview]]


@dataclass(frozen=True)
class Ready:
    """The page shows the widget: send all there is."""


@dataclass(frozen=True)
class AudioRequest:
    """Samples ``first .. first + count - 1`` to play."""

    first: int
    count: int


@dataclass(frozen=True)
class WaveformRequest:
    """Bins ``first .. first + count - 1`` of a pyramid level (0 is the finest)."""

    level: int
    first: int
    count: int


@dataclass(frozen=True)
class Visible:
    """The frames on screen: compute these first."""

    first: int
    stop: int


@dataclass(frozen=True)
class Cancel:
    """End what is running."""


@dataclass(frozen=True)
class Compute:
    """Start again after an end."""


Request = Ready | AudioRequest | WaveformRequest | Visible | Cancel | Compute

_REQUESTS: dict[str, type[Request]] = {
    "ready": Ready,
    "audio": AudioRequest,
    "waveform": WaveformRequest,
    "visible": Visible,
    "cancel": Cancel,
    "compute": Compute,
}


def parse(content: Mapping[str, Any]) -> Request:
    """The request in `content`.

    Raises
    ------
    ValueError
        If it is none, or its numbers are not whole and not negative.
    """
    fields = dict(content)
    kind = _REQUESTS.get(fields.pop("type", ""))
    if kind is None or set(fields) != set(kind.__dataclass_fields__):
        raise ValueError(f"Not a message of this widget: {dict(content)!r}.")
    for name, value in fields.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"{name} must be a whole number of 0 or more, not {value!r}.")
    return kind(**fields)


def restart(revision: int, levels: Sequence[float], n_frames: int) -> Message:
    """A computation begins: curves of other levels are dropped, those of these levels are out of date."""
    return {"type": "restart", "revision": revision, "levels": list(levels), "n_frames": n_frames}, []


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
        yield content, [_buffer(part[:, low:high]) for part in (ic, stderr, states)]


def audio(first: int, samples: NDArray[np.int16]) -> Message:
    """Samples to play, from sample `first` on."""
    return {"type": "audio", "first": first, "count": len(samples)}, [_buffer(samples)]


def waveform(level: int, first: int, bins: NDArray[np.int16]) -> Message:
    """Lowest and highest sample ``(n, 2)`` of bins of a pyramid level, from bin `first` on."""
    return {"type": "waveform", "level": level, "first": first, "count": len(bins)}, [_buffer(bins)]


def _buffer(values: NDArray[Any]) -> memoryview:
    little_endian = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little_endian).data.cast("B")
