"""On a CUDA device, where there is one: the CPU's numbers, and no waiting for the host inside a solve."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from engine_cases import ALL_MODES, ic, quick
from numpy.typing import NDArray

from audioic_widget.likelihood.divergence import CycledHadamard, DivergenceEstimator, ExactTrace, FixedProbes
from audioic_widget.likelihood.solvers import METHODS, fixed_step_trajectory, halves, time_grid
from audioic_widget.model.catalogue import ICModel, load_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


@pytest.fixture(scope="module")
def mini() -> dict[str, ICModel]:
    return {device: load_model("mini", device=device) for device in ("cpu", "cuda")}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@ALL_MODES
def test_cuda_computes_what_the_cpu_does(
    mini: dict[str, ICModel], latents: NDArray[Any], mode: str, precision: str
) -> None:
    settings = quick(mode, precision=precision)
    on_cpu, on_cuda = (ic(latents, model, settings) for model in mini.values())
    np.testing.assert_allclose(on_cuda, on_cpu, rtol=0, atol=2e-3 if precision == "float32" else 1e-9)


def test_products_in_bfloat16_cost_little_on_cuda_too(mini: dict[str, ICModel], latents: NDArray[Any]) -> None:
    fine, coarse = (ic(latents, mini["cuda"], quick(precision=each)) for each in ("float32", "auto"))
    assert np.sqrt(np.square(coarse - fine).mean()) < 0.3


@contextmanager
def waiting_is_an_error() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("solver", ["euler", "midpoint", "multistep"])
@pytest.mark.parametrize("kind", ["cycled", "fixed", "exact"])
@torch.inference_mode()
def test_a_solve_never_waits_for_the_host(mini: dict[str, ICModel], solver: str, kind: str) -> None:
    x = torch.randn(2, 7, 64, device="cuda")
    signs = torch.randint(0, 2, (4, 2, 7, 64), device="cuda") * 2.0 - 1
    estimators: dict[str, DivergenceEstimator] = {
        "cycled": CycledHadamard(signs[0], 4),
        "fixed": FixedProbes(signs),
        "exact": ExactTrace(x),
    }
    dim = mini["cuda"].head.output.in_features
    field = mini["cuda"].head.frozen(torch.bfloat16).bind(torch.randn(2, 7, dim, device="cuda"))
    times = time_grid(torch.tensor([1.0, 0.7], device="cuda"), 5, "quadratic")
    with waiting_is_an_error():
        for _ in fixed_step_trajectory(field, x, times, halves(times), estimators[kind], METHODS[solver]):
            pass
