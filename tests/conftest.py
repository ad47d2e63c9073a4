"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from corpora import make_music
from hypothesis import settings
from recorded import FAST, Recorded

from audioic_widget.model.catalogue import ICModel, load_model

# The same examples on every run, so that a green main stays green; --hypothesis-profile=explore looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=1_000, deadline=None)
settings.load_profile("same")

DATA = Path(__file__).parent / "data"


class FolderOfItsOwn:
    """Examples in docstrings may write files: each runs in a folder of its own."""

    @pytest.fixture(autouse=True)
    def _folder_of_its_own(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if isinstance(request.node, pytest.DoctestItem):
            monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests keep is not the user's, and what the user keeps not the tests'."""
    folder = tmp_path_factory.mktemp("cache")
    with mock.patch("platformdirs.user_cache_path", folder.joinpath):
        yield


def pytest_configure(config: pytest.Config) -> None:
    # A fixture of this file would only be for tests; the examples are in the package.
    config.pluginmanager.register(FolderOfItsOwn())


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


@pytest.fixture
def latents(golden: dict[str, np.ndarray]) -> np.ndarray:
    """Twelve latents: enough for the engine's tests."""
    return golden["latents"][:12]


@pytest.fixture
def content() -> dict[str, Any]:
    """What the published checkpoint format holds."""
    loaded: dict[str, Any] = torch.load(DATA / "tiny.pt", weights_only=True)
    return loaded


@pytest.fixture
def save(tmp_path: Path) -> Callable[[Any], Path]:
    def saved(content: Any) -> Path:
        torch.save(content, tmp_path / "flow.pt")
        return tmp_path / "flow.pt"

    return saved


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    """Three seconds of noise for widgets."""
    return np.random.default_rng(3).normal(0, 0.1, 3 * 44_100).astype(np.float32)


@pytest.fixture
def widget(samples: np.ndarray) -> Iterator[Recorded]:
    """A widget with all its traces."""
    made = Recorded(samples, sample_rate=44_100, **FAST)
    made.wait(60)
    yield made
    made.close()


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the recordings of `corpora.make_music`."""
    folder = tmp_path_factory.mktemp("music")
    make_music(folder)
    return folder
