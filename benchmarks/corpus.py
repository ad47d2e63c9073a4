"""A corpus on a local Dask cluster, one worker against two: ``python benchmarks/corpus.py [--files 200] [--longest 200]``.

Renders files of 10 s to `longest`, one of them corrupt; computes them on one worker; then on two, one of which is
killed on the way; then again, which must compute nothing; compares with single calls. Prints a Markdown table. With
``--hours H`` it computes one file of H hours instead and prints the most memory the process held.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audioic_widget.corpus import ICDataset, compute_corpus
from audioic_widget.ic import compute_ic

RATE = 44_100
SETTINGS: dict[str, Any] = {"preset": "draft", "noise_levels": (0.0, 0.3, 0.6), "device": "cpu"}


def render(folder: Path, count: int, longest: float) -> float:
    """Write `count` files of decaying notes and a corrupt one; seconds in all."""
    random, total = np.random.default_rng(0), 0.0
    for number in range(count):
        seconds = float(random.uniform(10, longest))
        soundfile.write(folder / f"{number:04d}.flac", tune(seconds, random), RATE)
        total += seconds
    (folder / "corrupt.wav").write_bytes(b"RIFF" * 500)
    return total


def tune(seconds: float, random: np.random.Generator) -> np.ndarray:
    """Notes of a quarter second each."""
    beat = np.arange(RATE // 4) / RATE
    pitches = 220 * 2 ** (random.integers(0, 24, int(seconds * 4)) / 12)
    notes = [0.3 * np.sin(2 * np.pi * pitch * beat) * np.exp(-6 * beat) for pitch in pitches]
    return np.concatenate(notes).astype(np.float32)


def on_cluster(folder: Path, output: Path, workers: int, kill: bool) -> tuple[float, ICDataset]:
    """Seconds that the corpus took on `workers` workers, and the dataset."""
    from distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        pids = list(client.run(warm).values())
        begin = time.perf_counter()
        dataset = compute_corpus(
            [folder],
            output,
            executor=client.get_executor(retries=2),
            threads=1,
            shard_files=5,
            on_shard=killer(pids[0]) if kill else None,
            **SETTINGS,
        )
        return time.perf_counter() - begin, dataset


def warm() -> int:
    """Import and compute once, which is not what is measured; the worker's process."""
    compute_ic(np.random.default_rng(0).normal(0, 0.1, RATE), sample_rate=RATE, **SETTINGS)
    return os.getpid()


def killer(pid: int) -> Callable[[object], None]:
    """Kills a process when the third shard is done."""
    calls: list[object] = []

    def on_shard(rows: object) -> None:
        calls.append(rows)
        if len(calls) == 3:
            os.kill(pid, signal.SIGKILL)

    return on_shard


def compare(count: int, longest: float, sample: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        music = Path(place, "music")
        music.mkdir()
        seconds = render(music, count, longest)
        one, _ = on_cluster(music, Path(place, "one"), 1, kill=False)
        two, _ = on_cluster(music, Path(place, "two"), 2, kill=False)
        _, dataset = on_cluster(music, Path(place, "killed"), 2, kill=True)
        again: list[int] = []
        compute_corpus([music], dataset.path, on_shard=lambda rows: again.append(len(rows)), **SETTINGS)
        files = dataset.files()
        worst = 0.0
        for name in files[files["status"] == "ok"]["file"].head(sample):
            difference = dataset.result(name).ic - compute_ic(name, **SETTINGS).ic
            worst = max(worst, float(np.nanmax(np.abs(difference))))
        size = sum(path.stat().st_size for path in dataset.path.rglob("*.parquet"))
    print("| what | value |", "| --- | --- |", sep="\n")
    print(f"| files, audio | {count} and a corrupt one, {seconds / 60:.0f} min |")
    print(f"| one worker, two workers | {one:.1f} s, {two:.1f} s: {one / two:.2f} times as fast |")
    rows, failed = len(files), int((files["status"] != "ok").sum())
    print(
        f"| a worker killed on the way | {rows} rows, {failed} with an error, each file once: {files['file'].is_unique} |"
    )
    print(f"| computed by a second call | {sum(again)} files |")
    print(f"| greatest difference from {sample} single calls | {worst:.1e} nats |")
    print(f"| size | {size / 1e6:.1f} MB |")


def long_file(hours: float) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "long.flac")
        random = np.random.default_rng(0)
        with soundfile.SoundFile(path, "w", RATE, 1) as file:
            for _ in range(round(hours * 60)):
                file.write(tune(60, random))
        begin = time.perf_counter()
        files = compute_corpus([path], Path(place, "out"), **{**SETTINGS, "noise_levels": (0.3,), "n_steps": 2}).files()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(f"{hours} h: {files['status'][0]}, {time.perf_counter() - begin:.0f} s, at most {peak:.2f} GB held")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--longest", type=float, default=200)
    parser.add_argument("--sample", type=int, default=10, help="files compared with single calls")
    parser.add_argument("--hours", type=float)
    options = parser.parse_args()
    if options.hours:
        long_file(options.hours)
    else:
        compare(options.files, options.longest, options.sample)


if __name__ == "__main__":
    main()
