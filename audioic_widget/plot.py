"""Results as matplotlib pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audioic_widget.errors import SettingsError
from audioic_widget.frames import FRAME_PERIOD

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from audioic_widget.result import ICResult

COLOURS = ("#5b2ca0", "#1f5fd0", "#007a85", "#2f7d1e", "#935e00", "#a62b7e")
"""Of the noise levels 0, 0.2, ... 1, mixed between: from blue to yellow for people with any kind of colour vision, each
dark enough to be read on white. `js/src/style.css` has the same."""


def level_colour(noise_level: float) -> str:
    """The colour of a noise level, ``#rrggbb``: its own, whatever others are drawn, here and in the widget.

    Examples
    --------
    >>> level_colour(0.2), level_colour(0.3)
    ('#1f5fd0', '#106dab')
    """
    at = min(max(noise_level, 0.0), 1.0) * (len(COLOURS) - 1)
    below = min(int(at), len(COLOURS) - 2)
    pairs = zip(*(bytes.fromhex(each[1:]) for each in COLOURS[below : below + 2]), strict=True)
    return "#" + "".join(f"{math.floor(a + (b - a) * (at - below) + 0.5):02x}" for a, b in pairs)


def level_dashes(noise_level: float) -> tuple[float, ...]:
    """Lengths drawn and left out in turn, in points: the more noise, the more broken is the line.

    Examples
    --------
    >>> level_dashes(0.0), level_dashes(0.5)
    ((), (8, 5))
    """
    if noise_level <= 0:
        return ()
    return math.floor(2.5 + 12 * (1 - noise_level)), math.floor(1.5 + 7 * noise_level)


def plot_ic(
    result: ICResult, ax: Axes | None = None, levels: Sequence[float] | None = None
) -> Axes | NDArray[np.object_]:
    """Draw IC over time, every value over its frame's whole span, with a band of one standard error.

    Parameters
    ----------
    result : ICResult
    ax : Axes, optional
        Takes all levels together. If not given, each level has a lane and a scale of its own: raw IC is
        not comparable between levels.
    levels : sequence of float, optional
        Which levels; all if not given.

    Returns
    -------
    Axes or ndarray of Axes
        `ax`, or the lanes.

    Raises
    ------
    SettingsError
        If a level was not computed.
    """
    wanted = result.noise_levels.tolist() if levels is None else list(levels)
    if not wanted:
        raise SettingsError("There is no level to draw: give at least one of those computed.")
    for level in wanted:
        result.ic_at(level)
    if ax is not None:
        for level in wanted:
            _draw(result, level, ax, level_dashes(level))
        ax.set(xlabel="Time (s)", ylabel="IC (nat/frame)")
        ax.legend(frameon=False)
        return ax
    import matplotlib.pyplot as plt

    height = 1.2 + 1.3 * len(wanted)
    return _lanes(result, wanted, plt.figure(figsize=(9, height), layout="constrained"))


def lanes(result: ICResult) -> Figure:
    """A figure of all levels that belongs to no window, and may be made in any thread."""
    from matplotlib.figure import Figure

    wanted = result.noise_levels.tolist()
    figure = Figure(figsize=(9, 1.2 + 1.3 * len(wanted)), layout="constrained")
    _lanes(result, wanted, figure)
    return figure


def _lanes(result: ICResult, wanted: Sequence[float], figure: Figure) -> NDArray[np.object_]:
    axes = figure.subplots(len(wanted), 1, sharex=True, squeeze=False)
    for lane, level in zip(axes[:, 0], wanted, strict=True):
        _draw(result, level, lane)
        lane.set_title(f"noise level {level:g}", loc="left", fontsize="small")
        lane.spines[["top", "right"]].set_visible(False)
        lane.margins(x=0)
    figure.supylabel("IC (nat/frame)", fontsize="medium")
    axes[-1, 0].set_xlabel("Time (s)")
    return np.asarray(axes[:, 0], dtype=object)


def _draw(result: ICResult, level: float, ax: Axes, dashes: tuple[float, ...] = ()) -> None:
    colour = level_colour(level)
    values = result.ic_at(level)
    row = int(np.abs(result.noise_levels - level).argmin())
    error = np.nan_to_num(result.stderr[row])
    edges = np.concatenate((result.time[:1] - FRAME_PERIOD, result.time))
    ax.fill_between(
        edges,
        np.append(values - error, (values - error)[-1:]),
        np.append(values + error, (values + error)[-1:]),
        step="post",
        color=colour,
        alpha=0.25,
        linewidth=0,
    )
    # Lines break at NaN; `stairs` would join the gap to the base line.
    style = (0, dashes) if dashes else "solid"
    ends = np.append(values, values[-1:])
    ax.step(edges, ends, where="post", color=colour, linewidth=1.2, linestyle=style, label=f"{level:g}")
    below = result.below_floor[row]
    if below.any():
        middle = result.time[below] - FRAME_PERIOD / 2
        ax.plot(middle, values[below], "x", color="black", markersize=4, label=f"{level:g}: below the floor")
