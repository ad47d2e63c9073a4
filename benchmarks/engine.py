"""Speed and error of the presets against the published procedure: ``python benchmarks/engine.py``.

Speed: one model of the published size (random weights), levels 0, 0.3 and 0.6, every frame of the same latents;
`naive` is the published procedure as anyone would write it (gradient of ``v . e`` for every probe and frame by
`torch.func`, Euler, float32), timed over some of its equal steps. Medians of five rounds in which all take turns.
Error: the embedded model on an example, against the exact trace integrated by RK4 in float64.
Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, vmap

import audioic_widget as aw
from audioic_widget.engine import precision_on
from audioic_widget.ic import compute_ic_from_latents, encode
from audioic_widget.model.backbone import Backbone
from audioic_widget.model.catalogue import ICModel
from audioic_widget.model.head import Head

LEVELS = (0.0, 0.3, 0.6)
PUBLISHED_STEPS = 100
PROBES = 4
NAIVE_STEPS = 3
"""Of 100 equal steps, timed."""

SETTINGS = {
    "pa-audioic (float32)": aw.ICSettings(preset="pa-audioic", noise_levels=LEVELS),
    "pa-audioic (auto)": aw.ICSettings(preset="pa-audioic", precision="auto", noise_levels=LEVELS),
    "draft": aw.ICSettings(preset="draft", noise_levels=LEVELS),
    "standard": aw.ICSettings(preset="standard", noise_levels=LEVELS),
    "standard (float32)": aw.ICSettings(preset="standard", precision="float32", noise_levels=LEVELS),
    "exact": aw.ICSettings(preset="exact", noise_levels=LEVELS),
}
FEWER_FRAMES = {"exact": 19, "pa-audioic (float32)": 129, "pa-audioic (auto)": 129}
"""Latents that the slow ones are timed on: whole tiles, so that the time a frame is the same."""


def published_size() -> ICModel:
    """Backbone and head of the published size with random weights."""
    torch.manual_seed(0)
    shape = {"dim": 256, "depth": 12, "heads": 8}
    backbone, head = Backbone(**shape).eval(), Head(256).eval()
    for parameter in (*backbone.parameters(), *head.parameters()):
        parameter.requires_grad_(False)
    return ICModel("published size", backbone, head, None, {}, torch.device("cpu"), 4600, "")


def naive_steps(model: ICModel, latents: Tensor, steps: int) -> Tensor:
    """IC at all levels after `steps` of the published Euler steps: the cost of all of them is proportional."""

    def velocity(x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        return model.head(x[None], t, context[None])[0]

    def probed(x: Tensor, t: Tensor, context: Tensor, probe: Tensor) -> Tensor:
        return grad(lambda z: (velocity(z, t, context) * probe).sum())(x) @ probe

    results = []
    for level in LEVELS:
        t0 = 1 - level
        scaled = t0 * latents
        contexts = model.contexts(scaled[None, :-1])[0]
        x, integral = scaled[1:], torch.zeros(len(latents) - 1)
        probes = torch.randint(0, 2, (PROBES, *x.shape)).float() * 2 - 1
        h = t0 / PUBLISHED_STEPS
        for step in range(steps):
            t = torch.full((len(x),), t0 - step * h)
            traces = [vmap(probed)(x, t, contexts, probe) for probe in probes]
            integral = integral - h * torch.stack(traces).mean(0)
            x = x - h * vmap(velocity)(x, t, contexts)
        results.append(0.5 * x.square().sum(-1) - integral)
    return torch.stack(results)


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def speed(frames: int, rounds: int) -> list[str]:
    model = published_size()
    latents = torch.nn.functional.layer_norm(torch.randn(frames + 1, 64), (64,))
    few = latents[:129]
    naive_steps(model, few, 1)
    times: dict[str, list[float]] = {name: [] for name in ("naive", *SETTINGS)}
    for _ in range(rounds):
        per_step = seconds(lambda: naive_steps(model, few, NAIVE_STEPS)) - seconds(lambda: naive_steps(model, few, 0))
        times["naive"].append(1e3 * per_step / NAIVE_STEPS * PUBLISHED_STEPS / 128 / len(LEVELS))
        for name, settings in SETTINGS.items():
            some = latents[: FEWER_FRAMES.get(name)]
            taken = seconds(lambda s=settings, z=some: compute_ic_from_latents(z, model=model, settings=s))  # type: ignore[misc]
            times[name].append(1e3 * taken / (len(some) - 1) / len(LEVELS))
    medians = {name: statistics.median(values) for name, values in times.items()}
    rows = ["| procedure | ms a frame and level | times faster than naive |", "|---|---|---|"]
    return rows + [f"| {name} | {value:.2f} | {medians['naive'] / value:.1f} |" for name, value in medians.items()]


def error(frames: int, reference_steps: int) -> list[str]:
    model = aw.load_model("mini", "cpu")
    latents = encode(aw.read_recording(aw.example("minuet")), model).latents[: frames + 1]
    best = aw.ICSettings(
        preset="exact",
        solver="rk4",
        solver_options={"spacing": "quadratic"},
        n_steps=reference_steps,
        precision="float64",
    )
    truth, _ = compute_ic_from_latents(latents, model=model, settings=best.replace(noise_levels=LEVELS))
    coarse, _ = compute_ic_from_latents(
        latents, model=model, settings=best.replace(noise_levels=LEVELS, n_steps=reference_steps // 2)
    )
    rows = [
        f"The reference has {reference_steps} steps; half as many differ from it by "
        + ", ".join(f"{value:.4f}" for value in np.sqrt(np.square(coarse - truth).mean(1)))
        + " nats rms.",
        "",
        "| procedure | level | rms, nats | bias | r | mean s.e. | within 2 s.e. |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, settings in SETTINGS.items():
        ic, stderr = compute_ic_from_latents(latents, model=model, settings=settings)
        for level, found, exact, spread in zip(LEVELS, ic, truth, stderr, strict=True):
            off = found - exact
            within = f"{np.mean(np.abs(off) <= 2 * spread):.0%}" if spread.any() else "-"
            correlation = np.corrcoef(found, exact)[0, 1]
            rows.append(
                f"| {name} | {level} | {np.sqrt(np.mean(off**2)):.3f} | {off.mean():+.3f} | {correlation:.4f} "
                f"| {spread.mean():.3f} | {within} |"
            )
    return rows


def machine() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cpu = (names or [platform.processor() or platform.machine()])[0]
    auto = precision_on(aw.ICSettings(), torch.device("cpu"))
    return (
        f"{datetime.date.today()}; {cpu}, {torch.get_num_threads()} threads, auto is {auto}; {platform.system()}, "
        f"Python {platform.python_version()}; audioic-widget {aw.__version__}, torch {version('torch')}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=512, help="of the timed latents")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--error-frames", type=int, default=45)
    parser.add_argument("--reference-steps", type=int, default=64)
    options = parser.parse_args()
    print(machine(), "", *speed(options.frames, options.rounds), "", sep="\n", flush=True)
    print(*error(options.error_frames, options.reference_steps), sep="\n")


if __name__ == "__main__":
    main()
