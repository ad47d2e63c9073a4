"""The codec of the published models: Music2Latent (Pasini et al. 2024), its bottleneck a layer norm (Bjare et al. 2025).

The network is the one of the package `music2latent`, which is imported, never copied, since its licence (CC BY-NC 4.0)
is not ours; weights come from a file (`model.published`), never from that package's own download.

It is not causal. Latent k is made from the samples ``4096 k .. 4096 k + 5632``, its convolutions look 13 frames to
either side, and its group norms see all of what is encoded at once. So a long recording is encoded in overlapping
chunks that are cross-faded, where the published code cuts it into independent ones.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from audioic_widget.audio import release
from audioic_widget.codec.music2latent_decoder import decode
from audioic_widget.errors import ModelError, SettingsError
from audioic_widget.frames import FRAME_SAMPLES

if TYPE_CHECKING:
    from music2latent.models import Encoder

Bottleneck = Literal["layernorm", "tanh"]
Chunking = Literal["overlap", "published"]
Precision = Literal["float32", "bfloat16"]

SCALE = 0.06
"""Latents leave the network with this standard deviation and are divided by it."""

TAIL_SAMPLES = 1_536
"""Samples after its last frame that a stretch of frames needs: the window is four hops of 512 long."""

REACH = 13
"""Frames to either side that the convolutions see: 104 hops of 512 samples."""

FADE = 6
"""Least number of frames over which one chunk is faded into the next."""

CHUNK_FRAMES = 160
"""Frames of an overlapping chunk, 14.9 s: the network takes some 115 MB for each second."""

PUBLISHED_CHUNK_FRAMES = 645
"""Frames of an independent chunk in the published code, 59.9 s."""

_ADVANCE = CHUNK_FRAMES - 2 * REACH - FADE


class LayerNormBottleneck(nn.Module):
    """Mean 0, standard deviation `SCALE` over the 64 channels of ``(rows, 64, frames)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.l = nn.LayerNorm(channels)  # named as in the published file
        nn.init.constant_(self.l.weight, SCALE)

    def forward(self, x: Tensor) -> Tensor:
        """The activation; same shape."""
        normalised: Tensor = self.l(x.transpose(1, 2))
        return normalised.transpose(1, 2)


