"""Results as matplotlib pictures."""

from __future__ import annotations

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

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Of the levels, in order: Okabe and Ito (2008), told apart by people with any kind of colour vision."""


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
        for row, level in enumerate(wanted):
            _draw(result, level, ax, COLOURS[row % len(COLOURS)])
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
    for row, (lane, level) in enumerate(zip(axes[:, 0], wanted, strict=True)):
        _draw(result, level, lane, COLOURS[row % len(COLOURS)])
        lane.set_title(f"noise level {level:g}", loc="left", fontsize="small")
        lane.spines[["top", "right"]].set_visible(False)
        lane.margins(x=0)
    figure.supylabel("IC (nat/frame)", fontsize="medium")
    axes[-1, 0].set_xlabel("Time (s)")
    return np.asarray(axes[:, 0], dtype=object)


def _draw(result: ICResult, level: float, ax: Axes, colour: str) -> None:
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
    ax.step(edges, np.append(values, values[-1:]), where="post", color=colour, linewidth=1.2, label=f"{level:g}")
    below = result.below_floor[row]
    if below.any():
        middle = result.time[below] - FRAME_PERIOD / 2
        ax.plot(middle, values[below], "x", color="black", markersize=4, label=f"{level:g}: below the floor")
