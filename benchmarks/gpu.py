"""A CUDA device against its CPU and against the published procedure: ``python benchmarks/gpu.py``.

Runs the tests marked `gpu`; then, at the published size with random weights, 3 minutes of latents: `standard` at five
levels and `pa-audioic`, medians of five runs after two for warming up, from latents on the host to values on the host,
against `naive` (the published procedure as anyone would write it) on the same card; peak memory; a trace of one
run, with what waited for the host counted. Prints Markdown; the trace goes to --trace, for chrome://tracing.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from engine import LEVELS, NAIVE_STEPS, PUBLISHED_STEPS, naive_steps, published_size
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

import audioic_widget as aw
from audioic_widget.ic import compute_ic_from_latents
from audioic_widget.model.catalogue import ICModel

FRAMES = 1938
"""Three minutes."""
FIVE_LEVELS = (0.0, 0.2, 0.4, 0.6, 0.8)
WAITING = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
SETTINGS = {
    "standard, 5 levels": aw.ICSettings(preset="standard", noise_levels=FIVE_LEVELS),
    "standard (float32), 5 levels": aw.ICSettings(preset="standard", precision="float32", noise_levels=FIVE_LEVELS),
    "pa-audioic (float32), 3 levels": aw.ICSettings(preset="pa-audioic", noise_levels=LEVELS),
    "pa-audioic (auto), 3 levels": aw.ICSettings(preset="pa-audioic", precision="auto", noise_levels=LEVELS),
}


def seconds(work: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    begin = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - begin


def on_cuda(model: ICModel) -> ICModel:
    device = torch.device("cuda")
    return replace(model, backbone=model.backbone.to(device), head=model.head.to(device), device=device)


def speed(model: ICModel, latents: Tensor, rounds: int) -> list[str]:
    on_card = latents.to(model.device)
    naive_steps(model, on_card, 1)
    naive = []
    for _ in range(rounds):
        each = seconds(lambda: naive_steps(model, on_card, NAIVE_STEPS)) - seconds(
            lambda: naive_steps(model, on_card, 0)
        )
        naive.append(each / NAIVE_STEPS * PUBLISHED_STEPS / len(LEVELS))
    per_level = statistics.median(naive)
    rows = ["| procedure | ms | ms a level | times faster than naive | peak memory, MB |", "|---|---|---|---|---|"]
    rows.append(f"| naive, 3 levels | {3e3 * per_level:.0f} | {1e3 * per_level:.0f} | 1.0 | |")
    for name, settings in SETTINGS.items():

        def work(settings: aw.ICSettings = settings) -> object:
            return compute_ic_from_latents(latents, model=model, settings=settings)

        work(), work()
        torch.cuda.reset_peak_memory_stats()
        took = statistics.median(seconds(work) for _ in range(rounds))
        each, peak = took / len(settings.noise_levels), torch.cuda.max_memory_allocated() / 1e6
        rows.append(f"| {name} | {1e3 * took:.1f} | {1e3 * each:.1f} | {per_level / each:.1f} | {peak:.0f} |")
    return rows


def agreement(latents: Tensor) -> list[str]:
    """Largest and root mean square difference between the devices, embedded model."""
    rows = ["| procedure | level | largest difference from the CPU, nats | rms |", "|---|---|---|---|"]
    models = [aw.load_model("mini", device) for device in ("cpu", "cuda")]
    for name, settings in SETTINGS.items():
        if "5 levels" in name:
            there, here = (compute_ic_from_latents(latents[:130], model=each, settings=settings)[0] for each in models)
            for level, off in zip(settings.noise_levels, here - there, strict=True):
                rows.append(f"| {name} | {level} | {np.abs(off).max():.4f} | {np.sqrt(np.square(off).mean()):.4f} |")
    return rows


def traced(model: ICModel, latents: Tensor, path: Path) -> str:
    """How often a run of `standard` waited: the solve itself never does, the copy of the values to the host does."""
    settings = SETTINGS["standard, 5 levels"]
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as trace:
        compute_ic_from_latents(latents, model=model, settings=settings)
    trace.export_chrome_trace(str(path))
    events = {event.key: event.count for event in trace.key_averages()}
    launches = sum(events.get(name, 0) for name in ("cudaLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernel"))
    waits = {name: events[name] for name in WAITING if name in events}
    return f"One run of `standard`: {launches} launches for {settings.n_steps} steps; waits for the host: {waits}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trace", type=Path, default=Path("gpu-trace.json"))
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("There is no CUDA device here.")
    print(f"{torch.cuda.get_device_name()}; torch {version('torch')}, CUDA {torch.version.cuda}\n", flush=True)
    tests = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "gpu",
        str(Path(__file__).parents[1] / "tests" / "test_gpu.py"),
    ]
    print("Tests:", "passed" if subprocess.run(tests).returncode == 0 else "FAILED", "\n", flush=True)
    model = on_cuda(published_size())
    latents = torch.nn.functional.layer_norm(torch.randn(FRAMES, 64), (64,))
    print(*speed(model, latents, options.rounds), "", *agreement(latents), "", sep="\n", flush=True)
    print(traced(model, latents, options.trace))


if __name__ == "__main__":
    main()
