"""Trace of the Jacobian: by random probes (Hutchinson 1989, Skilling 1989), or exactly.

An estimator hands out the tangents of each evaluation and turns the products ``J u`` into estimates of
``div v``. Estimates come in *groups* that are independent of each other, so that the spread of the groups
is a standard error; the exact trace has one group and no error.
"""

from __future__ import annotations

from typing import Protocol

import torch
from scipy.linalg import hadamard
from torch import Tensor

_STAGE_STRIDE = 21
"""Rows between the stages of one step: odd, so that stages of a step see different rows of 64."""


class DivergenceEstimator(Protocol):
    """Estimates the divergence at one evaluation of a fixed-step or adaptive solver."""

    groups: int

    def tangents(self, step: int, stage: int) -> Tensor:
        """Tangents ``(k, rows, F, D)`` to push through the Jacobian at this evaluation."""
        ...

    def estimate(self, tangents: Tensor, products: Tensor) -> Tensor:
        """Divergence ``(groups, rows, F)`` from tangents and their products with the Jacobian."""
        ...


class FixedProbes:
    """Hutchinson's estimator with the same probes at every evaluation, each a group of its own.

    Parameters
    ----------
    probes : Tensor, (k, rows, F, D)
        Random vectors with identity covariance.
    """

    def __init__(self, probes: Tensor) -> None:
        self.probes = probes
        self.groups = probes.shape[0]

    def tangents(self, step: int, stage: int) -> Tensor:
        return self.probes

    def estimate(self, tangents: Tensor, products: Tensor) -> Tensor:
        return (tangents * products).sum(-1)


class CycledHadamard:
    """Rows of a Hadamard matrix under random signs, consecutive rows at consecutive evaluations.

    Each row alone is an unbiased Rademacher probe; all D rows together give the exact trace. A Jacobian
    that changes slowly along the path therefore has its off-diagonal part cancelled almost entirely,
    where fixed probes would carry the same error through the whole integral.

    Parameters
    ----------
    signs : Tensor, (groups, rows, F, D)
        Independent random signs, one set a group. D must be a power of two.
    rows_each : int
        Hadamard rows each group uses at an evaluation.
    """

    def __init__(self, signs: Tensor, rows_each: int) -> None:
        self.signs = signs
        self.rows_each = rows_each
        self.groups = signs.shape[0]
        self.matrix = torch.as_tensor(hadamard(signs.shape[-1]), dtype=signs.dtype, device=signs.device)

    def tangents(self, step: int, stage: int) -> Tensor:
        dim = self.matrix.shape[0]
        start = step * self.rows_each + stage * _STAGE_STRIDE
        # Bit-reversed order: rows that follow each other differ at every scale.
        rows = self.matrix[[_bit_reversed((start + i) % dim, dim) for i in range(self.rows_each)]]
        return (self.signs[:, None] * rows[None, :, None, None]).flatten(0, 1)

    def estimate(self, tangents: Tensor, products: Tensor) -> Tensor:
        each = (tangents * products).sum(-1)
        return each.unflatten(0, (self.groups, self.rows_each)).mean(1)


class ExactTrace:
    """All D diagonal entries of the Jacobian: no error, D tangents an evaluation."""

    groups = 1

    def __init__(self, x: Tensor) -> None:
        dim = x.shape[-1]
        eye = torch.eye(dim, dtype=x.dtype, device=x.device)
        self.basis = eye[:, None, None].expand(dim, *x.shape)

    def tangents(self, step: int, stage: int) -> Tensor:
        return self.basis

    def estimate(self, tangents: Tensor, products: Tensor) -> Tensor:
        return torch.diagonal(products, dim1=0, dim2=-1).sum(-1).unsqueeze(0)


def _bit_reversed(index: int, size: int) -> int:
    bits = size.bit_length() - 1
    return int(format(index, f"0{bits}b")[::-1], 2)
