"""The decoder of Music2Latent: latents to sound, by one step of a consistency model (Pasini et al. 2024).

As for the encoder, the network is the one of the package `music2latent`, which is imported, never copied; weights come
from a file. It is large, 42 million numbers, and works on a spectrogram, so that a second of sound takes a CPU about a
second where it multiplies bfloat16 in hardware, and two to four where it does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from audioic_widget.errors import CheckpointError
from audioic_widget.frames import FRAME_SAMPLES
from audioic_widget.hardware import fast_in_bfloat16

if TYPE_CHECKING:
    from music2latent.models import UNet

BINS = 1_024
"""Frequencies of the spectrogram."""

COLUMNS = 8
"""Its columns in a frame."""

_ENCODER = "encoder."


def decoder_tensors(tensors: Mapping[str, object]) -> dict[str, Tensor]:
    """What decodes among the `tensors` of a codec file; nothing if that is not there, or not whole."""
    found = {
        name: value.float().contiguous()
        for name, value in tensors.items()
        if isinstance(name, str) and isinstance(value, Tensor) and not name.startswith(_ENCODER)
    }
    expected = _network().state_dict()
    whole = found.keys() == expected.keys() and all(found[name].shape == expected[name].shape for name in expected)
    return found if whole else {}


def decode(path: Path, latents: Tensor) -> NDArray[np.float32]:
    """Samples ``(4096 frames,)`` of `latents` ``(frames, 64)`` as the network knows them, standard deviation 0.06.

    The same latents give the same samples: the noise that a consistency model begins with is the same every time.

    Parameters
    ----------
    path : Path
        Weights, as `decoder_tensors` gives them, in safetensors.
    latents : Tensor (frames, 64)
        On the device that computes.

    Raises
    ------
    CheckpointError
        If the file is missing or damaged.
    """
    from music2latent.audio import to_waveform
    from music2latent.hparams import sigma_max

    device = latents.device
    network = _loaded(path, device)
    shape = 1, 2, BINS, COLUMNS * len(latents)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
    noise = noise.contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=fast_in_bfloat16(device)):
        spectrum: Tensor = network(latents.T[None], sigma_max * noise, sigma_max)
    sound: Tensor = to_waveform(spectrum.float().cpu())[0]
    return sound[: FRAME_SAMPLES * len(latents)].numpy()


def _network() -> UNet:
    """The network without weights, and without its encoder."""
    from music2latent.models import UNet

    with torch.device("meta"):
        network = UNet()
    network.encoder = nn.Identity()
    return network


@lru_cache(maxsize=1)
def _loaded(path: Path, device: torch.device) -> UNet:
    network = _network()
    try:
        network.load_state_dict(load_file(path), assign=True)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise CheckpointError(
            f"The decoder {path} is missing or damaged: fetch or convert the model again to hear what noise leaves."
        ) from error
    return network.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
