"""Results written and read back; what is damaged is named, what cannot be written leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from audioic_widget.errors import AudioError, OutputError
from audioic_widget.formats import read_csv, read_npz, replacing, write_csv, write_npz
from audioic_widget.formats.files import sidecar
from audioic_widget.frames import FrameGrid
from audioic_widget.result import ICResult

Write = Callable[[ICResult, str | os.PathLike[str]], None]

PROVENANCE = {"model": {"name": "mini"}, "settings": {"noise_levels": [0.0, 0.3]}, "audio": {"name": "Dvořák № 9.wav"}}

LEVELS = st.lists(st.floats(0, 1), min_size=1, max_size=5, unique=True)
NATS = st.floats(allow_nan=True, allow_infinity=False)


@st.composite
def results(draw: st.DrawFn) -> ICResult:
    """Any values on the frame grid, NaN and extremes included."""
    levels = draw(LEVELS)
    time = FrameGrid(4_096 * draw(st.integers(1, 40))).end_times()
    shape = (len(levels), len(time))
    return ICResult(time, levels, draw(arrays.arrays(float, shape, elements=NATS)), np.zeros(shape), PROVENANCE)


def result(frames: int = 20, seed: int = 0) -> ICResult:
    values = np.random.default_rng(seed).normal(50, 9, (2, 2, frames))
    values[:, :, :3] = np.nan
    return ICResult(FrameGrid(4_096 * frames).end_times(), [0.0, 0.3], values[0], np.abs(values[1]), PROVENANCE)


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: the next write fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(params=[write_csv, write_npz])
def write(request: pytest.FixtureRequest) -> Write:
    writer: Write = request.param
    return writer


@given(given_result=results())
def test_a_csv_reads_back_exactly(tmp_path_factory: pytest.TempPathFactory, given_result: ICResult) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    write_csv(given_result, path)
    read = read_csv(path)
    np.testing.assert_array_equal(read.time, given_result.time)
    np.testing.assert_array_equal(read.noise_levels, given_result.noise_levels)
    np.testing.assert_array_equal(read.ic, given_result.ic)
    assert np.isnan(read.stderr).all()
    assert read.provenance == given_result.provenance


@given(given_result=results())
def test_an_npz_reads_back_everything(tmp_path_factory: pytest.TempPathFactory, given_result: ICResult) -> None:
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    write_npz(given_result, path)
    read = read_npz(path)
    for name in ("time", "noise_levels", "ic", "stderr"):
        np.testing.assert_array_equal(getattr(read, name), getattr(given_result, name))
    assert read.provenance == given_result.provenance


def test_a_csv_has_the_published_columns_and_a_row_for_every_frame(tmp_path: Path) -> None:
    levels = [0.5, 0.0, 0.25]
    values = np.array([[np.nan, 1.5], [np.nan, 2.0], [np.nan, -3.25]])
    ICResult([0.5, 1.0], levels, values, values).to_csv(tmp_path / "a.csv")
    text = (tmp_path / "a.csv").read_bytes().decode()
    assert text == "Time,IC_0.5,IC_0.0,IC_0.25\n0.5,nan,nan,nan\n1.0,1.5,2.0,-3.25\n"


def test_the_times_of_a_long_file_are_exact_in_the_csv(tmp_path: Path) -> None:
    frames = 38_760  # an hour
    given_result = ICResult(FrameGrid(4_096 * frames).end_times(), [0.0], np.zeros((1, frames)), np.zeros((1, frames)))
    write_csv(given_result, tmp_path / "a.csv")
    time = pd.read_csv(tmp_path / "a.csv")["Time"].to_numpy()
    np.testing.assert_allclose(time, np.arange(1, frames + 1) * 4_096 / 44_100, rtol=0, atol=1e-9)


def test_save_and_load_are_the_npz_under_any_name(tmp_path: Path) -> None:
    for name in ("a.npz", "no ending", "Ünï.dat"):
        result().save(tmp_path / name)
        assert ICResult.load(tmp_path / name).provenance == PROVENANCE
    assert {path.name for path in tmp_path.iterdir()} == {"a.npz", "no ending", "Ünï.dat"}


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    write_csv(result(), tmp_path / "a.csv")
    write_csv(result(), tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path: Path, write: Write) -> None:
    write(result(), tmp_path / "result")
    (tmp_path / "other").touch()
    assert stat.S_IMODE((tmp_path / "result").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_a_full_disk_leaves_no_file(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "result"
    with room_for(1_000), pytest.raises(OutputError, match=r"result cannot be written \(.+\): .+\.$"):
        write(result(frames=2_000), path)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_keeps_the_older_file(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "result"
    write(result(), path)
    older = path.read_bytes()
    with room_for(1_000), pytest.raises(OutputError):
        write(result(frames=2_000, seed=1), path)
    assert path.read_bytes() == older
    assert set(tmp_path.iterdir()) <= {path, sidecar(path)}


def test_provenance_beside_a_csv_is_taken_only_if_it_belongs_to_it(tmp_path: Path) -> None:
    write_csv(result(), tmp_path / "a.csv")
    assert read_csv(tmp_path / "a.csv").provenance == PROVENANCE
    with (tmp_path / "a.csv").open("a") as file:
        file.write("9.0,1,2\n")
    assert read_csv(tmp_path / "a.csv").provenance == {"source": "a.csv"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_work_that_ends_early_keeps_the_older_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "result"
    path.write_bytes(b"older")

    def work() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        work()
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_appears_under_its_name_only_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "result"
    with replacing(path) as file:
        file.write(b"first half, ")
        file.flush()
        assert not path.exists()
        file.write(b"second half")
    assert path.read_bytes() == b"first half, second half"


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path, write: Write) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for place in (tmp_path / "missing" / "a.csv", folder):
        with pytest.raises(OutputError, match=f"{place} cannot be written"):
            write(result(), place)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Time\n0.1\n",
        "time,ic\n0.1,2\n",
        "IC_0.0,Time\n0.1,2\n",
        "Time,IC_0.0,mood\n0.1,2,3\n",
        "Time,IC_low\n0.1,2\n",
        "Time,IC_0.0\n0.1,loud\n",
        'Time,IC_0.0\n"0.1,2\n',
        "RIFF\0\0\0",
        "no table at all",
    ],
)
def test_a_csv_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(AudioError, match=r"a\.csv .+: give a CSV .+\.$"):
        read_csv(tmp_path / "a.csv")


@pytest.mark.parametrize("read", [read_csv, read_npz])
def test_what_is_missing_or_a_folder_is_refused(tmp_path: Path, read: Callable[[Path], ICResult]) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(AudioError, match=f"{path} cannot be read"):
            read(path)


def test_a_saved_result_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    result().save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 50):
        path.write_bytes(whole[:length])
        with pytest.raises(AudioError, match=r"a\.npz cannot be read as a saved result"):
            ICResult.load(path)


def test_arrays_that_are_no_saved_result_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    fine = {name: getattr(result(), name) for name in ("time", "noise_levels", "ic", "stderr")}
    contents = [
        {},
        fine,
        {**fine, "provenance": np.array("no JSON")},
        {**fine, "provenance": np.array("5")},
        {**fine, "provenance": np.array("{}"), "ic": fine["ic"][:, :-1]},
        {**fine, "provenance": np.array("{}"), "ic": np.array([["x"]])},
    ]
    for content in contents:
        np.savez(path, **content)
        with pytest.raises(AudioError, match="cannot be read as a saved result"):
            read_npz(path)
    np.save(tmp_path / "a.npy", fine["ic"])
    with pytest.raises(AudioError, match="cannot be read as a saved result"):
        read_npz(tmp_path / "a.npy")


class RunsCode:
    """Makes a folder as soon as it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.mkdir, (self.folder,)


