"""What noise leaves of a recording, to be heard: its latents noised to a level and decoded, stretch by stretch.

Stretches overlap and are faded into each other, so that any part of a recording can be made by itself, and sounds
the same whatever was made before it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from audioic_widget.codec import decoder_of
from audioic_widget.errors import ModelError, SettingsError
from audioic_widget.frames import FRAME_SAMPLES
from audioic_widget.ic import Encoded
from audioic_widget.likelihood.draws import Draws
from audioic_widget.likelihood.noising import mean_noise, noised
from audioic_widget.model.catalogue import ICModel

STRETCH = 32
"""Frames decoded at a time: three seconds."""

FADE = 2
"""Frames to either side of a seam over which one stretch goes over into the next."""

REMEMBERED = 40
"""Stretches kept: two minutes, 24 MB."""


class Remains:
    """The sound that is left of a recording at a noise level s.

    What is decoded is a genuinely noised latent, ``(1 - s) z + s n``, with one seeded draw a frame: the point at which
    ``noising="monte_carlo"`` with one sample evaluates the density. The scaled latent ``(1 - s) z`` of
    ``noising="expectation"`` would not do: scaling can be undone, so a decoder would lose nothing.

    Parameters
    ----------
    encoded : Encoded
    model : ICModel
        The one that encoded.
    noise_level : float in [0, 1]
        0 is what the codec alone leaves.
    seed : int >= 0
        Of the noise.

    Raises
    ------
    ModelError
        If the model's codec cannot decode.
    SettingsError
        If the level is outside [0, 1].

    Examples
    --------
    >>> import audioic_widget as aw
    >>> from audioic_widget.ic import encode
    >>> model = aw.load_model("mini")
    >>> left = Remains(encode(aw.read_recording(aw.example("loop")), model), model, noise_level=0.3)
    >>> left.samples(0, 44_100).shape
    (44100,)
    """

    def __init__(self, encoded: Encoded, model: ICModel, noise_level: float, seed: int = 0) -> None:
        decoder = decoder_of(model.codec)
        if decoder is None:
            raise ModelError(
                f'The codec of "{model.name}" cannot turn latents into sound: use the model "mini", or a published one '
                "whose codec file holds its decoder."
            )
        if not 0 <= noise_level <= 1:
            raise SettingsError(f"noise level {noise_level} is outside [0, 1].")
        self._encoded = encoded
        self._level = noise_level
        self._codec = decoder
        self._draws = Draws(seed, model.latent_dim)
        self._stretches: dict[int, NDArray[np.float32]] = {}

    def samples(self, first: int, stop: int, check: Callable[[], None] | None = None) -> NDArray[np.float32]:
        """Samples ``first .. stop - 1`` at 44.1 kHz; zero where the recording is silent or not.

        `check` is called between stretches and may raise to end the work.
        """
        out = np.zeros(max(stop - first, 0), np.float32)
        for index in range(self._stretch_at(first - 2 * FADE * FRAME_SAMPLES), self._stretch_at(stop) + 1):
            start, sound = self._stretch(index, check)
            low, high = max(start, first), min(start + len(sound), stop)
            if low < high:
                out[low - first : high - first] += sound[low - start : high - start]
        return out

    @staticmethod
    def _stretch_at(sample: int) -> int:
        """The last stretch that has begun at `sample`."""
        return (sample // FRAME_SAMPLES + FADE) // STRETCH

    def _stretch(self, index: int, check: Callable[[], None] | None) -> tuple[int, NDArray[np.float32]]:
        """Where stretch `index` starts, in samples, and its sound, faded in and out."""
        begin, end = self._encoded.first, self._encoded.first + len(self._encoded.latents)
        seams = index * STRETCH, (index + 1) * STRETCH
        if seams[1] <= begin or seams[0] >= end:
            return 0, np.zeros(0, np.float32)
        first, stop = max(seams[0] - FADE, begin), min(seams[1] + FADE, end)
        start = first * FRAME_SAMPLES
        if index not in self._stretches:
            if check is not None:
                check()
            sound = self._decoded(first, stop)
            at = np.arange(start, start + len(sound), dtype=np.float32) / FRAME_SAMPLES
            rise = np.clip((at - seams[0] + FADE) / (2 * FADE), 0, 1) if seams[0] > begin else 1.0
            fall = np.clip((seams[1] + FADE - at) / (2 * FADE), 0, 1) if seams[1] < end else 1.0
            # Phases of two stretches have nothing to do with each other: powers add up.
            self._stretches[index] = (sound * np.sqrt(rise * fall)).astype(np.float32)
            while len(self._stretches) > REMEMBERED:
                del self._stretches[next(iter(self._stretches))]
        return start, self._stretches[index]

    @torch.inference_mode()
    def _decoded(self, first: int, stop: int) -> NDArray[np.float32]:
        """Sound of the file's frames ``first .. stop - 1``."""
        latents = self._encoded.latents[first - self._encoded.first : stop - self._encoded.first]
        noise = mean_noise(self._draws, 1, first, stop).to(latents)
        points = noised(latents, latents.new_tensor([self._level]), noise)[0]
        return self._codec.sound(points, self._level)
