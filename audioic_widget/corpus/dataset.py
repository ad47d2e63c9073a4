"""Reading a corpus: what was computed, file by file or as tables."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads

from audioic_widget.errors import AudioError, SettingsError
from audioic_widget.result import ICResult


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
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not (self.path / "dataset.json").is_file():
            raise AudioError(f"{self.path} is no dataset of IC values: give a folder that audioic corpus wrote.")

    def __repr__(self) -> str:
        return f"ICDataset({str(self.path)!r})"

    def files(self) -> pd.DataFrame:
        """One row a file: status, error, frames, duration (s), checksum, provenance (JSON), seconds it took."""
        return self._scan("files").to_table().to_pandas()

    def done(self) -> set[str]:
        """Ids of the files that are done, with a result or an error."""
        return set(self._scan("files").to_table(columns=["file"])["file"].to_pylist())

    def values(self, files: Sequence[str] | None = None, noise_level: float | None = None) -> pd.DataFrame:
        """Rows ``file, frame, time, noise_level, ic, stderr``, of some files or one level if asked for."""
        wanted = pads.scalar(True)
        if files is not None:
            wanted = wanted & pads.field("file").cast(pa.string()).isin(list(files))
        if noise_level is not None:
            wanted = wanted & (pads.field("noise_level") == noise_level)
        return self._scan("values").to_table(filter=wanted).to_pandas()

    def summary(self) -> pd.DataFrame:
        """One row a file and level: number of values, mean and standard deviation of IC (nats), mean standard error."""
        valid = self.values().dropna(subset=["ic"])
        groups = valid.groupby(["file", "noise_level"], observed=True)
        return groups.agg(
            frames=("ic", "size"), mean=("ic", "mean"), sd=("ic", "std"), stderr=("stderr", "mean")
        ).reset_index()

    def result(self, file: str) -> ICResult:
        """The result of one file.

        Raises
        ------
        SettingsError
            If it is not in the dataset or has no result.
        """
        rows = self._scan("files").to_table(filter=pads.field("file") == file).to_pylist()
        if not rows or rows[0]["status"] != "ok":
            reason = rows[0]["error"] if rows else "it is not in the dataset"
            raise SettingsError(f"There is no result of {file} ({reason}).")
        provenance = json.loads(rows[0]["provenance"])
        levels = provenance["settings"]["noise_levels"]
        table = self.values([file])
        shape = (len(levels), len(table) // len(levels))
        ic, stderr = (table[name].to_numpy(np.float64).reshape(shape) for name in ("ic", "stderr"))
        return ICResult(table["time"].to_numpy()[: shape[1]], levels, ic, stderr, provenance)

    def _scan(self, folder: str) -> pads.Dataset:
        # Only whole parts: a temporary file of a running job begins with a dot.
        parts = sorted(str(path) for path in (self.path / folder).glob("part-*.parquet"))
        if not parts:
            from audioic_widget.corpus.shard import FILES, VALUES

            return pads.dataset((FILES if folder == "files" else VALUES).empty_table())
        return pads.dataset(parts, format="parquet")
