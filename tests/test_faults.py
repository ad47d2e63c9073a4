"""The runs that go wrong in short: whatever ends a corpus run, nothing is lost, half-written or computed twice."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("resource")
pytest.importorskip("distributed")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from faults import ENDINGS, run_faults


@pytest.mark.parametrize(
    ("fault", "rounds"), [("disk full", 1), ("out of memory", 3), ("interrupted", 1), ("scheduler lost", 1)]
)
def test_nothing_is_lost_or_half_written(fault: str, rounds: int) -> None:
    counts = run_faults([fault], rounds, seed=1)
    assert sum(counts.values()) == rounds
    assert {ending for _, ending in counts} <= ENDINGS
