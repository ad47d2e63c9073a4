"""Running a corpus: which files are still to be done, in shards, over any executor, whatever dies on the way."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tqdm.auto import tqdm

from audioic_widget.corpus.changes import forget
from audioic_widget.corpus.dataset import ICDataset
from audioic_widget.corpus.parts import Row, restore_files, row_of, sweep, version_of, write_part
from audioic_widget.corpus.shard import Job, run_shard
from audioic_widget.corpus.sources import Item, find_items, share
from audioic_widget.errors import AudioICError, ExecutorError, OutputError, SettingsError
from audioic_widget.formats.files import replacing
from audioic_widget.model.catalogue import checked_device, load_model
from audioic_widget.settings import ICSettings

if TYPE_CHECKING:
    from distributed import Client

SHARD_FILES = 100
"""Most files of a shard that is not asked for otherwise: few enough to lose, enough that parts are not too small."""

SHARDS_A_WORKER = 4
"""At least, where there are files enough: with a single one each, all would wait for the one that has the longest files."""

Rows = list[Row]


ROUNDS_IN_VAIN = 2
"""Rounds in which no shard got done: after these, every file is run by itself."""

POLL_SECONDS = 2.0
"""At most, between questions to jobs that do not say themselves that they are done."""

POLL_SHARE = 0.02
"""Of the time waited already, until the next question: what asking late costs at most."""


class Submits(Protocol):
    """What a run needs of an executor; what it hands out has ``done()``, ``result()`` and ``cancel()``."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any:
        """Begin ``fn(*args)``."""
        ...


def compute_corpus(
    sources: Sequence[str | os.PathLike[str] | Item],
    output: str | os.PathLike[str],
    *,
    model: str = "mini",
    device: str = "auto",
    settings: ICSettings | None = None,
    workers: int = 0,
    threads: int | None = None,
    executor: Submits | Client | None = None,
    shard: tuple[int, int] = (1, 1),
    shard_files: int | None = None,
    retry_failed: bool = False,
    progress: bool = False,
    on_shard: Callable[[Rows], None] | None = None,
    **fields: Any,
) -> ICDataset:
    """IC of many files as a dataset on disk; called again, it goes on where it ended.

    Parameters
    ----------
    sources : sequence
        See `find_items`; or `Item` objects.
    output : path
        Folder of the dataset; made if missing.
    model, device : str
        See `load_model`; a path must be seen by all workers.
    settings : ICSettings, optional
    workers : int
        Local processes; 0 computes in this one.
    threads : int, optional
        Of PyTorch in every worker; 1 in local processes if not given.
    executor : Executor or dask.distributed.Client, optional
        In place of local processes: a Dask client (not its ``get_executor()``, whose futures never end when the
        scheduler is lost), or anything with the interface of `concurrent.futures.Executor`, such as submitit's executors.
    shard : (int, int)
        ``(i, n)``: every n-th file from the i-th on, i from 1; for arrays of jobs that write one dataset.
    shard_files : int, optional
        Files computed and written together: what a killed worker costs at most. If not given, `SHARD_FILES`, or fewer
        so that all workers have some shards each; the longest files come first then, so that no worker ends long after
        the others.
    retry_failed : bool
        Compute files again that had an error; without it, only those that have changed since, as those with a result
        whose sound has.
    progress : bool
        Show a bar with rate, time left and number of failures, and the link to the dashboard of a Dask client.
    on_shard : callable, optional
        Receives the rows of the table of files of every finished shard.
    **fields
        Fields of `ICSettings`, on top of `settings`.

    Returns
    -------
    ICDataset

    Raises
    ------
    SettingsError
        If the dataset was computed with other settings or another model, or an argument is out of range.
    AudioICError
        For sources, model, device or output that cannot be used, or an executor that is lost (`ExecutorError`). A single
        bad file is no error but a row.

    Notes
    -----
    On a SLURM cluster, Dask starts the workers; give them less time than the queue does, and they end in peace::

        from dask.distributed import Client
        from dask_jobqueue import SLURMCluster

        cluster = SLURMCluster(
            cores=1, memory="4GB", walltime="02:00:00", worker_extra_args=["--lifetime", "110m", "--lifetime-stagger", "5m"]
        )
        cluster.adapt(maximum=100)
        compute_corpus(["/data/music"], "ic", executor=Client(cluster), threads=1)

    or submitit submits the shards as jobs::

        import submitit

        executor = submitit.AutoExecutor("logs")
        executor.update_parameters(timeout_min=120, cpus_per_task=1, slurm_array_parallelism=100)
        compute_corpus(["/data/music"], "ic", executor=executor, threads=1)

    or a plain array of jobs calls ``audioic corpus /data/music --output ic --shard $SLURM_ARRAY_TASK_ID/100``.

    Examples
    --------
    >>> import tempfile
    >>> import audioic_widget as aw
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dataset = compute_corpus([aw.example("loop")], folder, preset="draft", noise_levels=[1.0])
    ...     print(dataset.summary()["mean"].round(3).tolist())
    [58.812]
    """
    settings = (settings or ICSettings()).replace(**fields)
    number, count = shard
    if not 1 <= number <= count:
        raise SettingsError(f"The shard must be i/n with 1 <= i <= n, not {number}/{count}.")
    if workers < 0 or (shard_files is not None and shard_files < 1):
        raise SettingsError("workers must be 0 or more and shard_files 1 or more.")
    given = [source for source in sources if isinstance(source, Item)]
    items = given + find_items([source for source in sources if not isinstance(source, Item)])
    if executor is None:
        # Before anything is written; elsewhere, workers know what devices they have.
        checked_device(device)
    prepare(Path(output), model, settings)
    sweep(Path(output))
    restore_files(Path(output))
    forget(Path(output), items, retry_failed=retry_failed)
    done = ICDataset(output).done()
    sizes = {item: version_of(item.path)[0] or 0 for item in share(items, shard) if item.id not in done}
    side_by_side = workers_of(workers, executor)
    todo = sorted(sizes, key=sizes.__getitem__, reverse=True) if side_by_side > 1 else list(sizes)
    if threads is None and workers:
        threads = 1
    job = Job(os.fspath(Path(output).absolute()), settings, model, device, threads)
    size = shard_files or shard_size(len(todo), side_by_side)
    shards = [todo[start : start + size] for start in range(0, len(todo), size)]
    if executor is None and not workers:
        finished: Generator[Rows, None, None] = (run_shard(each, job) for each in shards)
    else:
        finished = run_shards(shards, job, _opener(workers, executor))
    # By bytes: the longest files may come first.
    with (
        closing(finished),
        tqdm(total=sum(sizes.values()), unit="B", unit_scale=True, delay=1, leave=False, disable=not progress) as bar,
    ):
        if progress and (link := getattr(executor, "dashboard_link", None)):
            bar.write(f"Dask dashboard: {link}")
        files = failures = 0
        for rows in finished:
            files += len(rows)
            failures += sum(row["status"] != "ok" for row in rows)
            bar.set_postfix(files=f"{files}/{len(todo)}", failures=failures, refresh=False)
            bar.update(sum(row["bytes"] or 0 for row in rows))
            if on_shard is not None:
                on_shard(rows)
    return ICDataset(output)


