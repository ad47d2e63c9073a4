"""The unit of work of a corpus: some files in, one part of the dataset on disk. It runs in any process anywhere."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch

from audioic_widget.audio import Recording, read_recording
from audioic_widget.corpus.parts import Row, row_of, values_of, write_part
from audioic_widget.corpus.sources import Item
from audioic_widget.errors import AudioError, AudioICError, Cancelled, OutputError
from audioic_widget.frames import FRAME_PERIOD, FRAME_SAMPLES, frame_at
from audioic_widget.ic import Encoded, encode, stream_ic
from audioic_widget.model.catalogue import load_model
from audioic_widget.result import ICResult
from audioic_widget.settings import ICSettings


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

    Examples
    --------
    >>> Job("dataset", ICSettings(preset="draft")).model
    'mini'
    """

    output: str
    settings: ICSettings
    model: str = "mini"
    device: str = "auto"
    threads: int | None = None


@dataclass(frozen=True)
class Prepared:
    """A recording that is read and encoded: what remains is the computing.

    Attributes
    ----------
    encoded : Encoded
    first : int
        Frame of the file in which it begins.
    seconds : float
        What it took.
    """

    encoded: Encoded
    first: int
    seconds: float


def run_shard(items: Sequence[Item], job: Job) -> list[Row]:
    """Compute `items` and write them as one part of the dataset; its rows in the table of files.

    While one file is computed a thread reads and encodes the next. A file that cannot be computed is a row with its
    error. The values are written before the table of files, each whole or not at all, so what the table names is there.

    Parameters
    ----------
    items : sequence of Item
    job : Job

    Raises
    ------
    ModelError, DeviceError, OutputError
        If nothing could be computed or written whatever the file.

    Examples
    --------
    >>> from audioic_widget import example
    >>> for folder in ("values", "files"):
    ...     Path("dataset", folder).mkdir(parents=True)
    >>> settings = ICSettings(preset="draft", noise_levels=(0.3,))
    >>> (row,) = run_shard([Item("loop", str(example("loop")))], Job("dataset", settings))
    >>> row["status"], row["frames"]
    ('ok', 202)
    """
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    load_model(job.model, job.device)
    # Before any is read: a file that changes meanwhile has changed since.
    rows, tables = [row_of(item) for item in items], []
    with closing(prepared_ahead(items, job)) as coming:
        for row, (item, preparing) in zip(rows, coming, strict=True):
            try:
                result, seconds = compute_item(preparing.result(), job)
                audio = result.provenance["audio"]
                row.update(frames=len(result.time), duration=audio["duration"], sha256=audio["sha256"])
                row.update(provenance=json.dumps(result.provenance, sort_keys=True), seconds=seconds)
                tables.append(values_of(item.id, result))
            except OutputError:
                raise
            except (AudioICError, MemoryError) as error:
                row.update(status="error", error=str(error) or "It does not fit into memory.")
    write_part(items, rows, tables, Path(job.output), job.settings)
    return rows


def prepared_ahead(items: Sequence[Item], job: Job) -> Generator[tuple[Item, Future[Prepared]], None, None]:
    """All `items`, each read and encoded by a thread while the one before it is in use; at most one is ahead."""
    ended = threading.Event()

    def check() -> None:
        if ended.is_set():
            raise Cancelled("The run has ended.")

    def begin(index: int) -> Future[Prepared]:
        return reader.submit(prepare_item, items[index], job, check)

    with ThreadPoolExecutor(1, thread_name_prefix="audioic-reader") as reader:
        try:
            coming = begin(0) if items else None
            for index, item in enumerate(items):
                current, coming = coming, begin(index + 1) if index + 1 < len(items) else None
                assert current is not None
                yield item, current
        finally:
            ended.set()


def prepare_item(item: Item, job: Job, check: Callable[[], None] | None = None) -> Prepared:
    """Read and encode one item."""
    begin = time.perf_counter()
    first, recording = read_item(item)
    settings = job.settings
    model = load_model(job.model, job.device)
    encoded = encode(recording, model, settings.audio_type, check, alignment=settings.alignment)
    return Prepared(encoded, first, time.perf_counter() - begin)


def compute_item(prepared: Prepared, job: Job) -> tuple[ICResult, float]:
    """The result on the frame grid of the file, and the seconds spent on it in all."""
    begin = time.perf_counter()
    model = load_model(job.model, job.device)
    *_, last = stream_ic(prepared.encoded, model, job.settings, coarse_first=False)
    result = last.result
    assert result is not None
    time_in_file = result.time + prepared.first * FRAME_PERIOD
    whole = ICResult(time_in_file, result.noise_levels, result.ic, result.stderr, result.provenance)
    return whole, prepared.seconds + time.perf_counter() - begin


def read_item(item: Item) -> tuple[int, Recording]:
    """What `item` asks for of its file, from the frame on in which it starts; that frame's number."""
    recording = read_recording(item.path)
    if item.start is None and item.end is None:
        return 0, recording
    first = frame_at(item.start or 0.0)
    stop = recording.grid.n_frames if item.end is None else min(frame_at(item.end) + 1, recording.grid.n_frames)
    if stop - first < 2:
        raise AudioError(f"{recording.name} has less than two frames from {item.start} to {item.end} s: ask for more.")
    samples = recording.samples[first * FRAME_SAMPLES : stop * FRAME_SAMPLES]
    return first, Recording(recording.name, samples, recording.source_rate)
