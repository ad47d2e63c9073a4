"""Flows whose velocity, Jacobian and density are known in closed form: what the engine is measured against.

All of them are rectified flows from a standard normal at t = 0, ``x_t = t data + (1 - t) noise``, except
`LinearField`. Shapes are those of `audioic_widget.likelihood.field.VelocityField`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


def log_normal(x: Tensor, mean: Tensor | float, variance: Tensor) -> Tensor:
    """Log density of ``N(mean, variance I)`` at `x` ``(..., D)``; `variance` ``(...)``."""
    squared = (x - mean).square().sum(-1)
    return -0.5 * (squared / variance + x.shape[-1] * (math.log(2 * math.pi) + variance.log()))


@dataclass(frozen=True)
class LinearField:
    """``v = A x``, the same at all times; `matrix` is ``(D, D)``."""

    matrix: Tensor

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        return x @ self.matrix.T

    def velocity_and_tangents(self, x: Tensor, t: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        return self.velocity(x, t), tangents @ self.matrix.T

    def log_density(self, x: Tensor, t: Tensor) -> Tensor:
        """The flow map is a matrix exponential and its log determinant ``t tr A``."""
        x0 = (torch.linalg.matrix_exp(-t[:, None, None] * self.matrix) @ x.mT).mT
        return log_normal(x0, 0.0, torch.ones_like(x0[..., 0])) - t[:, None] * self.matrix.trace()


@dataclass(frozen=True)
class GaussianField:
    """Data ``N(0, q I)``: ``v = (t q - (1 - t)) / (t^2 q + (1 - t)^2) x``."""

    q: float

    def variance(self, t: Tensor) -> Tensor:
        return t.square() * self.q + (1 - t).square()

    def slope(self, t: Tensor) -> Tensor:
        return (t * self.q - (1 - t)) / self.variance(t)

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        return self.slope(t)[:, None, None] * x

    def velocity_and_tangents(self, x: Tensor, t: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        return self.velocity(x, t), self.slope(t)[:, None, None] * tangents

    def divergence(self, x: Tensor, t: Tensor) -> Tensor:
        return (x.shape[-1] * self.slope(t))[:, None].expand(x.shape[:-1])

    def log_density(self, x: Tensor, t: Tensor) -> Tensor:
        return log_normal(x, 0.0, self.variance(t)[:, None].expand(x.shape[:-1]))

    def start(self, x: Tensor, t: Tensor) -> Tensor:
        """Where the trajectory through `x` at time t was at time 0."""
        return x / self.variance(t).sqrt()[:, None, None]


@dataclass(frozen=True)
class MixtureField:
    """Data from a mixture of ``N(m_k, q_k I)``: the components' velocities weighted by their posterior.

    `weights` (K,), `means` (K, D), `variances` (K,).
    """

    weights: Tensor
    means: Tensor
    variances: Tensor

    def _components(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weighted log densities (rows, F, K); offsets (rows, F, K, D); variances, slopes (rows, 1, K)."""
        t = t[:, None, None]
        variance = t.square() * self.variances + (1 - t).square()
        slope = (t * self.variances - (1 - t)) / variance
        offset = x[..., None, :] - t[..., None] * self.means
        logs = self.weights.log() + log_normal(offset, 0.0, variance.expand(offset.shape[:-1]))
        return logs, offset, variance, slope

    def log_density(self, x: Tensor, t: Tensor) -> Tensor:
        return self._components(x, t)[0].logsumexp(-1)

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        logs, offset, _, slope = self._components(x, t)
        return (logs.softmax(-1)[..., None] * (self.means + slope[..., None] * offset)).sum(-2)

    def velocity_and_tangents(self, x: Tensor, t: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        logs, offset, variance, slope = self._components(x, t)
        posterior = logs.softmax(-1)
        each = self.means + slope[..., None] * offset
        # Derivatives along u: of log N_k, then of the posterior, then of the weighted sum.
        d_log = -(offset * tangents[..., None, :]).sum(-1) / variance
        d_posterior = posterior * (d_log - (posterior * d_log).sum(-1, keepdim=True))
        products = (d_posterior[..., None] * each).sum(-2) + (posterior * slope).sum(-1, keepdim=True) * tangents
        return (posterior[..., None] * each).sum(-2), products

    def divergence(self, x: Tensor, t: Tensor) -> Tensor:
        logs, offset, variance, slope = self._components(x, t)
        posterior = logs.softmax(-1)
        each = self.means + slope[..., None] * offset
        score = -offset / variance[..., None]
        mean_score = (posterior[..., None] * score).sum(-2, keepdim=True)
        spread = (posterior[..., None] * (score - mean_score) * each).sum((-2, -1))
        return x.shape[-1] * (posterior * slope).sum(-1) + spread


def mixture(dim: int = 8, seed: int = 0) -> MixtureField:
    """Three well-separated components in float64."""
    generator = torch.Generator().manual_seed(seed)
    means = 1.5 * torch.randn(3, dim, generator=generator, dtype=torch.float64)
    return MixtureField(
        torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), means, torch.tensor([0.5, 0.2, 1.0], dtype=torch.float64)
    )


def random_linear(dim: int = 64, seed: int = 0) -> LinearField:
    """A dense field without symmetry, in float64; spectral radius about 1."""
    generator = torch.Generator().manual_seed(seed)
    return LinearField(torch.randn(dim, dim, generator=generator, dtype=torch.float64) / math.sqrt(dim))
