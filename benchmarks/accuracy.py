"""How true the numbers are, and what truth costs: ``python benchmarks/accuracy.py [--plot docs/error-against-time.png]``.

A trained model on the first frames of an example: errors against the exact trace integrated by RK4 in float64, share
of frames within two standard errors, and seconds. Beside the presets and steps and probes of all sizes stand general
solvers on the same velocity field where they are installed (torchdiffeq, flow_matching), with autograd's
divergence. ``--model`` takes another trained model. Prints a Markdown table; the plot shows error against time.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from machine import machine
from matplotlib.ticker import NullFormatter
from models import LEVELS, example_latents, medians, seconds
from numpy.typing import NDArray
from torch import Tensor

import audioic_widget as aw
from audioic_widget.ic import compute_ic_from_latents
from audioic_widget.likelihood.density import log_normal
from audioic_widget.model.catalogue import ICModel

Floats = NDArray[np.float64]
Run = Callable[[], tuple[Floats, Floats]]


@dataclass(frozen=True)
class Procedure:
    """A way to compute IC: `run` gives values and standard errors ``(levels, frames)``."""

    name: str
    family: str
    run: Run


def ours(model: ICModel, latents: Tensor) -> list[Procedure]:
    def procedure(family: str, name: str, **fields: object) -> Procedure:
        settings = aw.ICSettings(noise_levels=LEVELS, **fields)  # type: ignore[arg-type]
        return Procedure(name, family, partial(compute_ic_from_latents, latents, model=model, settings=settings))

    presets = [procedure("presets", name, preset=name) for name in ("pa-audioic", "draft", "standard", "exact")]
    published = [
        procedure("published scheme", f"Euler {n}, 4 probes", preset="pa-audioic", n_steps=n) for n in (25, 50, 200)
    ]
    cycled = [
        procedure("multistep, cycled probes", f"multistep {n}, {k} probes", n_steps=n, n_probes=k)
        for n, k in ((4, 4), (8, 4), (8, 8), (12, 8), (16, 16), (32, 8), (32, 16))
    ]
    exact = [
        procedure("multistep, exact trace", f"multistep {n}, exact trace", preset="exact", n_steps=n)
        for n in (8, 16, 24)
    ]
    return [*presets, *published, *cycled, *exact]


def rounding(model: ICModel, latents: Tensor) -> str:
    """What products in bfloat16 change: rms at each level."""
    changes = []
    for preset in ("pa-audioic", "exact"):
        settings = aw.ICSettings(preset=preset, noise_levels=LEVELS)
        whole, rounded = (
            compute_ic_from_latents(latents, model=model, settings=settings.replace(precision=each))[0]
            for each in ("float32", "bfloat16")
        )
        rms = np.sqrt(np.square(rounded - whole).mean(1))
        changes.append(f"{preset} by {', '.join(f'{value:.3f}' for value in rms)}")
    return f"Products in bfloat16 instead of float32 change {' and '.join(changes)} nats rms at the levels {LEVELS}."


def asked_for(model: ICModel, latents: Tensor) -> list[tuple[float, Tensor, Tensor]]:
    """Flow time, contexts and points of every level."""
    scaled = [(1 - level) * latents for level in LEVELS]
    return [(1 - level, model.contexts(z[None, :-1])[0], z[1:]) for level, z in zip(LEVELS, scaled, strict=True)]


def peers(model: ICModel, latents: Tensor) -> list[Procedure]:
    """General solvers; a level's trajectory is stretched to the clock from 1 to 0 that they expect."""

    def velocity(x: Tensor, clock: Tensor, context: Tensor, t0: float) -> Tensor:
        return t0 * model.head(x, (t0 * clock).expand(x.shape[:-1]), context)

    def flow_matching(method: str, step: float) -> tuple[Floats, Floats]:
        from flow_matching.solver import ODESolver

        values = []
        for t0, context, x in asked_for(model, latents):
            solver = ODESolver(lambda x, t, context=context, t0=t0: velocity(x, t, context, t0))
            _, logs = solver.compute_likelihood(x, log_normal, step_size=step, method=method)
            values.append(-logs.detach().double().numpy())
        return np.stack(values), np.full((len(LEVELS), len(latents) - 1), np.nan)

    def torchdiffeq(method: str, options: dict[str, float] | None, probes: int | None) -> tuple[Floats, Floats]:
        from torchdiffeq import odeint

        values = []
        for t0, context, start in asked_for(model, latents):
            shape = (probes or 64, *start.shape)
            basis = torch.eye(64)[:, None].expand(shape) if probes is None else torch.randint(0, 2, shape) * 2.0 - 1

            def derivative(
                clock: Tensor,
                state: tuple[Tensor, Tensor],
                context: Tensor = context,
                t0: float = t0,
                u: Tensor = basis,
            ) -> tuple[Tensor, Tensor]:
                with torch.enable_grad():
                    x = state[0].detach().requires_grad_()
                    v = velocity(x, clock, context, t0)
                    traces = sum(
                        (torch.autograd.grad((v * each).sum(), x, retain_graph=True)[0] * each).sum(-1) for each in u
                    )
                return v.detach(), traces / (1 if probes is None else probes)

            clock = torch.tensor([1.0, 0.0])
            ends, integral = odeint(
                derivative,
                (start, torch.zeros(len(start))),
                clock,
                method=method,
                options=options,
                rtol=1e-5,
                atol=1e-5,
            )
            values.append(-(log_normal(ends[-1]) + integral[-1]).double().numpy())
        return np.stack(values), np.full((len(LEVELS), len(latents) - 1), np.nan)

    procedures = []
    if find_spec("flow_matching"):
        procedures += [
            Procedure("flow_matching Euler 100, 1 probe", "flow_matching", partial(flow_matching, "euler", 0.01)),
            Procedure("flow_matching midpoint 50, 1 probe", "flow_matching", partial(flow_matching, "midpoint", 0.02)),
        ]
    if find_spec("torchdiffeq"):
        procedures += [
            Procedure("torchdiffeq dopri5, 4 probes", "torchdiffeq", partial(torchdiffeq, "dopri5", None, 4)),
            Procedure(
                "torchdiffeq midpoint 16, exact trace",
                "torchdiffeq",
                partial(torchdiffeq, "midpoint", {"step_size": 1 / 16}, None),
            ),
        ]
    return procedures


