"""The codec of the embedded model: log-spectral features of a frame, squeezed into 64 dimensions.

Frame k is heard through windows that all END at or before its last sample, so latent k depends on no sample
after ``4096 (k + 1)``: there is no look-ahead, and the onset of a later frame cannot leak into it. The windows
reach at most 4096 samples into the past of frame k:

- 8 windows of 2048 samples, 512 apart, through 72 mel bands (30 Hz - 16 kHz): timbre and timing;
- 2 windows of 8192 samples, 2048 apart, at 24 log-spaced frequencies an octave (55 Hz - 1.76 kHz): pitch, since
  a window of 2048 cannot tell semitones apart below 400 Hz. These windows fall four times as fast as they rise,
  so that a new note is heard in the frame in which it begins.

Training adds noise to the latents (the decoder sees ``(1 - s) z + s n`` and s), so what survives noise is what
matters most for the sound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from audioic_widget.audio import release
from audioic_widget.codec.inversion import spectrum, waveform
from audioic_widget.errors import ModelError
from audioic_widget.frames import FRAME_SAMPLES, SAMPLE_RATE
from audioic_widget.threads import compute_threads

WINDOW = 2_048
HOP = 512
HOPS = FRAME_SAMPLES // HOP
LOW_WINDOW = 8_192
LOW_HOP = 2_048
LOW_HOPS = FRAME_SAMPLES // LOW_HOP
LOW_RISE = 6_554
"""Samples over which the long window rises; it falls over the remaining fifth."""

HISTORY = LOW_WINDOW - LOW_HOP
"""Samples before a frame that its windows reach into."""

PIECE_FRAMES = 64
"""Frames encoded at a time, whatever the length of the file: what they need, 8 MB, stays near a core."""

POWER_FLOOR = 1e-7
"""Added to every power before the logarithm: 70 dB below a full-scale sine."""


@dataclass(frozen=True)
class MiniConfig:
    """What decides the shapes of `MiniCodec`: kept in the model's card."""

    latent_dim: int = 64
    hidden: int = 320
    n_mels: int = 72
    mel_range: tuple[float, float] = (30.0, 16_000.0)
    low_bins: int = 120
    low_bins_per_octave: int = 24
    low_frequency: float = 55.0


