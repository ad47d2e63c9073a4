"""Where the time of a long solve goes on a CPU: ``python benchmarks/engine_profile.py [--preset standard]``.

The published size (random weights), one noise level, one thread, one tile after another. Counted: floating-point
operations of the products, and the bytes that the passes between them read and write. Measured in turns in one run:
the engine; the products of a tile alone, of the same shapes and number format, in the same buffers, with nothing
between them; and the parts of a pass. Processor's seconds, which other programs disturb less than the clock's.
Prints Markdown; `profile.md` says what it means.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from machine import machine
from models import published_size
from torch import Tensor

import audioic_widget as aw
from audioic_widget.engine import CPU_ROWS, precision_on
from audioic_widget.ic import compute_ic_from_latents
from audioic_widget.likelihood.solvers import METHODS
from audioic_widget.model.catalogue import ICModel
from audioic_widget.model.frozen import ContextField, FrozenHead
from audioic_widget.model.fused import FusedWorkspace
from audioic_widget.model.workspace import Workspace, flat

LEVEL = 0.3
PARTS = ("normalised", "gate", "add_to_stream")


def seconds(work: Callable[[], object]) -> float:
    begin = time.thread_time()
    work()
    return time.thread_time() - begin


def flops_a_row(head: FrozenHead) -> int:
    """Of the products of one row: two for each weight."""
    return 2 * sum(w.numel() for w in (head.latent_weight, *head.expand, *head.contract, head.output_weight))


def bytes_a_row(width: int, depth: int, bytes_each: int) -> int:
    """Read and written between the products of the blocks by a tangent's row."""
    norm = width * (4 + bytes_each)
    gate = 6 * width * bytes_each
    add = width * (8 + bytes_each) if bytes_each < 4 else 0
    return depth * (norm + gate + add)


def products_alone(space: Workspace, head: FrozenHead, rows: Tensor) -> None:
    """Every product of a pass, and nothing else."""
    torch.mm(flat(rows), head.latent_weight.T, out=flat(space.stream))
    for expand, contract in zip(head.expand, head.contract, strict=True):
        torch.mm(flat(space.rounded), expand.T, out=flat(space.wide))
        torch.mm(flat(space.gated), contract.T, out=flat(space.rounded))
    torch.mm(flat(space.normal), head.output_weight.T)


def parts_of_a_pass(field: ContextField, rows: Tensor, t: Tensor, repeats: int) -> dict[str, float]:
    """Median seconds a pass of each method of the workspace, of the products into `wide`, and of the whole."""
    spent: defaultdict[str, list[float]] = defaultdict(list)
    genuine = {name: getattr(FusedWorkspace, name) for name in PARTS}
    field._pass(rows, t)

    def timed(name: str) -> Callable[..., Any]:
        def part(*arguments: Any) -> Any:
            begin = time.thread_time()
            result = genuine[name](*arguments)
            spent[name][-1] += time.thread_time() - begin
            return result

        return part

    try:
        for name in PARTS:
            setattr(FusedWorkspace, name, timed(name))
        for _ in range(repeats):
            for name in PARTS:
                spent[name].append(0.0)
            spent["pass"].append(seconds(lambda: field._pass(rows, t)))
    finally:
        for name in PARTS:
            setattr(FusedWorkspace, name, genuine[name])
    return {name: statistics.median(values) for name, values in spent.items()}


@torch.inference_mode()
def report(model: ICModel, settings: aw.ICSettings, tiles: int, repeats: int) -> list[str]:
    precision = precision_on(settings, model.device)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    head = model.head.frozen(dtype)
    tangents = 64 if settings.divergence == "exact" else settings.n_probes
    evaluations = METHODS[settings.solver].rows_a_step(tangents)
    frames = CPU_ROWS // (1 + tangents)
    latents = torch.nn.functional.layer_norm(torch.randn(frames * tiles + 1, 64), (64,))
    field = head.bind(torch.randn(1, frames, 256))
    t = torch.tensor([0.5])
    batches = {count: torch.randn(count, 1, frames, 64) for count in sorted(set(evaluations))}
    spaces = {count: FusedWorkspace(rows, head.expand[0]) for count, rows in batches.items()}

    def solve() -> None:
        compute_ic_from_latents(latents, model=model, settings=settings)

    def alone(count: int) -> None:
        products_alone(spaces[count], head, batches[count])

    solve()
    engine, contexts = [], []
    products: dict[int, list[float]] = {count: [] for count in batches}
    parts = {count: parts_of_a_pass(field, rows, t, 4 * repeats) for count, rows in batches.items()}
    for _ in range(repeats):
        # The engine works in threads of its own: one of them, and the process's seconds.
        begin = time.process_time()
        solve()
        engine.append(time.process_time() - begin)
        contexts.append(seconds(lambda: model.contexts(latents[None, :-1])))
        for count in batches:
            products[count].append(statistics.median(seconds(lambda c=count: alone(c)) for _ in range(8)))  # type: ignore[misc]
    steps = settings.n_steps * tiles
    flops = flops_a_row(head) * sum(evaluations) * frames * steps
    took = statistics.median(engine)
    ideal = sum(statistics.median(products[count]) for count in evaluations) * steps
    lines = [
        f"`{settings.preset}`, {precision}: {settings.solver}, {settings.n_steps} steps, {tangents} tangents; "
        f"{tiles} tiles of {frames} frames.",
        "",
        f"- Counted: {flops_a_row(head) / 1e6:.2f} MFLOP a row and evaluation, {flops / 1e9:.0f} GFLOP in all; "
        f"{bytes_a_row(256, len(head.expand), dtype.itemsize) / 1e3:.0f} kB a tangent's row and evaluation between the products.",
        f"- The engine: {took:.2f} s, {flops / took / 1e9:.0f} GFLOP/s.",
        f"- The products alone: {ideal:.2f} s, {flops / ideal / 1e9:.0f} GFLOP/s.",
        f"- **Share of the machine's rate of products: {ideal / took:.0%}.**",
        "",
        "| part | s | share |",
        "|---|---|---|",
    ]
    rest = took
    rows_of_table = {"products": ideal, "contexts (backbone)": statistics.median(contexts)}
    for name, label in zip(PARTS, ("norms", "gates", "sums into the stream"), strict=True):
        rows_of_table[label] = sum(parts[count][name] for count in evaluations) * steps
    # The second product of a block is inside the sum into the stream.
    contract = sum(w.numel() for w in head.contract) / (flops_a_row(head) / 2)
    rows_of_table["sums into the stream"] = max(rows_of_table["sums into the stream"] - contract * ideal, 0.0)
    for label, value in rows_of_table.items():
        rest -= value
        lines.append(f"| {label} | {value:.2f} | {value / took:.0%} |")
    lines.append(
        f"| the rest: calls, last norm, probes, solver, slower products between passes | {rest:.2f} | {rest / took:.0%} |"
    )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="standard", choices=("draft", "standard", "pa-audioic", "exact"))
    parser.add_argument("--precision", nargs="+", default=("auto", "float32"))
    parser.add_argument("--tiles", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = published_size()
    print(f"{machine()}; 1 thread")
    for precision in options.precision:
        settings = aw.ICSettings(preset=options.preset, precision=precision, noise_levels=(LEVEL,))
        print("", *report(model, settings, options.tiles, options.repeats), sep="\n", flush=True)


if __name__ == "__main__":
    main()