def truth(model: ICModel, latents: Tensor, steps: int) -> Floats:
    settings = aw.ICSettings(
        preset="exact",
        solver="rk4",
        solver_options={"spacing": "quadratic"},
        n_steps=steps,
        precision="float64",
        noise_levels=LEVELS,
    )
    return compute_ic_from_latents(latents, model=model, settings=settings)[0]


def table(
    procedures: list[Procedure], exact: Floats, rounds: int
) -> tuple[list[str], list[tuple[Procedure, float, Floats]]]:
    rows = [
        "| procedure | ms a frame and level | level | rms, nats | bias | r | within 2 s.e. |",
        "|---|---|---|---|---|---|---|",
    ]
    points = []
    slow = {each.name for each in procedures if each.family == "torchdiffeq"}
    taken = medians({each.name: each.run for each in procedures if each.name not in slow}, rounds)
    taken |= {each.name: seconds(each.run) for each in procedures if each.name in slow}
    for procedure in procedures:
        values, spread = procedure.run()
        off = values - exact
        rms: Floats = np.sqrt(np.square(off).mean(1))
        cost = 1e3 * taken[procedure.name] / exact.size
        points.append((procedure, cost, rms))
        for row, level in enumerate(LEVELS):
            within = f"{np.mean(np.abs(off[row]) <= 2 * spread[row]):.0%}" if np.nansum(spread[row]) else "-"
            r = np.corrcoef(values[row], exact[row])[0, 1]
            rows.append(
                f"| {procedure.name} | {cost:.2f} | {level} | {rms[row]:.3f} | {off[row].mean():+.3f} | {r:.4f} | {within} |"
            )
    return rows, points


def plot(points: list[tuple[Procedure, float, Floats]], path: Path) -> None:
    matplotlib.use("agg")
    figure, axes = plt.subplots(1, len(LEVELS), figsize=(11, 4), sharex=True, layout="constrained")
    families = list(dict.fromkeys(procedure.family for procedure, _, _ in points))
    for row, (axis, level) in enumerate(zip(axes, LEVELS, strict=True)):
        for family in families:
            own = sorted((cost, rms[row], each.name) for each, cost, rms in points if each.family == family)
            costs, errors = [cost for cost, *_ in own], [rms for _, rms, _ in own]
            star = family == "presets"
            axis.plot(
                costs, errors, "*" if star else ".-", ms=12 if star else 6, lw=1, label=family, zorder=3 if star else 2
            )
            if star:
                for cost, rms, name in own:
                    axis.annotate(name, (cost, rms), xytext=(6, 4), textcoords="offset points", fontsize=8)
        axis.set(xscale="log", yscale="log", title=f"noise level {level}", xlabel="ms a frame and level")
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("rms error, nats")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(families), fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--frames", type=int, default=142)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reference-steps", type=int, default=48)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    model = aw.load_model(options.model, "cpu")
    latents = example_latents(model, options.frames + 1)
    exact = truth(model, latents, options.reference_steps)
    half = truth(model, latents, options.reference_steps // 2)
    procedures = [*ours(model, latents), *peers(model, latents)]
    rows, points = table(procedures, exact, options.rounds)
    differences = ", ".join(f"{value:.4f}" for value in np.sqrt(np.square(half - exact).mean(1)))
    print(f"{machine()}; {torch.get_num_threads()} threads", "", sep="\n")
    print(
        f"Model {model.name}, {options.frames} frames. Reference: {options.reference_steps} steps; half as many differ by {differences} nats."
    )
    print("", *rows, "", rounding(model, latents), sep="\n")
    if options.plot:
        plot(points, options.plot)


if __name__ == "__main__":
    main()
