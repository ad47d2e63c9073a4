"""What can be asked of a result."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from audioic_widget.errors import SettingsError
from audioic_widget.frames import FRAME_PERIOD, FrameGrid
from audioic_widget.likelihood.bounds import floor, no_knowledge
from audioic_widget.result import ICResult

NAN = math.nan


def result(*rows: Any, levels: Any = None, **provenance: Any) -> ICResult:
    """Values `rows` (levels, frames) on the frame grid, with standard errors of 0.5."""
    values = np.array(rows, dtype=np.float64)
    levels = np.linspace(0.3, 0.9, len(values)) if levels is None else levels
    time = FrameGrid(values.shape[1] * 4096).end_times()
    return ICResult(time, levels, values, np.full(values.shape, 0.5), provenance)


def with_gaps() -> st.SearchStrategy[Any]:
    values = st.floats(-50, 100) | st.just(NAN)
    return arrays(np.float64, st.tuples(st.just(2), st.integers(1, 30)), elements=values)


def test_repr_is_short_and_stable() -> None:
    assert repr(result([50, 51], [40, 41])) == "ICResult(2 frames, 0.2 s, noise levels 0.3, 0.9)"
    assert repr(result([])) == "ICResult(0 frames, 0.0 s, noise levels 0.3)"


def test_anything_array_like_will_do() -> None:
    listed = ICResult([0.1, 0.2], [0.3], [[1, None]], [[0, 1]], {"model": "mini"})
    assert listed.ic.dtype == listed.stderr.dtype == listed.time.dtype == listed.noise_levels.dtype == np.float64
    assert math.isnan(listed.ic[0, 1])
    assert listed.provenance == {"model": "mini"}


@pytest.mark.parametrize(("ic", "stderr"), [((1, 3), (1, 2)), ((2, 2), (2, 2)), ((1, 2), (2, 2)), ((2,), (1, 2))])
def test_shapes_must_be_levels_by_frames(ic: tuple[int, ...], stderr: tuple[int, ...]) -> None:
    with pytest.raises(SettingsError, match=r"\(1, 2\)"):
        ICResult([0.1, 0.2], [0.3], np.zeros(ic), np.zeros(stderr))


def test_a_level_by_its_value() -> None:
    values = result([1, 2], [3, 4], levels=[0.3, 0.1])
    np.testing.assert_array_equal(values.ic_at(0.1), [3, 4])
    np.testing.assert_array_equal(values.ic_at(0.1 + 0.2), [1, 2])  # not 0.3 to the last bit
    with pytest.raises(SettingsError, match=r"0\.2 was not computed: choose one of 0\.3, 0\.1"):
        values.ic_at(0.2)


def test_values_below_the_floor_are_flagged() -> None:
    bound = floor(0.3)
    at_the_floor = result([float(np.float32(floor(1.0))) - 1e-6], levels=[1.0])  # as every value is where s = 1
    assert not at_the_floor.below_floor.any()
    flagged = result([-1e9, -1e9, NAN], [bound - 0.9, bound - 1.1, NAN], levels=[0.0, 0.3]).below_floor
    np.testing.assert_array_equal(flagged, [[False, False, False], [False, True, False]])


# between


def test_between_takes_every_frame_it_touches() -> None:
    values = result(range(10))
    np.testing.assert_array_equal(values.between(2.5 * FRAME_PERIOD, 4.5 * FRAME_PERIOD).ic, [[2, 3, 4]])
    np.testing.assert_array_equal(values.between(0, 100).ic, values.ic)
    assert values.between(5, 9).ic.shape == (1, 0)


@examples(deadline=None)
@given(st.floats(0, 3), st.floats(0, 3))
def test_between_cuts_everything_alike(start: float, end: float) -> None:
    values = result(range(30), range(30, 60), source="x")
    part = values.between(start, end)
    inside = [k for k in range(30) if (k + 1) * FRAME_PERIOD > start and k * FRAME_PERIOD < end]
    if all(abs(edge / FRAME_PERIOD - round(edge / FRAME_PERIOD)) > 1e-7 for edge in (start, end)):
        np.testing.assert_array_equal(part.ic, values.ic[:, inside])
        np.testing.assert_array_equal(part.time, values.time[inside])
    assert part.stderr.shape == part.ic.shape == (2, len(part.time))
    assert part.provenance == values.provenance
    np.testing.assert_array_equal(part.noise_levels, values.noise_levels)


# normalized


@examples(deadline=None)
@given(with_gaps())
def test_zscore(values: Any) -> None:
    scaled = result(*values).normalized()
    for row, given_ in zip(scaled.ic, values, strict=True):
        known = row[~np.isnan(row)]
        np.testing.assert_array_equal(np.isnan(row), np.isnan(given_))
        if len(known) and np.ptp(given_[~np.isnan(given_)]) > 1e-3:
            assert known.mean() == pytest.approx(0, abs=1e-6)
            assert known.std() == pytest.approx(1)


def test_minmax() -> None:
    scaled = result([10, NAN, 30, 15], [7, 7, 7, 7]).normalized("minmax")
    np.testing.assert_allclose(scaled.ic, [[0, NAN, 1, 0.25], [0, 0, 0, 0]])


def test_headroom_is_measured_from_no_knowledge() -> None:
    scaled = result([10, NAN], [60, 20], levels=[0.3, 0.6]).normalized("headroom")
    np.testing.assert_allclose(
        scaled.ic, [[10 - no_knowledge(0.3), NAN], [60 - no_knowledge(0.6), 20 - no_knowledge(0.6)]]
    )
    np.testing.assert_array_equal(scaled.stderr, 0.5)


def test_errors_are_scaled_with_their_values() -> None:
    values = result([10, 30, 20, NAN])
    np.testing.assert_allclose(values.normalized("minmax").stderr, 0.5 / 20)
    np.testing.assert_allclose(values.normalized("zscore").stderr, 0.5 / np.std([10, 30, 20]))


def test_normalisation_is_noted_and_changes_no_original() -> None:
    values = result([10, 30], source="x")
    assert values.normalized("minmax").provenance == {
        "source": "x",
        "normalized": {"method": "minmax", "shift": [10.0], "scale": [20.0]},
    }
    assert values.provenance == {"source": "x"}
    np.testing.assert_array_equal(values.ic, [[10, 30]])


def test_unknown_normalisation() -> None:
    with pytest.raises(SettingsError, match="softmax"):
        result([1]).normalized("softmax")  # type: ignore[arg-type]


# peaks


def test_peaks_are_local_maxima_highest_first() -> None:
    values = result([NAN, 5, 1, 2, 9, 3, 3, 7, 6, NAN])
    peaks = values.peaks()
    assert list(peaks.columns) == ["time", "ic", "stderr", "noise_level"]
    assert peaks["ic"].tolist() == [9, 7, 5]
    np.testing.assert_allclose(peaks["time"], values.time[[4, 7, 1]])
    assert set(peaks["stderr"]) == {0.5}
    assert set(peaks["noise_level"]) == {0.3}


def test_peaks_of_a_level_and_a_number_of_them() -> None:
    values = result([1, 2, 1, 3, 1], [9, 1, 8, 1, 7], levels=[0.3, 0.6])
    assert values.peaks(noise_level=0.6, k=2)["ic"].tolist() == [9, 8]
    assert values.peaks(k=0).empty
    with pytest.raises(SettingsError):
        values.peaks(noise_level=0.5)


def test_peaks_keep_their_distance() -> None:
    values = result([1, 8, 1, 9, 1, 1, 7, 1])
    assert values.peaks(min_distance=0.1)["ic"].tolist() == [9, 8, 7]
    assert values.peaks(min_distance=3 * FRAME_PERIOD)["ic"].tolist() == [9, 7]


@examples(deadline=None)
@given(with_gaps(), st.floats(0, 1))
def test_every_peak_is_a_value_no_lower_than_its_neighbours(values: Any, distance: float) -> None:
    values = result(*values)
    row = np.where(np.isnan(values.ic[0]), -np.inf, values.ic[0])
    peaks = values.peaks(min_distance=distance, k=100)
    frames = np.searchsorted(values.time, peaks["time"] - 1e-9)
    for frame in frames:
        assert row[frame] >= max(row[max(frame - 1, 0) : frame + 2])
    assert (np.diff(np.sort(frames)) >= max(round(distance / FRAME_PERIOD), 1)).all()
    if not np.isnan(values.ic[0]).all():
        assert peaks["ic"].max() == np.nanmax(values.ic[0])


# tables


def test_summary_has_a_row_a_level() -> None:
    bound = floor(0.3)
    table = result([NAN, 2, 4, bound - 2], [NAN, NAN, NAN, NAN], levels=[0.3, 0.6]).summary()
    row = table.iloc[0]
    assert (row["noise_level"], row["frames"], row["max"], row["below_floor"]) == (0.3, 3, 4, pytest.approx(1 / 3))
    known = [2, 4, bound - 2]
    assert row[["mean", "sd", "min", "stderr"]].tolist() == pytest.approx(
        [np.mean(known), np.std(known), bound - 2, 0.5]
    )
    silent = table.iloc[1]
    assert (silent["frames"], silent["below_floor"]) == (0, 0)
    assert silent[["mean", "sd", "min", "max"]].isna().all()


def test_table_in_the_published_columns() -> None:
    values = result([NAN, 2.5], [1, 3], levels=[0.0, 0.3])
    table = values.to_dataframe()
    assert list(table.columns) == ["Time", "IC_0.0", "IC_0.3"]
    np.testing.assert_array_equal(table["Time"], values.time)
    np.testing.assert_array_equal(table[["IC_0.0", "IC_0.3"]].to_numpy().T, values.ic)
    table = values.to_dataframe(stderr=True)
    assert list(table.columns) == ["Time", "IC_0.0", "IC_0.3", "SE_0.0", "SE_0.3"]
    np.testing.assert_array_equal(table[["SE_0.0", "SE_0.3"]].to_numpy().T, values.stderr)


@pytest.mark.parametrize("values", [np.zeros((2, 0)), np.full((2, 4), NAN)], ids=["no frames", "silence"])
def test_nothing_to_show_is_no_error(values: Any) -> None:
    empty = result(*values)
    assert empty.peaks().empty
    assert empty.summary()["frames"].tolist() == [0, 0]
    for method in ("zscore", "minmax", "headroom"):
        assert np.isnan(empty.normalized(method).ic).all()  # type: ignore[arg-type]
    assert len(empty.to_dataframe()) == values.shape[1]
    assert not empty.below_floor.any()
