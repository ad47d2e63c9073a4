"""A corpus on a local Dask cluster, one worker against two: ``python benchmarks/corpus.py [--quick] [--only PART...]``.

Renders files of 10 to 200 s and a corrupt one; computes them in parts, each on one worker and on two; then all on two,
one of which is killed on the way and the run itself interrupted half-way, and finished by a second call; and each file
by itself, to compare. Then a file of three hours: the most memory that its worker held, beside that of a short one.
Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audioic_widget.corpus import ICDataset, Item, compute_corpus, find_items
from audioic_widget.ic import compute_ic

RATE = 44_100
SETTINGS: dict[str, Any] = {"preset": "draft", "noise_levels": (0.0, 0.3, 0.6), "device": "cpu"}
PARTS = 4
"""Parts of the corpus timed on one worker and on two in turn: what disturbs the machine disturbs both."""


PARTS_OF_REPORT = ("memory", "speed", "survival")


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


@contextmanager
def cluster(workers: int) -> Iterator[Any]:
    """A Dask client of `workers` processes of one thread, models loaded and all imported: that is not what is timed."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as made,
        Client(made) as client,
    ):
        client.run(warm)
        yield client


def warm() -> None:
    compute_ic(np.random.default_rng(0).normal(0, 0.1, RATE), sample_rate=RATE, **SETTINGS)


def compute(
    client: Any, items: Sequence[Item], output: Path, shard_files: int, on_shard: Callable[[Any], None] | None = None
) -> float:
    """Seconds that `items` took."""
    begin = time.perf_counter()
    executor = client.get_executor(retries=2)
    compute_corpus(items, output, executor=executor, threads=1, shard_files=shard_files, on_shard=on_shard, **SETTINGS)
    return time.perf_counter() - begin


def speed(items: Sequence[Item], place: Path, shard_files: int) -> list[tuple[float, float]]:
    """Seconds on one worker and on two, for every part of the corpus."""
    times = []
    with cluster(1) as one, cluster(2) as two:
        for part in range(PARTS):
            times.append(
                tuple(
                    compute(client, items[part::PARTS], place / name, shard_files)
                    for client, name in ((one, "one"), (two, "two"))
                )
            )
    return times


def survive(items: Sequence[Item], output: Path, shard_files: int) -> tuple[set[str], list[str]]:
    """Lose a worker, then the run itself half-way, then call again: files done by the first call, and by the second."""
    with cluster(2) as client:
        victims = list(client.run(os.getpid).values())[:1]
        reported: list[str] = []

        def disturb(rows: Any) -> None:
            reported.extend(row["file"] for row in rows)
            if victims and len(reported) > len(items) // 4:
                os.kill(victims.pop(), signal.SIGKILL)
            if len(reported) > len(items) // 2:
                raise KeyboardInterrupt

        with suppress(KeyboardInterrupt):
            compute(client, items, output, shard_files, disturb)
    first = ICDataset(output).done()
    second: list[str] = []
    with cluster(2) as client:
        compute(client, items, output, shard_files, lambda rows: second.extend(row["file"] for row in rows))
    return first, second


def worst_difference(dataset: ICDataset) -> float:
    """Greatest difference in nats from computing file by file here; values are stored in float32."""
    worst = 0.0
    files = dataset.files()
    for name in files[files["status"] == "ok"]["file"]:
        difference = dataset.result(name).ic - compute_ic(name, **SETTINGS).ic
        worst = max(worst, float(np.nanmax(np.abs(difference))))
    return worst


def peak_memory(path: Path, output: Path) -> tuple[float, str]:
    """GB that a worker held at most while it computed one file, and that file's status."""
    with cluster(1) as client:
        compute(client, find_items([path]), output, 1)
        (peak,) = client.run(high_water_mark).values()
    return peak, str(ICDataset(output).files()["status"][0])


def high_water_mark() -> float:
    """GB that this process has held at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith("VmHWM"))


def report_speed(items: Sequence[Item], place: Path, shard_files: int) -> None:
    times = speed(items, place, shard_files)
    one, two = (sum(column) for column in zip(*times, strict=True))
    ratios = [first / second for first, second in times]
    row("one worker, two workers", f"{one:.1f} s, {two:.1f} s")
    each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    row(f"times as fast on two, in {PARTS} parts", f"{each}; median {statistics.median(ratios):.2f}")


def report_survival(items: Sequence[Item], place: Path, shard_files: int) -> None:
    first, second = survive(items, place / "survived", shard_files)
    dataset = ICDataset(place / "survived")
    files = dataset.files()
    row("done when a worker had been killed and the run interrupted", f"{len(first)} of {len(items)}")
    row("computed by a second call, of these again", f"{len(second)}, {len(first & set(second))}")
    whole = files["file"].is_unique and set(files["file"]) == {item.id for item in items}
    row("every file once in the end, with an error", f"{whole}, {(files['status'] != 'ok').sum()}")
    row("size", f"{sum(path.stat().st_size for path in dataset.path.rglob('*.parquet')) / 1e6:.1f} MB")
    row("greatest difference from computing one by one", f"{worst_difference(dataset):.1e} nats")


def report_memory(place: Path, hours: float) -> None:
    for name, minutes in (("short", 1), ("long", round(60 * hours))):
        path = place / f"{name}.flac"
        random = np.random.default_rng(0)
        with soundfile.SoundFile(path, "w", RATE, 1) as file:
            for _ in range(minutes):
                file.write(tune(60, random))
        peak, status = peak_memory(path, place / name)
        row(f"most memory of a worker, a file of {minutes} min", f"{peak:.2f} GB ({status})")


def row(what: str, value: str) -> None:
    print(f"| {what} | {value} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="24 files of 10 to 20 s; six minutes in place of three hours"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS_OF_REPORT, default=PARTS_OF_REPORT)
    options = parser.parse_args()
    count, longest, shard_files, hours = (24, 20, 1, 0.1) if options.quick else (200, 200, 5, 3.0)
    row("what", "value")
    row("---", "---")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if "memory" in options.only:
            report_memory(place, hours)
        music = place / "music"
        music.mkdir()
        seconds = render(music, count, longest)
        row("files, audio", f"{count} and a corrupt one, {seconds / 60:.0f} min")
        items = find_items([music])
        if "speed" in options.only:
            report_speed(items, place, shard_files)
        if "survival" in options.only:
            report_survival(items, place, shard_files)


if __name__ == "__main__":
    main()
