"""Fixtures that several test files share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audioic_widget.model.catalogue import ICModel, load_model

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Small problems: two threads on a busy machine cost more than they give."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def golden() -> dict[str, np.ndarray]:
    """Inputs and what the reference implementation of the published method computes with them."""
    with np.load(DATA / "tiny.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="session")
def tiny() -> ICModel:
    """A flow in the published format with random weights, no codec."""
    return load_model(DATA / "tiny.pt", device="cpu")
