"""Formats of other tools: round trips of anything, what is damaged refused; regressors on another time axis."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_formats import PROVENANCE, result, results

from audioic_widget import formats
from audioic_widget.errors import AudioICError, OutputError, SettingsError
from audioic_widget.formats import Label
from audioic_widget.frames import FRAME_PERIOD, FrameGrid
from audioic_widget.result import ICResult

pytest.importorskip("xarray")

WHOLE = {
    "parquet": (formats.write_parquet, formats.read_parquet),
    "netcdf": (formats.write_netcdf, formats.read_netcdf),
    "jams": (formats.write_jams, formats.read_jams),
}
BESIDE = {"audacity": formats.read_audacity, "textgrid": formats.read_textgrid}

# What an editor of labels shows: no control characters, blanks as one space.
TEXT = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8)


@st.composite
def labels(draw: st.DrawFn) -> list[Label]:
    times = sorted(draw(st.lists(st.floats(0, 1_000), min_size=0, max_size=12, unique=True)))
    return [Label(low, high, draw(TEXT)) for low, high in zip(times[::2], times[1::2], strict=False)]


@pytest.mark.parametrize("kind", WHOLE)
@given(given_result=results())
def test_everything_reads_back(kind: str, tmp_path_factory: pytest.TempPathFactory, given_result: ICResult) -> None:
    write, read = WHOLE[kind]
    path = tmp_path_factory.mktemp(kind) / "a file"
    write(given_result, path)
    back = read(path)
    for name in ("time", "noise_levels", "ic"):
        np.testing.assert_array_equal(getattr(back, name), getattr(given_result, name))
    known = np.where(np.isnan(given_result.ic), np.nan, given_result.stderr) if kind == "jams" else given_result.stderr
    np.testing.assert_array_equal(back.stderr, known)
    assert back.provenance == given_result.provenance


@pytest.mark.parametrize("kind", WHOLE)
def test_a_part_of_a_result_keeps_its_times(kind: str, tmp_path: Path) -> None:
    write, read = WHOLE[kind]
    part = result().between(0.6, 1.2)
    write(part, tmp_path / "part")
    np.testing.assert_array_equal(read(tmp_path / "part").time, part.time)


@pytest.mark.parametrize("read", [read for _, read in WHOLE.values()] + list(BESIDE.values()))
@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"PAR1", b"\xff\xfe", b"CDF\x01", b"a\tb\tc\n"])
def test_what_is_something_else_is_refused(read: Callable[[Path], object], content: bytes, tmp_path: Path) -> None:
    if read is formats.read_audacity and not content:
        assert read_empty(tmp_path) == []
        return
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(AudioICError, match=r"other.* cannot be read .+: give .+\.$"):
        read(tmp_path / "other")
    with pytest.raises(AudioICError):
        read(tmp_path / "missing")


def read_empty(folder: Path) -> list[Label]:
    (folder / "empty").touch()
    return formats.read_audacity(folder / "empty")


@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_cut_short_is_refused(kind: str, tmp_path: Path) -> None:
    write, read = WHOLE[kind]
    write(result(), tmp_path / "a")
    whole = (tmp_path / "a").read_bytes()
    for length in range(0, len(whole) - 8, max(len(whole) // 40, 1)):
        (tmp_path / "a").write_bytes(whole[:length])
        with pytest.raises(AudioICError):
            read(tmp_path / "a")


@given(given_labels=labels())
def test_labels_read_back(tmp_path_factory: pytest.TempPathFactory, given_labels: list[Label]) -> None:
    folder = tmp_path_factory.mktemp("labels")
    formats.write_audacity(given_labels, folder / "a.txt", PROVENANCE)
    assert formats.read_audacity(folder / "a.txt") == given_labels
    formats.write_textgrid(given_labels, folder / "a.TextGrid", 1_001.0, PROVENANCE)
    assert formats.read_textgrid(folder / "a.TextGrid") == given_labels
    for name in ("a.txt.json", "a.TextGrid.json"):
        assert json.loads((folder / name).read_text())["provenance"] == PROVENANCE


def test_a_textgrid_covers_its_time_without_gaps(tmp_path: Path) -> None:
    formats.write_textgrid([Label(1.0, 2.0, 'a "b"\n c'), Label(2.0, 2.5, "d")], tmp_path / "a", 4.0)
    lines = [line.strip() for line in (tmp_path / "a").read_text().splitlines()]
    bounds = [line.split(" = ")[1] for line in lines if line.startswith("xm")][4:]
    assert bounds == ["0.0", "1.0", "1.0", "2.0", "2.0", "2.5", "2.5", "4.0"]
    assert 'text = "a ""b"" c"' in lines


@pytest.mark.parametrize("wrong", [[Label(0, 2, "a"), Label(1, 3, "b")], [Label(1, 9, "a")], [Label(1, 1, "a")]])
def test_labels_that_a_tier_cannot_hold_are_refused(wrong: list[Label], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="must not overlap"):
        formats.write_textgrid(wrong, tmp_path / "a", 4.0)
    assert not list(tmp_path.iterdir())


def test_peaks_as_labels_span_their_frames() -> None:
    given_result = result()
    (label,) = formats.peak_labels(given_result, 0.3, k=1)
    peak = given_result.peaks(0.3, k=1).iloc[0]
    assert label == Label(peak.time - FRAME_PERIOD, peak.time, f"{peak.ic:.1f} nats, level 0.3")


def test_a_sonic_visualiser_layer_has_a_row_for_every_value(tmp_path: Path) -> None:
    formats.write_sonic_visualiser(
        ICResult([0.5, 1.0], [0.0, 0.3], [[1, 2], [np.nan, 3.5]], np.zeros((2, 2))), tmp_path / "a.csv", 0.3
    )
    assert (tmp_path / "a.csv").read_text() == "TIME,VALUE,LABEL\n1.0,3.5,IC_0.3\n"


def test_jams_says_frames_errors_and_where_it_comes_from(tmp_path: Path) -> None:
    formats.write_jams(result(), tmp_path / "a.jams")
    document = json.loads((tmp_path / "a.jams").read_text())
    assert document["file_metadata"]["title"] == "Dvořák № 9.wav"
    first = document["annotations"][0]["data"][0]
    assert first["time"] == 3 * FRAME_PERIOD
    assert first["value"] == [result().ic[0, 3]]
    assert first["confidence"] == result().stderr[0, 3]
    assert document["sandbox"]["audioic"] == PROVENANCE


@pytest.mark.parametrize("write", [write for write, _ in WHOLE.values()])
def test_a_place_that_is_not_there_is_named(write: Callable[[ICResult, Path], None], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write(result(), tmp_path / "missing" / "a")


# Regressors


def steps(duration: float | None = None) -> ICResult:
    audio = {} if duration is None else {"audio": {"duration": duration}}
    values = [[np.nan, 10.0, 20.0, 30.0]]
    return ICResult(FrameGrid(4 * 4_096).end_times(), [0.0], values, np.zeros((1, 4)), audio)


def test_impulses_stand_at_the_frames_ends() -> None:
    regressor = steps(1.0).resample(1_000)
    assert regressor.shape == (1, 1_000)
    at = np.flatnonzero(regressor[0])
    np.testing.assert_array_equal(at, np.rint(np.arange(2, 5) * FRAME_PERIOD * 1_000))
    np.testing.assert_array_equal(regressor[0, at], [10, 20, 30])


def test_held_values_span_their_frames() -> None:
    regressor = steps(0.5).resample(1_000, "hold")[0]
    frame = np.floor(np.arange(500) / 1_000 / FRAME_PERIOD).astype(int)
    np.testing.assert_array_equal(regressor, np.array([np.nan, 10, 20, 30, np.nan, np.nan])[frame])


def test_lines_go_through_the_frames_ends() -> None:
    regressor = steps().resample(44_100 / 1_024, "linear")[0]
    np.testing.assert_allclose(regressor[8:], [10, 12.5, 15, 17.5, 20, 22.5, 25, 27.5], rtol=1e-9)
    assert np.isnan(regressor[:8]).all()


@pytest.mark.parametrize("kind", ["impulse", "hold", "linear"])
def test_z_is_standardised_over_frames_and_finite(kind: str) -> None:
    regressor = steps(1.0).resample(500, kind, "z")  # type: ignore[arg-type]
    assert np.array_equal(regressor, steps(1.0).resample(500, kind, "zscore"))  # type: ignore[arg-type]
    assert np.isfinite(regressor).all()
    assert regressor.max() <= np.sqrt(1.5) + 1e-9


@pytest.mark.parametrize("wrong", [(0.0,), (np.nan,), (5.0,), (100.0, "spline"), (100.0, "hold", "db")])
def test_regressors_that_make_no_sense_are_refused(wrong: tuple[float]) -> None:
    with pytest.raises(SettingsError):
        steps().resample(*wrong)
