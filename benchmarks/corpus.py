"""A corpus on a local Dask cluster, one worker against two: ``python benchmarks/corpus.py [--files 200] [--only PART...]``.

Renders files of 10 to 200 s (log-uniform: one minute on average) and a corrupt one; computes them in parts, each on one
worker and on two; then all on two, one of which is killed on the way and the run itself interrupted, and finished by a
second call; and each file by itself, to compare. Then a file of three hours: the most memory that its worker held,
beside that of a short one; and many files of 1 to 3 s beside one of all their sound. Prints a Markdown table; about
twenty minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from distributed import Client, LocalCluster
from machine import machine
from models import seconds

from audioic_widget.corpus import ICDataset, Item, compute_corpus, find_items
from audioic_widget.ic import compute_ic

RATE = 44_100
SHORTEST, LONGEST = 10, 200
"""Seconds."""
SETTINGS: dict[str, Any] = {"preset": "draft", "noise_levels": (0.0, 0.3, 0.6), "device": "cpu"}
TURNS = 4
"""Parts of the corpus timed on one worker and on two in turn: what disturbs the machine disturbs both."""

REPORTS = ("speed", "survival", "memory", "short")

SHORT_FILES = 200
"""Files of 1 to 3 s, to compare with one file of all their sound: what computing files together could save at most."""

Report = Callable[[list[dict[str, Any]]], None]


def render(folder: Path, count: int) -> float:
    """Write `count` files of decaying notes and a corrupt one; seconds in all."""
    random, total = np.random.default_rng(0), 0.0
    for number, length in enumerate(np.exp(random.uniform(np.log(SHORTEST), np.log(LONGEST), count))):
        soundfile.write(folder / f"{number:04d}.flac", tune(length, random), RATE)
        total += length
    (folder / "corrupt.wav").write_bytes(b"RIFF" * 500)
    return total


def tune(length: float, random: np.random.Generator) -> np.ndarray:
    """Notes of a quarter second each; `length` in seconds."""
    beat = np.arange(RATE // 4, dtype=np.float32) / RATE
    pitches = 220 * 2 ** (np.arange(24, dtype=np.float32) / 12)
    notes = 0.3 * np.sin(2 * np.pi * pitches[:, None] * beat) * np.exp(-6 * beat)
    return notes[random.integers(0, 24, round(length * 4))].ravel()


@contextmanager
def cluster(workers: int, memory: str | float = 0) -> Iterator[Client]:
    """A client of `workers` processes of one thread, models loaded and all imported: that is not what is timed.

    Each is bound to a core, as a queue would do: one that reads ahead on another's core is no single worker.
    """
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, memory_limit=memory, dashboard_address=":0") as made,
        Client(made) as client,
    ):
        for core, worker in zip(sorted(os.sched_getaffinity(0)), client.nthreads(), strict=False):
            client.run(bind, core, workers=[worker])
        client.run(warm)
        yield client


def bind(core: int) -> None:
    """Bind all threads of this process, and those they start, to one core."""
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def warm() -> None:
    compute_ic(np.random.default_rng(0).normal(0, 0.1, RATE), sample_rate=RATE, **SETTINGS)


def compute(client: Client, items: Sequence[Item], output: Path, on_shard: Report | None = None) -> ICDataset:
    return compute_corpus(items, output, executor=client, threads=1, on_shard=on_shard, **SETTINGS)


def report_speed(items: Sequence[Item], place: Path) -> None:
    """Time every part of the corpus on one worker, then on two."""
    times = []
    with cluster(1) as one, cluster(2) as two:
        clients = {"one": one, "two": two}
        before = [worked(client) for client in (one, two)]
        for turn in range(TURNS):
            part = items[turn::TURNS]
            times.append([seconds(partial(compute, clients[name], part, place / name)) for name in clients])
        spent = [worked(client) - start for client, start in zip((one, two), before, strict=True)]
    alone, both = (sum(column) for column in zip(*times, strict=True))
    row("on one worker, on two", f"{alone:.1f} s, {both:.1f} s")
    row("processor seconds of these workers", f"{spent[0]:.1f}, {spent[1]:.1f}")
    turns = ", ".join(f"{one / two:.2f}" for one, two in times)
    row("times as fast on two", f"{alone / both:.2f} (in {TURNS} turns: {turns})")


def worked(client: Client) -> float:
    """Processor seconds that all workers have used, which other programs disturb less than time."""
    return sum(client.run(time.process_time).values())


def report_survival(items: Sequence[Item], place: Path) -> None:
    """Lose a worker, then the run itself half-way, then call again, and compare with computing file by file."""
    output = place / "survived"
    with cluster(2) as client:
        victims = list(client.run(os.getpid).values())[:1]
        reported = 0

        def disturb(rows: list[dict[str, Any]]) -> None:
            nonlocal reported
            reported += len(rows)
            if victims and reported > len(items) // 8:
                os.kill(victims.pop(), signal.SIGKILL)
            if reported > len(items) // 3:
                raise KeyboardInterrupt

        with suppress(KeyboardInterrupt):
            compute(client, items, output, disturb)
        killed = not victims
    first = ICDataset(output).done()
    second: list[str] = []
    with cluster(2) as client:
        dataset = compute(client, items, output, lambda rows: second.extend(row["file"] for row in rows))
    files = dataset.files()
    row("a worker killed; done when the run was interrupted", f"{killed}; {len(first)} of {len(items)}")
    row("computed by a second call, of these again", f"{len(second)}, {len(first & set(second))}")
    whole = files["file"].is_unique and set(files["file"]) == {item.id for item in items}
    row("every file once in the end, with an error", f"{whole}, {(files['status'] != 'ok').sum()}")
    row("size", f"{sum(path.stat().st_size for path in output.rglob('*.parquet')) / 1e6:.1f} MB")
    row("greatest difference from computing one by one", f"{worst_difference(dataset):.1e} nats")


def worst_difference(dataset: ICDataset) -> float:
    """Greatest difference in nats from computing file by file here; values are stored in float32."""
    files = dataset.files()
    return max(
        float(np.nanmax(np.abs(dataset.result(name).ic - compute_ic(name, **SETTINGS).ic)))
        for name in files[files["status"] == "ok"]["file"]
    )


def report_memory(place: Path, hours: float) -> None:
    """Compute a short and a long file, each in a worker that Dask ends if it holds more than 2.5 GB."""
    for name, minutes in (("short", 1), ("long", round(60 * hours))):
        path, random = place / f"{name}.flac", np.random.default_rng(0)
        with soundfile.SoundFile(path, "w", RATE, 1) as file:
            for _ in range(minutes):
                file.write(tune(60, random))
        with cluster(1, memory="2.5GB") as client:
            dataset = compute(client, find_items([path]), place / name)
            (peak,) = client.run(high_water_mark).values()
        status, frames = dataset.files().loc[0, ["status", "frames"]]
        row(f"most memory of a worker, a file of {minutes} min", f"{peak:.2f} GB ({status}, {frames} frames)")


def report_short(place: Path) -> None:
    """Compute short files one after the other and one long file of the same sound, in one thread here, in turns."""
    random, folder = np.random.default_rng(0), place / "short-files"
    folder.mkdir()
    tunes = [tune(length, random) for length in random.uniform(1, 3, SHORT_FILES)]
    for number, samples in enumerate(tunes):
        soundfile.write(folder / f"{number:04d}.flac", samples, RATE)
    soundfile.write(place / "together.flac", np.concatenate(tunes), RATE)
    torch.set_num_threads(1)
    for preset in ("draft", "standard"):
        settings = {**SETTINGS, "preset": preset}
        spent: dict[str, float] = {}
        for name, source in (("short", folder), ("together", place / "together.flac")):
            begin = time.process_time()
            data = compute_corpus([source], place / f"{name}-{preset}", threads=1, **settings)
            spent[name] = (time.process_time() - begin) / data.files()["frames"].sum() / len(SETTINGS["noise_levels"])
        each = ", ".join(f"{1000 * cost:.2f}" for cost in spent.values())
        row(f"{SHORT_FILES} files of 1 to 3 s, one file of all: ms of processor a frame and level, {preset}", each)


def high_water_mark() -> float:
    """GB that this process has held at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith("VmHWM"))


def row(what: str, value: str) -> None:
    print(f"| {what} | {value} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--hours", type=float, default=3.0, help="length of the long file")
    parser.add_argument("--only", nargs="+", choices=REPORTS, default=REPORTS)
    options = parser.parse_args()
    print(f"{machine()}, distributed {version('distributed')}. Draft, three levels.\n", flush=True)
    row("what", "value")
    row("---", "---")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        music = place / "music"
        music.mkdir()
        length = render(music, options.files)
        items = find_items([music])
        row("files, audio", f"{options.files} and a corrupt one, {length / 60:.0f} min")
        if "speed" in options.only:
            report_speed(items, place)
        if "survival" in options.only:
            report_survival(items, place)
        if "memory" in options.only:
            report_memory(place, options.hours)
        if "short" in options.only:
            report_short(place)


if __name__ == "__main__":
    main()
