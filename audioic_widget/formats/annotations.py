"""What annotation tools read: JAMS, Audacity labels, Praat TextGrid, Sonic Visualiser layers. Times in seconds."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audioic_widget.errors import AnnotationError, AudioError, AudioICError, SettingsError
from audioic_widget.formats.files import PathLike, replacing, write_beside
from audioic_widget.frames import FRAME_PERIOD, FRAME_SAMPLES, SAMPLE_RATE
from audioic_widget.result import ICResult

JAMS_VERSION = "0.3.5"


@dataclass(frozen=True)
class Label:
    """A named stretch of time: ``start <= end``, in seconds.

    Raises
    ------
    SettingsError
        If it ends before it starts, or a time is negative or not finite.

    Examples
    --------
    >>> Label(0.0, 1.5, "intro").text
    'intro'
    """

    start: float
    end: float
    text: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and math.isfinite(self.end) and 0 <= self.start <= self.end):
            raise SettingsError(f"A label must run from 0 or later to its end, not from {self.start} to {self.end} s.")


def peak_labels(result: ICResult, noise_level: float | None = None, k: int = 10) -> list[Label]:
    """The frames of the `k` most surprising moments of `result` at `noise_level`, in order of time; see `ICResult.peaks`.

    Examples
    --------
    >>> peak_labels(ICResult([0.1, 0.2], [0.3], [[np.nan, 41.5]], [[np.nan, 0.2]]))[0].text
    '41.5 nats, level 0.3'
    """
    found = result.peaks(noise_level, k).sort_values("time")
    return [
        Label(max(row.time - FRAME_PERIOD, 0.0), row.time, f"{row.ic:.1f} nats, level {row.noise_level:g}")
        for row in found.itertuples()
    ]


def write_jams(result: ICResult, path: PathLike) -> None:
    """Write `result` to `path` as JAMS (Humphrey et al. 2014): one annotation a level in the namespace "vector".

    An observation is a frame: its begin and duration (s), its IC (nats) as a vector of one number, and the standard
    error as confidence. Frames without a value are left out; provenance is in the sandbox.

    Raises
    ------
    OutputError
        If the file cannot be written.

    Examples
    --------
    >>> write_jams(ICResult([0.1, 0.2], [0.3], [[np.nan, 41.5]], [[np.nan, 0.2]]), "song.jams")
    """
    frames = _frames(result)
    audio = result.provenance.get("audio", {})
    duration = float(audio.get("duration", result.time[-1] if len(frames) else 0.0))
    annotations = []
    for level, values, errors in zip(result.noise_levels.tolist(), result.ic, result.stderr, strict=True):
        data = [
            {
                "time": int(frame) * FRAME_SAMPLES / SAMPLE_RATE,
                "duration": FRAME_PERIOD,
                "value": [float(value)],
                "confidence": None if math.isnan(error) else float(error),
            }
            for frame, value, error in zip(frames, values, errors, strict=True)
            if not math.isnan(value)
        ]
        annotations.append(
            {
                "namespace": "vector",
                "data": data,
                "annotation_metadata": {
                    "annotator": {},
                    "data_source": "program",
                    "annotation_tools": "audioic-widget",
                    "annotation_rules": "information content, nat/frame; confidence: standard error, nats",
                },
                "sandbox": {"noise_level": level, "frames": [int(frame) for frame in frames]},
                "time": 0.0,
                "duration": duration,
            }
        )
    document = {
        "file_metadata": {
            "title": str(audio.get("name", "")),
            "artist": "",
            "release": "",
            "duration": duration,
            "identifiers": {},
            "jams_version": JAMS_VERSION,
        },
        "annotations": annotations,
        "sandbox": {"audioic": dict(result.provenance)},
    }
    with replacing(path) as file:
        file.write(json.dumps(document, ensure_ascii=False, allow_nan=False).encode())


def read_jams(path: PathLike) -> ICResult:
    """Read what `write_jams` wrote to `path`.

    Raises
    ------
    AudioError
        If the file is missing, damaged or something else.

    Examples
    --------
    >>> write_jams(ICResult([0.1, 0.2], [0.3], [[np.nan, 41.5]], [[np.nan, 0.2]]), "song.jams")
    >>> read_jams("song.jams").ic_at(0.3)
    array([ nan, 41.5])
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        annotations = document["annotations"]
        frames = annotations[0]["sandbox"]["frames"]
        place = {frame: column for column, frame in enumerate(frames)}
        ic = np.full((len(annotations), len(frames)), np.nan)
        stderr = ic.copy()
        for row, annotation in enumerate(annotations):
            for seen in annotation["data"]:
                column = place[round(seen["time"] / FRAME_PERIOD)]
                (ic[row, column],) = seen["value"]
                stderr[row, column] = np.nan if seen["confidence"] is None else seen["confidence"]
        levels = [float(annotation["sandbox"]["noise_level"]) for annotation in annotations]
        time = (np.array(frames, dtype=np.float64) + 1) * FRAME_SAMPLES / SAMPLE_RATE
        return ICResult(time, levels, ic, stderr, document["sandbox"]["audioic"])
    except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError, AttributeError, AudioICError) as error:
        raise AudioError(f"{path} cannot be read as IC values: give a JAMS file that write_jams wrote.") from error


