"""What is built for others: a wheel and a source archive that hold what they must and nothing else."""

from __future__ import annotations

import ast
import email
import email.message
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import entry_points, packages_distributions
from pathlib import Path

import pytest

from audioic_widget.cli import main

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "audioic_widget"
WEIGHTS = PACKAGE / "model" / "weights" / "mini.safetensors"
BUNDLE = {f"audioic_widget/widget/static/{name}" for name in ("widget.js", "widget.css", "loader.js")}

# Where in the package what an extra installs may be imported.
EXTRAS = {
    "/corpus/": "cluster",
    "/training/": "training",
    "/codec/music2latent": "published",
    "/model/published.py": "published",
    "/formats/arrays.py": "xarray",
}


def build(target: str, source: Path, folder: Path, **environment: str) -> Path:
    """Build in this environment: nothing is downloaded."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    call = subprocess.run(
        command, cwd=source, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert call.returncode == 0, call.stderr
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Without the hook, which would fetch what builds the front end: the bundle is taken as it lies there.
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"), HATCH_BUILD_NO_HOOKS="true")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"), HATCH_BUILD_NO_HOOKS="true")


@pytest.fixture(scope="module")
def in_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def in_sdist(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def sources(folder: Path, *endings: str) -> set[str]:
    return {str(path.relative_to(ROOT)) for path in folder.rglob("*") if path.suffix in endings}


def requirements(metadata: email.message.Message) -> Iterator[tuple[str, str, str]]:
    """Name, version bounds and marker of everything required."""
    for line in metadata.get_all("Requires-Dist", []):
        requirement, _, marker = line.partition(";")
        found = re.fullmatch(r"([\w-]+)(?:\[[\w,-]+\])?(.*)", requirement.strip())
        assert found is not None
        yield found[1], found[2], marker.strip()


def test_the_wheel_holds_every_module_the_model_and_the_examples(in_wheel: set[str]) -> None:
    modules = sources(PACKAGE, ".py")
    assert {"audioic_widget/__init__.py", "audioic_widget/likelihood/solvers.py"} <= modules <= in_wheel
    for name in ("mini.safetensors", "mini.json"):
        assert f"audioic_widget/model/weights/{name}" in in_wheel
    for name in ("minuet", "frere_jacques", "loop"):
        assert f"audioic_widget/examples/{name}.flac" in in_wheel


def test_the_wheel_holds_the_package_and_nothing_else(in_wheel: set[str]) -> None:
    assert {name.partition("/")[0].partition("-")[0] for name in in_wheel} == {"audioic_widget"}
    allowed = {".py", ".typed", ".safetensors", ".json", ".flac", ".js", ".css", ".html"}
    assert {Path(name).suffix for name in in_wheel if ".dist-info/" not in name} <= allowed


def test_the_wheel_is_small_and_fits_every_system(wheel: Path) -> None:
    assert wheel.stat().st_size < WEIGHTS.stat().st_size + 2e6
    assert wheel.name.endswith("-py3-none-any.whl")


def test_the_wheel_carries_the_licence(wheel: Path, metadata: email.message.Message) -> None:
    assert metadata["License-Expression"] == "MIT"
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/licenses/LICENSE"))
        assert archive.read(name) == (ROOT / "LICENSE").read_bytes()


def test_supported_pythons_and_extras(metadata: email.message.Message) -> None:
    assert metadata["Requires-Python"] == ">=3.10"
    assert set(metadata.get_all("Provides-Extra", [])) == {"cluster", "lab", "published", "test", "training", "xarray"}
    assert metadata["Description-Content-Type"] == "text/markdown"


def test_every_requirement_has_a_lower_bound_and_no_upper_one(metadata: email.message.Message) -> None:
    required = list(requirements(metadata))
    assert len(required) > 10
    for name, bounds, _ in required:
        each = bounds.split(",")
        assert sum(bound.startswith(">=") for bound in each) == 1, name
        assert all(bound.startswith((">=", "!=")) for bound in each), name


def test_a_notebook_kernel_known_to_be_broken_is_excluded(metadata: email.message.Message) -> None:
    bounds = {name: bounds for name, bounds, _ in requirements(metadata)}
    assert "!=7.0.*" in bounds["ipykernel"]


def test_the_package_imports_only_what_it_requires(metadata: email.message.Message) -> None:
    # Traitlets and IPython come with ipywidgets and are its to bound.
    required, extras = {"traitlets", "ipython"}, dict[str, set[str]]()
    for name, _, marker in requirements(metadata):
        if not marker.startswith("extra"):
            required.add(name)
        for extra in EXTRAS.values():
            if extra in marker:
                extras.setdefault(extra, set()).add(name)
    owners = packages_distributions()
    for path in sources(PACKAGE, ".py"):
        allowed = required.union(*(extras[extra] for place, extra in EXTRAS.items() if place in path))
        for top in imported(ROOT / path) - set(sys.stdlib_module_names) - {"audioic_widget"}:
            assert {owner.lower().replace("_", "-") for owner in owners[top]} & allowed, f"{path} imports {top}"


def imported(path: Path) -> set[str]:
    """Top-level names of all modules that a source file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def test_the_command_is_installed() -> None:
    (command,) = entry_points(group="console_scripts", name="audioic")
    assert command.load() is main


