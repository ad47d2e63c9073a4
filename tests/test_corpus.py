"""Corpora: the numbers of single calls, whatever computes them and whatever dies; nothing twice, nothing lost."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import DATA

from audioic_widget import cli
from audioic_widget.corpus import ICDataset, Item, compute_corpus, find_items, run, shard
from audioic_widget.corpus.shard import run_shard
from audioic_widget.errors import AudioError, Cancelled, ExecutorError, OutputError, SettingsError
from audioic_widget.frames import FRAME_PERIOD
from audioic_widget.ic import compute_ic

RATE = 44_100
FAST: dict[str, Any] = {"preset": "draft", "n_steps": 2, "n_probes": 2, "noise_levels": (0.0, 0.6), "device": "cpu"}
LONG = "y" * 120 + "/" + "x" * 176 + ".wav"
NAMES = ["a.wav", "b b.flac", "<b>&.wav", LONG, "new\nline.wav", "broken.wav", "silent.wav"]


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five short recordings with difficult names, a broken one and a silent one."""
    folder = tmp_path_factory.mktemp("music")
    (folder / LONG).parent.mkdir()
    for seed, name in enumerate(NAMES):
        noise = np.random.default_rng(seed).normal(0, 0.1, RATE + 5_000 * seed)
        soundfile.write(folder / name, noise if name != "silent.wav" else 0 * noise, RATE)
    (folder / "broken.wav").write_bytes(b"RIFF" * 99)
    return folder


def assert_like_single_calls(dataset: ICDataset, folder: Path) -> None:
    files = dataset.files().set_index("file")
    assert set(files.index) == {str(folder / name) for name in NAMES}
    for name in NAMES:
        path = str(folder / name)
        if name == "broken.wav":
            assert files.loc[path, "status"] == "error"
            assert "cannot be read as audio" in files.loc[path, "error"]
            continue
        result = dataset.result(path)
        if name == "silent.wav":
            assert np.isnan(result.ic).all()
            continue
        single = compute_ic(path, **FAST)
        np.testing.assert_allclose(result.ic, single.ic, atol=1e-4)
        np.testing.assert_allclose(result.stderr, single.stderr, atol=1e-4)
        np.testing.assert_allclose(result.time, single.time, rtol=0, atol=0)
        assert result.provenance == single.provenance


