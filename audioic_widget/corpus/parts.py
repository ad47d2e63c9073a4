"""The files of a dataset: every part is a table of values and a table of the files they are of, each whole or not there."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from audioic_widget.audio import printable
from audioic_widget.corpus.sources import Item
from audioic_widget.formats.files import replacing
from audioic_widget.frames import FRAME_PERIOD
from audioic_widget.result import ICResult
from audioic_widget.settings import ICSettings

Row = dict[str, Any]
"""A row of the table of files, named as in `FILES`."""

ROW_GROUP = 1 << 17
"""Rows that are compressed together: enough that a reader's overhead does not count."""

ABANDONED_SECONDS = 3_600
"""Age from which on an unfinished file is nobody's any more: other jobs may be writing to the same dataset."""

VALUES = pa.schema(
    [
        ("file", pa.dictionary(pa.int32(), pa.string())),
        ("frame", pa.int32()),
        ("time", pa.float64()),
        ("noise_level", pa.float64()),
        ("ic", pa.float32()),
        ("stderr", pa.float32()),
    ]
)
FILES = pa.schema(
    [
        ("file", pa.string()),
        ("path", pa.string()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("bytes", pa.int64()),
        ("modified", pa.timestamp("ns", "UTC")),
        ("status", pa.string()),
        ("error", pa.string()),
        ("frames", pa.int64()),
        ("duration", pa.float64()),
        ("sha256", pa.string()),
        ("provenance", pa.string()),
        ("seconds", pa.float64()),
    ]
)


def row_of(item: Item) -> Row:
    """The row of `item` in the table of files, as far as it is known beforehand."""
    row: Row = dict.fromkeys(FILES.names)
    row.update(file=item.id, path=printable(item.path), start=item.start, end=item.end, status="ok", seconds=0.0)
    size, modified = version_of(item.path)
    return {**row, "bytes": size, "modified": modified}


def version_of(path: str) -> tuple[int | None, int | None]:
    """Size in bytes and time of the last change (ns since 1970) of a file, by which a changed one is noticed."""
    try:
        status = Path(path).stat()
    except OSError:
        return None, None
    return status.st_size, status.st_mtime_ns


def values_of(name: str, result: ICResult) -> pa.Table:
    """The rows of one file: all frames of the first level, then of the next."""
    levels, frames = result.ic.shape
    numbers = np.rint(result.time / FRAME_PERIOD).astype(np.int32) - 1
    columns = [
        pa.DictionaryArray.from_arrays(np.zeros(levels * frames, np.int32), [name]),
        np.tile(numbers, levels),
        np.tile(result.time, levels),
        np.repeat(result.noise_levels, frames),
        result.ic.ravel().astype(np.float32),
        result.stderr.ravel().astype(np.float32),
    ]
    return pa.table(columns, schema=VALUES)


def write_part(
    items: Sequence[Item], rows: Sequence[Row], tables: Sequence[pa.Table], output: Path, settings: ICSettings
) -> None:
    """Write values, which also carry the rows of the table of files, then that table, under a name that belongs to these items.

    The first of the two makes the part whole: should the second not come about, `restore_files` makes up for it.
    """
    name = hashlib.sha256(json.dumps([asdict(item) for item in items]).encode()).hexdigest()[:16]
    note = {"settings": settings.to_dict(), "units": {"time": "s", "ic": "nat/frame"}}
    values = pa.concat_tables(tables or [VALUES.empty_table()]).unify_dictionaries()
    metadata = {"audioic": json.dumps(note), "files": json.dumps(list(rows))}
    path = output / "values" / f"part-{name}.parquet"
    _write_table(values.replace_schema_metadata(metadata), path)
    _write_files_of(path)


def restore_files(output: Path) -> None:
    """Write the table of files of every part that lacks it, since the run ended between the two."""
    for values in (output / "values").glob("part-*.parquet"):
        if not (output / "files" / values.name).exists():
            _write_files_of(values)


def sweep(output: Path) -> None:
    """Delete the unfinished files of processes that were killed while they wrote."""
    for folder in ("values", "files"):
        for path in (output / folder).glob(".part-*"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                    path.unlink()


def _write_files_of(values: Path) -> None:
    metadata = pq.read_schema(values).metadata
    table = pa.Table.from_pylist(json.loads(metadata[b"files"]), schema=FILES)
    table = table.replace_schema_metadata({"audioic": metadata[b"audioic"]})
    _write_table(table, values.parent.parent / "files" / values.name)


def _write_table(table: pa.Table, path: Path) -> None:
    """Write one Parquet file, whole or not at all."""
    with replacing(path) as file:
        pq.write_table(table, file, compression="zstd", row_group_size=ROW_GROUP)


def read_rows(part: Path) -> list[Row]:
    """The rows of one part of the table of files."""
    rows: list[Row] = pq.read_table(part).to_pylist()
    return [{**row, "modified": None if row["modified"] is None else row["modified"].value} for row in rows]


def rewrite_part(part: Path, rows: Sequence[Row]) -> None:
    """Leave of a part, named by its table of files, the files of `rows` alone, and these rows of them."""
    values = part.parent.parent / "values" / part.name
    if rows:
        table = pq.read_table(values)
        left = table.filter(pc.is_in(table["file"].cast(pa.string()), pa.array([row["file"] for row in rows])))
        _write_table(left.replace_schema_metadata({**table.schema.metadata, b"files": json.dumps(list(rows))}), values)
        _write_files_of(values)
    else:
        # Values first: what is left of a part is made whole from them.
        values.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
