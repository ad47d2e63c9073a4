"""The fuzz run of audio headers in short: 120 damaged files, none of which hangs, crashes or is misread."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("resource")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from fuzz_audio import fuzz


def test_damaged_audio_is_read_or_refused() -> None:
    counts = fuzz(120, seed=1)
    assert sum(counts.values()) == 120
    assert {found for _, found in counts} == {"read", "refused"}
