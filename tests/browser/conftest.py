"""One JupyterLab and one browser for all tests. Nothing is skipped: where Chromium is missing, the tests fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from . import lab as labs


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labs.Lab]:
    with labs.running_lab(tmp_path_factory.mktemp("jupyter")) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with labs.running_browser() as running:
        yield running


@pytest.fixture(scope="module")
def open_notebook(lab: labs.Lab, browser: Browser) -> Iterator[Callable[..., labs.Notebook]]:
    opened: list[labs.Notebook] = []

    def open_one(*cells: str, **options: object) -> labs.Notebook:
        opened.append(labs.open_notebook(lab, browser, *cells, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for notebook in opened:
        notebook.close()
