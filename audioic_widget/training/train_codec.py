"""The codec's training: reconstruct a frame's features from its noised latent.

The latent is noised as the flow will noise it, ``(1 - s) z + s n`` with s uniform in [0, 1], so the encoder spends
its 64 dimensions first on what explains most of the sound: that is what is left at high noise levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioic_widget.codec.mini import HOPS, PIECE_FRAMES, MiniCodec
from audioic_widget.formats.files import replacing
from audioic_widget.frames import FrameGrid
from audioic_widget.training.dataset import Sound
from audioic_widget.training.loop import Schedule, fit

BATCH_FRAMES = 1_024

LOW_WEIGHT = 3.0
"""Weight of the low, finely resolved frequencies in the loss: they carry most of the pitch."""

FEATURE_NOISE = 1e-3
"""Smallest scale of a feature: a band that never sounds must not be divided by zero."""


def extract_features(codec: MiniCodec, recordings: Sequence[Sound], kept: Path) -> NDArray[np.float16]:
    """Features ``(frames, size)`` of every frame of `recordings`; computed once and kept in the file `kept`."""
    if not kept.exists():
        parts = []
        for recording in recordings:
            samples = recording.samples()
            frames = FrameGrid(len(samples)).n_frames
            for first in range(0, frames, PIECE_FRAMES):
                piece = codec.features(codec.samples_of(samples, first, min(first + PIECE_FRAMES, frames)))
                parts.append(piece.cpu().numpy().astype(np.float16))
        with replacing(kept) as file:
            np.save(file, np.concatenate(parts))
    features: NDArray[np.float16] = np.load(kept, mmap_mode="r")
    return features


def train_codec(
    codec: MiniCodec,
    features: NDArray[np.float16],
    schedule: Schedule,
    checkpoint: Path,
    seed: int,
    noisy: bool = True,
) -> MiniCodec:
    """Train `codec`; its averaged copy.

    Parameters
    ----------
    codec : MiniCodec
    features : ndarray (frames, size)
    schedule, checkpoint, seed
        Of `fit`.
    noisy : bool
        False trains without noise, as an ablation of the method's claim.
    """
    standardise(codec, features)
    device = codec.mean.device

    def loss(random: torch.Generator) -> Tensor:
        rows = np.sort(torch.randint(len(features), (BATCH_FRAMES,), generator=random).numpy())
        batch = torch.from_numpy(features[rows]).float().to(device)
        levels = (torch.rand(len(batch), 1, generator=random) * noisy).to(device)
        return reconstruction_error(codec, batch, levels, random).mean()

    return fit(codec, loss, schedule, checkpoint, seed).eval()


def standardise(codec: MiniCodec, features: NDArray[np.float16]) -> None:
    """Set the codec's mean and scale from every 16th frame of `features`."""
    some = features[::16].astype(np.float32)
    codec.mean.copy_(torch.from_numpy(some.mean(axis=0)))
    codec.scale.copy_(torch.from_numpy(np.maximum(some.std(axis=0), FEATURE_NOISE)))


def reconstruction_error(codec: MiniCodec, features: Tensor, levels: Tensor, random: torch.Generator) -> Tensor:
    """Weighted squared errors ``(frames,)`` of what the decoder tells of `features` from latents noised to `levels` ``(frames, 1)``.

    1 is the error of always answering the mean.
    """
    latents = codec.squeeze(features)
    noise = torch.randn(latents.shape, generator=random).to(latents.device)
    noised = (1 - levels) * latents + levels * noise
    error = (codec.expand(noised, levels) - (features - codec.mean) / codec.scale).square()
    split = HOPS * codec.n_mels
    mel, low = error[:, :split].mean(-1), error[:, split:].mean(-1)
    return (mel + LOW_WEIGHT * low) / (1 + LOW_WEIGHT)
