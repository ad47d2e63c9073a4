"""Fused passes against the plain ones and against closed forms."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import Any

import numba
import numpy as np
import pytest
import torch
from engine_cases import normal
from hypothesis import given, settings
from hypothesis import strategies as st

from audioic_widget.model import fused
from audioic_widget.model.fused import FusedWorkspace
from audioic_widget.model.head import Head
from audioic_widget.model.workspace import Workspace


@numba.njit
def rounded(numbers: Any, out: Any) -> None:
    for i in range(len(numbers)):
        out[i] = fused.as_in(out, numbers[i])


@numba.njit
def exponentials(numbers: Any, out: Any) -> None:
    for i in range(len(numbers)):
        out[i] = fused.exp(numbers[i])


@given(st.lists(st.floats(width=32, allow_subnormal=False), min_size=1, max_size=40))
def test_numbers_are_rounded_to_bfloat16_as_torch_rounds_them(numbers: list[float]) -> None:
    given_numbers, out = np.array(numbers, np.float32), np.zeros(len(numbers), np.uint16)
    rounded(given_numbers, out)
    ours = torch.from_numpy(out).view(torch.bfloat16)
    assert torch.equal(ours.nan_to_num(7.0), torch.from_numpy(given_numbers).bfloat16().nan_to_num(7.0))


def test_ties_are_rounded_to_even() -> None:
    bits = np.array([0x3F808000, 0x3F818000, 0x3F808001], np.uint32)
    out = np.zeros(3, np.uint16)
    rounded(bits.view(np.float32), out)
    assert out.tolist() == [0x3F80, 0x3F82, 0x3F81]


def test_exponential() -> None:
    x = np.linspace(-87, 88, 100_001, dtype=np.float32)
    out = np.empty_like(x)
    exponentials(x, out)
    np.testing.assert_allclose(out, np.exp(x.astype(np.float64)), rtol=2e-7)


@settings(max_examples=25, deadline=None)
@given(tangents=st.integers(0, 5), rows=st.integers(1, 3), frames=st.integers(1, 6), seed=st.integers(0, 99))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_passes_are_those_of_a_plain_workspace(
    dtype: torch.dtype, tangents: int, rows: int, frames: int, seed: int
) -> None:
    width, shape = 24, (1 + tangents, rows, frames)
    exact = Workspace(torch.empty(*shape, 8, dtype=torch.float64), torch.empty(96, width, dtype=torch.float64))
    ours = FusedWorkspace(torch.empty(*shape, 8), torch.empty(96, width, dtype=dtype))
    # Half of a last place of the format.
    tolerance = {"rtol": 2e-5 if dtype == torch.float32 else 2**-8, "atol": 2e-5}
    stream, halves = normal(*shape, width, seed=seed), 3 * normal(*shape, 4 * width, seed=seed + 1).to(dtype)
    # Parts of a larger product, as they come.
    for times in (1, frames):
        scale = normal(rows, times, 2 * width, seed=seed + 2).chunk(2, dim=-1)[1]
        for each in (exact, ours):
            each.stream.copy_(stream)
            each.wide.copy_(halves)
            each.gate()
        torch.testing.assert_close(ours.normalised(scale).double(), exact.normalised(scale.double()), **tolerance)
        torch.testing.assert_close(ours.gated.double(), exact.gated, **tolerance)
        ours.normalise(scale)
        torch.testing.assert_close(ours.normal.double(), exact.normal, rtol=2e-5, atol=2e-5)


def test_sums_in_bfloat16_go_into_a_stream_of_float32() -> None:
    space = FusedWorkspace(torch.empty(3, 1, 5, 8), torch.empty(96, 24, dtype=torch.bfloat16))
    stream, gated, weight = (
        normal(3, 1, 5, 24),
        normal(3, 1, 5, 48, seed=1).bfloat16(),
        normal(24, 48, seed=2).bfloat16(),
    )
    space.stream.copy_(stream)
    space.gated.copy_(gated)
    space.add_to_stream(weight)
    torch.testing.assert_close(space.stream, stream + (gated @ weight.T).float(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("products_in", [torch.float32, torch.bfloat16])
def test_a_nan_stays_one_and_stays_in_its_frame(products_in: torch.dtype) -> None:
    head = Head(24, 2, 16)
    field = head.frozen(products_in).bind(normal(1, 5, 24))
    x = normal(1, 5, 16)
    x[0, 2, 3] = math.nan
    value, products = field.velocity_and_tangents(x, torch.tensor([0.5]), normal(2, 1, 5, 16, seed=1))
    for each in (value, *products):
        assert each[0].isnan().any(-1).tolist() == [False, False, True, False, False]


def test_where_nothing_can_be_kept_on_disk_every_process_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = numba.njit

    def without_disk(signatures: list[str], *, cache: bool = False, **options: Any) -> Any:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return genuine(signatures, **options)

    monkeypatch.setattr(numba, "njit", without_disk)
    assert fused.compiled("int64(int64)")(lambda x: x + 1)(2) == 3


def test_without_a_compiler_the_plain_passes_are_taken() -> None:
    program = (
        "import torch; from audioic_widget.model.head import Head;"
        "field = Head(24, 2, 16).frozen().bind(torch.zeros(1, 3, 24));"
        "print(field.velocity(torch.ones(1, 3, 16), torch.ones(1)).isfinite().all().item())"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr
