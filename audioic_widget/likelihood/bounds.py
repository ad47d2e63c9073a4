"""Closed-form lines to read IC against; they need no trained weights."""

from __future__ import annotations

import math

SLACK = 1.0
"""Nats under a bound that are no alarm: a learnt flow, its solver and its probes err by as much where all is predicted and
values lie at the floor. Where a flow was never trained it goes under by tens of nats."""


def floor(noise_level: float, dim: int = 64) -> float:
    """Least IC in nats that an exact flow can give at a noised point of `noise_level` s.

    ``dim/2 ln(2 pi) + dim ln s``: the density of a point with noise of standard deviation s on it is nowhere
    higher than the noise's own. Minus infinity at s = 0.
    """
    return -math.inf if noise_level == 0 else dim * (0.5 * math.log(2 * math.pi) + math.log(noise_level))


def no_knowledge(
    noise_level: float, noising: str = "expectation", monte_carlo_samples: int | None = None, dim: int = 64
) -> float:
    """IC in nats of a latent under a unit Gaussian, noised to s: what knowing no context says.

    ``dim/2 ln(2 pi w) + E|x|^2 / (2 w)`` with ``w = (1 - s)^2 + s^2``. The evaluated point x of a latent with
    ``|z|^2 = dim`` has ``E|x|^2 = dim ((1 - s)^2 + n)``: n is 0 for "expectation", ``s^2 / M`` for "monte_carlo",
    and ``s^2``, the noise of a genuine point, for "average" and "flow".
    """
    kept, noise = (1 - noise_level) ** 2, noise_level**2
    variance = kept + noise
    share = {"expectation": 0.0, "monte_carlo": 1 / (monte_carlo_samples or 1)}.get(noising, 1.0)
    return 0.5 * dim * (math.log(2 * math.pi * variance) + (kept + share * noise) / variance)
