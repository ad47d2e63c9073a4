"""What the trained model can do, measured on held-out pieces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audioic_widget.codec.mini import MiniCodec
from audioic_widget.frames import FRAME_PERIOD
from audioic_widget.likelihood.bounds import floor
from audioic_widget.likelihood.density import Scheme, log_density
from audioic_widget.likelihood.divergence import CycledHadamard
from audioic_widget.training.arrange import Performance
from audioic_widget.training.train_codec import reconstruction_error
from audioic_widget.training.train_flow import Flow

LOSS_LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
IC_LEVELS = (0.0, 0.3, 0.6)
LAGS = range(-3, 5)
STEPS = 16

Table = dict[str, float]


@torch.inference_mode()
def codec_errors(codec: MiniCodec, features: NDArray[np.float16], seed: int) -> Table:
    """Reconstruction error by noise level (1: nothing but the mean survives) of `features` ``(frames, size)``."""
    batch, random = torch.from_numpy(np.array(features, dtype=np.float32)), torch.Generator().manual_seed(seed)
    return {
        f"{level:.1f}": reconstruction_error(codec, batch, torch.full((len(batch), 1), level), random).mean().item()
        for level in LOSS_LEVELS
    }


@torch.inference_mode()
def flow_losses(flow: Flow, latents: NDArray[np.float32], frames: int, seed: int) -> Table:
    """Squared velocity error a dimension by noise level, on clean contexts, over windows of `frames` of a stream.

    What knows nothing of the context and takes latents for unit Gaussian has ``1 / ((1 - s)^2 + s^2)``.
    """
    windows = torch.from_numpy(latents[: len(latents) // frames * frames]).view(-1, frames, latents.shape[-1])
    device = next(flow.parameters()).device
    times = 1 - torch.tensor(LOSS_LEVELS)[:, None]
    random = torch.Generator().manual_seed(seed)
    sums = torch.zeros(len(LOSS_LEVELS))
    for window in windows.split(1):
        noise = torch.randn(len(times), 1, frames - 1, window.shape[-1], generator=random)
        sums += flow.errors(*(each.to(device) for each in (window, window, times, noise))).mean((1, 2)).cpu()
    return {f"{level:.1f}": loss for level, loss in zip(LOSS_LEVELS, (sums / len(windows)).tolist(), strict=True)}


def mean_loss(losses: Table) -> float:
    """Mean over all noise levels in [0, 1] of losses at equally spaced ones (trapezoidal rule)."""
    values = list(losses.values())
    return (sum(values) - (values[0] + values[-1]) / 2) / (len(values) - 1)


@torch.inference_mode()
def information_content(flow: Flow, latents: Tensor, seed: int) -> Tensor:
    """IC in nats ``(levels, frames - 1)`` of `latents` ``(frames, 64)`` at `IC_LEVELS`, the published expectation mode."""
    t = 1 - torch.tensor(IC_LEVELS)
    scaled = t[:, None, None] * latents
    field = flow.head.frozen().bind(flow.backbone(scaled)[:, :-1])
    start = scaled[:, 1:]
    signs = torch.randint(0, 2, start.shape, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1
    return -log_density(field, start, t, Scheme("midpoint", STEPS), CycledHadamard(signs, 2)).value


def share_below_floor(contents: Sequence[Tensor]) -> Table:
    """Share of values under the floor, by level, of IC curves ``(levels, frames)``."""
    together = torch.cat(list(contents), dim=-1)
    return {
        f"{level:.1f}": (row < floor(level)).float().mean().item()
        for level, row in zip(IC_LEVELS, together, strict=True)
    }


def onset_response(contents: Sequence[Tensor], performances: Sequence[Performance]) -> dict[str, dict[str, float]]:
    """How much IC rises where notes begin, by level.

    Only onsets after 3 frames without one count. The response at a lag is the mean IC there, in standard deviations of
    the recording's curve and relative to its mean; "lag" is where it is largest, "peak" how large it is.
    """
    responses = []
    for content, performance in zip(contents, performances, strict=True):
        standard = ((content - content.mean(-1, keepdim=True)) / content.std(-1, keepdim=True)).numpy()
        frames = lonely_onsets(performance)
        frames = frames[(frames + min(LAGS) >= 1) & (frames + max(LAGS) <= standard.shape[-1])]
        # Column k - 1 belongs to frame k: the first frame has no value.
        responses.append(np.stack([standard[:, frames - 1 + lag] for lag in LAGS], axis=1))
    mean = np.concatenate(responses, axis=-1).mean(axis=-1)
    return {
        f"{level:.1f}": {"lag": float(LAGS[row.argmax()]), "peak": float(row.max())}
        for level, row in zip(IC_LEVELS, mean, strict=True)
    }


def lonely_onsets(performance: Performance, quiet: int = 3) -> NDArray[np.int64]:
    """Frames in which a note begins and none began in the `quiet` frames before."""
    frames = np.unique([int(note.onset / FRAME_PERIOD) for note in performance.notes])
    return frames[np.diff(frames, prepend=-quiet - 1) > quiet]