class Music2Latent(nn.Module):
    """Encoder of Music2Latent.

    Parameters
    ----------
    bottleneck : {"layernorm", "tanh"}
        The last activation: of the published IC models, or of the original codec.
    chunking : {"overlap", "published"}
        Recordings longer than a chunk: cross-faded chunks of 14.9 s, so that nothing jumps where one ends; or
        independent ones of 59.9 s, the last one filled up from the beginning, as published.
    precision : {"float32", "bfloat16"}
        Number format of the network on a CPU: "bfloat16" is about twice as fast where the processor multiplies it in
        hardware. On random weights its latents are off by 4 %, which moves IC by 0.3 nats at level 0
        (``benchmarks/codec.py``).

    Raises
    ------
    ModelError
        If the package `music2latent` is not installed.
    SettingsError
        If an argument is none of its choices.
    """

    name = "music2latent"
    latent_dim = 64
    look_ahead = REACH + 1
    """Frames after frame k that latent k depends on, apart from the statistics of its chunk."""

    decoder_file: Path | None = None
    """Weights of what makes sound of latents, read when that is first asked for; None where there are none."""

    def __init__(
        self,
        bottleneck: Bottleneck = "layernorm",
        chunking: Chunking = "overlap",
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        for name, value, choices in (
            ("bottleneck", bottleneck, Bottleneck),
            ("chunking", chunking, Chunking),
            ("precision", precision, Precision),
        ):
            if value not in get_args(choices):
                options = " or ".join(f'"{choice}"' for choice in get_args(choices))
                raise SettingsError(f"{name} of the codec must be {options}, not {value!r}.")
        self.bottleneck, self.chunking, self.precision = bottleneck, chunking, precision
        # Channels last is faster on a CPU: benchmarks/codec.py.
        self.encoder = _encoder().to(memory_format=torch.channels_last)
        if bottleneck == "layernorm":
            self.encoder.activation_bottleneck = LayerNormBottleneck(self.latent_dim)

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Music2Latent:
        """The codec described by the "codec" entry of a model's card.

        Raises
        ------
        ModelError
            If an entry is unknown, or the package `music2latent` is not installed.
        """
        try:
            return cls(**{name: value for name, value in config.items() if name != "type"})  # type: ignore[arg-type]
        except TypeError as error:
            raise ModelError(
                f"The codec's description in the model card does not fit this version ({error})."
            ) from error

    @property
    def config(self) -> dict[str, str]:
        """The "codec" entry of a model's card."""
        return {"type": self.name, "bottleneck": self.bottleneck}

    def chunked(self, chunking: Chunking) -> Music2Latent:
        """This codec, with the same weights in memory, and another way to cut long recordings."""
        other = copy.copy(self)
        other.chunking = chunking
        return other

    def in_precision(self, precision: Precision) -> Music2Latent:
        """This codec, with the same weights in memory, and another number format on a CPU."""
        other = copy.copy(self)
        other.precision = precision
        return other

    @property
    def description(self) -> dict[str, str]:
        """For provenance: what decides its latents besides audio, weights and chunking."""
        names = ("name", "bottleneck", "precision")
        return {"version": version("music2latent"), **{name: getattr(self, name) for name in names}}

    @torch.inference_mode()
    def encode(
        self, samples: NDArray[np.float32], first: int, stop: int, check: Callable[[], None] | None = None
    ) -> Tensor:
        """Latents ``(stop - first, 64)`` of a file's frames `first` to ``stop - 1``.

        Parameters
        ----------
        samples : ndarray (n,)
            The whole file, mono at 44.1 kHz; what lies after its end counts as silence.
        first, stop : int
            Frames on the file's grid, ``0 <= first <= stop <= n // 4096``.
        check : callable, optional
            Called before every chunk; may raise to end the work.
        """
        device = next(self.parameters()).device
        total = torch.zeros(stop - first, self.latent_dim, device=device)
        weight = torch.zeros(stop - first, 1, device=device)
        for start, end, parts in self._chunks(stop - first):
            if check is not None:
                check()
            spectrum = [self._spectrum(samples, first + low, first + high) for low, high in parts]
            release(samples)
            trust = self._trust(start, end, stop - first).to(device)
            total[start:end] += trust * self._latents(torch.cat(spectrum, dim=-1))[: end - start]
            weight[start:end] += trust
        latents = total / weight
        if self.bottleneck == "layernorm" and self.chunking == "overlap":
            # The mean of two chunks' normalised latents is a little short.
            latents = F.layer_norm(latents, (self.latent_dim,))
        return latents

    @property
    def piece_frames(self) -> int:
        """Frames by which one chunk is further than the one before."""
        return PUBLISHED_CHUNK_FRAMES if self.chunking == "published" else _ADVANCE

    @property
    def decodes(self) -> bool:
        """Whether `sound` can be asked for."""
        return self.decoder_file is not None

    @torch.inference_mode()
    def sound(self, latents: Tensor, noise_level: float = 0.0) -> NDArray[np.float32]:
        """Samples ``(4096 frames,)`` that `latents` ``(frames, 64)`` stand for, noised ones too; see `music2latent_decoder`.

        Its decoder knows nothing of noise levels and latents of one length only, so noised ones are brought to that.

        Raises
        ------
        ModelError
            If there is no decoder.
        CheckpointError
            If its file is missing or damaged.
        """
        if self.decoder_file is None:
            raise ModelError("This codec was loaded without its decoder: it makes no sound.")
        if self.bottleneck == "layernorm":
            latents = F.layer_norm(latents, (self.latent_dim,))
        return decode(self.decoder_file, SCALE * latents)

    def _chunks(self, n_frames: int) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
        """``(start, end)`` of every chunk and the stretches of frames to encode together for it."""
        if self.chunking == "published":
            for start in range(0, n_frames, PUBLISHED_CHUNK_FRAMES):
                end = min(start + PUBLISHED_CHUNK_FRAMES, n_frames)
                missing = 0 if start == 0 else start + PUBLISHED_CHUNK_FRAMES - end
                yield start, end, [(start, end), (0, missing)][: 2 if missing else 1]
            return
        count = 1 + max(-(-(n_frames - CHUNK_FRAMES) // _ADVANCE), 0)
        length = min(CHUNK_FRAMES, n_frames)
        for index in range(count if n_frames else 0):
            # Evenly spread: no chunk is shorter than the others, since a short one's statistics stand out.
            start = round(index * (n_frames - length) / max(count - 1, 1))
            yield start, start + length, [(start, start + length)]

    def _trust(self, start: int, end: int, n_frames: int) -> Tensor:
        """Weights ``(end - start, 1)`` of a chunk's latents: none where its cut edge is felt, then rising to 1."""
        weights = torch.ones(end - start)
        if self.chunking == "published":
            return weights.unsqueeze(1)
        ramp = ((torch.arange(end - start) - REACH + 1) / (FADE + 1)).clamp(0, 1)
        if start > 0:
            weights = torch.minimum(weights, ramp)
        if end < n_frames:
            weights = torch.minimum(weights, ramp.flip(0))
        return weights.unsqueeze(1)

    def _spectrum(self, samples: NDArray[np.float32], first: int, stop: int) -> Tensor:
        """The network's input for a file's frames ``[first, stop)``: ``(1, 2, 1024, 8 frames)``."""
        from music2latent.audio import to_representation_encoder

        length = (stop - first) * FRAME_SAMPLES + TAIL_SAMPLES
        piece = np.zeros((1, length), np.float32)
        there = samples[first * FRAME_SAMPLES :][:length]
        piece[0, : len(there)] = there
        spectrum: Tensor = to_representation_encoder(torch.from_numpy(piece).to(next(self.parameters()).device))
        return spectrum

    def _latents(self, spectrum: Tensor) -> Tensor:
        """Latents ``(frames, 64)`` of what is encoded at once."""
        # The published code encodes in half precision on CUDA: more than float32's rounding from what it gives.
        half = self.chunking == "published" and spectrum.is_cuda
        if self.precision == "bfloat16" and spectrum.device.type == "cpu":
            number_format = torch.autocast("cpu", torch.bfloat16)
        else:
            number_format = torch.autocast("cuda", torch.float16, enabled=half)
        with number_format:
            latents: Tensor = self.encoder(spectrum.contiguous(memory_format=torch.channels_last))
        return latents[0].float().T / SCALE


def _encoder() -> Encoder:
    try:
        from music2latent.models import Encoder
    except ImportError as error:
        raise ModelError(
            "This model's codec needs the package music2latent (licence CC BY-NC 4.0): "
            'install it with pip install "audioic-widget[published]".'
        ) from error
    return Encoder()
