"""One page: the headline measure of every protocol over the noise levels, with baselines to the right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from audioic_widget.formats import PathLike, replacing
from audioic_widget.plot import COLOURS
from audioic_widget.validation.protocols import PROTOCOLS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from audioic_widget.validation.report import ValidationReport

COLUMNS = 3


def draw(report: ValidationReport, path: PathLike) -> None:
    """Draw `report` to the file `path`."""
    from matplotlib.figure import Figure

    table = report.table[report.table["timbres"] == "all"]
    names = [name for name in PROTOCOLS if (table["protocol"] == name).any()]
    n_rows = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(4.2 * COLUMNS, 3.4 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, COLUMNS, squeeze=False).ravel()
    for name, panel in zip(names, panels, strict=False):
        protocol = PROTOCOLS[name]
        rows = table[(table["protocol"] == name) & (table["measure"] == protocol.headline)]
        _panel(panel, rows[rows["condition"].isin(protocol.drawn or rows["condition"])], report.levels)
        panel.set_title(f"{name}: {protocol.headline}", loc="left", fontsize="small")
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    figure.suptitle(f"{report.provenance['model']['name']}: noise levels, then baselines; bars are 95 % intervals")
    with replacing(path) as file:
        figure.savefig(file, format=Path(path).suffix.removeprefix(".") or "png", dpi=120)


def _panel(ax: Axes, rows: pd.DataFrame, levels: list[str]) -> None:
    """Estimates of every condition, side by side at each trace."""
    traces = list(dict.fromkeys(rows["trace"]))
    conditions = list(dict.fromkeys(rows["condition"]))
    for number, condition in enumerate(conditions):
        of_condition = rows[rows["condition"] == condition].set_index("trace").loc[traces]
        x = np.arange(len(traces)) + 0.06 * (number - (len(conditions) - 1) / 2)
        estimate = of_condition["estimate"].to_numpy()
        # A statistic's own interval need not hold its estimate.
        bars = np.maximum([estimate - of_condition["low"], of_condition["high"] - estimate], 0)
        colour = COLOURS[number % len(COLOURS)]
        ax.errorbar(x, estimate, bars, fmt="o", markersize=3.5, linewidth=1, color=colour, label=condition)
        chance = float(of_condition["chance"].iloc[0])
        ax.axhline(chance, color="0.6", linewidth=0.8, linestyle=":")
    ax.axvline(len(levels) - 0.5, color="0.8", linewidth=0.8)
    ax.set_xticks(range(len(traces)), traces, rotation=40, ha="right", fontsize="x-small")
    ax.tick_params(axis="y", labelsize="x-small")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="xx-small")
