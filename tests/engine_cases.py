"""Settings and helpers that the engine's tests share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from audioic_widget.engine import Values, solve
from audioic_widget.errors import Cancelled
from audioic_widget.ic import compute_ic_from_latents
from audioic_widget.model.catalogue import ICModel
from audioic_widget.settings import ICSettings

Golden = dict[str, NDArray[Any]]
Floats = NDArray[np.float64]

LEVELS = (0.0, 0.3, 0.8)
MODES: dict[str, dict[str, Any]] = {
    "expectation": {},
    "monte_carlo": {"monte_carlo_samples": 3},
    "flow": {"noising": "flow"},
    "average": {"noising": "average", "monte_carlo_samples": 3},
}
ALL_MODES = pytest.mark.parametrize("mode", MODES)
AT_LEVELS = pytest.mark.parametrize("mode", MODES)
AT_POINTS = pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "flow"])
SCIPY = {"solver": "scipy", "solver_options": {"rtol": 1e-2, "atol": 1e-2}}


def quick(mode: str = "expectation", **fields: Any) -> ICSettings:
    return ICSettings(**{"preset": "draft", "noise_levels": LEVELS, **MODES[mode], **fields})


def ic(latents: Any, model: ICModel, settings: ICSettings, **fixed: Any) -> Floats:
    return compute_ic_from_latents(latents, model=model, settings=settings, **fixed)[0]


def solved(
    model: ICModel, latents: NDArray[Any], settings: ICSettings, first: int = 0, **options: Any
) -> tuple[Values, list[tuple[int, int]]]:
    values = Values.empty(len(settings.noise_levels), len(latents) - 1)
    return values, list(solve(values, torch.from_numpy(latents), model, settings, first, **options))


class Stop:
    """A check that ends the work at the `last`-th call."""

    def __init__(self, last: float = math.inf) -> None:
        self.calls, self.last = 0, last

    def __call__(self) -> None:
        self.calls += 1
        if self.calls >= self.last:
            raise Cancelled("ended on request")


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
