"""Results as files: CSV in the published columns, npz with everything.

Every file is written under a temporary name and then renamed: what exists is whole.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from audioic_widget.errors import AudioError, AudioICError, OutputError
from audioic_widget.result import ICResult

PathLike = str | os.PathLike[str]

_ARRAYS = ("time", "noise_levels", "ic", "stderr")


def write_csv(result: ICResult, path: PathLike) -> None:
    """Write ``Time,IC_<level>,...``: one row a frame, ``nan`` where there is no value, digits that read back exactly.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with replacing(path) as file:
        file.write(csv_text(result).encode())


def csv_text(result: ICResult) -> str:
    """What `write_csv` writes."""
    return result.to_dataframe().to_csv(index=False, na_rep="nan", lineterminator="\n")


def read_csv(path: PathLike) -> ICResult:
    """Read a CSV in the published columns; standard errors, which it does not hold, are NaN.

    Raises
    ------
    AudioError
        If the file is missing or has other columns or values.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        first, *names = lines[0].split(",")
        # Python reads numbers exactly, and rows are as long as the header or refused.
        rows = np.array([[float(value) for value in line.split(",")] for line in lines[1:]])
        table = rows.reshape(len(lines) - 1, 1 + len(names))
        levels = [float(name.removeprefix("IC_")) for name in names]
    except (OSError, ValueError, IndexError) as error:
        raise AudioError(
            f"{path} cannot be read as IC values: give a CSV with the columns Time and IC_<level>."
        ) from error
    named = first == "Time" and all(name.startswith("IC_") for name in names)
    if not named or not levels or len(set(levels)) < len(levels) or not all(0 <= level <= 1 for level in levels):
        raise AudioError(f"{path} has other columns than Time and IC_<level>, each once: give a CSV of IC values.")
    ic = table[:, 1:].T
    return ICResult(table[:, 0], levels, ic, np.full(ic.shape, np.nan), {"source": path.name})


def write_npz(result: ICResult, path: PathLike) -> None:
    """Write values, errors and provenance without loss.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    provenance = json.dumps(result.provenance, sort_keys=True)
    with replacing(path) as file:
        np.savez_compressed(file, **{name: getattr(result, name) for name in _ARRAYS}, provenance=np.array(provenance))


def read_npz(path: PathLike) -> ICResult:
    """Read what `write_npz` wrote.

    Raises
    ------
    AudioError
        If the file is missing, damaged or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            provenance = json.loads(str(arrays["provenance"]))
            return ICResult(**{name: arrays[name] for name in _ARRAYS}, provenance=provenance)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        RuntimeError,  # zipfile's word for a flag that says "encrypted"
        AttributeError,
        AudioICError,
    ) as error:
        raise AudioError(f"{path} cannot be read as a saved result: give a file that ICResult.save wrote.") from error


@contextmanager
def replacing(path: PathLike) -> Iterator[IO[bytes]]:
    """A file to write that takes the name `path` once the block ends well; otherwise nothing is left of it."""
    path = Path(path)
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            yield file
        # A temporary file is private; the result gets the permissions of any other new file.
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path} cannot be written ({reason}): choose another place or make room.") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
