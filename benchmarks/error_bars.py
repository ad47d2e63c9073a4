"""What the standard error of cycled probes assumes, measured: ``python benchmarks/error_bars.py``.

`CycledHadamard` takes the off-diagonal part of a trained flow's Jacobian to be correlated over time as a Matern kernel
of ``ln(t / (1.05 - t))`` and its size to follow ``sqrt(t) / (1.05 - t)``. Here are both, by level, along the trajectories of
an example's frames; then how often two standard errors cover the exact value, and the solver's error, which is no part of them,
on every example. ``--model`` takes another trained model. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np
import torch
from accuracy import truth
from machine import machine
from models import EXAMPLES, LEVELS, example_latents
from torch import Tensor

import audioic_widget as aw
from audioic_widget.ic import compute_ic_from_latents
from audioic_widget.likelihood.divergence import CORRELATION_LENGTH
from audioic_widget.likelihood.solvers import time_grid
from audioic_widget.model.catalogue import ICModel

STEPS = 16
LAGS = (0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0)


@torch.inference_mode()
def off_diagonals(model: ICModel, latents: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """Symmetric off-diagonal Jacobians ``(steps, frames, 4096)`` at the midpoints of the steps, and their times."""
    x = (1 - level) * latents
    field, x = model.head.frozen().bind(model.contexts(x[None, :-1])), x[None, 1:]
    times = time_grid(torch.tensor([1 - level]), STEPS, "quadratic")[0]
    basis = torch.eye(64)[:, None, None].expand(64, *x.shape)
    found, middles = [], (times[:-1] + times[1:]) / 2
    for t, middle, h in zip(times, middles, times.diff(), strict=False):
        value, columns = field.velocity_and_tangents(x + h / 2 * field.velocity(x, t[None]), middle[None], basis)
        jacobian = columns[:, 0].permute(1, 2, 0)
        off = (jacobian + jacobian.mT) / 2
        found.append((off - torch.diag_embed(off.diagonal(dim1=1, dim2=2))).flatten(1))
        x = x + h * value
    return torch.stack(found), middles


def coverage(model: ICModel, frames: int) -> None:
    """Print how far the presets are from exact values, of that by the solver alone, and how far they say they are."""
    print(
        "\n| example | preset | level | rms, nats | solver: bias | sd | rms s.e. | within 2 s.e. |",
        "|---" * 8 + "|",
        sep="\n",
    )
    for name in EXAMPLES:
        latents = example_latents(model, frames + 1, name)
        exact = truth(model, latents, 32)
        for preset in ("draft", "standard"):
            settings = aw.ICSettings(preset=preset, noise_levels=LEVELS)
            values, stderr = compute_ic_from_latents(latents, model=model, settings=settings)
            traced = settings.replace(divergence="exact", precision="float32")
            solved = compute_ic_from_latents(latents, model=model, settings=traced)[0] - exact
            for off, solver, spread, level in zip(values - exact, solved, stderr, LEVELS, strict=True):
                cells = (np.sqrt(np.mean(off**2)), solver.mean(), solver.std(), np.sqrt(np.mean(spread**2)))
                within = np.mean(np.abs(off) <= 2 * spread)
                print(
                    f"| {name} | {preset} | {level} |",
                    *(f"{cell:.3f} |" for cell in cells),
                    f"{within:.0%} |",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--frames", type=int, default=64)
    options = parser.parse_args()
    model = aw.load_model(options.model, "cpu")
    latents = example_latents(model, options.frames + 1)
    print(machine(), "", f"Model {model.name}, {options.frames} frames.", "", sep="\n")
    ranges = list(itertools.pairwise(LAGS))
    print(
        "| correlation at distance of ln(t / (1.05 - t)) |", " | ".join(f"{low} to {high}" for low, high in ranges), "|"
    )
    print("|---" * (len(ranges) + 1) + "|")
    sizes = []
    for level in LEVELS:
        off, t = off_diagonals(model, latents, level)
        gram = torch.einsum("ifa,jfa->ij", off, off)
        size = gram.diagonal().sqrt()
        correlation = (gram / size / size[:, None]).numpy()
        u = (t / (1.05 - t)).log()
        distance = (u[:, None] - u).abs().numpy()
        pairs = [correlation[(distance > low) & (distance <= high)] for low, high in ranges]
        print(f"| level {level} |", " | ".join(f"{np.mean(pair):.2f}" if pair.size else "-" for pair in pairs), "|")
        profile = t.sqrt() / (1.05 - t)
        sizes.append((level, t, (size / profile) / (size / profile).median()))
    middles = np.sqrt(3) / CORRELATION_LENGTH * np.array([(low + high) / 2 for low, high in ranges])
    print("| assumed at the middle |", " | ".join(f"{(1 + a) * np.exp(-a):.2f}" for a in middles), "|", end="\n\n")
    shown = range(0, STEPS, 3)
    print("| size over the assumed one, median 1 |", " | ".join(f"step {step + 1}" for step in shown), "|")
    print("|---" * (len(shown) + 1) + "|")
    for level, t, ratio in sizes:
        print(f"| level {level} |", " | ".join(f"{ratio[step]:.2f} (t {t[step]:.2f})" for step in shown), "|")
    coverage(model, 2 * options.frames)


if __name__ == "__main__":
    main()
