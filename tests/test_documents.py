"""What README and documentation say: their Python runs, their commands are understood, their links lead somewhere."""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import shlex
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import metadata
from pathlib import Path
from typing import cast, get_args
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

import audioic_widget
from audioic_widget import cli, errors
from audioic_widget.settings import ICSettings, Preset

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/RESULTS.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BLOCKS = Sybil([PythonCodeBlockParser()])


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
each_text = pytest.mark.parametrize("path", [*DOCUMENTS, *NOTEBOOKS], ids=name_of)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with what the examples name: a song, a folder of music, labels."""
    sound = np.random.default_rng(0).normal(0, 0.1, 3 * 44_100)
    (tmp_path / "music").mkdir()
    for name in ("song.wav", "other.mp3", "music/one.wav", "music/two.wav"):
        soundfile.write(tmp_path / name, sound, 44_100)
    (tmp_path / "labels.txt").write_text("0.0\t1.5\tintro\n1.5\t2.8\tverse\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@each_document
def test_python_blocks_run(path: Path, folder: Path) -> None:
    for block in BLOCKS.parse(path).examples():
        block.evaluate()


@each_text
def test_commands_are_understood(path: Path, folder: Path) -> None:
    for command in commands(path):
        name, *words = shlex.split(command, comments=True)
        if name == "audioic":
            understood(words)
        elif name == "make":
            assert f"\n{words[0]}:" in (ROOT / "Makefile").read_text(), command
        elif name == "pip":
            assert extras(command) <= set(metadata("audioic-widget").get_all("Provides-Extra", [])), command


@each_text
def test_links_lead_somewhere(path: Path) -> None:
    for target in links(path):
        parts = urlsplit(target)
        if parts.scheme:
            assert parts.scheme in ("https", "mailto"), target
            assert parts.netloc or parts.path, target
            continue
        file = (path.parent / parts.path).resolve() if parts.path else path
        assert file.exists(), f"{target}: there is no {file}"
        if parts.fragment:
            assert parts.fragment in anchors(file), f"{target}: {file.name} has no such heading"


def test_the_guide_shows_the_presets_as_they_are() -> None:
    guide = (ROOT / "docs" / "guides" / "choosing.md").read_text()
    rows = re.findall(r'^\| `"([\w-]+)"`[^|]*\| (\w+) \| (\d+) \| ([^|]+) \|', guide, re.MULTILINE)
    assert {name for name, *_ in rows} == set(get_args(Preset))
    for name, solver, n_steps, probes in rows:
        settings = ICSettings(preset=cast("Preset", name))
        exact = settings.divergence == "exact"
        expected = "all 64 directions" if exact else f"{settings.n_probes} {settings.probe_kind}"
        assert (solver, int(n_steps), probes) == (settings.solver, settings.n_steps, expected)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_a_tutorial_is_executed_whole_and_of_no_machine(path: Path) -> None:
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "Run `make notebooks`."
    outputs = [output for cell in code for output in cell.outputs]
    assert any("image/png" in str(output) for output in outputs)
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert not re.search(r"(?<![\w/])/(?:tmp|home|root|Users)/", str([cell.source for cell in code] + outputs))
    assert notebook.metadata.keys() == {"kernelspec", "language_info"}


def test_the_tutorials_are_small() -> None:
    assert sum(path.stat().st_size for path in NOTEBOOKS) < 3e6


def test_the_keys_are_those_of_the_widget() -> None:
    table = re.search(r"const HELP.*?^\];", (ROOT / "js" / "src" / "keys.ts").read_text(), re.MULTILINE | re.DOTALL)
    assert table is not None
    keys = re.findall(r'\["([^"]+)", "([^"]+)"\]', table[0])
    assert len(keys) > 10
    guide = (ROOT / "docs" / "guides" / "widget.md").read_text()
    assert [f"| {key} | {does} |" for key, does in keys if f"| {key} | {does} |" not in guide] == []


def test_every_error_has_advice() -> None:
    advice = (ROOT / "docs" / "reference" / "errors.md").read_text()
    raised = [name for name, value in vars(errors).items() if isinstance(value, type)]
    assert len(raised) > 5
    assert [name for name in raised if f"| `{name}` |" not in advice] == []


def test_the_reference_lists_every_public_name() -> None:
    reference = (ROOT / "docs" / "reference" / "api.md").read_text()
    others = [name for name in audioic_widget.__all__ if name not in vars(errors)]  # those come as a whole module
    assert [name for name in others if not re.search(rf":: {name}\b", reference)] == []


def test_the_link_checker_finds_what_is_wrong(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.md", tmp_path / "bad.md"
    good.write_text("# A heading, with `code`\n[here](#a-heading-with-code)")
    test_links_lead_somewhere(good)
    for text in ("[x](missing.md)", "[x](good.md#nowhere)", "![x](missing.png)", "[x](http://plain.org)"):
        bad.write_text(text)
        with pytest.raises(AssertionError):
            test_links_lead_somewhere(bad)


def test_a_command_that_is_not_understood_is_found() -> None:
    for words in (["a.wav", "--nonsense"], ["corpus", "music"], ["train", "--nonsense", "1"], ["models", "eat"]):
        with pytest.raises(AssertionError):
            understood(words)


def text_of(path: Path) -> str:
    """The Markdown of a document or a notebook."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    import nbformat

    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def commands(path: Path) -> Iterator[str]:
    """Lines of all shell blocks, continued ones joined; shell syntax other than quotes and variables is not for us."""
    for block in re.findall(r"^```(?:sh|console|bash)\n(.*?)^```", text_of(path), re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line and not line.startswith("#"):
                yield line.removeprefix("$ ").replace("$SLURM_ARRAY_TASK_ID", "1")


def understood(words: list[str]) -> None:
    """Assert that the command line takes `words`."""
    said, status = io.StringIO(), None
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            parse(words)
        except SystemExit as end:
            status = end.code
    assert not status, f"audioic {shlex.join(words)}: {said.getvalue()}"


def parse(words: list[str]) -> None:
    if words[0] not in cli.SUBCOMMANDS:
        cli.settings_of(cli.parser().parse_args(words))
        return
    module = import_module(cli.SUBCOMMANDS[words[0]])
    parser: Callable[[], argparse.ArgumentParser] | None = getattr(module, "parser", None)
    if parser is None:
        # It prints what it understood and ends.
        module.main([*words[1:], "--print_config"])
    else:
        parser().parse_args(words[1:])


def extras(command: str) -> set[str]:
    """Extras of this package that a pip command names."""
    return {each for found in re.findall(r"audioic-widget\[([\w,-]+)\]", command) for each in found.split(",")}


def links(path: Path) -> Iterator[str]:
    """Targets of links and pictures, outside of code."""
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", text_of(path), flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"\]\(([^()\s]+(?:\([^()]*\))?)\)", text)
    yield from re.findall(r"<(https?:[^>\s]+)>", text)


@cache
def anchors(path: Path) -> set[str]:
    """What GitHub and Sphinx call the headings of a document."""
    text = re.sub(r"^```.*?^```", "", text_of(path), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.+?)\s*$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", each)).lower() for each in headings)
    return {each.replace(" ", "-") for each in plain}
