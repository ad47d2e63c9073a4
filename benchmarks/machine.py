"""The line that says when, where and with what a benchmark ran."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path


def machine(*packages: str) -> str:
    """Date, processor and versions, of audioic-widget, torch and `packages`."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    units = {word for line in lines if line.startswith("flags") for word in line.split()}
    processor = (names or [platform.processor() or platform.machine()])[0]
    bfloat16 = " with AMX" if "amx_bf16" in units else " with AVX-512 for bfloat16" if "avx512_bf16" in units else ""
    versions = ", ".join(f"{name} {version(name)}" for name in ("audioic-widget", "torch", *packages))
    return (
        f"{datetime.date.today()}; {processor}{bfloat16}, {os.cpu_count()} cores; {platform.system()}, "
        f"Python {platform.python_version()}; {versions}"
    )
