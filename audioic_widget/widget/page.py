"""One page of HTML that opens from disk: the front end with the traits of one widget, or of several that are compared.

`page.html` stands in for the notebook and for the kernel.
"""

from __future__ import annotations

import base64
import html
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import soundfile

from audioic_widget.annotations import Annotations
from audioic_widget.audio import Recording
from audioic_widget.errors import AudioError
from audioic_widget.formats import replacing
from audioic_widget.frames import SAMPLE_RATE
from audioic_widget.widget import messages

CHUNK = 5 * SAMPLE_RATE
"""Samples in a piece of sound; `js/src/chunks.ts` asks for as many."""

SOUND_SECONDS = 3_600
"""Most seconds of sound in a page: 40 MB."""


@dataclass(frozen=True)
class Part:
    """A widget in a page: its synced `traits`, its annotations, and its `sound` as `compressed_sound` gives it, or none."""

    traits: Mapping[str, Any]
    annotations: Annotations | None = None
    sound: Sequence[bytes] = ()


def compressed_sound(recording: Recording) -> list[bytes]:
    """`recording` as MP3, some 65 kbit a second, a file for each `CHUNK` samples and the one after them.

    The player asks for such pieces. MP3 is what all browsers decode, and a piece is as long as what went in.

    Raises
    ------
    AudioError
        If it is longer than `SOUND_SECONDS`.
    """
    if recording.duration > SOUND_SECONDS:
        raise AudioError(
            f"{recording.name} has {recording.duration / 60:.0f} minutes, and a page holds {SOUND_SECONDS // 60} of sound: "
            "leave sound out, or export a part of the recording."
        )
    pieces = []
    for first in range(0, len(recording.samples), CHUNK):
        file = io.BytesIO()
        samples = recording.samples[first : first + CHUNK + 1]
        soundfile.write(file, np.clip(samples, -1, 1), SAMPLE_RATE, format="MP3")
        pieces.append(file.getvalue())
    return pieces


def write_page(path: str | os.PathLike[str], parts: Sequence[Part], script: str, style: str) -> None:
    """Write a page that shows `parts` and plays, without kernel, server or network.

    `script` and `style` are the built front end.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    template = Template((Path(__file__).parent / "page.html").read_text(encoding="utf-8"))
    page = template.substitute(
        title=html.escape(" and ".join(str(part.traits["name"]) for part in parts)),
        css=style,
        widgets=_json_text([_stored(part) for part in parts]),
        chunk=CHUNK,
        script=base64.b64encode(script.encode()).decode(),
    )
    with replacing(path) as file:
        file.write(page.encode())


def _stored(part: Part) -> dict[str, Any]:
    """What the page holds of a widget: its state, and what its kernel would have answered."""
    labels, spans = messages.annotation_lane(part.annotations)
    # Its sound is the recording: nothing decodes there.
    state = {
        **part.traits,
        "playing": False,
        "heard_level": None,
        "decodes": False,
        "page": {"sound": len(part.sound) > 0},
    }
    return {"state": state, "labels": labels["labels"], "spans": spans, "pieces": list(part.sound)}


def _json_text(value: object) -> str:
    def encoded(value: object) -> dict[str, str]:
        if isinstance(value, bytes | bytearray | memoryview):
            return {"base64": base64.b64encode(value).decode()}
        raise TypeError(f"A {type(value).__name__} cannot be part of a page.")

    # Names come from outside: nothing in them may end the script element.
    return json.dumps(value, default=encoded).replace("<", "\\u003c")
