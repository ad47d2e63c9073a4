"""Runs of a corpus that go wrong, at random moments: ``python benchmarks/faults.py [--rounds 25] [--only NAME...]``.

Every round starts a run of eight short files, one of them corrupt, and disturbs it: its disk gets full, a worker is
killed, the scheduler is lost, memory runs out inside the engine, or it is interrupted. Whatever happened, every part on
disk must be whole, what the table of files names must be there, and a second run must finish with the numbers of
an undisturbed one, every file once and nothing computed twice. Prints a Markdown table; 1 if anything else happened.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
import soundfile
import torch

from audioic_widget import engine
from audioic_widget.corpus import ICDataset, compute_corpus
from audioic_widget.errors import AudioICError

RATE = 44_100
FILES = 8
SETTINGS: dict[str, Any] = {"preset": "draft", "n_steps": 2, "noise_levels": (0.3, 0.6), "device": "cpu"}
ROUNDING = 0.05
"""Nats by which half a tile may round differently where products are bfloat16."""
WORDS = ["--preset", "draft", "--n-steps", "2", "--noise-levels", "0.3", "0.6", "--device", "cpu"]
LONGEST = 120
"""Seconds that a disturbed run may take to end."""

Fault = Callable[[Path, Path, np.random.Generator], str]


def render(folder: Path) -> None:
    """Seven recordings of noise and a corrupt one."""
    random = np.random.default_rng(0)
    for number in range(FILES - 1):
        soundfile.write(folder / f"{number}.wav", random.normal(0, 0.1, RATE * (2 + number)), RATE)
    (folder / "broken.wav").write_bytes(b"RIFF" * 99)


# Faults: each disturbs a run on `music` to `output` and says how it ended ----------------------------------------


def disk_full(music: Path, output: Path, random: np.random.Generator) -> str:
    """No file may grow beyond a random size: what a process writes after that fails."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_with_small_files, args=(music, output, int(random.integers(0, 12_000)), there))
    process.start()
    ending = here.recv() if here.poll(LONGEST) else "hangs"
    process.join(LONGEST)
    return str(ending)


def _with_small_files(music: Path, output: Path, limit: int, answer: Any) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    answer.send(ending_of(lambda: compute_corpus([music], output, shard_files=2, **SETTINGS)))


def worker_killed(music: Path, output: Path, random: np.random.Generator) -> str:
    """One process of a local pool is killed."""
    with disturbed(_kill_a_child, random.uniform(0, 12)):
        return ending_of(lambda: compute_corpus([music], output, workers=2, shard_files=1, **SETTINGS))


def _kill_a_child() -> None:
    children = multiprocessing.active_children()
    if children:
        children[0].kill()


def dask_worker_killed(music: Path, output: Path, random: np.random.Generator) -> str:
    """One worker of a local Dask cluster is killed."""
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        victim = next(iter(client.run(os.getpid).values()))
        with disturbed(lambda: os.kill(victim, signal.SIGKILL), random.uniform(0, 12)):
            return ending_of(
                lambda: compute_corpus([music], output, executor=client, threads=1, shard_files=1, **SETTINGS)
            )


def scheduler_lost(music: Path, output: Path, random: np.random.Generator) -> str:
    """The scheduler of a Dask cluster is killed."""
    from distributed import Client

    note = output.parent / "scheduler.json"
    scheduler = _dask("scheduler", "--port", "0", "--dashboard-address", ":0", "--scheduler-file", str(note))
    worker = _dask("worker", "--scheduler-file", str(note), "--nthreads", "1", "--dashboard-address", ":0")
    try:
        with Client(scheduler_file=str(note), timeout=10) as client:
            client.wait_for_workers(1, timeout=60)
            with disturbed(scheduler.kill, random.uniform(0, 12)):
                return ending_of(
                    lambda: compute_corpus([music], output, executor=client, threads=1, shard_files=1, **SETTINGS)
                )
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()


def _dask(*words: str) -> subprocess.Popen[bytes]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]], **quiet)


def out_of_memory(music: Path, output: Path, random: np.random.Generator) -> str:
    """The engine's solves run out of memory, some of them even for a single frame."""
    solve, chance = engine.log_density, random.uniform(0, 1)

    def at_random(*arguments: Any) -> Any:
        if random.random() < chance:
            raise torch.OutOfMemoryError("at random")
        return solve(*arguments)

    with mock.patch.object(engine, "log_density", at_random):
        return ending_of(lambda: compute_corpus([music], output, shard_files=2, **SETTINGS))