def test_the_wheel_works_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import audioic_widget as aw, sys; print(aw.__file__);"
        "r = aw.compute_ic(aw.example('loop'), preset='draft', noise_levels=[1.0], n_steps=1); print(len(r.time));"
        "from audioic_widget.cli import main; sys.exit(main(['missing.wav']))"
    )
    call = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert call.returncode == 2, call.stderr
    place, frames = call.stdout.split()
    assert Path(place).is_relative_to(tmp_path / "site")
    assert int(frames) > 100
    assert call.stderr == "error: missing.wav does not exist: check the path.\n"


def test_the_source_archive_holds_what_builds_and_tests_the_package(in_sdist: set[str]) -> None:
    assert {"pyproject.toml", "README.md", "LICENSE", "PKG-INFO", "js/hatch_build.py"} <= in_sdist
    assert {"js/package.json", "js/package-lock.json", "js/build.mjs", "js/tsconfig.json"} <= in_sdist
    assert sources(PACKAGE, ".py", ".json", ".safetensors", ".flac") <= in_sdist
    assert sources(ROOT / "js" / "src", ".ts", ".css") <= in_sdist
    assert sources(ROOT / "tests", ".py", ".pt", ".npz") <= in_sdist


def test_the_source_archive_holds_nothing_that_was_fetched_or_made(sdist: Path, in_sdist: set[str]) -> None:
    assert sdist.stat().st_size < WEIGHTS.stat().st_size + 6e6
    unwanted = {"node_modules", ".venv", "__pycache__", "runs", ".git", "dist"}
    assert not [name for name in in_sdist if unwanted & set(Path(name).parts)]


def test_the_wheel_holds_the_front_end(wheel: Path, in_wheel: set[str]) -> None:
    assert in_wheel >= BUNDLE, "The front end is not built: run `npm ci && npm run build` in js."
    with zipfile.ZipFile(wheel) as archive:
        sizes = [archive.getinfo(name).file_size for name in BUNDLE]
    assert min(sizes) > 100
    assert sum(sizes) < 120_000


def test_a_wheel_from_the_source_archive_needs_no_node(
    sdist: Path, in_sdist: set[str], in_wheel: set[str], tmp_path: Path
) -> None:
    assert in_sdist >= BUNDLE, "The front end is not built: run `npm ci && npm run build` in js."
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (("node", "echo v20.0.0"), ("npm", "exit 1")):
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    built = build("wheel", source, tmp_path / "wheel", PATH=f"{tools}{os.pathsep}{os.environ['PATH']}")
    with zipfile.ZipFile(built) as archive:
        assert set(archive.namelist()) == in_wheel
