"""Results as files. Every file is written under a temporary name and then renamed: what exists is whole."""

from audioic_widget.formats.annotations import (
    Label,
    peak_labels,
    read_audacity,
    read_jams,
    read_textgrid,
    write_audacity,
    write_jams,
    write_sonic_visualiser,
    write_textgrid,
)
from audioic_widget.formats.arrays import from_xarray, read_netcdf, read_npz, to_xarray, write_netcdf, write_npz
from audioic_widget.formats.files import PathLike, replacing
from audioic_widget.formats.tables import csv_text, parquet_bytes, read_csv, read_parquet, write_csv, write_parquet

__all__ = [
    "Label",
    "PathLike",
    "csv_text",
    "from_xarray",
    "parquet_bytes",
    "peak_labels",
    "read_audacity",
    "read_csv",
    "read_jams",
    "read_netcdf",
    "read_npz",
    "read_parquet",
    "read_textgrid",
    "replacing",
    "to_xarray",
    "write_audacity",
    "write_csv",
    "write_jams",
    "write_netcdf",
    "write_npz",
    "write_parquet",
    "write_sonic_visualiser",
    "write_textgrid",
]
