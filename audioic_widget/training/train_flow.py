"""The flow's training: backbone and head learn to predict the next latent as a rectified flow (Liu et al. 2023).

On the straight path ``x_t = t z + (1 - t) n`` from noise n to the latent z the velocity is ``z - n``; the mean
squared error against it is the loss; what knows nothing and takes latents for unit Gaussian has pi/2 on average over t.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audioic_widget.codec import Codec
from audioic_widget.formats.files import replacing
from audioic_widget.frames import FrameGrid
from audioic_widget.model.backbone import Backbone
from audioic_widget.model.head import Head
from audioic_widget.training.dataset import Sound
from audioic_widget.training.loop import Schedule, fit

WINDOWS = 4
"""Training windows in a batch."""

DRAWS = 2
"""Independent draws of time and noise for every context: the head costs less than the backbone."""

REACH = 8
"""Latents that the backbone's input layer sees at once: two tones of a usual length."""

CLEAN_SHARE = 0.5
"""Share of windows whose backbone sees clean latents; of the rest, half see scaled, half noised ones.

The published ways to compute IC feed the backbone such latents, so training must have been there.
"""


class Flow(nn.Module):
    """Backbone and head, trained together.

    Parameters
    ----------
    dim, depth, heads, head_depth, reach : int
        Of `Backbone` and `Head`.
    """

    def __init__(self, dim: int = 128, depth: int = 4, heads: int = 2, head_depth: int = 3, reach: int = REACH) -> None:
        super().__init__()
        self.architecture = {"latent_dim": 64, "dim": dim, "depth": depth, "heads": heads, "reach": reach}
        self.architecture["head_depth"] = head_depth
        self.backbone = Backbone(dim, depth, heads, reach=reach)
        self.head = Head(dim, head_depth)

    @property
    def matrices(self) -> list[nn.Parameter]:
        """The weight matrices of all blocks."""
        blocks = (*self.backbone.blocks, *self.head.blocks)
        return [weight for block in blocks for weight in block.parameters() if weight.ndim == 2]

    def errors(self, latents: Tensor, seen: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """Squared velocity errors, mean over dimensions.

        Parameters
        ----------
        latents : Tensor (windows, frames, 64)
            The truth; frames 1 .. are predicted.
        seen : Tensor (windows, frames, 64)
            What the backbone sees: `latents`, or a scaled or noised version.
        times : Tensor (draws, windows)
            Flow times.
        noise : Tensor (draws, windows, frames - 1, 64)
            Standard normal.

        Returns
        -------
        Tensor (draws, windows, frames - 1)
        """
        contexts = self.backbone(seen)[:, :-1]
        targets = latents[:, 1:]
        t = times[..., None, None]
        velocity = self.head(t * targets + (1 - t) * noise, times, contexts)
        return (velocity - (targets - noise)).square().mean(-1)


def encode_all(codec: Codec, recordings: Sequence[Sound], folder: Path) -> dict[str, NDArray[np.float32]]:
    """Latents ``(frames, 64)`` of all recordings one after another: "training" and "held_out".

    Those of each recording are kept in a file in `folder`.
    """
    streams: dict[str, list[NDArray[np.float32]]] = {"training": [], "held_out": []}
    for number, recording in enumerate(recordings):
        kept = folder / f"{number:05}.npy"
        if not kept.exists():
            samples = recording.samples()
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(kept) as file:
                np.save(file, codec.encode(samples, 0, FrameGrid(len(samples)).n_frames).cpu().numpy())
        streams["held_out" if recording.held_out else "training"].append(np.load(kept))
    return {name: np.concatenate(parts) for name, parts in streams.items() if parts}


def train_flow(
    flow: Flow,
    latents: NDArray[np.float32],
    frames: int,
    schedule: Schedule,
    checkpoint: Path,
    seed: int,
    held_out: Callable[[Flow], float] | None = None,
) -> Flow:
    """Train `flow` on random windows of `frames` frames of the stream `latents` ``(n, 64)``; its averaged copy.

    Muon trains the matrices of its blocks. The other parameters are those of `fit`.
    """
    stream, device = torch.from_numpy(latents), next(flow.parameters()).device

    def loss(random: torch.Generator) -> Tensor:
        starts = torch.randint(len(stream) - frames + 1, (WINDOWS,), generator=random)
        batch = torch.stack([stream[start : start + frames] for start in starts.tolist()])
        times = stratified(DRAWS * WINDOWS, random).view(DRAWS, WINDOWS)
        noise = torch.randn(DRAWS, WINDOWS, frames - 1, batch.shape[-1], generator=random)
        drawn = (batch, corrupted(batch, random), times, noise)
        return flow.errors(*(each.to(device) for each in drawn)).mean()

    return fit(flow, loss, schedule, checkpoint, seed, held_out, flow.matrices).eval()


def corrupted(latents: Tensor, random: torch.Generator) -> Tensor:
    """What the backbone is shown of `latents` ``(windows, frames, 64)``: clean, scaled or noised, window by window."""
    kind, level = torch.rand(2, len(latents), 1, 1, generator=random)
    noised = kind > (1 + CLEAN_SHARE) / 2
    level = torch.where(kind > CLEAN_SHARE, level, 0)
    return (1 - level) * latents + noised * level * torch.randn(latents.shape, generator=random)


def stratified(count: int, random: torch.Generator) -> Tensor:
    """`count` times, one in each of as many equal parts of [0, 1], in random order: less variance than independent ones."""
    return ((torch.arange(count) + torch.rand(count, generator=random)) / count)[
        torch.randperm(count, generator=random)
    ]
