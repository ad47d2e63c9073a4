"""Time and memory for long files: ``python benchmarks/long_file.py [--seconds 180]``, or ``--hours 1 3``.

Each file is opened five times, in a process of its own, as the notebook widget opens it: read while the model loads, then
a draft of all values, encoded as it goes, then the default settings. Seconds count from the opening of the file; memory is the most
held, less what the imports took. Medians are printed. With ``--hours``, files so long are computed at three levels by one preset, and what
is printed is time and memory against length: also the processor's seconds, which other programs disturb less.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Nothing heavy is imported here: on Linux a child's peak memory is never below its parent's size.

FILES = {
    "stereo 48 kHz mp3": ("song.mp3", 48_000, 2, "MPEG_LAYER_III"),
    "stereo 44.1 kHz flac": ("song.flac", 44_100, 2, "PCM_16"),
    "mono 8 kHz 8-bit wav": ("voice.wav", 8_000, 1, "PCM_U8"),
}
RUNS = 5

COLUMNS = {
    "frames": "frames",
    "read": "read and model loaded, s",
    "encoded": "ready to compute, s",
    "first": "first values, s",
    "draft": "draft complete, s",
    "standard": "standard complete, s",
    "peak_read": "peak to reading, MB",
    "peak_encoded": "to there, MB",
    "peak": "to the end, MB",
}


def make(path: Path, rate: int, channels: int, subtype: str, seconds: float) -> None:
    """Write a tune of decaying notes over a pulse, random but seeded."""
    import numpy as np
    import soundfile

    rng = np.random.default_rng(0)
    sound = np.zeros((round(seconds * rate), channels), np.float32)
    beat = 0.25
    for number in range(int(seconds / beat)):
        start = round(number * beat * rate)
        now = np.arange(min(rate, len(sound) - start)) / rate
        pitch = 220 * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 11, 12, 14, 16]) / 12)
        partials = [np.sin(2 * np.pi * pitch * k * now) / k for k in range(1, 5) if pitch * k < rate / 2]
        note = 0.15 * sum(partials) * np.exp(-3 * now)
        if number % 4 == 0:
            note = note + 0.1 * rng.normal(size=len(now)) * np.exp(-40 * now)
        sound[start : start + len(now)] += note[:, None] * rng.uniform(0.4, 1, channels)
    soundfile.write(path, 0.9 * sound / np.abs(sound).max(), rate, subtype=subtype)


def measure(path: Path) -> dict[str, float]:
    """Open `path` as the widget does."""
    from audioic_widget.ic import encode, read_and_load, stream_ic
    from audioic_widget.settings import ICSettings

    imports = peak_mb()
    begin = time.perf_counter()
    found: dict[str, float] = {}

    def note(what: str) -> None:
        found[what] = time.perf_counter() - begin

    recording, model = read_and_load(path, None, "mini", "auto")
    note("read")
    found["frames"], found["peak_read"] = recording.grid.n_frames, peak_mb() - imports
    encoded = encode(recording, model)
    note("encoded")
    found["peak_encoded"] = peak_mb() - imports
    for partial in stream_ic(encoded, model, ICSettings(), coarse_first=True):
        if "first" not in found:
            note("first")
        if partial.stage == "draft":
            note("draft")
    note("standard")
    found["peak"] = peak_mb() - imports
    return found


def make_hours(path: Path, hours: float) -> None:
    """Write `hours` of a tune of three minutes, again and again, mono at 44.1 kHz."""
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        tune = Path(folder, "tune.wav")
        make(tune, 44_100, 1, "PCM_16", 180.0)
        sound, rate = soundfile.read(tune, dtype="int16")
    with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as file:
        for start in range(0, round(hours * 3600 * rate), len(sound)):
            file.write(sound[: round(hours * 3600 * rate) - start])


def measure_hours(path: Path, preset: str) -> dict[str, float]:
    """Compute `path` at three levels."""
    from audioic_widget.ic import compute_ic

    # What is loaded once and for all is no part of a file's memory.
    imports = peak_mb()
    begin, worked = time.perf_counter(), time.process_time()
    result = compute_ic(path, preset=preset, noise_levels=(0.0, 0.3, 0.6))
    return {
        "frames": result.ic.shape[1],
        "seconds": time.perf_counter() - begin,
        "processor": time.process_time() - worked,
        "peak": peak_mb() - imports,
    }


def peak_mb() -> float:
    """Most memory this process has held, in megabytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def child(*words: str) -> str:
    """Run this script in a process of its own; what it printed."""
    return subprocess.run([sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True, check=True).stdout


def against_length(where: str, hours: list[float], preset: str) -> None:
    """Print time and memory of files of so many hours."""
    print(where, f"Preset {preset}.\n", sep="\n\n")
    print(
        "| hours | frames | s | processor, s | s an hour of audio (processor) | peak, MB |\n|---|---|---|---|---|---|"
    )
    for each in hours:
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder, "hours.wav"))
            child("--step", "make-hours", path, str(each))
            found = json.loads(child("--preset", preset, "--step", "measure-hours", path))
        print(
            f"| {each:g} | {found['frames']} | {found['seconds']:.0f} | {found['processor']:.0f} "
            f"| {found['processor'] / each:.1f} | {found['peak']:.0f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", default="180", help="length of each file")
    parser.add_argument("--hours", nargs="+", type=float, help="lengths of files to compute with --preset")
    parser.add_argument("--preset", default="draft")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step, *words = options.step
        if step == "make":
            make(Path(words[0]), int(words[1]), int(words[2]), words[3], float(options.seconds))
        elif step == "make-hours":
            make_hours(Path(words[0]), float(words[1]))
        elif step == "measure-hours":
            print(json.dumps(measure_hours(Path(words[0]), options.preset)))
        else:
            print(json.dumps(measure(Path(words[0]))))
        return
    # Only here: others import this file as part of a package.
    from machine import machine

    where = machine("numpy", "soundfile", "soxr")
    if options.hours:
        against_length(where, options.hours, options.preset)
        return
    lines = [" | ".join(["file", *COLUMNS.values()]), " | ".join(["---"] * (1 + len(COLUMNS)))]
    with tempfile.TemporaryDirectory() as folder:
        for name, (file, rate, channels, subtype) in FILES.items():
            path = str(Path(folder, file))
            child("--seconds", options.seconds, "--step", "make", path, str(rate), str(channels), subtype)
            runs = [json.loads(child("--step", "measure", path)) for _ in range(RUNS)]
            found = {key: statistics.median(run[key] for run in runs) for key in COLUMNS}
            cells = [f"{found[key]:.2f}" if found[key] < 10 else f"{found[key]:.0f}" for key in COLUMNS]
            lines.append(" | ".join([name, *cells]))
    print(where, "", *(f"| {line} |" for line in lines), sep="\n")


if __name__ == "__main__":
    main()