class Features(nn.Module):
    """Natural-log powers of frames: ``HOPS * n_mels`` mel bands, then ``LOW_HOPS * low_bins`` low frequencies."""

    window: Tensor
    mel: Tensor
    mel_of_squares: Tensor
    low: Tensor

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        window = torch.hann_window(WINDOW)
        # Scaled so that a full-scale sine has a power near 1 in its band.
        self.register_buffer("window", 2 * window / window.sum(), persistent=False)
        self.register_buffer("mel", torch.from_numpy(mel_filters(config)), persistent=False)
        self.register_buffer("mel_of_squares", self.mel.repeat_interleave(2, dim=0), persistent=False)
        self.register_buffer("low", low_filters(config), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Features ``(frames, size)`` of `samples` ``(HISTORY + 4096 frames,)``, the past of the first frame included."""
        short = samples[HISTORY + HOP - WINDOW :].unfold(0, WINDOW, HOP)
        # A power is the sum of two squares; the product with the bands adds them up as well.
        squares = torch.view_as_real(torch.fft.rfft(short * self.window)).flatten(-2).square_()
        mel = (squares @ self.mel_of_squares).view(-1, HOPS * self.mel.shape[1])
        real, imaginary = (samples.unfold(0, LOW_WINDOW, LOW_HOP) @ self.low).chunk(2, dim=-1)
        low = (real.square() + imaginary.square()).reshape(len(mel), -1)
        return torch.cat((mel, low), dim=-1).add(POWER_FLOOR).log()


class MiniCodec(nn.Module):
    """Encoder and decoder of the embedded model.

    Parameters
    ----------
    config : MiniConfig
        Shapes.

    Notes
    -----
    A latent is normalised over its 64 dimensions to mean 0 and variance 1, so ``|z|^2 = 64``.
    """

    name = "mini"
    decodes = True
    piece_frames = PIECE_FRAMES
    look_ahead = 0
    """Frames after frame k that latent k depends on."""

    mean: Tensor
    scale: Tensor

    def __init__(self, config: MiniConfig | None = None) -> None:
        super().__init__()
        config = config or MiniConfig()
        self.config = config
        self.latent_dim = config.latent_dim
        self.n_mels = config.n_mels
        self.features = Features(config)
        size = HOPS * config.n_mels + LOW_HOPS * config.low_bins
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.encoder = perceptron(size, config.hidden, config.latent_dim)
        self.decoder = perceptron(config.latent_dim + 1, config.hidden, size)

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> MiniCodec:
        """The codec described by the "codec" entry of a model's card.

        Raises
        ------
        ModelError
            If an entry is missing or unknown.
        """
        expected = asdict(MiniConfig())
        if config.keys() != expected.keys():
            wrong = ", ".join(sorted(config.keys() ^ expected.keys()))
            raise ModelError(f"The codec's description in the model card does not fit this version: check {wrong}.")
        values: dict[str, Any] = dict(config)
        low, high = values["mel_range"]
        return cls(MiniConfig(**{**values, "mel_range": (low, high)}))

    @torch.inference_mode()
    def encode(
        self, samples: NDArray[np.float32], first: int, stop: int, check: Callable[[], None] | None = None
    ) -> Tensor:
        """Latents ``(stop - first, 64)`` of a file's frames `first` to ``stop - 1``.

        Parameters
        ----------
        samples : ndarray (n,)
            The whole file, mono at 44.1 kHz; what lies before its start counts as silence.
        first, stop : int
            Frames on the file's grid, ``0 <= first <= stop <= n // 4096``.
        check : callable, optional
            Called between pieces of 64 frames; may raise to end the work.
        """

        # Made once: small results that stay between large ones that go would leave memory in pieces.
        latents = torch.empty(stop - first, self.latent_dim, device=self.mean.device)

        @torch.inference_mode()
        def fill(start: int) -> None:
            if check is not None:
                check()
            end = min(start + PIECE_FRAMES, stop)
            latents[start - first : end - first] = self.squeeze(self.features(self.samples_of(samples, start, end)))
            release(samples)

        for _ in compute_threads(self.mean.device).map(fill, range(first, stop, PIECE_FRAMES)):
            pass
        return latents

    @torch.inference_mode()
    def decode(self, latents: Tensor, noise_level: float = 0.0) -> Tensor:
        """Natural-log mel powers ``(8 frames, n_mels)`` that `latents` ``(frames, 64)`` stand for.

        Parameters
        ----------
        latents : Tensor (frames, 64)
            Latents, or noised ones ``(1 - s) z + s n``.
        noise_level : float in [0, 1]
            Their noise level s.
        """
        return self._features_of(latents, noise_level)[0]

    @torch.inference_mode()
    def sound(self, latents: Tensor, noise_level: float = 0.0) -> NDArray[np.float32]:
        """Samples ``(4096 frames,)`` that `latents` stand for; arguments as for `decode`, see `codec.inversion`.

        The decoder was trained on noised latents and knows their level, so this is the mean of what they may have been.
        """
        mel, low = (part.exp().sub(POWER_FLOOR).clamp_min(0).cpu() for part in self._features_of(latents, noise_level))
        power = spectrum(
            mel,
            # The long window falls so fast that what it hears is what has just begun.
            low.repeat_interleave(HOPS // LOW_HOPS, dim=0),
            self.features.mel.cpu(),
            torch.from_numpy(low_frequencies(self.config)),
        )
        return waveform(power, HOP, seed=0).numpy()

    def _features_of(self, latents: Tensor, noise_level: float) -> tuple[Tensor, Tensor]:
        """Natural-log powers of mel bands ``(8 frames, n_mels)`` and of low frequencies ``(2 frames, low_bins)``."""
        levels = torch.full_like(latents[:, :1], noise_level)
        features = self.expand(latents, levels) * self.scale + self.mean
        n_mel = HOPS * self.n_mels
        return features[:, :n_mel].reshape(-1, self.n_mels), features[:, n_mel:].reshape(-1, self.config.low_bins)

    def squeeze(self, features: Tensor) -> Tensor:
        """Latents ``(..., 64)`` of `features` ``(..., size)``; differentiable."""
        encoded = self.encoder((features - self.mean) / self.scale)
        return F.layer_norm(encoded, (self.latent_dim,))

    def expand(self, latents: Tensor, noise_levels: Tensor) -> Tensor:
        """Standardised features ``(..., size)`` of noised `latents` at `noise_levels` ``(..., 1)``; differentiable."""
        return self.decoder(torch.cat((latents, noise_levels), dim=-1))

    def samples_of(self, samples: NDArray[np.float32], first: int, stop: int) -> Tensor:
        """The samples that frames ``[first, stop)`` depend on, on the codec's device."""
        start = first * FRAME_SAMPLES - HISTORY
        piece = torch.from_numpy(np.ascontiguousarray(samples[max(start, 0) : stop * FRAME_SAMPLES], dtype=np.float32))
        return F.pad(piece, (max(-start, 0), 0)).to(self.mean.device)


def perceptron(size_in: int, hidden: int, size_out: int) -> nn.Sequential:
    """Three linear layers with SiLU between."""
    return nn.Sequential(
        nn.Linear(size_in, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, size_out)
    )


def mel_filters(config: MiniConfig) -> NDArray[np.float32]:
    """Triangles on the mel scale (O'Shaughnessy 1987), ``(WINDOW // 2 + 1, n_mels)``, each summing to 1."""
    low, high = (2595 * np.log10(1 + frequency / 700) for frequency in config.mel_range)
    corners = 700 * (10 ** (np.linspace(low, high, config.n_mels + 2) / 2595) - 1)
    # No triangle narrower than a bin of the transform to either side: it would be empty.
    bin_width = SAMPLE_RATE / WINDOW
    left = np.minimum(corners[:-2], corners[1:-1] - bin_width)
    right = np.maximum(corners[2:], corners[1:-1] + bin_width)
    frequencies = np.arange(WINDOW // 2 + 1)[:, None] * bin_width
    rising = (frequencies - left) / (corners[1:-1] - left)
    falling = (right - frequencies) / (right - corners[1:-1])
    filters = np.maximum(np.minimum(rising, falling), 0)
    return (filters / filters.sum(axis=0)).astype(np.float32)


def low_frequencies(config: MiniConfig) -> NDArray[np.float64]:
    """Hertz of the low frequencies."""
    steps = np.arange(config.low_bins) / config.low_bins_per_octave
    return np.asarray(config.low_frequency * 2**steps)


def low_filters(config: MiniConfig) -> Tensor:
    """Windowed cosines, then sines, at the low frequencies: ``(LOW_WINDOW, 2 low_bins)``."""
    rise = np.sin(np.pi / 2 * (np.arange(LOW_RISE) + 0.5) / LOW_RISE) ** 2
    fall_length = LOW_WINDOW - LOW_RISE
    fall = np.cos(np.pi / 2 * (np.arange(fall_length) + 0.5) / fall_length) ** 2
    window = np.concatenate((rise, fall))
    angles = 2 * np.pi * np.arange(LOW_WINDOW)[:, None] * low_frequencies(config) / SAMPLE_RATE
    # Two million of them, made at every start: PyTorch's are three times as fast as NumPy's.
    waves = torch.cat((torch.from_numpy(angles).cos(), torch.from_numpy(angles).sin()), dim=1)
    return waves.mul_(torch.from_numpy(2 * window[:, None] / window.sum())).float()
