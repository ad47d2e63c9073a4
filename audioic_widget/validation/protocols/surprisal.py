"""What the protocols share that compare a trace with the surprisal of each tone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audioic_widget.validation.items import Effect, Floats, Item
from audioic_widget.validation.statistics import at_events, correlation, effect, mean

PLAIN, PARTIAL = "rank correlation", "rank correlation, partial"


def correlations(condition: str, items: Sequence[Item], traces: Sequence[Floats], seed: int) -> list[Effect]:
    """Mean over units of the rank correlation within a stimulus, plain and with the covariates partialled out."""
    plain: dict[int, list[float]] = {}
    partial: dict[int, list[float]] = {}
    for item, trace in zip(items, traces, strict=True):
        if item.condition == condition:
            heard = at_events(trace, item.events)
            plain.setdefault(item.unit, []).append(correlation(heard, item.expected))
            partial.setdefault(item.unit, []).append(correlation(heard, item.expected, item.covariates))
    if not plain:
        return []
    return [
        effect(condition, measure, mean, [np.mean(each) for each in values.values()], chance=0.0, seed=seed)
        for measure, values in ((PLAIN, plain), (PARTIAL, partial))
    ]
