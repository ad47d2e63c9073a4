"""Tables with one row a frame: CSV in the published columns, Parquet with errors and provenance."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

from audioic_widget.errors import AudioError, AudioICError
from audioic_widget.formats.files import PathLike, read_beside, replacing, write_beside
from audioic_widget.result import ICResult


def write_csv(result: ICResult, path: PathLike) -> None:
    """Write `result` to `path` as ``Time,IC_<level>,...``: one row a frame, ``nan`` where there is no value, digits that read back exactly; provenance in a file beside it.

    Raises
    ------
    OutputError
        If the file cannot be written.

    Examples
    --------
    >>> write_csv(ICResult([0.1, 0.2], [0.3], [[np.nan, 41.5]], [[np.nan, 0.2]]), "song.csv")
    >>> Path("song.csv.json").exists()
    True
    """
    write_beside(path, csv_text(result).encode(), result.provenance)


def csv_text(result: ICResult) -> str:
    """What `write_csv` writes of `result`.

    Examples
    --------
    >>> print(csv_text(ICResult([0.1, 0.2], [0.3], [[np.nan, 41.5]], [[np.nan, 0.2]])), end="")
    Time,IC_0.3
    0.1,nan
    0.2,41.5
    """
    return result.to_dataframe().to_csv(index=False, na_rep="nan", lineterminator="\n")


def read_csv(path: PathLike) -> ICResult:
    """Read a CSV in the published columns from `path`; standard errors, which it does not hold, are NaN.

    Provenance is that of the file beside it, if it belongs to this content.

    Raises
    ------
    AudioError
        If the file is missing or has other columns or values.

    Examples
    --------
    >>> write_csv(ICResult([0.1, 0.2], [0.3], [[np.nan, 41.5]], [[np.nan, 0.2]]), "song.csv")
    >>> read_csv("song.csv").ic_at(0.3)
    array([ nan, 41.5])
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        lines = content.decode("utf-8").splitlines()
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
    return ICResult(
        table[:, 0], levels, ic, np.full(ic.shape, np.nan), read_beside(path, content) or {"source": path.name}
    )


def write_parquet(result: ICResult, path: PathLike) -> None:
    """Write `result` to `path`: ``Time``, ``IC_<level>`` and ``SE_<level>`` (standard error) for every level; provenance in the schema.

    Raises
    ------
    OutputError
        If the file cannot be written.

    Examples
    --------
    >>> write_parquet(ICResult([0.1, 0.2], [0.3], [[np.nan, 41.5]], [[np.nan, 0.2]]), "song.parquet")
    """
    with replacing(path) as file:
        file.write(parquet_bytes(result))


def parquet_bytes(result: ICResult) -> bytes:
    """What `write_parquet` writes of `result`.

    Examples
    --------
    >>> parquet_bytes(ICResult([0.1, 0.2], [0.3], [[np.nan, 41.5]], [[np.nan, 0.2]]))[:4]
    b'PAR1'
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: column.to_numpy() for name, column in result.to_dataframe(stderr=True).items()}
    note = {"audioic": json.dumps({"provenance": result.provenance, "noise_levels": result.noise_levels.tolist()})}
    table = pa.table(columns).replace_schema_metadata(note)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def read_parquet(path: PathLike) -> ICResult:
    """Read what `write_parquet` wrote to `path`.

    Raises
    ------
    AudioError
        If the file is missing, damaged or something else.

    Examples
    --------
    >>> write_parquet(ICResult([0.1, 0.2], [0.3], [[np.nan, 41.5]], [[np.nan, 0.2]]), "song.parquet")
    >>> read_parquet("song.parquet").ic_at(0.3)
    array([ nan, 41.5])
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with Path(path).open("rb") as file:
            table = pq.read_table(file)
        note = json.loads((table.schema.metadata or {})[b"audioic"])
        levels = [float(level) for level in note["noise_levels"]]
        ic, stderr = (np.stack([table[f"{name}_{level}"].to_numpy() for level in levels]) for name in ("IC", "SE"))
        return ICResult(table["Time"].to_numpy(), levels, ic, stderr, note["provenance"])
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException, AudioICError) as error:
        raise AudioError(f"{path} cannot be read as a result: give a Parquet file that write_parquet wrote.") from error
