"""Results as files: CSV in the published columns, npz with everything.

Every file is written under a temporary name and then renamed: what exists is whole.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from audioic_widget.errors import AudioICError, AudioError, OutputError
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
        file.write(result.to_dataframe().to_csv(index=False, na_rep="nan", lineterminator="\n").encode())


def read_csv(path: PathLike) -> ICResult:
    """Read a CSV in the published columns; standard errors, which it does not hold, are NaN.

    Raises
    ------
    AudioError
        If the file is missing or has other columns or values.
    """
    path = Path(path)
    try:
        table = pd.read_csv(path, dtype=np.float64, float_precision="round_trip")
        levels = [float(str(name).removeprefix("IC_")) for name in table.columns[1:] if str(name).startswith("IC_")]
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise AudioError(f"{path} cannot be read as IC values: give a CSV with the columns Time and IC_<level>.") from error
    if list(table.columns[:1]) != ["Time"] or not levels or len(levels) != len(table.columns) - 1:
        raise AudioError(f"{path} has other columns than Time and IC_<level>: give a CSV of IC values.")
    ic = table.iloc[:, 1:].to_numpy().T
    return ICResult(table["Time"], levels, ic, np.full(ic.shape, np.nan), {"source": path.name})


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
            return ICResult(*(arrays[name] for name in _ARRAYS), provenance)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, AttributeError, AudioICError) as error:
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
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path} cannot be written ({reason}): choose another place or make room.") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
