"""Closed-form lines to read IC against; they need no trained weights."""

from __future__ import annotations

import math


def floor(noise_level: float, dim: int = 64) -> float:
    """Least IC in nats that an exact flow can give at a noised point of `noise_level` s.

    ``dim/2 ln(2 pi) + dim ln s``: the density of a point with noise of standard deviation s on it is nowhere
    higher than the noise's own. Minus infinity at s = 0.
    """
    return -math.inf if noise_level == 0 else dim * (0.5 * math.log(2 * math.pi) + math.log(noise_level))


def no_knowledge(noise_level: float, dim: int = 64) -> float:
    """IC in nats of the scaled latent under a unit Gaussian, noised to s: what knowing no context says.

    ``dim/2 ln(2 pi w) + dim/2 (1 - s)^2 / w`` with ``w = (1 - s)^2 + s^2``.
    """
    kept = (1 - noise_level) ** 2
    variance = kept + noise_level**2
    return 0.5 * dim * (math.log(2 * math.pi * variance) + kept / variance)