def test_code_in_a_saved_result_is_refused_and_not_run(tmp_path: Path) -> None:
    fine = {name: getattr(result(), name) for name in ("time", "noise_levels", "ic", "stderr")}
    np.savez(tmp_path / "a.npz", **fine, provenance=np.array([RunsCode(tmp_path / "code was run")]))
    with pytest.raises(AudioError, match="cannot be read as a saved result"):
        read_npz(tmp_path / "a.npz")
    assert not (tmp_path / "code was run").exists()


def test_a_saved_result_with_a_flipped_byte_is_whole_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    result().save(path)
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 255]) + whole[position + 1 :])
        with contextlib.suppress(AudioError):
            np.testing.assert_array_equal(ICResult.load(path).ic, result().ic)


@pytest.mark.parametrize(
    "text",
    ["Time,IC_0.0\n1,2,3\n", "Time,IC_0.0,IC_0.3\n1,2,3\n2,3\n", "Time,IC_1,IC_1\n1,2,3\n", "Time,IC_7\n1,2\n", ""],
)
def test_a_csv_whose_rows_or_levels_do_not_fit_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(AudioError):
        read_csv(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["x" * 255, "\N{MUSICAL SYMBOL G CLEF}" * 63, "a b\n<b>&.csv"])
def test_names_as_long_and_odd_as_the_system_takes_them(tmp_path: Path, name: str) -> None:
    with replacing(tmp_path / name) as file:
        file.write(b"whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"whole"
