"""IC as regressors: values on the regular time axis of another recording, EEG or MEG for instance."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from audioic_widget.errors import SettingsError
from audioic_widget.frames import FRAME_PERIOD
from audioic_widget.result import ICResult

Kind = Literal["impulse", "hold", "linear"]
Unit = Literal["raw", "z", "zscore"]


def resample(result: ICResult, rate: float, kind: Kind = "impulse", unit: Unit = "raw") -> NDArray[np.float64]:
    """Values ``(L, n)`` at `rate` samples a second; sample 0 is the begin of the recording, sample i is at ``i / rate`` s.

    Parameters
    ----------
    result : ICResult
    rate : float
        Samples a second, of the EEG for instance.
    kind : {"impulse", "hold", "linear"}
        One sample, nearest to the frame's end, has the value and all others 0 (for response functions); the value
        over its frame's whole span; or straight lines between the ends of frames.
    unit : {"raw", "z", "zscore"}
        Nats, or each level at mean 0 and standard deviation 1 over its frames before resampling; "zscore", as
        `ICResult.normalized` calls it, is another name of "z".

    Returns
    -------
    ndarray (L, n)
        ``n = round(duration * rate)``. Finite everywhere in "z" and for impulses, where no value is 0; else NaN
        where there is no value.

    Raises
    ------
    SettingsError
        If an argument is out of range, or impulses would fall on each other.

    Examples
    --------
    >>> result = ICResult([0.1, 0.2, 0.3], [0.0], [[np.nan, 40.0, 60.0]], np.zeros((1, 3)))
    >>> resample(result, 20.0, "linear", unit="z")
    array([[ 0.,  0.,  0.,  0., -1.,  0.]])
    """
    for name, value, choices in (("kind", kind, Kind), ("unit", unit, Unit)):
        if value not in get_args(choices):
            options = ", ".join(f'"{choice}"' for choice in get_args(choices))
            raise SettingsError(f"{name} must be one of {options}, not {value!r}.")
    if not (np.isfinite(rate) and rate > 0):
        raise SettingsError(f"rate must be a number of samples a second above 0, not {rate!r}.")
    if kind == "impulse" and rate * FRAME_PERIOD < 1:
        raise SettingsError(f"At {rate:g} samples a second impulses fall on each other: use 10.8 or more.")
    duration = result.provenance.get("audio", {}).get("duration", result.time[-1] if len(result.time) else 0.0)
    samples = np.arange(round(duration * rate)) / rate
    standard = unit != "raw"
    rows = (result.normalized("zscore") if standard else result).ic
    out = np.stack([_row(result.time, row, samples, rate, kind) for row in rows])
    return np.nan_to_num(out, nan=0.0) if standard or kind == "impulse" else out


def _row(
    time: NDArray[np.float64], values: NDArray[np.float64], samples: NDArray[np.float64], rate: float, kind: Kind
) -> NDArray[np.float64]:
    out = np.full(len(samples), np.nan)
    if kind == "impulse":
        at = np.rint(time * rate).astype(int)
        inside = at < len(out)
        out[at[inside]] = values[inside]
    elif kind == "hold":
        # A sample at a frame's end belongs to the next frame.
        frame = np.searchsorted(time, samples + 1e-9, side="right")
        inside = frame < len(time)
        inside[inside] &= samples[inside] >= time[frame[inside]] - FRAME_PERIOD - 1e-9
        out[inside] = values[frame[inside]]
    else:
        out = np.interp(samples, time, values, left=np.nan, right=np.nan)
    return out
