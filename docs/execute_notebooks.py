"""Execute the tutorials in place, or some of them: ``python -m docs.execute_notebooks [notebooks/02*.ipynb ...]``.

What differs from run to run without meaning anything (times, ids of widgets) is left out, so
that a commit shows what changed: numbers and pictures.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parents[1] / "notebooks"
TIMEOUT = 300
"""Seconds a cell may take; a whole tutorial takes less than two minutes."""

WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(path: Path) -> None:
    """Run all cells in a fresh kernel and write the notebook with what they gave."""
    notebook = nbformat.read(path, as_version=4)
    metadata = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3", resources=metadata).execute()
    path.write_text(nbformat.writes(cleaned(notebook)) + "\n", encoding="utf-8")


def cleaned(notebook: NotebookNode) -> NotebookNode:
    """The notebook without what is different in every run; a widget's picture stays, its state and id do not."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "pygments_lexer": "ipython3"},
    }
    for cell in notebook.cells:
        cell.metadata = {"tags": cell.metadata["tags"]} if "tags" in cell.metadata else {}
        if cell.cell_type == "code":
            cell.outputs = list(kept(cell.outputs))
    return notebook


def kept(outputs: Iterable[NotebookNode]) -> Iterable[NotebookNode]:
    """Outputs that mean something without this run's kernel."""
    for output in outputs:
        if "data" in output:
            output.data.pop(WIDGET, None)
            output.metadata = {}
        if output.get("data", True):
            yield output


def main(arguments: Sequence[str]) -> int:
    """Execute the notebooks named, or all."""
    for path in map(Path, arguments) if arguments else sorted(FOLDER.glob("*.ipynb")):
        begin = time.perf_counter()
        execute(path)
        print(f"{path.name}: {time.perf_counter() - begin:.0f} s, {path.stat().st_size / 1e3:.0f} kB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
