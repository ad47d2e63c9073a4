"""Reading a corpus: what was computed, file by file or as tables."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads

from audioic_widget.corpus.parts import FILES, VALUES
from audioic_widget.corpus.shard import read_item
from audioic_widget.corpus.sources import Item
from audioic_widget.errors import AudioError, SettingsError
from audioic_widget.model.catalogue import ICModel, load_model
from audioic_widget.result import ICResult
from audioic_widget.settings import ICSettings

if TYPE_CHECKING:
    from audioic_widget.widget import AudioICWidget


class ICDataset:
    """A dataset that `compute_corpus` wrote: Parquet under ``values/`` and ``files/``, read when asked for.

    Parameters
    ----------
    path : path
        Its folder.

    Raises
    ------
    AudioError
        If there is none.

    Examples
    --------
    >>> from audioic_widget import compute_corpus, example
    >>> made = compute_corpus([example("loop")], "dataset", preset="draft", noise_levels=[0.3])
    >>> data = ICDataset("dataset")
    >>> data.files()["status"].tolist()
    ['ok']
    >>> data.values(noise_level=0.3).columns.tolist()
    ['file', 'frame', 'time', 'noise_level', 'ic', 'stderr']
    >>> data.summary().columns.tolist()
    ['file', 'noise_level', 'frames', 'mean', 'sd', 'stderr']
    >>> (name,) = data.done()
    >>> data.result(name).noise_levels
    array([0.3])
    >>> data.model["name"]
    'mini'
    >>> data.scan("files").count_rows()
    1
    >>> widget = data.open(name)
    >>> widget.wait(timeout=300).noise_levels
    array([0.3])
    >>> widget.close()
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not (self.path / "dataset.json").is_file():
            raise AudioError(f"{self.path} is no dataset of IC values: give a folder that audioic corpus wrote.")

    def __repr__(self) -> str:
        return f"ICDataset({str(self.path)!r})"

    @property
    def model(self) -> dict[str, str]:
        """Name and SHA-256 of the model that computed it.

        Raises
        ------
        AudioError
            If the dataset's description is damaged.
        """
        path = self.path / "dataset.json"
        try:
            model = json.loads(path.read_text(encoding="utf-8"))["model"]
            return {name: str(model[name]) for name in ("name", "sha256")}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AudioError(f"{path} is damaged: call audioic corpus with a new folder.") from error

    def scan(self, table: Literal["values", "files"] = "values") -> pads.Dataset:
        """The tables, `table` being "values" or "files", as a lazy `pyarrow.dataset.Dataset`, which Polars, DuckDB and Dask take as it is.

        Examples
        --------
        ``polars.scan_pyarrow_dataset(dataset.scan())`` is a lazy frame; ``dataset.scan().to_batches(filter=...)`` reads
        piece by piece.
        """
        # Only whole parts: a temporary file of a running job begins with a dot.
        parts = sorted(str(path) for path in (self.path / table).glob("part-*.parquet"))
        if not parts:
            return pads.dataset((FILES if table == "files" else VALUES).empty_table())
        return pads.dataset(parts, format="parquet")

    def files(self) -> pd.DataFrame:
        """One row a file: status, error, frames, duration (s), checksum, provenance (JSON), seconds it took."""
        return self.scan("files").to_table().to_pandas()

    def done(self) -> set[str]:
        """Ids of the files that are done, with a result or an error."""
        return set(self.scan("files").to_table(columns=["file"])["file"].to_pylist())

    def values(self, files: Sequence[str] | None = None, noise_level: float | None = None) -> pd.DataFrame:
        """Rows ``file, frame, time, noise_level, ic, stderr``, of some `files` or one `noise_level` if asked for; s, nats."""
        wanted = pads.scalar(True)
        if files is not None:
            wanted = wanted & pads.field("file").cast(pa.string()).isin(list(files))
        if noise_level is not None:
            wanted = wanted & (pads.field("noise_level") == noise_level)
        return self.scan().to_table(filter=wanted).to_pandas()

    def summary(self) -> pd.DataFrame:
        """One row a file and level: number of values, mean and standard deviation of IC (nats), mean standard error."""
        # Part by part: all values of a file lie in one.
        parts = [_summary_of(part.to_table().to_pandas()) for part in self.scan().get_fragments()]
        return pd.concat(parts or [_summary_of(VALUES.empty_table().to_pandas())], ignore_index=True)

    def result(self, file: str) -> ICResult:
        """The result of one `file`, named by its id.

        Raises
        ------
        SettingsError
            If it is not in the dataset or has no result.
        """
        provenance = json.loads(self._row(file)["provenance"])
        levels = provenance["settings"]["noise_levels"]
        table = self.values([file])
        shape = (len(levels), len(table) // len(levels))
        ic, stderr = (table[name].to_numpy(np.float64).reshape(shape) for name in ("ic", "stderr"))
        return ICResult(table["time"].to_numpy()[: shape[1]], levels, ic, stderr, provenance)

    def open(self, file: str, *, model: str | os.PathLike[str] | ICModel | None = None, **fields: Any) -> AudioICWidget:
        """One file in the widget, with the settings that it was computed with.

        Parameters
        ----------
        file : str
            Its id.
        model : str, path or ICModel, optional
            The dataset's own, which must be named here if it is known by a path.
        **fields
            What `AudioICWidget` takes besides.

        Raises
        ------
        SettingsError
            If the file is not in the dataset or has no result, or `model` is not the one that computed it.
        AudioICError
            If model or file cannot be read any more.
        """
        from audioic_widget.widget import AudioICWidget

        row = self._row(file)
        loaded = load_model(self.model["name"] if model is None else model, fields.pop("device", "auto"))
        if loaded.digest != self.model["sha256"]:
            raise SettingsError(f"{self.path} was computed with another model than {loaded.name}: give it as model.")
        settings = ICSettings(**json.loads(row["provenance"])["settings"])
        recording = read_item(Item(row["file"], row["path"], row["start"], row["end"]))[1]
        return AudioICWidget(recording, model=loaded, settings=settings, **fields)

    def _row(self, file: str) -> dict[str, Any]:
        """The row of a file that has a result."""
        rows = self.scan("files").to_table(filter=pads.field("file") == file).to_pylist()
        if not rows or rows[0]["status"] != "ok":
            reason = rows[0]["error"] if rows else "it is not in the dataset"
            raise SettingsError(f"There is no result of {file} ({reason}).")
        return rows[0]


def _summary_of(values: pd.DataFrame) -> pd.DataFrame:
    groups = values.dropna(subset=["ic"]).groupby(["file", "noise_level"], observed=True)
    summary = groups.agg(frames=("ic", "size"), mean=("ic", "mean"), sd=("ic", "std"), stderr=("stderr", "mean"))
    return summary.reset_index().astype({"file": str})
