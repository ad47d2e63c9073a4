"""What the benchmarks share: models, latents, medians of turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

import audioic_widget as aw
from audioic_widget.ic import encode
from audioic_widget.model.backbone import Backbone
from audioic_widget.model.catalogue import ICModel
from audioic_widget.model.head import Head

LEVELS = (0.0, 0.3, 0.6)
EXAMPLES = ("minuet", "frere_jacques", "loop")


def published_size() -> ICModel:
    """Backbone and head of the published size with random weights."""
    torch.manual_seed(0)
    backbone, head = Backbone(dim=256, depth=12, heads=8).eval(), Head(256).eval()
    for parameter in (*backbone.parameters(), *head.parameters()):
        parameter.requires_grad_(False)
    return ICModel("published size", backbone, head, None, {}, torch.device("cpu"), 4600, "")


def random_latents(frames: int) -> Tensor:
    """Layer-normalised latents that nothing predicts ``(frames, 64)``."""
    return torch.nn.functional.layer_norm(torch.randn(frames, 64), (64,))


def example_latents(model: ICModel, frames: int, name: str = "minuet") -> Tensor:
    """The first latents of an example recording ``(frames, 64)``."""
    return encode(aw.read_recording(aw.example(name)), model).latents[:frames]


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def medians(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each piece of work; all take turns, so that a disturbance hits all."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(seconds(work))
    return {name: statistics.median(values) for name, values in times.items()}