def interrupted(music: Path, output: Path, random: np.random.Generator) -> str:
    """The command gets SIGINT, as from Ctrl-C; its processes too."""
    workers = str(random.integers(0, 3))
    words = [str(music), "--output", str(output), *WORDS, "--workers", workers, "--shard-files", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "audioic_widget", "corpus", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with disturbed(lambda: os.killpg(process.pid, signal.SIGINT), random.uniform(0, 15)):
        try:
            status = process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return "hangs"
    # Before Python has set its handlers the signal ends it, after the last file it comes too late.
    endings = {130: "interrupted", 2: "finished", -signal.SIGINT: "ended while starting", 1: "ended while starting"}
    return endings.get(status, f"exit status {status}")


FAULTS: dict[str, Fault] = {
    "disk full": disk_full,
    "worker killed": worker_killed,
    "Dask worker killed": dask_worker_killed,
    "scheduler lost": scheduler_lost,
    "out of memory": out_of_memory,
    "interrupted": interrupted,
}
ENDINGS = {"finished", "ended with a sentence", "interrupted", "ended while starting"}


# What must hold whatever happened --------------------------------------------------------------------------------


def ending_of(run: Callable[[], object]) -> str:
    """How `run` ends."""
    begin = time.perf_counter()
    try:
        run()
    except AudioICError:
        return "ended with a sentence"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:120]
    return "finished" if time.perf_counter() - begin < LONGEST else "hangs"


@contextmanager
def disturbed(disturb: Callable[[], object], after: float) -> Iterator[None]:
    """Do `disturb` some seconds into the block, unless it has ended by then."""
    timer = threading.Timer(after, disturb)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def flaws(music: Path, output: Path, reference: ICDataset) -> list[str]:
    """What is wrong with what a disturbed run left and a second one made of it; nothing, if all is well."""
    found = []
    for path in [*output.glob("values/part-*"), *output.glob("files/part-*")]:
        try:
            pq.read_table(path)
        except Exception:
            found.append(f"half-written {path.parent.name}")
    done: set[str] = set()
    if (output / "dataset.json").exists():
        before = ICDataset(output).files()
        done = set(before[before["status"] == "ok"]["file"])
    computed: list[str] = []
    dataset = compute_corpus(
        [music],
        output,
        retry_failed=True,
        on_shard=lambda rows: computed.extend(row["file"] for row in rows),
        **SETTINGS,
    )
    if done & set(computed):
        found.append("computed twice")
    files, wanted = dataset.files(), reference.files()
    if sorted(files["file"]) != sorted(wanted["file"]):
        found.append("files lost or twice")
    ok = set(wanted[wanted["status"] == "ok"]["file"])
    if set(files[files["status"] == "ok"]["file"]) != ok:
        found.append("files without a result")
    elif len(dataset.values()) != len(reference.values()):
        found.append("values lost or twice")
    elif any(
        not np.allclose(dataset.result(name).ic, reference.result(name).ic, rtol=0, atol=ROUNDING, equal_nan=True)
        for name in ok
    ):
        found.append("other numbers")
    return found


def run_faults(names: Sequence[str], rounds: int, seed: int) -> Counter[tuple[str, str]]:
    """Counts of (fault, how the run ended and what was wrong then)."""
    counts: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        music = Path(folder, "music")
        music.mkdir()
        render(music)
        reference = compute_corpus([music], Path(folder, "reference"), **SETTINGS)
        for name in names:
            random = np.random.default_rng((seed, list(FAULTS).index(name)))
            for number in range(rounds):
                output = Path(folder, f"{name} {number}", "out")
                output.parent.mkdir()
                ending = FAULTS[name](music, output, random)
                counts[name, "; ".join([ending, *flaws(music, output, reference)])] += 1
    return counts


def main() -> int:
    """Run the command; 1 if anything was lost, half-written, computed twice or hung."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS))
    options = parser.parse_args()
    print("| fault | the run | rounds |", "| --- | --- | --- |", sep="\n")
    good = True
    for name in options.only:
        for (_, ending), count in sorted(run_faults([name], options.rounds, options.seed).items()):
            print(f"| {name} | {ending} | {count} |", flush=True)
            good = good and ending in ENDINGS
    return int(not good)


if __name__ == "__main__":
    raise SystemExit(main())
