"""Effect sizes and their intervals. The unit of resampling is the item (or pair), never the frame.

Arrays are ``(..., units, values of a unit)``: the leading axes are bootstrap samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from audioic_widget.validation.items import HEARD_FRAMES, Effect, Floats, Item

RESAMPLES = 2_000
FLAT = 1e-6
"""Spread (nats, or a baseline's own unit) under which a trace counts as constant: what rounding leaves of level 1.0."""


def effect(
    condition: str, measure: str, statistic: Callable[..., Floats], *arrays: ArrayLike, chance: float, seed: int
) -> Effect:
    """`statistic` of `arrays` with its 95 % percentile interval.

    Percentile rather than BCa: the latter has no answer where all units agree, as they do for the null.

    Parameters
    ----------
    condition, measure, chance
        Passed on to the `Effect`.
    statistic : callable
        ``statistic(*arrays)`` over the last two axes, units and values.
    *arrays : array (units,) or (units, k)
        Resampled together.
    seed : int
    """
    columns = [np.asarray(a, dtype=np.float64) for a in arrays]
    columns = [a[:, None] if a.ndim == 1 else a for a in columns]
    n = len(columns[0])
    estimate = float(statistic(*columns))
    if n < 2 or np.isnan(estimate):
        return Effect(condition, measure, estimate, np.nan, np.nan, n, chance)

    def resampled(index: NDArray[np.int64], axis: int) -> Floats:
        return statistic(*(a[index] for a in columns))

    interval = stats.bootstrap(
        (np.arange(n),),
        resampled,
        n_resamples=RESAMPLES,
        batch=250,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return Effect(condition, measure, estimate, float(interval.low), float(interval.high), n, chance)


def mean(values: Floats) -> Floats:
    """Mean over units and values."""
    result: Floats = values.mean(axis=(-2, -1))
    return result


def auc(high: Floats, low: Floats) -> Floats:
    """Probability that a value of `high` exceeds one of `low`, ties half: area under the ROC curve."""
    a, b = (x.reshape(*x.shape[:-2], -1) for x in (high, low))
    difference = a[..., :, None] - b[..., None, :]
    result: Floats = ((difference > 0) + 0.5 * (difference == 0)).mean(axis=(-2, -1))
    return result


def d_prime(high: Floats, low: Floats) -> Floats:
    """Difference of means over the root of the mean variance; 0 where nothing varies."""
    spread = np.sqrt((high.var(axis=(-2, -1)) + low.var(axis=(-2, -1))) / 2)
    difference = mean(high) - mean(low)
    return np.where(spread > FLAT, difference / np.maximum(spread, FLAT), 0.0)


def share_below(differences: Floats) -> Floats:
    """Share of negative values, zeros half."""
    result: Floats = ((differences < 0) + 0.5 * (differences == 0)).mean(axis=(-2, -1))
    return result


def paired(condition: str, differences: ArrayLike, seed: int) -> list[Effect]:
    """The two measures of units in two versions: mean difference (in sd of the trace) and share of negative ones."""
    return [
        effect(condition, "difference (sd)", mean, differences, chance=0.0, seed=seed),
        effect(condition, "share below", share_below, differences, chance=0.5, seed=seed),
    ]


def standardised(*traces: Floats) -> list[Floats]:
    """Traces on one scale: mean 0, standard deviation 1 over them all; zeros if nothing varies."""
    together = np.concatenate(traces)
    centre, spread = np.nanmean(together), np.nanstd(together)
    return [(trace - centre) / spread if spread > FLAT else 0 * trace for trace in traces]


def at_events(trace: Floats, events: ArrayLike, width: int = HEARD_FRAMES) -> Floats:
    """Mean of `trace` over the `width` frames from each event on; NaN where one of them is left out."""
    frames = np.asarray(events)[:, None] + np.arange(width)
    return np.asarray(trace[frames].mean(axis=1))


def correlation(x: Floats, y: Floats, covariates: Floats | None = None) -> float:
    """Spearman's correlation, with `covariates` ``(C, n)`` partialled out of the ranks; 0 if a side is constant.

    Pairs with NaN are left out.
    """
    known = ~(np.isnan(x) | np.isnan(y))
    x, y = x[known], y[known]
    if len(x) < 3 or np.ptp(x) <= FLAT or np.ptp(y) == 0:
        return 0.0
    others = np.empty((0, len(x))) if covariates is None else covariates[:, known]
    design = np.vstack((np.ones(len(x)), *(stats.rankdata(row) for row in others))).T
    residuals = []
    for values in (x, y):
        ranks = stats.rankdata(values)
        residuals.append(ranks - design @ np.linalg.lstsq(design, ranks, rcond=None)[0])
    return pearson(*residuals)


def pearson(x: Floats, y: Floats) -> float:
    """Pearson's correlation; 0 if a side is constant."""
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / scale) if scale > 1e-12 else 0.0


def versions(
    items: Sequence[Item], traces: Sequence[Floats], *conditions: str
) -> list[tuple[tuple[Item, Floats], ...]]:
    """For every unit that has all of `conditions`, its items of these conditions with their traces."""
    found: dict[int, dict[str, tuple[Item, Floats]]] = {}
    for item, trace in zip(items, traces, strict=True):
        found.setdefault(item.unit, {})[item.condition] = (item, trace)
    return [tuple(unit[c] for c in conditions) for unit in found.values() if unit.keys() >= set(conditions)]
