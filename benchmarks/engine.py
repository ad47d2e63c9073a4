"""Speed of the presets against the published procedure: ``python benchmarks/engine.py``.

One model of the published size (random weights), levels 0, 0.3 and 0.6, random latents. `naive` is the published
procedure as anyone would write it (gradient of ``v . e`` for every probe and frame by `torch.func`, Euler, float32),
timed over some of its equal steps. Medians of rounds in which all take turns.
Then what a run costs by length, levels and probes. Prints Markdown tables. How true the numbers are: `accuracy.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import torch
from machine import machine
from models import LEVELS, medians, published_size, random_latents
from torch import Tensor
from torch.func import grad, vmap

import audioic_widget as aw
from audioic_widget.engine import CPU_ROWS
from audioic_widget.frames import FRAME_PERIOD
from audioic_widget.ic import compute_ic_from_latents
from audioic_widget.model.catalogue import ICModel

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
TILES = 4
"""Timed of each preset at each level: whole ones, and as many for either thread, as nearly all are in a file of minutes."""

NAIVE_FRAMES = 128


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


def presets(rounds: int) -> list[str]:
    model = published_size()
    few = random_latents(NAIVE_FRAMES + 1)
    naive_steps(model, few, 1)
    works: dict[str, Callable[[], object]] = {
        "naive, no steps": partial(naive_steps, model, few, 0),
        "naive": partial(naive_steps, model, few, NAIVE_STEPS),
    }
    counts = {"naive": NAIVE_FRAMES}
    for name, settings in SETTINGS.items():
        tangents = model.latent_dim if settings.divergence == "exact" else settings.n_probes
        counts[name] = TILES * (CPU_ROWS // (1 + tangents))
        latents = random_latents(counts[name] + 1)
        works[name] = partial(compute_ic_from_latents, latents, model=model, settings=settings)
    taken = medians(works, rounds)
    taken["naive"] = (taken["naive"] - taken.pop("naive, no steps")) / NAIVE_STEPS * PUBLISHED_STEPS
    each = {name: 1e3 * value / counts[name] / len(LEVELS) for name, value in taken.items()}
    rows = ["| procedure | ms a frame and level | times faster than naive |", "|---|---|---|"]
    return rows + [f"| {name} | {value:.2f} | {each['naive'] / value:.1f} |" for name, value in each.items()]


def costs(rounds: int) -> list[str]:
    """What a run of the embedded model takes by length, and one of the published size by levels and probes."""
    mini, large = aw.load_model("mini", "cpu"), published_size()
    rows = ["| what varies | value | s | ms a frame and level |", "|---|---|---|---|"]

    def add(what: str, value: object, model: ICModel, frames: int, settings: aw.ICSettings) -> None:
        work = partial(compute_ic_from_latents, random_latents(frames + 1), model=model, settings=settings)
        taken = medians({"": work}, 1 if frames > 2_000 else rounds)[""]
        each = 1e3 * taken / frames / len(settings.noise_levels)
        rows.append(f"| {what} | {value} | {taken:.2f} | {each:.3f} |")

    draft = aw.ICSettings(preset="draft", noise_levels=LEVELS)
    for minutes in (1 / 6, 1, 10, 60):
        frames = round(60 * minutes / FRAME_PERIOD)
        add("length, min (mini, draft)", f"{minutes:.3g}", mini, frames, draft)
    standard = aw.ICSettings(noise_levels=(0.0,))
    for count in (1, 2, 4, 8):
        levels = tuple(level / 8 for level in range(count))
        add("levels (standard)", count, large, 142, standard.replace(noise_levels=levels))
    for count in (1, 2, 4, 8, 16, 32):
        add("probes (16 steps)", count, large, 142, standard.replace(n_probes=count))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{machine()}; {torch.get_num_threads()} threads", "", *presets(options.rounds), "", sep="\n", flush=True)
    print(*costs(options.rounds), sep="\n")


if __name__ == "__main__":
    main()
