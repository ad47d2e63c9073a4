"""What of a dataset no longer holds: results of files that have changed since, and errors that are to be tried again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from audioic_widget.audio import printable
from audioic_widget.corpus.parts import Row, read_rows, rewrite_part, version_of
from audioic_widget.corpus.shard import read_item
from audioic_widget.corpus.sources import Item
from audioic_widget.errors import AudioError


def forget(output: Path, items: Sequence[Item], *, retry_failed: bool) -> None:
    """Take out of a dataset those of `items` that are to be computed again.

    These are files whose sound has changed, and files without a result if they have changed or if `retry_failed`.
    """
    known = {item.id: item for item in items}
    for part in sorted((output / "files").glob("part-*.parquet")):
        rows = read_rows(part)
        answers = [_still_true(row, known[row["file"]], retry_failed) if row["file"] in known else row for row in rows]
        if answers != rows:
            rewrite_part(part, [row for row in answers if row is not None])


def _still_true(row: Row, item: Item, retry_failed: bool) -> Row | None:
    """The row of `item` as far as it still holds; None if it does not."""
    size, modified = version_of(item.path)
    now: Row = {"path": printable(item.path), "start": item.start, "end": item.end, "bytes": size, "modified": modified}
    changed = any(row[name] != value for name, value in now.items())
    if row["status"] != "ok":
        return None if changed or retry_failed else row
    if not changed:
        return row
    try:
        # New tags or a copied file are the same sound: what decides is its checksum.
        same = (row["start"], row["end"]) == (item.start, item.end) and read_item(item)[1].checksum == row["sha256"]
    except AudioError:
        return row  # gone, or out of reach for the moment: what was computed stays
    return {**row, **now} if same else None