def run_shards(
    shards: Sequence[Sequence[Item]], job: Job, opened: Callable[[], AbstractContextManager[Submits]]
) -> Generator[Rows, None, None]:
    """Run all `shards`; the rows of each as it is done.

    What a dying worker took with it is run again, together as long as something gets done, then file by file; a file
    whose worker dies even then is a row. An `AudioICError` is nobody's death and ends the run.
    """
    waiting, in_vain = [list(shard) for shard in shards], 0
    while waiting and in_vain < ROUNDS_IN_VAIN:
        failed = []
        with opened() as pool:
            for shard, answer in _run_together(waiting, job, pool):
                if isinstance(answer, Exception):
                    failed.append(shard)
                else:
                    yield answer
        in_vain = in_vain + 1 if len(failed) == len(waiting) else 0
        waiting = failed
    items = [item for shard in waiting for item in shard]
    while items:
        with opened() as pool:
            died = False
            while items and not died:
                for alone, answer in _run_together([[items.pop(0)]], job, pool):
                    died = isinstance(answer, Exception)
                    yield _died(alone, answer, job) if isinstance(answer, Exception) else answer


def _run_together(
    shards: Sequence[list[Item]], job: Job, pool: Submits
) -> Generator[tuple[list[Item], Rows | Exception], None, None]:
    """Run `shards` side by side: each with its rows, or the death of its worker by whatever name its executor calls it."""
    futures: dict[Any, list[Item]] = {}
    try:
        for shard in shards:
            futures[_submit(pool, shard, job)] = shard
        for future in _as_completed(futures):
            shard = futures.pop(future)
            try:
                answer = future.result()
            except AudioICError:
                raise
            except Exception as error:
                answer = error
            # Should a worker die, Dask computes again what it had done, as long as anybody holds the future of it.
            del future
            yield shard, answer
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def prepare(output: Path, model: str, settings: ICSettings) -> None:
    """Make the dataset's folders and description, or check that it is the one asked for."""
    loaded = load_model(model, "cpu")
    wanted = {
        "format": "audioic-corpus-1",
        "version": version("audioic-widget"),
        "model": {"name": loaded.name, "sha256": loaded.digest},
        "settings": json.loads(json.dumps(settings.to_dict())),
    }
    path = output / "dataset.json"
    try:
        for folder in ("values", "files"):
            (output / folder).mkdir(parents=True, exist_ok=True)
        there = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    except (OSError, ValueError) as error:
        raise OutputError(f"{output} cannot be used as a dataset ({error}): choose another folder.") from error
    if there is None:
        with replacing(path) as file:
            file.write(json.dumps(wanted, indent=2, sort_keys=True).encode())
        return
    if not isinstance(there, dict):
        raise OutputError(f"{path} does not describe a dataset: choose another folder.")
    if there.get("model") != wanted["model"]:
        raise SettingsError(f"{output} was computed with another model, {there.get('model')}: choose another folder.")
    older, newer = there.get("settings", {}), settings.to_dict()
    changed = [name for name in wanted["settings"] if older.get(name) != wanted["settings"][name]]
    if changed:
        name = changed[0]
        raise SettingsError(
            f"{output} was computed with {name}={older.get(name)!r}, not {newer[name]!r}: choose another folder."
        )


