"""Audio files with damaged headers: each is read or refused with an `AudioError`, in bounded time and memory.

``python benchmarks/fuzz_audio.py [--files 1000] [--seed 0]``. Files of several formats are mutated (bytes flipped, sizes
set to extremes, cut, doubled) and read in a process of its own that may take 10 s and 2 GB. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import resource
from collections import Counter
from multiprocessing.connection import Connection

import numpy as np
import soundfile

from audioic_widget.audio import read_recording, sounding_range
from audioic_widget.errors import AudioError

SECONDS = 10
MEMORY = 2 << 30
KINDS = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("AIFF", "PCM_24"),
    ("MP3", "MPEG_LAYER_III"),
]
EXTREMES = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\1\0\0\0", b"\0\0\0\x80"]
HEADER = 200
"""Bytes at the begin that are mutated most."""


def originals() -> dict[str, bytes]:
    """One short recording in every kind of file."""
    noise = np.random.default_rng(0).normal(0, 0.1, (20_000, 2))
    made = {}
    for form, subtype in KINDS:
        buffer = io.BytesIO()
        soundfile.write(buffer, noise, 44_100, format=form, subtype=subtype)
        made[f"{form} {subtype}"] = buffer.getvalue()
    return made


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    """`content` with one to four kinds of damage."""
    damaged = bytearray(content)
    for _ in range(random.integers(1, 5)):
        within = min(HEADER, len(damaged)) if random.random() < 0.8 else len(damaged)
        at = int(random.integers(0, max(within, 1)))
        kind = random.integers(0, 4)
        if kind == 0:
            damaged[at : at + 1] = bytes([random.integers(0, 256)])
        elif kind == 1:
            damaged[at : at + 4] = EXTREMES[random.integers(0, len(EXTREMES))]
        elif kind == 2:
            del damaged[int(random.integers(at, len(damaged) + 1)) :]
        else:
            damaged[at:at] = damaged[at : at + int(random.integers(1, 64))]
    return bytes(damaged)


def outcome(content: bytes) -> str:
    """What reading `content` comes to."""
    try:
        recording = read_recording(io.BytesIO(content))
    except AudioError:
        return "refused"
    sounding_range(recording)
    return "read" if np.isfinite(recording.samples).all() else "not finite"


def worker(connection: Connection) -> None:
    """Answer files with outcomes, within bounds of memory."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY + address_space(), -1))
    while (content := connection.recv_bytes()) is not None:
        try:
            connection.send(outcome(content))
        except Exception as error:
            connection.send(f"{type(error).__name__}: {error}"[:80])


def address_space() -> int:
    """Bytes of address space that this process has taken already."""
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[0]) * resource.getpagesize()


def fuzz(count: int, seed: int) -> Counter[tuple[str, str]]:
    """Counts of (kind of file, outcome)."""
    random, made = np.random.default_rng(seed), originals()
    counts: Counter[tuple[str, str]] = Counter()
    process: multiprocessing.Process | None = None
    context = multiprocessing.get_context("spawn")
    for number in range(count):
        name = list(made)[number % len(made)]
        if process is None:
            here, there = context.Pipe()
            process = context.Process(target=worker, args=(there,), daemon=True)
            process.start()
            there.close()
            here.send_bytes(made[name])  # imports take time: not counted
            here.poll(60)
            here.recv()
        here.send_bytes(mutated(made[name], random))
        try:
            found = here.recv() if here.poll(SECONDS) else "hangs"
        except EOFError:
            found = "crashes"
        counts[name, found] += 1
        if found in ("hangs", "crashes"):
            process.kill()
            process = None
    if process is not None:
        process.kill()
    return counts


def main() -> int:
    """Run the command; 1 if anything but reading or refusing happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts = fuzz(options.files, options.seed)
    print("| file | outcome | count |", "| --- | --- | --- |", sep="\n")
    for (name, found), count in sorted(counts.items()):
        print(f"| {name} | {found} | {count} |")
    return int(any(found not in ("read", "refused") for _, found in counts))


if __name__ == "__main__":
    raise SystemExit(main())
