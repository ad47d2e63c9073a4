"""Corpora whose workers, disks or runs die: nothing twice, nothing lost, nothing half-written."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
import weakref
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import FAST, NAMES, assert_like_single_calls

from audioic_widget.corpus import ICDataset, Item, compute_corpus, run, shard
from audioic_widget.errors import Cancelled, ExecutorError, OutputError


def test_a_killed_process_costs_only_its_shard(music: Path, tmp_path: Path) -> None:
    reports: list[str] = []

    def kill_one(rows: list[dict[str, Any]]) -> None:
        if not reports:
            multiprocessing.active_children()[0].kill()
        reports.extend(row["file"] for row in rows)

    dataset = compute_corpus([music], tmp_path / "out", workers=2, shard_files=1, on_shard=kill_one, **FAST)
    assert sorted(reports) == sorted(str(music / name) for name in NAMES)  # each reported once
    assert_like_single_calls(dataset, music)


def test_a_dask_cluster_that_loses_a_worker(music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = list(client.run(os.getpid).values())
        killed: list[int] = []

        def kill_one(_: object) -> None:
            if not killed:
                killed.append(pids[0])
                os.kill(pids[0], signal.SIGKILL)

        dataset = compute_corpus(
            [music],
            tmp_path / "out",
            executor=client,
            threads=1,
            shard_files=1,
            on_shard=kill_one,
            progress=True,
            **FAST,
        )
        assert f"Dask dashboard: {client.dashboard_link}\n" in capsys.readouterr().out
    assert killed
    assert_like_single_calls(dataset, music)


class Deadly(Executor):
    """A pool whose process dies of the file `poison`, and with it all that was handed in after."""

    def __init__(self, poison: str) -> None:
        self.poison, self.broken = poison, False

    def __enter__(self) -> Deadly:
        self.broken = False
        return self

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.broken = self.broken or any(item.path.endswith(self.poison) for item in args[0])
        if self.broken:
            future.set_exception(BrokenExecutor("A process ended abruptly"))
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_a_file_that_kills_its_process_is_a_row(music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_opener", lambda *_: lambda: Deadly("a.wav"))
    compute_corpus([music], tmp_path / "out", workers=1, shard_files=4, **FAST)
    files = ICDataset(tmp_path / "out").files().set_index("file")
    assert len(files) == len(NAMES)
    assert "died (A process ended abruptly)" in files.loc[str(music / "a.wav"), "error"]
    assert (files["status"] == "ok").sum() == len(NAMES) - 2


def test_an_executor_that_is_lost_ends_the_run_with_a_sentence(music: Path, tmp_path: Path) -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(ExecutorError, match=r"takes no more work \(cannot schedule .+\): start it again and repeat"):
        compute_corpus([music], tmp_path / "out", executor=pool, shard_files=2, **FAST)
    assert ICDataset(tmp_path / "out").files().empty


def test_what_a_killed_process_left_unfinished_is_swept_up_later(music: Path, tmp_path: Path) -> None:
    items = [Item("a", str(music / "a.wav"))]
    compute_corpus(items, tmp_path / "out", **FAST)
    old, new = (tmp_path / "out" / "values" / f".part-{name}" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    compute_corpus(items, tmp_path / "out", **FAST)
    assert (old.exists(), new.exists()) == (False, True)  # another job may be writing the new one


class Promise:
    """A future like Dask's, whose result a cluster makes again as long as somebody holds it."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def done(self) -> bool:
        return True

    def result(self) -> list[dict[str, Any]]:
        return self.rows


class Promises:
    """Runs what it is given at once; knows which of its futures are still held."""

    def __init__(self) -> None:
        self.given: list[weakref.ref[Promise]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Promise:
        promise = Promise(fn(*args))
        self.given.append(weakref.ref(promise))
        return promise

    def held(self) -> int:
        gc.collect()  # the traceback of a broken file holds frames
        return sum(promise() is not None for promise in self.given)


def test_what_is_done_is_let_go_so_that_no_cluster_does_it_again(music: Path, tmp_path: Path) -> None:
    promises, held = Promises(), list[int]()
    compute_corpus(
        [music],
        tmp_path / "out",
        executor=promises,
        shard_files=2,
        on_shard=lambda _: held.append(promises.held()),
        **FAST,
    )
    assert len(promises.given) == 4
    assert held == [4, 3, 2, 1]
    assert promises.held() == 0


def test_an_interrupted_run_goes_on(music: Path, tmp_path: Path) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute_corpus([music], tmp_path / "out", shard_files=2, on_shard=interrupt, **FAST)
    assert len(ICDataset(tmp_path / "out").files()) == 2
    reports: list[int] = []
    dataset = compute_corpus(
        [music], tmp_path / "out", shard_files=2, on_shard=lambda r: reports.append(len(r)), **FAST
    )
    assert sum(reports) == len(NAMES) - 2
    assert_like_single_calls(dataset, music)


def test_a_full_disk_ends_the_run_and_leaves_nothing_half(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet as pq

    write, calls = pq.write_table, list[int]()

    def full(table: Any, file: Any, **options: Any) -> None:
        calls.append(1)
        write(table, file, **options)
        if len(calls) == 4:  # the second part's table of files
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(OutputError, match="No space left"):
        compute_corpus([music], tmp_path / "out", shard_files=2, **FAST)
    assert len(ICDataset(tmp_path / "out").files()) == 2
    monkeypatch.undo()
    assert_like_single_calls(compute_corpus([music], tmp_path / "out", shard_files=2, **FAST), music)


def test_running_out_of_memory_costs_a_file_not_the_run(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute, dice = shard.compute_item, np.random.default_rng(0)

    def at_random(*arguments: Any) -> Any:
        if dice.random() < 0.5:
            raise MemoryError
        return compute(*arguments)

    monkeypatch.setattr(shard, "compute_item", at_random)
    files = compute_corpus([music], tmp_path / "out", **FAST).files()
    assert len(files) == len(NAMES)
    assert files["error"].str.contains("memory").sum() > 0
    assert (files["status"] == "ok").sum() > 0


def test_a_run_that_ended_between_the_two_files_of_a_part_loses_nothing(music: Path, tmp_path: Path) -> None:
    for name in ("values", "files"):
        compute_corpus([music], tmp_path / "out", shard_files=3, **FAST)
        next((tmp_path / "out" / "files").iterdir()).unlink()
        if name == "files":  # and nothing of it was written
            lost = {path.name for path in (tmp_path / "out" / "files").iterdir()}
            for path in (tmp_path / "out" / "values").iterdir():
                if path.name not in lost:
                    path.unlink()
    reports: list[str] = []
    dataset = compute_corpus([music], tmp_path / "out", shard_files=2, on_shard=lambda r: reports.extend(r), **FAST)
    assert 0 < len(reports) <= 3
    assert_like_single_calls(dataset, music)
    assert len(dataset.values()) == dataset.files()["frames"].sum() * len(FAST["noise_levels"])


def test_an_interrupt_ends_the_reading_too(music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[str] = []

    def endless(item: Item, job: object, check: Callable[[], None]) -> None:
        if item.path.endswith("a.wav"):
            return
        try:
            while True:
                check()
                time.sleep(0.01)
        except Cancelled:
            ends.append(item.path)
            raise

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shard, "prepare_item", endless)
    monkeypatch.setattr(shard, "compute_item", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compute_corpus([music / "a.wav", music / "b b.flac", music / "silent.wav"], tmp_path / "out", **FAST)
    assert ends == [str(music / "b b.flac")]
