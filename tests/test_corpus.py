"""Corpora: the numbers of single calls, whatever computes them; nothing twice. What dies: `test_corpus_faults.py`."""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import DATA
from corpora import FAST, NAMES, RATE, assert_like_single_calls, never, write_with_a_name_that_is_no_text

from audioic_widget import cli
from audioic_widget.corpus import ICDataset, Item, compute_corpus, find_items, run, shard
from audioic_widget.corpus.shard import run_shard
from audioic_widget.errors import AudioError, DeviceError, SettingsError
from audioic_widget.frames import FRAME_PERIOD
from audioic_widget.ic import compute_ic


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


def test_names_that_are_no_text_are_written_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "music"
    folder.mkdir()
    write_with_a_name_that_is_no_text(folder, np.random.default_rng(0).normal(0, 0.1, RATE))
    dataset = compute_corpus([folder], tmp_path / "ic", **FAST)
    assert dataset.files()[["file", "status"]].to_numpy().tolist() == [[str(folder / r"Ch\xf6re.wav"), "ok"]]
    monkeypatch.setattr(run, "run_shard", never)
    compute_corpus([folder], tmp_path / "ic", **FAST)


def test_jobs_of_an_array_share_the_work(music: Path, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        compute_corpus([music], tmp_path / "out", shard=(number, 3), **FAST)
    assert len(ICDataset(tmp_path / "out").files()) == len(NAMES)
    assert len(list((tmp_path / "out" / "files").iterdir())) == 3


def test_a_device_that_is_missing_leaves_no_dataset(music: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cuda"):
        compute_corpus([music], tmp_path / "ic", **FAST | {"device": "cuda:99"})
    assert not (tmp_path / "ic").exists()


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
    told = capsys.readouterr()
    assert f"{len(NAMES)} of {len(NAMES)} files computed, 1 without a result" in told.out
    assert re.search(r"broken\.wav: .*cannot be read", told.err)
    assert "--retry-failed" in told.err
    # Nor has it one the next time.
    assert cli.main(words) == 2
    assert f"0 of {len(NAMES)} files computed, 1 without a result" in capsys.readouterr().out
    assert cli.main([*words, "--retry-failed"]) == 2
    assert f"1 of {len(NAMES)} files computed, 1 without a result" in capsys.readouterr().out
    assert cli.main([*words, "--seed", "1"]) == 2
    assert capsys.readouterr().err.startswith("error: ")


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
