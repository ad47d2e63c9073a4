"""What explains a trace without any musical knowledge: change of level, spectral flux, steps and rarity of latents.

All give one value a frame, NaN where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audioic_widget.codec.mini import HOP, HOPS, WINDOW, MiniConfig, mel_filters
from audioic_widget.frames import FRAME_SAMPLES
from audioic_widget.validation.items import Floats

FLOOR = 1e-7
"""Power added before a logarithm, full scale 1: -70 dB."""

LOADING = 0.01
"""Share of the mean variance added to every variance of the Gaussian: layer-normalised latents lack a dimension."""

KERNEL_FRAMES = 16
"""Reach of Foote's kernel to either side, in frames (1.5 s)."""

Samples = NDArray[np.float32]


def level_change(samples: Samples) -> Floats:
    """Absolute change of the root mean square level from frame to frame, in dB."""
    power = np.square(samples.reshape(-1, FRAME_SAMPLES).astype(np.float64)).mean(axis=1)
    return np.abs(np.diff(10 * np.log10(power + FLOOR), prepend=np.nan))


def log_mel(samples: Samples) -> Floats:
    """Natural-log powers ``(8 frames, 72)`` in mel bands; every window ends with its hop, as in the codec `mini`."""
    padded = np.pad(samples.astype(np.float64), (WINDOW - HOP, 0))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    shape = np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(windows * (2 * shape / shape.sum()))) ** 2
    return np.asarray(np.log(power @ mel_filters(MiniConfig()) + FLOOR))


def spectral_flux(mel: Floats) -> Floats:
    """Half-wave rectified rise of `log_mel`, summed over bands and the hops of a frame."""
    rise = np.maximum(np.diff(mel, axis=0, prepend=mel[:1]), 0).sum(axis=1)
    return np.asarray(rise.reshape(-1, HOPS).sum(axis=1))


def latent_step(latents: Floats) -> Floats:
    """``|z_k - z_(k-1)|^2``."""
    return np.append(np.nan, np.square(np.diff(latents, axis=0)).sum(axis=1))


@dataclass(frozen=True)
class Gaussian:
    """A normal density of latents that knows no context."""

    mean: Floats
    covariance: Floats

    @classmethod
    def fit(cls, latents: Floats) -> Gaussian:
        """From latents ``(n, D)``."""
        covariance = np.cov(latents, rowvar=False)
        return cls(
            latents.mean(axis=0),
            covariance + LOADING * np.trace(covariance) / len(covariance) * np.eye(len(covariance)),
        )

    def surprise(self, latents: Floats) -> Floats:
        """Negative log density in nats."""
        away = latents - self.mean
        squares = (away * np.linalg.solve(self.covariance, away.T).T).sum(axis=1)
        logdet = np.linalg.slogdet(2 * np.pi * self.covariance)[1]
        return np.asarray(0.5 * (squares + logdet))


def novelty(mel: Floats, reach: int = KERNEL_FRAMES) -> Floats:
    """Foote's novelty (2000): a checkerboard with Gaussian taper along the diagonal of the self-similarity.

    Frames are compared by the cosine of their `log_mel`, averaged within the frame and centred; value k belongs to a
    boundary at the start of frame k, and is NaN within `reach` of the ends.
    """
    frames = mel.reshape(-1, HOPS, mel.shape[1]).mean(axis=1)
    frames = frames - frames.mean(axis=0)
    frames /= np.maximum(np.linalg.norm(frames, axis=1, keepdims=True), 1e-9)
    similarity = frames @ frames.T
    offsets = np.arange(-reach, reach) + 0.5
    taper = np.exp(-0.5 * (offsets / (reach / 2)) ** 2) * np.sign(offsets)
    kernel = np.outer(taper, taper)
    values = np.full(len(frames), np.nan)
    for k in range(reach, len(frames) - reach + 1):
        if k < len(frames):
            values[k] = (kernel * similarity[k - reach : k + reach, k - reach : k + reach]).sum()
    return values