def shard_size(files: int, workers: int) -> int:
    """Files of a shard when `workers` share `files`."""
    share = -(-files // (SHARDS_A_WORKER * workers)) if workers > 1 else files
    return max(min(share, SHARD_FILES), 1)


def workers_of(workers: int, executor: Submits | Client | None) -> int:
    """How many shards run side by side; 1 if that cannot be known."""
    if executor is None:
        return max(workers, 1)
    threads_of_workers = getattr(executor, "nthreads", None)  # of a Dask client
    if threads_of_workers is None:
        return 1
    try:
        return sum(threads_of_workers().values())
    except Exception as error:  # whatever clusters and their clients raise
        raise _lost(error) from error


def _opener(workers: int, executor: Submits | Client | None) -> Callable[[], AbstractContextManager[Submits]]:
    if executor is not None:
        # A Dask client runs tasks of a worker that died again by itself.
        dask = {"retries": 2, "pure": False} if hasattr(executor, "get_executor") else {}
        return lambda: nullcontext(_Given(executor, dask))
    return lambda: _pool(workers)


@dataclass(frozen=True)
class _Given:
    """An executor of the caller's, which is not opened again: that it takes no work is not the fault of a shard."""

    executor: Submits
    options: Mapping[str, Any]

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any:
        try:
            return self.executor.submit(fn, *args, **self.options)
        except Exception as error:  # whatever clusters and their clients raise
            raise _lost(error) from error


def _lost(error: Exception) -> ExecutorError:
    reason = str(error).partition("\n")[0] or type(error).__name__
    return ExecutorError(
        f"The executor takes no more work ({reason}): start it again and repeat the call, what is done is kept."
    )


@contextmanager
def _pool(workers: int) -> Iterator[Submits]:
    # Spawned: a forked copy of a process that has used torch may hang.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _submit(pool: Submits, shard: list[Item], job: Job) -> Any:
    try:
        return pool.submit(run_shard, shard, job)
    except RuntimeError as error:  # a pool that broke while shards were handed in
        broken: Future[Rows] = Future()
        broken.set_exception(error)
        return broken


def _as_completed(futures: Mapping[Any, object]) -> Iterator[Any]:
    """All `futures`, each as soon as it is done; those of other makes than Python's are asked from time to time."""
    if all(isinstance(future, Future) for future in futures):
        yield from as_completed(futures)
        return
    waiting, since = deque(futures), time.monotonic()
    while waiting:
        for _ in range(len(waiting)):
            future = waiting.popleft()
            if future.done():
                yield future
                since = time.monotonic()
            else:
                waiting.append(future)
        time.sleep(min(max(POLL_SHARE * (time.monotonic() - since), 0.05), POLL_SECONDS))


def _died(items: Sequence[Item], error: Exception, job: Job) -> Rows:
    reason = str(error).partition("\n")[0] or type(error).__name__
    rows: Rows = []
    for item in items:
        rows.append({**row_of(item), "status": "error", "error": f"The process that computed it died ({reason})."})
    write_part(items, rows, [], Path(job.output), job.settings)
    return rows
