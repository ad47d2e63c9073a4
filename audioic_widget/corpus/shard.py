"""The unit of work of a corpus: some files in, one part of the dataset on disk. It runs in any process anywhere."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from audioic_widget.audio import Recording, read_recording
from audioic_widget.corpus.sources import Item
from audioic_widget.errors import AudioError, AudioICError, OutputError
from audioic_widget.formats.files import replacing
from audioic_widget.frames import FRAME_PERIOD, FRAME_SAMPLES, frame_at
from audioic_widget.ic import encode, stream_ic
from audioic_widget.model.catalogue import load_model
from audioic_widget.result import ICResult
from audioic_widget.settings import ICSettings

ROW_GROUP = 1 << 17
"""Rows that are compressed together: enough that a reader's overhead does not count."""

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
        ("status", pa.string()),
        ("error", pa.string()),
        ("frames", pa.int64()),
        ("duration", pa.float64()),
        ("sha256", pa.string()),
        ("provenance", pa.string()),
        ("seconds", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Job:
    """What all shards of a run share.

    Attributes
    ----------
    output : str
        Folder of the dataset.
    settings : ICSettings
    model, device : str
        See `load_model`.
    threads : int or None
        Of PyTorch in a worker; as they are if None.
    """

    output: str
    settings: ICSettings
    model: str = "mini"
    device: str = "auto"
    threads: int | None = None


def run_shard(items: Sequence[Item], job: Job) -> list[dict[str, Any]]:
    """Compute `items` and write them as one part of the dataset; its rows in the table of files.

    A file that cannot be computed is a row with its error. The values are written before the table of files, each
    whole or not at all, so what the table names is there.

    Raises
    ------
    ModelError, DeviceError, OutputError
        If nothing could be computed or written whatever the file.
    """
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    load_model(job.model, job.device)
    rows, tables = [], []
    for item in items:
        begin = time.perf_counter()
        row: dict[str, Any] = dict.fromkeys(FILES.names)
        row.update(file=item.id, path=item.path, start=item.start, end=item.end, status="ok")
        try:
            result = compute_item(item, job)
            audio = result.provenance["audio"]
            row.update(frames=len(result.time), duration=audio["duration"], sha256=audio["sha256"])
            row.update(provenance=json.dumps(result.provenance, sort_keys=True))
            tables.append(values_of(item.id, result))
        except OutputError:
            raise
        except (AudioICError, MemoryError) as error:
            row.update(status="error", error=str(error) or "It does not fit into memory.")
        row["seconds"] = time.perf_counter() - begin
        rows.append(row)
    write_part(items, rows, tables, job)
    return rows


def compute_item(item: Item, job: Job) -> ICResult:
    """The result of one item, on the frame grid of its file."""
    model, settings = load_model(job.model, job.device), job.settings
    recording = read_recording(item.path)
    first = 0
    if item.start is not None or item.end is not None:
        first, recording = excerpt(recording, item)
    *_, last = stream_ic(
        encode(recording, model, settings.audio_type, alignment=settings.alignment), model, settings, coarse_first=False
    )
    assert last.result is not None
    result = last.result
    return ICResult(
        result.time + first * FRAME_PERIOD, result.noise_levels, result.ic, result.stderr, result.provenance
    )


def excerpt(recording: Recording, item: Item) -> tuple[int, Recording]:
    """The part of `recording` that `item` asks for, from the frame on in which it starts; that frame's number."""
    first = frame_at(item.start or 0.0)
    stop = recording.grid.n_frames if item.end is None else min(frame_at(item.end) + 1, recording.grid.n_frames)
    if stop - first < 2:
        raise AudioError(f"{recording.name} has less than two frames from {item.start} to {item.end} s: ask for more.")
    samples = recording.samples[first * FRAME_SAMPLES : stop * FRAME_SAMPLES]
    return first, Recording(recording.name, samples, recording.source_rate)


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


def write_part(items: Sequence[Item], rows: Sequence[dict[str, Any]], tables: Sequence[pa.Table], job: Job) -> None:
    """Write values, then the table of files, under a name that belongs to these items."""
    name = hashlib.sha256(json.dumps([asdict(item) for item in items]).encode()).hexdigest()[:16]
    note = {"audioic": json.dumps({"settings": job.settings.to_dict(), "units": {"time": "s", "ic": "nat/frame"}})}
    values = pa.concat_tables(tables or [VALUES.empty_table()]).unify_dictionaries()
    for folder, table in (("values", values), ("files", pa.Table.from_pylist(list(rows), schema=FILES))):
        path = Path(job.output) / folder / f"part-{name}.parquet"
        with replacing(path) as file:
            pq.write_table(table.replace_schema_metadata(note), file, compression="zstd", row_group_size=ROW_GROUP)
