"""The codec's training: reconstruct a frame's features, and where they are known its notes, from its noised latent.

The latent is noised as the flow will noise it, ``(1 - s) z + s n`` with s uniform in [0, 1], so the encoder spends
its 64 dimensions first on what explains most of the sound: that is what is left at high noise levels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from audioic_widget.codec.mini import HOPS, PIECE_FRAMES, MiniCodec, perceptron
from audioic_widget.frames import FRAME_PERIOD, FrameGrid
from audioic_widget.training.arrange import Note
from audioic_widget.training.dataset import Rendering, Sound
from audioic_widget.training.files import replacing
from audioic_widget.training.loop import Schedule, fit
from audioic_widget.training.scores import DRUM_PART

BATCH_FRAMES = 1_024

LOW_WEIGHT = 3.0
"""Weight of the low, finely resolved frequencies in the loss: they carry most of the pitch."""

PITCHES = range(21, 109)
"""MIDI numbers whose notes the latent must tell, those of a piano."""

PITCH_WEIGHT = 2.0
"""Weight of the error about notes beside that about the spectrum; both are 1 for what knows nothing."""

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
        with replacing(kept) as temporary:
            np.save(temporary, np.concatenate(parts))
    features: NDArray[np.float16] = np.load(kept, mmap_mode="r")
    return features


def pitch_rolls(renderings: Sequence[Rendering], notes_of: Callable[[Rendering], Sequence[Note]]) -> NDArray[np.bool_]:
    """Which of `PITCHES` sound in every frame of `renderings`, ``(frames, 88)``, as `extract_features` orders them."""
    rolls = []
    for rendering in renderings:
        frames = FrameGrid(soundfile.info(rendering.path).frames).n_frames
        roll = np.zeros((frames, len(PITCHES)), dtype=np.bool_)
        for note in notes_of(rendering):
            if note.channel != DRUM_PART and note.pitch in PITCHES:
                first, last = (int(time / FRAME_PERIOD) for time in (note.onset, note.onset + note.duration))
                roll[first : max(last, first + 1), note.pitch - PITCHES.start] = True
        rolls.append(roll)
    return np.concatenate(rolls)


class CodecWithProbe(nn.Module):
    """A codec and a perceptron that tells from its noised latents which notes sound; the latter serves training only."""

    def __init__(self, codec: MiniCodec) -> None:
        super().__init__()
        self.codec = codec
        self.probe = perceptron(codec.latent_dim + 1, codec.config.hidden, len(PITCHES))


def train_codec(
    codec: MiniCodec,
    features: NDArray[np.float16],
    schedule: Schedule,
    checkpoint: Path,
    seed: int,
    rolls: NDArray[np.bool_] | None = None,
    noisy: bool = True,
) -> MiniCodec:
    """Train `codec`; its averaged copy.

    Parameters
    ----------
    codec : MiniCodec
    features : ndarray (frames, size)
    schedule, checkpoint, seed
        Of `fit`.
    rolls : ndarray of bool (frames, 88), optional
        Which notes sound, where that is known: pitch is then what survives noise best.
    noisy : bool
        False trains without noise, as an ablation of the method's claim.
    """
    standardise(codec, features)
    both, device = CodecWithProbe(codec).to(codec.mean.device), codec.mean.device
    share = 0.5 if rolls is None else float(rolls[::16].mean())
    ignorance = -(share * math.log(share) + (1 - share) * math.log(1 - share))

    def loss(random: torch.Generator) -> Tensor:
        rows = np.sort(torch.randint(len(features), (BATCH_FRAMES,), generator=random).numpy())
        batch = torch.from_numpy(features[rows]).float().to(device)
        levels = (torch.rand(len(batch), 1, generator=random) * noisy).to(device)
        error, noised = reconstruction(codec, batch, levels, random)
        if rolls is None:
            return error.mean()
        logits = both.probe(torch.cat((noised, levels), dim=-1))
        missed = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(rolls[rows]).float().to(device))
        return error.mean() + PITCH_WEIGHT * missed / ignorance

    return fit(both, loss, schedule, checkpoint, seed).codec.eval()


def standardise(codec: MiniCodec, features: NDArray[np.float16]) -> None:
    """Set the codec's mean and scale from every 16th frame of `features`."""
    some = features[::16].astype(np.float32)
    codec.mean.copy_(torch.from_numpy(some.mean(axis=0)))
    codec.scale.copy_(torch.from_numpy(np.maximum(some.std(axis=0), FEATURE_NOISE)))


def reconstruction(
    codec: MiniCodec, features: Tensor, levels: Tensor, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """How well the decoder tells `features` from their latents, noised to `levels` ``(frames, 1)``.

    Returns
    -------
    errors : Tensor (frames,)
        Weighted squared errors; 1 is that of always answering the mean.
    noised : Tensor (frames, 64)
        The noised latents.
    """
    latents = codec.squeeze(features)
    noise = torch.randn(latents.shape, generator=random).to(latents.device)
    noised = (1 - levels) * latents + levels * noise
    error = (codec.expand(noised, levels) - (features - codec.mean) / codec.scale).square()
    split = HOPS * codec.n_mels
    mel, low = error[:, :split].mean(-1), error[:, split:].mean(-1)
    return (mel + LOW_WEIGHT * low) / (1 + LOW_WEIGHT), noised
