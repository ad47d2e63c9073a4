"""Pictures of results: what is drawn where, with which words."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from audioic_widget.errors import SettingsError
from audioic_widget.frames import FRAME_PERIOD, FrameGrid
from audioic_widget.likelihood.bounds import floor
from audioic_widget.plot import COLOURS, level_colour, level_dashes, plot_ic
from audioic_widget.result import ICResult

mpl.use("Agg")

from matplotlib import pyplot as plt

LEVELS = [0.0, 0.3, 0.6]
FRAMES = 12


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def result() -> ICResult:
    rng = np.random.default_rng(0)
    values = rng.uniform(40, 60, (len(LEVELS), FRAMES))
    values[:, :2] = np.nan
    values[:, 6] = np.nan
    return ICResult(FrameGrid(4_096 * FRAMES).end_times(), LEVELS, values, rng.uniform(0.1, 2, values.shape))


def traces(ax: Axes) -> list[Line2D]:
    return [line for line in ax.lines if line.get_drawstyle() == "steps-post"]


def draw(ax: Axes) -> bytes:
    file = io.BytesIO()
    ax.figure.savefig(file, format="raw", dpi=50)
    return file.getvalue()


def test_without_axes_every_level_has_a_lane_of_its_own(result: ICResult) -> None:
    lanes = plot_ic(result)
    assert isinstance(lanes, np.ndarray)
    assert lanes.shape == (3,)
    for lane, level, values in zip(lanes, LEVELS, result.ic, strict=True):
        (trace,) = traces(lane)
        np.testing.assert_array_equal(trace.get_ydata()[:-1], values)
        assert lane.get_title(loc="left") == f"noise level {level:g}"
    assert len({lane.get_ylim() for lane in lanes}) == 3
    assert len({lane.get_xlim() for lane in lanes}) == 1


def test_given_axes_take_all_levels_and_are_returned(result: ICResult) -> None:
    _, ax = plt.subplots()
    assert plot_ic(result, ax=ax) is ax
    assert len(plt.get_fignums()) == 1
    assert len(traces(ax)) == 3
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["0", "0.3", "0.6"]
    assert len({trace.get_color() for trace in traces(ax)}) == 3


def test_axes_say_what_and_in_which_unit(result: ICResult) -> None:
    _, ax = plt.subplots()
    plot_ic(result, ax=ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Time (s)", "IC (nat/frame)")
    lanes = plot_ic(result)
    assert lanes[-1].get_xlabel() == "Time (s)"
    assert lanes[-1].figure.get_supylabel() == "IC (nat/frame)"


def test_a_value_is_drawn_over_its_frames_whole_span(result: ICResult) -> None:
    (trace,) = traces(plot_ic(result, levels=[0.3])[0])
    edges = trace.get_xdata()
    np.testing.assert_allclose(edges[:-1], result.time - FRAME_PERIOD, atol=1e-12)
    np.testing.assert_allclose(edges[1:], result.time, atol=1e-12)
    np.testing.assert_array_equal(trace.get_ydata()[:-1], result.ic_at(0.3))


def test_the_band_is_one_standard_error_to_either_side(result: ICResult) -> None:
    (lane,) = plot_ic(result, levels=[0.6])
    (band,) = lane.collections
    corners = np.concatenate([path.vertices for path in band.get_paths()])
    for values, error in zip(result.ic[2], result.stderr[2], strict=True):
        for bound in (values - error, values + error):
            assert np.isnan(bound) or np.isclose(corners[:, 1], bound).any()
    np.testing.assert_array_equal(band.get_facecolor()[0, :3], to_rgb(level_colour(0.6)))


def test_errors_that_are_unknown_leave_the_trace_without_a_band(result: ICResult) -> None:
    without = ICResult(result.time, LEVELS, result.ic, np.full(result.ic.shape, np.nan))
    (lane,) = plot_ic(without, levels=[0.3])
    np.testing.assert_array_equal(traces(lane)[0].get_ydata()[:-1], result.ic[1])
    corners = np.concatenate([path.vertices for path in lane.collections[0].get_paths()])
    assert set(corners[:, 1]) <= set(result.ic[1])


def test_a_level_has_one_colour_whatever_others_are_drawn(result: ICResult) -> None:
    alone = traces(plot_ic(result, levels=[0.6])[0])[0]
    _, ax = plt.subplots()
    plot_ic(result, ax=ax)
    among_others = traces(ax)[2]
    assert alone.get_color() == among_others.get_color() == level_colour(0.6) == COLOURS[3]
    assert level_colour(1.0) == COLOURS[-1]
    # Together they are told apart by more than colour.
    assert len({str(trace._dash_pattern) for trace in traces(ax)}) == 3
    assert level_dashes(0.0) == ()


def test_colours_are_those_of_the_widget() -> None:
    style = (Path(__file__).parents[1] / "js" / "src" / "style.css").read_text()
    light = style[: style.index('[data-theme="dark"]')]
    assert tuple(re.findall(r"--aic-trace-\d: (#[0-9a-f]{6});", light)) == COLOURS


def test_levels_can_be_chosen_and_ordered(result: ICResult) -> None:
    lanes = plot_ic(result, levels=[0.6, 0.0])
    assert [lane.get_title(loc="left") for lane in lanes] == ["noise level 0.6", "noise level 0"]
    np.testing.assert_array_equal(traces(lanes[0])[0].get_ydata()[:-1], result.ic[2])


def test_a_level_that_was_not_computed_is_named(result: ICResult) -> None:
    with pytest.raises(SettingsError, match=r"Noise level 0\.5 was not computed: choose one of 0, 0\.3, 0\.6\."):
        plot_ic(result, levels=[0.5])


def test_values_under_the_floor_are_marked(result: ICResult) -> None:
    values = result.ic.copy()
    values[2, 4] = floor(0.6) - 2
    (lane,) = plot_ic(ICResult(result.time, LEVELS, values, result.stderr), levels=[0.6])
    (marks,) = [line for line in lane.lines if line.get_marker() == "x"]
    np.testing.assert_allclose(marks.get_xdata(), [4.5 * FRAME_PERIOD])
    np.testing.assert_array_equal(marks.get_ydata(), values[2, 4])


def test_silence_and_selections_can_be_drawn(result: ICResult) -> None:
    nothing = np.full(result.ic.shape, np.nan)
    for each in (ICResult(result.time, LEVELS, nothing, nothing), result.between(0.3, 0.7), result.between(0.3, 0.31)):
        draw(plot_ic(each)[0])
        _, ax = plt.subplots()
        draw(plot_ic(each, ax=ax))


def test_more_levels_than_colours_are_drawn(result: ICResult) -> None:
    levels = np.linspace(0, 1, len(COLOURS) + 2)
    many = np.full((len(levels), FRAMES), 50.0)
    assert len(plot_ic(ICResult(result.time, levels, many, many))) == len(levels)


def test_what_is_plotted_is_seen(result: ICResult) -> None:
    _, ax = plt.subplots()
    plot_ic(result, ax=ax)
    _, moved = plt.subplots()
    plot_ic(ICResult(result.time, LEVELS, result.ic[::-1], result.stderr), ax=moved)
    assert draw(ax) != draw(moved)


def test_the_result_draws_itself(result: ICResult) -> None:
    _, ax = plt.subplots()
    assert result.plot(ax=ax, levels=[0.3]) is ax
    assert len(traces(ax)) == 1


@pytest.mark.parametrize("levels", [[], [0.123]])
def test_levels_that_cannot_be_drawn_leave_no_figure_behind(levels: list[float]) -> None:
    before = plt.get_fignums()
    with pytest.raises(SettingsError):
        plot_ic(ICResult([0.1, 0.2], [0.3], [[1.0, 2.0]], [[0.1, 0.1]]), levels=levels)
    assert plt.get_fignums() == before
