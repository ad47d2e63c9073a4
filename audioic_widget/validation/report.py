"""The table of a validation: as CSV, as markdown for a model's card, as one page of figures."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from audioic_widget.formats import replacing
from audioic_widget.validation.protocols import PROTOCOLS

COLUMNS = (
    "protocol",
    "condition",
    "measure",
    "timbres",
    "trace",
    "estimate",
    "low",
    "high",
    "n",
    "chance",
)
PathLike = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class ValidationReport:
    """What a model's traces showed.

    Attributes
    ----------
    table : DataFrame
        One row for every protocol, condition, measure, kind of timbres ("all", "familiar", "unfamiliar") and trace (a
        noise level, or a baseline): estimate, 95 % interval (low, high), units n, value at chance.
    provenance : dict
        Model, settings, items, seed, protocols left out.

    Examples
    --------
    >>> row = {"protocol": "repetition", "condition": "repeated - permuted", "measure": "share below", "trace": "0.3"}
    >>> row |= {"estimate": 0.8, "low": 0.5, "high": 1.0, "n": 10, "chance": 0.5}
    >>> table = pd.DataFrame([{**row, "timbres": timbres} for timbres in ("all", "unfamiliar")])
    >>> provenance = {"settings": {"noise_levels": [0.3], "noising": "expectation", "preset": "draft"}, "items": 10, "seed": 0}
    >>> provenance |= {"model": {"name": "mini"}, "left_out": []}
    >>> report = ValidationReport(table, provenance)
    >>> report.levels
    ['0.3']
    >>> report.aims()["met"].tolist()
    [False]
    >>> print(report.to_markdown().splitlines()[0][:27])
    Model mini, 10 items a cond
    >>> report.to_csv("validation.csv")
    >>> report.plot("validation.png")
    """

    table: pd.DataFrame
    provenance: Mapping[str, Any]

    @property
    def levels(self) -> list[str]:
        """Traces that are noise levels."""
        return [f"{level:g}" for level in self.provenance["settings"]["noise_levels"]]

    def to_csv(self, path: PathLike) -> None:
        """Write the table whole to `path`.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        with replacing(path) as file:
            file.write(self.table.to_csv(index=False, lineterminator="\n").encode())

    def aims(self) -> pd.DataFrame:
        """The aims, each with the best level on unfamiliar timbres (level 1 apart): estimate, interval, met or not."""
        rows = []
        for name, protocol in PROTOCOLS.items():
            for (condition, measure), aim in protocol.aims.items():
                found = self._rows(name, "unfamiliar", condition, measure)
                found = found[found["trace"].isin(self.levels) & (found["trace"] != "1")]
                if len(found):
                    best = found.loc[found["estimate"].idxmax()]
                    columns = ("protocol", "condition", "measure", "trace", "estimate", "low", "high", "n")
                    rows.append({**best[list(columns)], "aim": aim, "met": bool(best["estimate"] >= aim)})
        return pd.DataFrame(rows)

    def to_markdown(self) -> str:
        """The aims, and for each measure all levels and the strongest baseline, as markdown tables."""
        settings = self.provenance["settings"]
        lines = [
            f"Model {self.provenance['model']['name']}, {self.provenance['items']} items a condition, "
            f"noising {settings['noising']}, preset {settings['preset']}, seed {self.provenance['seed']}. "
            "Estimate [95 % interval over items]. The best level is chosen by its estimate, which favours it.",
            *(f"Not run, since what it needs is not installed: {name}." for name in self.provenance["left_out"]),
            "",
            "| aim (unfamiliar timbres, best level) | aim | level | estimate | met |",
            "|---|---|---|---|---|",
        ]
        for aim in self.aims().to_dict("records"):
            what = f"{aim['protocol']}: {aim['condition']}, {aim['measure']}"
            met = "no" if not aim["met"] else "yes" if aim["low"] >= aim["aim"] else "yes, its interval not"
            lines.append(f"| {what} | {aim['aim']:g} | {aim['trace']} | {cell(aim)} | {met} |")
        head = [*(f"level {level}" for level in self.levels), "strongest baseline", "chance"]
        lines += ["", f"| protocol | condition | measure | n | {' | '.join(head)} |", "|---" * (4 + len(head)) + "|"]
        everything = self.table[self.table["timbres"] == "all"]
        for (name, condition, measure), rows in everything.groupby(["protocol", "condition", "measure"], sort=False):
            by_trace = {row["trace"]: row for row in rows.to_dict("records")}
            chance = by_trace[self.levels[0]]["chance"]
            baseline = strongest({key: row for key, row in by_trace.items() if key not in self.levels}, chance)
            cells = [*(cell(by_trace[level]) for level in self.levels), baseline, f"{chance:.2f}"]
            n = by_trace[self.levels[0]]["n"]
            lines.append(f"| {name} | {condition} | {measure} | {n} | {' | '.join(cells)} |".replace("nan", "-"))
        return "\n".join(lines) + "\n"

    def plot(self, path: PathLike) -> None:
        """Draw every protocol's headline measure over the levels on one page; the ending of `path` decides the format.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        from audioic_widget.validation.figure import draw

        draw(self, path)

    def _rows(self, protocol: str, timbres: str, condition: str, measure: str) -> pd.DataFrame:
        wanted = {"protocol": protocol, "timbres": timbres, "condition": condition, "measure": measure}
        rows = self.table
        for column, value in wanted.items():
            rows = rows[rows[column] == value]
        return rows


def cell(row: Mapping[Any, Any]) -> str:
    """Estimate and interval."""
    return f"{row['estimate']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def strongest(baselines: Mapping[str, Mapping[Any, Any]], chance: float) -> str:
    """The baseline whose estimate is farthest from chance."""
    known = {name: row for name, row in baselines.items() if not math.isnan(row["estimate"])}
    if not known or math.isnan(chance):
        return "-"
    name = max(known, key=lambda each: abs(known[each]["estimate"] - chance))
    return f"{name} {cell(known[name])}"
