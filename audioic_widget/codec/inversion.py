"""Sound for the features of `codec.mini`: the spectrum they allow, and phases that fit it.

Mel bands say when and how loud, but cannot tell semitones apart below 400 Hz; the log-spaced low frequencies can. So the
low frequencies shape the spectrum, and multiplicative updates bring its mel bands back to what they are. Phases are
found by the fast Griffin-Lim algorithm (Perraudin, Balazs, Sondergaard 2013). Encoded again, such sound gives back its
latents with a cosine of 0.95 to 0.98.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from audioic_widget.frames import SAMPLE_RATE

BAND_UPDATES = 3
"""Updates towards the mel bands: the third leaves 1 dB."""

PHASE_UPDATES = 8
"""Of Griffin-Lim: 32 more than these gain a tenth of a decibel."""

MOMENTUM = 0.99
QUIET = 1e-9
"""Power below which nothing sounds: 90 dB below a full-scale sine."""


def spectrum(mel: Tensor, low: Tensor, filters: Tensor, low_frequencies: Tensor) -> Tensor:
    """Powers ``(hops, bins)`` whose bands are `mel` and whose low end is shaped as `low`.

    Parameters
    ----------
    mel : Tensor (hops, n_mels)
        Powers in the mel bands.
    low : Tensor (hops, n_low)
        Powers at `low_frequencies`.
    filters : Tensor (bins, n_mels)
        The mel bands, each summing to 1; bins are equally spaced from 0 to half the sample rate.
    low_frequencies : Tensor (n_low,)
        Hertz, rising by equal ratios.
    """
    total = filters.sum(1)
    spread = filters.T / total.clamp_min(QUIET)
    power = mel @ spread
    frequencies = torch.arange(len(filters)) * (SAMPLE_RATE / 2 / (len(filters) - 1))
    inside = (frequencies >= low_frequencies[0]) & (frequencies <= low_frequencies[-1])
    place = np.interp(
        frequencies[inside].log().numpy(), low_frequencies.log().numpy(), np.arange(len(low_frequencies))
    ).astype(np.float32)
    below = torch.from_numpy(place).long().clamp_max(len(low_frequencies) - 2)
    share = torch.from_numpy(place) - below
    logs = low.clamp_min(QUIET).log()
    power[:, inside] = (logs[:, below] * (1 - share) + logs[:, below + 1] * share).exp()
    for _ in range(BAND_UPDATES):
        power = power * (((mel + QUIET) / (power @ filters + QUIET)) @ spread)
    return power


def waveform(power: Tensor, hop: int, seed: int) -> Tensor:
    """Samples ``(hop * hops,)`` whose spectrum is near `power` ``(hops, bins)``.

    Hop k is heard through a Hann window of ``2 (bins - 1)`` samples that ends at sample ``hop (k + 1)``. `seed` decides
    the phases to begin with.
    """
    size = 2 * (power.shape[1] - 1)
    window = torch.hann_window(size)
    # Window k is centred at hop (k + 1) - size / 2: so many samples before the first one that is asked for.
    lead = size // 2 - hop
    length = hop * len(power) + lead
    # One more, since nothing but the edge of the last window reaches the last samples.
    power = torch.cat((power, power[-1:]))
    magnitudes = power.T.sqrt() * (window.sum() / 2)
    random = torch.rand(magnitudes.shape, generator=torch.Generator().manual_seed(seed))
    guess = torch.polar(magnitudes, 2 * torch.pi * random)
    before = torch.zeros_like(guess)
    for _ in range(PHASE_UPDATES):
        heard = torch.stft(
            torch.istft(guess, size, hop, window=window, length=length),
            *(size, hop),
            window=window,
            return_complex=True,
        )[:, : guess.shape[1]]
        # The step beyond what is consistent is what makes it fast.
        target = heard + MOMENTUM / (1 + MOMENTUM) * (heard - before)
        before = heard
        guess = magnitudes * target / target.abs().clamp_min(QUIET)
    return torch.istft(guess, size, hop, window=window, length=length)[lead:]
