"""What a computation gives: values on the frame grid, their errors, and where they come from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audioic_widget.errors import SettingsError
from audioic_widget.frames import FRAME_PERIOD
from audioic_widget.likelihood.bounds import SLACK, floor, no_knowledge

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ICResult:
    """Information content of a recording.

    Attributes
    ----------
    time : ndarray (F,)
        End of each frame in seconds.
    noise_levels : ndarray (L,)
        In the order in which they were asked for.
    ic : ndarray (L, F)
        Nats a frame; NaN in leading and trailing silence and in the first sounding frame.
    stderr : ndarray (L, F)
        Standard error of the randomised parts (divergence probes, Monte Carlo draws), in nats; NaN where it
        cannot be estimated (a single probe) and zero for an exact trace. The solver's error is not in it.
    provenance : dict
        Versions, model, settings, audio; JSON values only.

    Raises
    ------
    SettingsError
        If shapes do not fit.

    Examples
    --------
    >>> result = ICResult([0.1, 0.2, 0.3], [0.3], [[np.nan, 41.5, 40.5]], [[np.nan, 0.2, 0.1]])
    >>> result.ic_at(0.3)
    array([ nan, 41.5, 40.5])
    >>> result.between(0.22, 0.3).ic
    array([[40.5]])
    >>> result.normalized("minmax").ic
    array([[nan,  1.,  0.]])
    >>> result.peaks(k=1)["time"].tolist()
    [0.2]
    >>> result.summary()["mean"].tolist()
    [41.0]
    >>> result.to_dataframe().columns.tolist()
    ['Time', 'IC_0.3']
    >>> result.below_floor
    array([[False, False, False]])
    >>> result.resample(20.0, "linear").shape
    (1, 6)
    >>> axes = result.plot()
    >>> result.to_csv("song.csv")
    >>> result.save("song.npz")
    >>> ICResult.load("song.npz")
    ICResult(3 frames, 0.3 s, noise levels 0.3)
    """

    time: Floats
    noise_levels: Floats
    ic: Floats
    stderr: Floats
    provenance: Mapping[str, Any]

    def __init__(
        self,
        time: ArrayLike,
        noise_levels: ArrayLike,
        ic: ArrayLike,
        stderr: ArrayLike,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        arrays = {"time": time, "noise_levels": noise_levels, "ic": ic, "stderr": stderr}
        for name, values in arrays.items():
            object.__setattr__(self, name, np.asarray(values, dtype=np.float64))
        object.__setattr__(self, "provenance", dict(provenance or {}))
        if self.time.ndim != 1 or self.noise_levels.ndim != 1:
            raise SettingsError("time and noise_levels must be one-dimensional.")
        shape = (len(self.noise_levels), len(self.time))
        if self.ic.shape != shape or self.stderr.shape != shape:
            raise SettingsError(
                f"ic and stderr must have shape (levels, frames) = {shape}, not {self.ic.shape} and {self.stderr.shape}."
            )

    def __repr__(self) -> str:
        levels = ", ".join(f"{level:g}" for level in self.noise_levels)
        end = self.time[-1] if len(self.time) else 0.0
        return f"ICResult({len(self.time)} frames, {end:.1f} s, noise levels {levels})"

    @property
    def below_floor(self) -> NDArray[np.bool_]:
        """Values ``(L, F)`` more than a nat below what an exact flow could give: an alarm about the model or the mode."""
        floors = np.array([floor(level) - SLACK for level in self.noise_levels])
        scales = self.provenance.get("normalized")
        if scales is not None:
            floors = (floors - np.array(scales["shift"])) / np.array(scales["scale"])
        below: NDArray[np.bool_] = self.ic < floors[:, None]
        return below

    def ic_at(self, noise_level: float) -> Floats:
        """IC ``(F,)`` in nats at `noise_level`, one of the computed levels.

        Raises
        ------
        SettingsError
            If the level was not computed.
        """
        return self.ic[self._index(noise_level)]

    def _index(self, noise_level: float) -> int:
        found = np.flatnonzero(np.isclose(self.noise_levels, noise_level, rtol=0, atol=1e-9))
        if not len(found):
            known = ", ".join(f"{level:g}" for level in self.noise_levels)
            raise SettingsError(f"Noise level {noise_level:g} was not computed: choose one of {known}.")
        return int(found[0])

    def between(self, start: float, end: float) -> ICResult:
        """The frames that end after `start` and begin before `end`, both in seconds."""
        # A frame's begin and its predecessor's end are one time, but not one floating-point number.
        tolerance = 1e-9
        inside = (self.time > start + tolerance) & (self.time - FRAME_PERIOD < end - tolerance)
        return ICResult(
            self.time[inside], self.noise_levels, self.ic[:, inside], self.stderr[:, inside], self.provenance
        )

    @property
    def no_knowledge(self) -> Floats:
        """The closed-form line of each level ``(L,)``, in nats: what a unit Gaussian without context says.

        Examples
        --------
        >>> import audioic_widget as aw
        >>> aw.compute_ic(aw.example("minuet"), preset="draft", noise_levels=[0.3]).no_knowledge.round(2)
        array([68.42])
        """
        settings = self.provenance.get("settings", {})
        mode = settings.get("noising", "expectation"), settings.get("monte_carlo_samples")
        return np.array([no_knowledge(level, *mode) for level in self.noise_levels.tolist()])

    def normalized(self, method: Literal["zscore", "minmax", "headroom"] = "zscore") -> ICResult:
        """Each level on a scale of its own, since raw nats cannot be compared between levels.

        Parameters
        ----------
        method : {"zscore", "minmax", "headroom"}
            Mean 0 and standard deviation 1; 0 to 1; or nats above the closed-form "no knowledge" line.

        Raises
        ------
        SettingsError
            If `method` is none of these.
        """
        if method == "zscore":
            shift, scale = _nan(np.nanmean, self.ic), _nan(np.nanstd, self.ic)
        elif method == "minmax":
            shift = _nan(np.nanmin, self.ic)
            scale = _nan(np.nanmax, self.ic) - shift
        elif method == "headroom":
            shift = self.no_knowledge[:, None]
            scale = np.ones_like(shift)
        else:
            raise SettingsError(f'method must be "zscore", "minmax" or "headroom", not {method!r}.')
        # A row of one value has no spread, only what rounding leaves of it.
        flat = _nan(np.nanmax, self.ic) == _nan(np.nanmin, self.ic)
        scale = np.where(flat | ~(scale > 0), 1.0, scale)
        scales = {"method": method, "shift": shift[:, 0].tolist(), "scale": scale[:, 0].tolist()}
        note = {**self.provenance, "normalized": scales}
        return ICResult(self.time, self.noise_levels, (self.ic - shift) / scale, self.stderr / scale, note)

    def peaks(self, noise_level: float | None = None, k: int = 10, min_distance: float = 0.2) -> pd.DataFrame:
        """The `k` most surprising moments of a level: local maxima, highest first.

        Parameters
        ----------
        noise_level : float, optional
            The first level if not given.
        k : int
            At most so many.
        min_distance : float
            Least distance of two peaks in seconds.

        Returns
        -------
        DataFrame
            Columns ``time`` (end of frame, s), ``ic`` and ``stderr`` (nats), ``noise_level``.
        """
        import pandas as pd
        from scipy.signal import find_peaks

        row = 0 if noise_level is None else self._index(noise_level)
        values = np.where(np.isnan(self.ic[row]), -np.inf, self.ic[row])
        distance = max(round(min_distance / FRAME_PERIOD), 1)
        at, _ = find_peaks(np.concatenate(([-np.inf], values, [-np.inf])), distance=distance)
        at -= 1
        best = at[np.argsort(-values[at], kind="stable")][:k]
        return pd.DataFrame(
            {
                "time": self.time[best],
                "ic": self.ic[row, best],
                "stderr": self.stderr[row, best],
                "noise_level": self.noise_levels[row],
            }
        )

    def summary(self) -> pd.DataFrame:
        """One row a level: values, mean, sd, min, max, mean standard error (nats), share below the floor."""
        import pandas as pd

        valid = ~np.isnan(self.ic)
        counts = np.maximum(valid.sum(axis=1), 1)
        return pd.DataFrame(
            {
                "noise_level": self.noise_levels,
                "frames": valid.sum(axis=1),
                "mean": _nan(np.nanmean, self.ic)[:, 0],
                "sd": _nan(np.nanstd, self.ic)[:, 0],
                "min": _nan(np.nanmin, self.ic)[:, 0],
                "max": _nan(np.nanmax, self.ic)[:, 0],
                "stderr": _nan(np.nanmean, self.stderr)[:, 0],
                "below_floor": self.below_floor.sum(axis=1) / counts,
            }
        )

    def to_dataframe(self, *, stderr: bool = False) -> pd.DataFrame:
        """One row a frame: ``Time`` (end of frame, s) and ``IC_<level>`` (nats) for every level, the published columns.

        With `stderr`, then ``SE_<level>`` (standard error, nats) for every level.
        """
        import pandas as pd

        columns = {"Time": self.time}
        for name, rows in (("IC", self.ic), ("SE", self.stderr))[: 2 if stderr else 1]:
            columns |= {f"{name}_{level}": row for level, row in zip(self.noise_levels.tolist(), rows, strict=True)}
        return pd.DataFrame(columns)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the published columns (``Time,IC_<level>...``) as CSV to `path`; see `formats.write_csv`."""
        from audioic_widget.formats import write_csv

        write_csv(self, path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything, provenance included, as npz to `path`; `load` reads it back."""
        from audioic_widget.formats import write_npz

        write_npz(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ICResult:
        """Read what `save` wrote to `path`."""
        from audioic_widget.formats import read_npz

        return read_npz(path)

    def resample(
        self,
        rate: float,
        kind: Literal["impulse", "hold", "linear"] = "impulse",
        unit: Literal["raw", "z", "zscore"] = "raw",
    ) -> Floats:
        """Regressors ``(L, n)`` at `rate` samples a second from the recording's begin; `kind` and `unit` as in `regressors.resample`."""
        from audioic_widget.regressors import resample

        return resample(self, rate, kind, unit)

    def plot(self, ax: Axes | None = None, levels: Sequence[float] | None = None) -> Axes | NDArray[np.object_]:
        """Draw the traces (of `levels`) with matplotlib: lanes ``(L, 1)``, or all in `ax`; see `audioic_widget.plot.plot_ic`."""
        from audioic_widget.plot import plot_ic

        return plot_ic(self, ax=ax, levels=levels)


def _nan(reduce: Any, values: Floats) -> Floats:
    """A row-wise reduction that ignores NaN: ``(L, 1)``; NaN, without numpy's warning, for a row of nothing else."""
    rows = [reduce(row[~np.isnan(row)]) if not np.isnan(row).all() else np.nan for row in values]
    return np.array(rows, dtype=np.float64)[:, None]
