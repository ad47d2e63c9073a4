"""What is to be computed: files, folders, globs and manifests become items with an id each."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import pandas as pd

from audioic_widget.audio import printable
from audioic_widget.errors import AudioError, SettingsError

AUDIO = {".aif", ".aiff", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav"}
MANIFEST = {".csv", ".parquet"}


@dataclass(frozen=True)
class Item:
    """One recording, or a part of one.

    Attributes
    ----------
    id : str
        Its name in the dataset: the path as it was given or found, unless a manifest gives another.
    path : str
    start, end : float or None
        Seconds; from its begin and to its end if None.

    Examples
    --------
    >>> Item("chorus", "song.wav", start=61.0, end=83.5).id
    'chorus'
    """

    id: str
    path: str
    start: float | None = None
    end: float | None = None


def find_items(sources: Sequence[str | os.PathLike[str]]) -> list[Item]:
    """All items of `sources`, in order.

    Parameters
    ----------
    sources : sequence of path
        Audio files; folders, searched for audio files; globs; manifests, CSV or Parquet with a column ``path``
        (relative to the manifest) and, if wanted, ``id``, ``start`` and ``end`` (s).

    Raises
    ------
    AudioError
        If a source is not there or holds nothing, or a manifest cannot be read.
    SettingsError
        If two items have one id.

    Examples
    --------
    >>> from audioic_widget import example
    >>> [Path(item.path).name for item in find_items([example("loop").parent])]
    ['frere_jacques.flac', 'loop.flac', 'minuet.flac']
    """
    items = [item for source in sources for item in _items(os.fspath(source))]
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            raise SettingsError(f"{item.id} is there twice: give each file once, or ids in a manifest.")
        seen.add(item.id)
    return items


def _items(source: str) -> list[Item]:
    path = Path(source)
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in AUDIO and file.is_file())
    elif path.suffix.lower() in MANIFEST and path.is_file():
        return _manifest(path)
    elif path.exists():
        found = [path]
    else:
        found = sorted(Path(name) for name in glob(source, recursive=True) if Path(name).is_file())  # noqa: PTH207
    if not found:
        raise AudioError(f"{source} is no audio file, and no folder, glob or manifest with any: check the path.")
    return [Item(printable(os.fspath(file)), os.fspath(file)) for file in found]


def _manifest(path: Path) -> list[Item]:
    try:
        if path.suffix.lower() == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(path, dtype={"path": str, "id": str}, keep_default_na=False)
        rows = table.to_dict("records")
        return [_row(row, path.parent) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AudioError(
            f"{path} cannot be read as a manifest: give a table with the column path and, if wanted, id, start, end."
        ) from error


def _row(row: dict[object, object], folder: Path) -> Item:
    name = str(row["path"])
    start, end = (_seconds(row.get(key)) for key in ("start", "end"))
    path = os.fspath(folder / name)
    if start is not None and end is not None and end <= start:
        raise ValueError(f"{name} ends before it starts")
    given = row.get("id")
    return Item(str(given) if given not in (None, "") else name, path, start, end)


def _seconds(value: object) -> float | None:
    if value is None or value == "":
        return None
    seconds = float(str(value))
    if math.isnan(seconds):
        return None
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"{value} is no time in seconds")
    return seconds


def share(items: Sequence[Item], shard: tuple[int, int]) -> Sequence[Item]:
    """What job i of n computes, of the same `items` for all."""
    number, count = shard
    return items[number - 1 :: count]
