"""Latents kept on disk from session to session, for codecs that take longer than everything after them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import platformdirs
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from audioic_widget.formats.files import replacing

MOST_BYTES = 1 << 30
"""Kept at most: 2000 songs of three minutes. What was used longest ago goes first."""


def kept_folder() -> Path:
    """The user's folder of latents; it may be emptied at any time."""
    return Path(platformdirs.user_cache_path("audioic-widget")) / "latents"


def kept(key: Mapping[str, object], make: Callable[[], Tensor]) -> Tensor:
    """The latents that `make` gave for this `key` once, or gives now.

    Parameters
    ----------
    key : mapping
        All that decides them, as JSON values: checksums of audio and weights, settings of the codec.
    make : callable
    """
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    path = kept_folder() / f"{name}.safetensors"
    with suppress(OSError, SafetensorError, KeyError):
        latents = load_file(path)["latents"]
        path.touch()
        return latents
    latents = make()
    # Where nothing can be kept, nothing is: the latents are there all the same.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(save({"latents": latents.contiguous().cpu()}))
        _forget(path.parent)
    return latents


def _forget(folder: Path) -> None:
    """Delete what was used longest ago, until the rest is small enough."""
    ages = {path: path.stat() for path in folder.glob("*.safetensors")}
    total = sum(age.st_size for age in ages.values())
    for path in sorted(ages, key=lambda path: ages[path].st_mtime_ns):
        if total <= MOST_BYTES:
            return
        total -= ages[path].st_size
        path.unlink(missing_ok=True)
