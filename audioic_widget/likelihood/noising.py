"""Where the density is evaluated at a noise level, and what the backbone sees.

With flow time ``t = 1 - s``: the scaled latent ``t z`` (the expectation of its noised version), ``t z + s n``
with n the mean of M normal draws, or M genuinely noised points with a likelihood each. The fourth way,
the probability flow, starts from the clean latents and is a matter of the solver alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from audioic_widget.likelihood.draws import Draws, Purpose


@dataclass(frozen=True)
class Points:
    """Evaluated points of a stretch of latents, one row a level and draw.

    Attributes
    ----------
    x : Tensor (rows, F, D)
        Where the density is asked for.
    seen : Tensor (rows, F, D) or (1, F, D)
        What the backbone is fed; one row if it is the same for all.
    """

    x: Tensor
    seen: Tensor


def noised(latents: Tensor, levels: Tensor, noise: Tensor | None) -> Tensor:
    """``(1 - s) z + s n`` for every level: ``(rows, F, D)``.

    Parameters
    ----------
    latents : Tensor (F, D)
    levels : Tensor (rows,)
        Noise level s of each row.
    noise : Tensor (rows, F, D), (F, D) or None
        None leaves the noise at its expectation, zero.
    """
    s = levels[:, None, None]
    scaled = (1 - s) * latents
    return scaled if noise is None else scaled + s * noise


def evaluated_points(latents: Tensor, levels: Tensor, noise: Tensor | None, *, clean_context: bool) -> Points:
    """The points of one stretch of `latents` ``(F, D)``; see `noised` for the other arguments."""
    x = noised(latents, levels, noise)
    return Points(x, latents.unsqueeze(0) if clean_context else x)


def mean_noise(draws: Draws, n_draws: int, first: int, stop: int) -> Tensor:
    """Mean of `n_draws` standard normal draws for the frames ``first .. stop - 1``: ``(F, D)``."""
    total = sum(torch.from_numpy(draws.normal(Purpose.NOISE, m, first, stop)) for m in range(n_draws))
    assert isinstance(total, Tensor)
    return total / n_draws


def single_draws(draws: Draws, n_draws: int, first: int, stop: int) -> Tensor:
    """`n_draws` standard normal draws for the frames ``first .. stop - 1``: ``(n_draws, F, D)``."""
    return torch.stack([torch.from_numpy(draws.normal(Purpose.NOISE, m, first, stop)) for m in range(n_draws)])
