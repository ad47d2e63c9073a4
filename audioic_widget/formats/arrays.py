"""Arrays with their names: npz, and xarray with NetCDF."""

from __future__ import annotations

import json
import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np

from audioic_widget.errors import AudioError, AudioICError, ModelError
from audioic_widget.formats.files import PathLike, replacing
from audioic_widget.result import ICResult

if TYPE_CHECKING:
    import xarray as xr

_ARRAYS = ("time", "noise_levels", "ic", "stderr")


def write_npz(result: ICResult, path: PathLike) -> None:
    """Write values, errors and provenance of `result` without loss to `path`.

    Raises
    ------
    OutputError
        If the file cannot be written.

    Examples
    --------
    >>> write_npz(ICResult([0.1, 0.2], [0.3], [[np.nan, 41.5]], [[np.nan, 0.2]]), "song.npz")
    """
    provenance = json.dumps(result.provenance, sort_keys=True)
    with replacing(path) as file:
        np.savez_compressed(file, **{name: getattr(result, name) for name in _ARRAYS}, provenance=np.array(provenance))


def read_npz(path: PathLike) -> ICResult:
    """Read what `write_npz` wrote to `path`.

    Raises
    ------
    AudioError
        If the file is missing, damaged or something else.

    Examples
    --------
    >>> write_npz(ICResult([0.1, 0.2], [0.3], [[np.nan, 41.5]], [[np.nan, 0.2]]), "song.npz")
    >>> read_npz("song.npz").ic_at(0.3)
    array([ nan, 41.5])
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


def to_xarray(result: ICResult) -> xr.Dataset:
    """The `result` as variables ``ic`` and ``stderr`` (nats) over ``noise_level`` and ``time`` (end of frame, s); provenance as JSON.

    Raises
    ------
    ModelError
        If the package xarray is not installed.

    Examples
    --------
    >>> dataset = to_xarray(ICResult([0.1, 0.2], [0.3], [[np.nan, 41.5]], [[np.nan, 0.2]]))
    >>> dict(dataset.sizes)
    {'noise_level': 1, 'time': 2}
    """
    try:
        import xarray as xr
    except ImportError as error:
        raise ModelError(
            'This needs the package xarray: install it with pip install "audioic-widget[xarray]".'
        ) from error
    over, nats = ("noise_level", "time"), {"units": "nat/frame"}
    return xr.Dataset(
        {"ic": (over, result.ic, nats), "stderr": (over, result.stderr, nats)},
        {
            "noise_level": result.noise_levels,
            "time": ("time", result.time, {"units": "s", "long_name": "end of frame"}),
        },
        {"provenance": json.dumps(result.provenance, sort_keys=True)},
    )


def from_xarray(dataset: xr.Dataset) -> ICResult:
    """The result that `to_xarray` made `dataset` of; a `KeyError` or `ValueError` if it is another kind.

    Examples
    --------
    >>> from_xarray(to_xarray(ICResult([0.1, 0.2], [0.3], [[np.nan, 41.5]], [[np.nan, 0.2]]))).ic_at(0.3)
    array([ nan, 41.5])
    """
    ic, stderr = (dataset[name].transpose("noise_level", "time").values for name in ("ic", "stderr"))
    provenance = json.loads(dataset.attrs["provenance"])
    return ICResult(dataset["time"].values, dataset["noise_level"].values, ic, stderr, provenance)


def write_netcdf(result: ICResult, path: PathLike) -> None:
    """Write `to_xarray` of `result` to `path` as NetCDF 3, which everything that reads NetCDF reads.

    Raises
    ------
    OutputError
        If the file cannot be written.

    Examples
    --------
    >>> write_netcdf(ICResult([0.1, 0.2], [0.3], [[np.nan, 41.5]], [[np.nan, 0.2]]), "song.nc")
    """
    content = to_xarray(result).to_netcdf(engine="scipy", format="NETCDF3_64BIT")
    with replacing(path) as file:
        file.write(content)


def read_netcdf(path: PathLike) -> ICResult:
    """Read what `write_netcdf` wrote to `path`.

    Raises
    ------
    AudioError
        If the file is missing, damaged or something else.

    Examples
    --------
    >>> write_netcdf(ICResult([0.1, 0.2], [0.3], [[np.nan, 41.5]], [[np.nan, 0.2]]), "song.nc")
    >>> read_netcdf("song.nc").ic_at(0.3)
    array([ nan, 41.5])
    """
    import xarray as xr

    try:
        with xr.open_dataset(path, engine="scipy", decode_times=False) as dataset:
            return from_xarray(dataset.load())
    except (OSError, ValueError, KeyError, TypeError, IndexError, AssertionError, AudioICError) as error:
        raise AudioError(f"{path} cannot be read as a result: give a NetCDF file that write_netcdf wrote.") from error