def never(*_: object) -> None:
    raise AssertionError("computed again")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_corpus_has_the_numbers_of_single_calls(
    music: Path, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = compute_corpus([music], tmp_path / "out", workers=workers, shard_files=3, **FAST)
    assert_like_single_calls(dataset, music)
    assert not list(dataset.path.rglob(".*"))
    monkeypatch.setattr(run, "run_shard", never)
    monkeypatch.setattr(run, "run_shards", lambda shards, *_: (shard for shard in shards))
    again = compute_corpus([music], tmp_path / "out", shard_files=2, on_shard=never, **FAST)
    assert_like_single_calls(again, music)


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


def test_jobs_of_an_array_share_the_work(music: Path, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        compute_corpus([music], tmp_path / "out", shard=(number, 3), **FAST)
    assert len(ICDataset(tmp_path / "out").files()) == len(NAMES)
    assert len(list((tmp_path / "out" / "files").iterdir())) == 3


def test_changed_settings_or_models_are_noticed(music: Path, tmp_path: Path) -> None:
    items = [Item("a", str(music / "a.wav"))]
    compute_corpus(items, tmp_path / "out", **FAST)
    with pytest.raises(SettingsError, match=r"computed with n_steps=2, not 3: choose another folder\.$"):
        compute_corpus(items, tmp_path / "out", **{**FAST, "n_steps": 3})
    description = json.loads((tmp_path / "out" / "dataset.json").read_text())
    description["model"]["sha256"] = "0"
    (tmp_path / "out" / "dataset.json").write_text(json.dumps(description))
    with pytest.raises(SettingsError, match="another model"):
        compute_corpus(items, tmp_path / "out", **FAST)


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


def test_any_reader_of_parquet_reads_it(music: Path, tmp_path: Path) -> None:
    dataset = compute_corpus([music], tmp_path / "out", shard_files=3, **FAST)
    table = pd.read_parquet(tmp_path / "out" / "values")
    assert list(table.columns) == ["file", "frame", "time", "noise_level", "ic", "stderr"]
    assert len(table) == len(dataset.values())
    path = str(music / "a.wav")
    one = dataset.values([path], noise_level=0.6)
    assert set(one["file"]) == {path}
    np.testing.assert_allclose(one["time"], (one["frame"] + 1) * FRAME_PERIOD)
    row = dataset.summary().set_index(["file", "noise_level"]).loc[(path, 0.6)]
    assert row["mean"] == pytest.approx(np.nanmean(dataset.result(path).ic_at(0.6)), abs=1e-3)


def test_a_manifest_names_files_and_parts_of_them(music: Path, tmp_path: Path) -> None:
    manifest = music / "list.csv"
    pd.DataFrame(
        {"path": ["a.wav", "b b.flac"], "id": ["part", "007"], "start": [0.3, None], "end": [0.8, None]}
    ).to_csv(manifest, index=False)
    try:
        assert find_items([manifest])[1] == Item("007", str(music / "b b.flac"))
        dataset = compute_corpus([manifest], tmp_path / "out", **FAST)
    finally:
        manifest.unlink()
    time = dataset.result("part").time
    np.testing.assert_allclose(time, np.arange(4, 10) * FRAME_PERIOD)  # frames 3 to 8, on the grid of the file
    np.testing.assert_allclose(dataset.result("007").ic, compute_ic(music / "b b.flac", **FAST).ic, atol=1e-4)


def test_sources_that_hold_nothing_are_named(tmp_path: Path, music: Path) -> None:
    (tmp_path / "bad.csv").write_text("file\na.wav\n")
    for source in (tmp_path / "missing.wav", tmp_path / "*.wav", tmp_path / "bad.csv", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(AudioError):
            find_items([source])
    with pytest.raises(SettingsError, match="twice"):
        find_items([music, music / "a.wav"])
    assert len(find_items([music / "**" / "*.wav"])) == len(NAMES) - 1


def test_the_command(music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["corpus", str(music), "--output", str(tmp_path / "out"), "--preset", "draft", "--n-steps", "1"]
    assert cli.main([*words, "--dry-run"]) == 0
    assert f"{len(NAMES)} files, 1 unreadable" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    assert cli.main(words) == 2  # one file has no result
    assert f"{len(NAMES)} of {len(NAMES)} files computed, 1 without a result" in capsys.readouterr().out
    assert cli.main(words) == 0
    assert f"0 of {len(NAMES)} files computed, 0 without a result" in capsys.readouterr().out
    assert cli.main([*words, "--retry-failed"]) == 2
    assert f"1 of {len(NAMES)} files computed, 1 without a result" in capsys.readouterr().out
    assert cli.main([*words, "--seed", "1"]) == 2
    assert capsys.readouterr().err.startswith("error: ")


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


def test_a_shard_is_a_function_of_files_and_job(music: Path, tmp_path: Path) -> None:
    from audioic_widget.corpus.shard import Job
    from audioic_widget.settings import ICSettings

    settings = ICSettings(**{name: value for name, value in FAST.items() if name != "device"})
    (tmp_path / "values").mkdir()
    (tmp_path / "files").mkdir()
    job, items = Job(str(tmp_path), settings, device="cpu"), [Item("a", str(music / "a.wav"))]
    for _ in range(2):
        (row,) = run_shard(items, job)
        assert row["status"] == "ok"
    assert len(list(tmp_path.rglob("*.parquet"))) == 2  # the same part, written again


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


def test_a_failed_file_is_computed_again_when_it_has_changed_or_on_demand(music: Path, tmp_path: Path) -> None:
    place, output = tmp_path / "music", tmp_path / "out"
    place.mkdir()
    for name in ("a.wav", "broken.wav"):
        (place / name).write_bytes((music / name).read_bytes())
    sources: list[Path | Item] = [place, Item("gone", str(place / "gone.wav"))]

    def computed(**options: Any) -> list[str]:
        names: list[str] = []
        compute_corpus(
            sources,
            output,
            on_shard=lambda rows: names.extend(Path(row["path"]).name for row in rows),
            **FAST,
            **options,
        )
        return sorted(names)

    assert computed() == ["a.wav", "broken.wav", "gone.wav"]
    assert computed() == []
    assert computed(retry_failed=True) == ["broken.wav", "gone.wav"]
    assert computed(shard_files=1, retry_failed=True) == ["broken.wav", "gone.wav"]
    (place / "broken.wav").write_bytes((music / "a.wav").read_bytes())
    assert computed() == ["broken.wav"]
    assert computed(retry_failed=True) == ["gone.wav"]
    dataset = ICDataset(output)
    assert sorted(dataset.files()["status"]) == ["error", "ok", "ok"]
    assert dataset.result(str(place / "broken.wav")).ic.shape == dataset.result(str(place / "a.wav")).ic.shape


def test_a_file_whose_sound_has_changed_is_computed_again(music: Path, tmp_path: Path) -> None:
    place, output = tmp_path / "music", tmp_path / "out"
    place.mkdir()
    for name in ("a.wav", "b b.flac"):
        (place / name).write_bytes((music / name).read_bytes())
    a, b = (str(place / name) for name in ("a.wav", "b b.flac"))

    def computed(*sources: Path | Item) -> list[str]:
        names: list[str] = []
        compute_corpus(
            sources or [place], output, on_shard=lambda rows: names.extend(row["file"] for row in rows), **FAST
        )
        return names

    assert sorted(computed()) == [a, b]
    soundfile.write(a, np.random.default_rng(9).normal(0, 0.1, RATE), RATE)
    assert computed() == [a]
    dataset = ICDataset(output)
    for name in (a, b):
        np.testing.assert_allclose(dataset.result(name).ic, compute_ic(name, **FAST).ic, atol=1e-4)
    assert len(dataset.values()) == dataset.files()["frames"].sum() * len(FAST["noise_levels"])
    assert computed() == []
    # Neither another time nor other tags nor another container are another sound.
    os.utime(b, ns=(1, 1))
    samples, rate = soundfile.read(a, dtype="int16")
    with soundfile.SoundFile(a, "w", rate, 1) as file:
        file.title = "tagged"
        file.write(samples)
    assert computed() == []
    assert dataset.files().set_index("file").loc[b, "modified"].value == 1
    # What is out of reach keeps its values.
    (place / "a.wav").rename(tmp_path / "elsewhere.wav")
    assert computed(place / "b b.flac", Item(a, a)) == []
    assert dataset.result(a).ic.shape[1] > 0
    # Another stretch of a file is another sound.
    assert computed(Item(b, b, 0.2, 0.8)) == [b]
    assert len(dataset.result(b).time) == 7


def test_work_is_shared_so_that_no_worker_ends_long_after_the_others() -> None:
    assert [run.shard_size(files, 2) for files in (0, 3, 8, 200, 900)] == [1, 1, 1, 25, 100]
    assert [run.shard_size(files, 1) for files in (0, 3, 200)] == [1, 3, 100]
    assert (run.workers_of(3, None), run.workers_of(0, None)) == (3, 1)


def test_workers_begin_with_the_longest_files(music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[list[Item]] = []
    monkeypatch.setattr(run, "run_shards", lambda shards, *_: ([] for _ in map(handed.append, shards)))
    compute_corpus([music], tmp_path / "out", workers=3, shard_files=2, **FAST)
    sizes = [Path(item.path).stat().st_size for shard in handed for item in shard]
    assert len(sizes) == len(NAMES)
    assert sizes == sorted(sizes, reverse=True)


def test_the_next_file_is_read_while_one_is_computed(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute, prepare = shard.compute_item, shard.prepare_item
    begun = {name: threading.Event() for name in ("a.wav", "b b.flac")}
    read: list[str] = []

    def preparing(item: Item, *arguments: Any) -> Any:
        read.append(Path(item.path).name)
        begun[read[-1]].set()
        return prepare(item, *arguments)

    def computing(*arguments: Any) -> Any:
        assert begun["b b.flac"].wait(60)
        return compute(*arguments)

    monkeypatch.setattr(shard, "prepare_item", preparing)
    monkeypatch.setattr(shard, "compute_item", computing)
    compute_corpus([music / name for name in begun], tmp_path / "out", **FAST)
    assert read == list(begun)


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


def test_submitit_runs_shards_as_jobs(music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submitit = pytest.importorskip("submitit")
    monkeypatch.setattr(run, "POLL_SECONDS", 0.1)
    executor = submitit.LocalExecutor(tmp_path / "logs")
    executor.update_parameters(timeout_min=5)
    dataset = compute_corpus([music], tmp_path / "out", executor=executor, threads=1, shard_files=4, **FAST)
    assert_like_single_calls(dataset, music)
    assert len(list((tmp_path / "out" / "values").iterdir())) == 2


def test_a_file_of_the_dataset_opens_in_the_widget(music: Path, tmp_path: Path) -> None:
    items = [Item("part", str(music / "a.wav"), 0.3, 0.9), Item("broken", str(music / "broken.wav"))]
    dataset = compute_corpus(items, tmp_path / "out", **FAST)
    widget = dataset.open("part", view=(0.0, 0.2))
    try:
        assert widget.settings.n_steps == FAST["n_steps"]
        np.testing.assert_allclose(widget.wait(60).ic, dataset.result("part").ic, atol=1e-5)
    finally:
        widget.close()
    with pytest.raises(SettingsError, match="no result of broken"):
        dataset.open("broken")
    with pytest.raises(SettingsError, match="another model"):
        dataset.open("part", model=DATA / "tiny.pt")