def write_audacity(labels: Sequence[Label], path: PathLike, provenance: Mapping[str, Any] | None = None) -> None:
    """Write `labels` to `path` as an Audacity label track; tabs and line breaks in texts become blanks; `provenance` beside it.

    Raises
    ------
    OutputError
        If the file cannot be written.

    Examples
    --------
    >>> write_audacity([Label(0.0, 1.5, "intro")], "labels.txt")
    """
    lines = [f"{label.start!r}\t{label.end!r}\t{' '.join(label.text.split())}\n" for label in labels]
    write_beside(path, "".join(lines).encode(), provenance or {})


def read_audacity(path: PathLike) -> list[Label]:
    """Read an Audacity label track from `path`; lines with frequencies are passed over.

    Raises
    ------
    AnnotationError
        If the file is missing or something else.

    Examples
    --------
    >>> write_audacity([Label(0.0, 1.5, "intro")], "labels.txt")
    >>> read_audacity("labels.txt")
    [Label(start=0.0, end=1.5, text='intro')]
    """
    advice = "cannot be read as labels: give a label track of Audacity."
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        raise AnnotationError(f"{path} {advice}") from error
    labels = []
    for number, line in enumerate(lines, 1):
        # A line that begins with a backslash holds the frequencies of the label above it.
        if not line.strip() or line.startswith("\\"):
            continue
        start, end, text = (line + "\t\t").split("\t")[:3]
        try:
            labels.append(Label(_seconds(start), _seconds(end or start), text))
        except ValueError as error:
            raise AnnotationError(f"{path}, line {number}, {advice}") from error
    return labels


def _seconds(text: str) -> float:
    # Audacity writes decimal commas where the system does.
    return float(text.replace(",", "."))


def write_textgrid(
    labels: Sequence[Label], path: PathLike, duration: float, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write `labels` to `path` as one interval tier of a Praat TextGrid; what is between them becomes intervals without text; `provenance` beside it.

    Raises
    ------
    SettingsError
        If two labels overlap, one is empty, or one ends after `duration` (s): a tier has no place for that.
    OutputError
        If the file cannot be written.

    Examples
    --------
    >>> write_textgrid([Label(0.5, 1.5, "intro")], "song.TextGrid", duration=2.0)
    """
    ordered = sorted(labels, key=lambda label: label.start)
    whole: list[Label] = []
    at = 0.0
    for label in (*ordered, Label(duration, duration, "")):
        if label.start < at or (label.start == label.end and label.text):
            raise SettingsError(f"The labels of a TextGrid must not overlap, be empty or pass {duration} s: {label}.")
        if label.start > at:
            whole.append(Label(at, label.start, ""))
        if label.end > label.start:
            whole.append(label)
        at = label.end
    head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {duration!r}"]
    head += ["tiers? <exists>", "size = 1", "item []:", "    item [1]:", '        class = "IntervalTier"']
    head += ['        name = "audioic"', "        xmin = 0", f"        xmax = {duration!r}"]
    head.append(f"        intervals: size = {len(whole)}")
    for number, label in enumerate(whole, 1):
        text = " ".join(label.text.split()).replace('"', '""')
        head += [f"        intervals [{number}]:", f"            xmin = {label.start!r}"]
        head += [f"            xmax = {label.end!r}", f'            text = "{text}"']
    write_beside(path, ("\n".join(head) + "\n").encode(), provenance or {})


def read_textgrid(path: PathLike) -> list[Label]:
    """Labels with a text in the Praat TextGrid `path` in Praat's long text form, of all interval tiers.

    Raises
    ------
    AnnotationError
        If the file is missing or something else.

    Examples
    --------
    >>> write_textgrid([Label(0.5, 1.5, "intro")], "song.TextGrid", duration=2.0)
    >>> read_textgrid("song.TextGrid")
    [Label(start=0.5, end=1.5, text='intro')]
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        if "TextGrid" not in text[:100]:
            raise ValueError("no TextGrid")
        pattern = r'intervals \[\d+\]:\s+xmin = (\S+)\s+xmax = (\S+)\s+text = "((?:[^"]|"")*)"'
        found = re.findall(pattern, text)
        return [Label(float(low), float(high), name.replace('""', '"')) for low, high, name in found if name]
    except (OSError, ValueError) as error:
        raise AnnotationError(
            f"{path} cannot be read as a TextGrid: give one that Praat saved as a text file."
        ) from error


def write_sonic_visualiser(result: ICResult, path: PathLike, noise_level: float | None = None) -> None:
    """Write `noise_level` (the first if not given) of `result` to `path` as a layer of time values: ``TIME,VALUE,LABEL``, times at the end of frames, no empty frames.

    Raises
    ------
    OutputError
        If the file cannot be written.

    Examples
    --------
    >>> write_sonic_visualiser(ICResult([0.1, 0.2], [0.3], [[np.nan, 41.5]], [[np.nan, 0.2]]), "layer.csv")
    >>> print(Path("layer.csv").read_text(), end="")
    TIME,VALUE,LABEL
    0.2,41.5,IC_0.3
    """
    level = float(result.noise_levels[0]) if noise_level is None else noise_level
    values = result.ic_at(level)
    rows = [f"{time!r},{value!r},IC_{level}" for time, value in zip(result.time.tolist(), values.tolist(), strict=True)]
    kept = [row for row, value in zip(rows, values, strict=True) if not math.isnan(value)]
    write_beside(path, "\n".join(["TIME,VALUE,LABEL", *kept, ""]).encode(), result.provenance)


def _frames(result: ICResult) -> list[int]:
    """File frames of the result's columns."""
    return [round(time / FRAME_PERIOD) - 1 for time in result.time.tolist()]
