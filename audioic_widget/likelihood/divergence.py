"""Integral of the Jacobian's trace along a trajectory: by random probes (Hutchinson 1989, Skilling 1989), or exactly.

An estimator hands out the tangents of each evaluation of the field, turns the products ``J u`` into what the
evaluation adds to its sums, and concludes from the sums: the integral of ``div v`` with its variance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import hadamard
from torch import Tensor

Floats = NDArray[np.float64]

_STAGE_STRIDE = 21
"""Places in the cycle between the stages of one step: odd, so that stages of a step see different rows of 64."""

CORRELATION_LENGTH = 1.75
"""Over which the Jacobian of a trained flow changes, in units of ln(t / (1.05 - t)); see `CycledHadamard`."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of the divergence by a fixed-step solver.

    Attributes
    ----------
    step, stage : int
        Which one.
    t, weight : ndarray (rows,)
        Flow time, and its weight in the integral.
    """

    step: int
    stage: int
    t: Floats
    weight: Floats


@dataclass(frozen=True)
class Estimate:
    """A random estimate.

    Attributes
    ----------
    value, variance : Tensor (rows, F)
        What was estimated and the variance of that estimate: zero if nothing is random, NaN if unknown.
    freedom : int
        Degrees of freedom behind the variance; 0 if nothing is random or the variance unknown.
    """

    value: Tensor
    variance: Tensor
    freedom: int


class DivergenceEstimator(Protocol):
    """Estimates the integral of the divergence along the trajectories of states ``(rows, F, D)``."""

    n_sums: int

    def tangents(self, step: int, stage: int) -> Tensor:
        """Tangents ``(k, rows, F, D)`` to push through the Jacobian at this evaluation."""
        ...

    def addend(self, weight: Tensor, tangents: Tensor, products: Tensor) -> Tensor:
        """What an evaluation of weight ``(rows,)`` adds to the sums: ``(n_sums, rows, F)``."""
        ...

    def conclude(self, sums: Tensor, evaluations: Sequence[Evaluation]) -> Estimate:
        """The integral, from the sums over the evaluations."""
        ...


class FixedProbes:
    """Hutchinson's estimator with the same probes at every evaluation: as many independent estimates.

    Parameters
    ----------
    probes : Tensor, (k, rows, F, D)
        Random vectors with identity covariance.
    """

    def __init__(self, probes: Tensor) -> None:
        self.probes = probes
        self.n_sums = probes.shape[0]

    def tangents(self, step: int, stage: int) -> Tensor:
        return self.probes

    def addend(self, weight: Tensor, tangents: Tensor, products: Tensor) -> Tensor:
        return weight[:, None] * torch.linalg.vecdot(tangents, products)

    def conclude(self, sums: Tensor, evaluations: Sequence[Evaluation]) -> Estimate:
        return mean_of(sums)


class CycledHadamard:
    """Rows of a Hadamard matrix under random signs, the next rows at every evaluation, all in turn.

    Each row alone is an unbiased Rademacher probe; all D rows together give the exact trace. A Jacobian
    that changes slowly along the path therefore has its off-diagonal part cancelled almost entirely,
    where fixed probes would carry the same error through the whole integral.

    Its variance is that of sampling without replacement. With ``e_r(t)`` the error of row r at time t,
    of variance ``s(t)^2`` over the signs: two rows have the covariance ``-s^2 / (D - 1)``, since all D errors sum to
    zero, and one row at two times has the correlation of the Jacobians' off-diagonal parts there. The rows of an
    evaluation show ``s`` by their spread. On trained flows the correlation of Jacobians at times t and t' is near to
    ``(1 + a) exp(-a)`` with ``a = sqrt(3) |u - u'| / 1.75`` and ``u = ln(t / (1.05 - t))``, about the logarithm of signal over
    noise (a Matern kernel, nu = 3/2), and ``s`` to ``sqrt(t) / (1.05 - t)`` times a factor of each frame's own
    (`benchmarks/error_bars.py`).

    Parameters
    ----------
    signs : Tensor, (rows, F, D)
        Random signs. D must be a power of two.
    rows_each : int
        Hadamard rows used at an evaluation; two or more show the variance.
    """

    n_sums = 2

    def __init__(self, signs: Tensor, rows_each: int) -> None:
        self.signs = signs
        self.rows_each = rows_each
        dim = signs.shape[-1]
        # Not in the matrix's order, in which rows that follow each other are alike.
        self.order = np.random.default_rng(0).permutation(dim)
        # More than once around: the rows of an evaluation are a slice. An index would make a GPU wait for the host.
        rows = np.resize(hadamard(dim)[self.order], (dim + rows_each, dim))
        self.cycle = torch.as_tensor(rows, dtype=signs.dtype, device=signs.device)

    def tangents(self, step: int, stage: int) -> Tensor:
        start = int(self._places(step, stage)[0])
        return self.signs * self.cycle[start : start + self.rows_each, None, None]

    def _places(self, step: int, stage: int) -> NDArray[np.int64]:
        """Places in the cycle of the rows of this evaluation."""
        start = step * self.rows_each + stage * _STAGE_STRIDE
        return (start + np.arange(self.rows_each)) % len(self.order)

    def addend(self, weight: Tensor, tangents: Tensor, products: Tensor) -> Tensor:
        """The weighted mean over the rows, and the spread of the rows times the squared weight."""
        each = torch.linalg.vecdot(tangents, products)
        spread = each.var(0) if self.rows_each > 1 else torch.full_like(each[0], math.nan)
        return torch.stack((weight[:, None] * each.mean(0), weight.square()[:, None] * spread))

    def conclude(self, sums: Tensor, evaluations: Sequence[Evaluation]) -> Estimate:
        value, spread = sums
        share = torch.as_tensor(self._variance_share(evaluations), dtype=spread.dtype, device=spread.device)
        return Estimate(value, spread * share[:, None], len(evaluations) * (self.rows_each - 1))

    def _variance_share(self, evaluations: Sequence[Evaluation]) -> Floats:
        """Variance of the integral over the sum of squared weights times variances of a row ``(rows,)``."""
        dim, n = len(self.order), len(evaluations)
        used = np.zeros((n, dim))
        for at, evaluation in enumerate(evaluations):
            np.add.at(used[at], self._places(evaluation.step, evaluation.stage), 1 / self.rows_each)
        overlap = (used @ used.T - 1 / dim) * dim / (dim - 1)
        t = np.stack([evaluation.t for evaluation in evaluations], axis=1)
        weight = np.stack([evaluation.weight for evaluation in evaluations], axis=1)
        sized = weight * np.sqrt(t) / (1.05 - t)
        u = np.log(np.maximum(t, 1e-12) / (1.05 - t))
        distance = math.sqrt(3) / CORRELATION_LENGTH * np.abs(u[:, :, None] - u[:, None, :])
        correlation = (1 + distance) * np.exp(-distance)
        variance = np.einsum("ra,rb,rab,ab->r", sized, sized, correlation, overlap)
        share: Floats = variance / np.maximum(np.square(sized).sum(1), 1e-300)
        return np.maximum(share, 0.0)


class ExactTrace:
    """All D diagonal entries of the Jacobian: no error, D tangents an evaluation."""

    n_sums = 1

    def __init__(self, x: Tensor) -> None:
        dim = x.shape[-1]
        eye = torch.eye(dim, dtype=x.dtype, device=x.device)
        self.basis = eye[:, None, None].expand(dim, *x.shape)

    def tangents(self, step: int, stage: int) -> Tensor:
        return self.basis

    def addend(self, weight: Tensor, tangents: Tensor, products: Tensor) -> Tensor:
        return (weight[:, None] * torch.diagonal(products, dim1=0, dim2=-1).sum(-1)).unsqueeze(0)

    def conclude(self, sums: Tensor, evaluations: Sequence[Evaluation]) -> Estimate:
        return Estimate(sums[0], torch.zeros_like(sums[0]), 0)


def mean_of(estimates: Tensor) -> Estimate:
    """The mean of independent estimates ``(n, rows, F)`` of one thing; the variance of a single one is unknown."""
    count = len(estimates)
    mean = estimates.mean(0)
    variance = estimates.var(0) / count if count > 1 else torch.full_like(mean, math.nan)
    return Estimate(mean, variance, count - 1)
