"""The solver's error alone, by where a step's middle is and how it is found: ``python benchmarks/solver_bias.py``.

The midpoint rule with the exact trace on the grid of the presets, in float32, against RK4 in float64 with as many steps as decide nothing
any more: mean and standard deviation over frames, with halves of the steps as middles, with `solvers.middles`, and there by
prediction ("multistep"). ``--model`` takes another trained model. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from machine import machine
from models import EXAMPLES, example_latents
from torch import Tensor

import audioic_widget as aw
from audioic_widget.likelihood.density import log_normal
from audioic_widget.likelihood.divergence import ExactTrace
from audioic_widget.likelihood.noising import evaluated_points
from audioic_widget.likelihood.solvers import METHODS, fixed_step_trajectory, halves, middles, time_grid
from audioic_widget.model.catalogue import ICModel

LEVELS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.6)
STEPS = (6, 16)
RULES = {"halves": ("midpoint", halves), "middles": ("midpoint", middles), "multistep": ("multistep", middles)}
REFERENCE_STEPS = 24


@torch.inference_mode()
def log_density(
    model: ICModel, x: Tensor, seen: Tensor, level: float, method: str, n: int, middle_of: Callable[[Tensor], Tensor]
) -> Tensor:
    """In nats ``(frames,)``, in the model's number format."""
    model = model.in_precision("float64" if x.dtype == torch.float64 else "float32")
    field = model.head.frozen().bind(model.contexts(seen[None, :-1]))
    times = time_grid(torch.tensor([1 - level], dtype=x.dtype), n, "quadratic")
    x, middle = x[None, 1:], middle_of(times)
    for state in fixed_step_trajectory(field, x, times, middle, ExactTrace(x), METHODS[method]):
        last = state
    return (log_normal(last.x) + last.sums[0])[0].double()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--frames", type=int, default=32)
    options = parser.parse_args()
    model = aw.load_model(options.model, "cpu")
    print(
        machine(), "", f"Model {model.name}, {options.frames} frames; mean and sd of the error in nats.", "", sep="\n"
    )
    columns = [f"{n} steps, {rule}" for n in STEPS for rule in RULES]
    print("| example | noising | level |", " | ".join(columns), "|")
    print("|---" * (3 + len(columns)) + "|")
    for name in EXAMPLES:
        latents = example_latents(model, options.frames + 1, name)
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
        for noising in ("expectation", "average"):
            for level in LEVELS if noising == "expectation" else LEVELS[2:]:
                drawn = noise[None] if noising == "average" else None
                points = evaluated_points(latents, torch.tensor([level]), drawn, clean_context=noising == "average")
                x, seen = points.x[0], points.seen[0]
                exact = log_density(model, x.double(), seen.double(), level, "rk4", REFERENCE_STEPS, halves)
                cells = []
                for n in STEPS:
                    for method, middle_of in RULES.values():
                        # IC is minus the log density.
                        off = exact - log_density(model, x, seen, level, method, n, middle_of)
                        cells.append(f"{off.mean():+.3f} ± {off.std():.3f}")
                print(f"| {name} | {noising} | {level} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
