"""From a stimulus to its traces: the model's levels, and the baselines beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from audioic_widget.errors import ModelError
from audioic_widget.ic import compute_ic_from_latents
from audioic_widget.model.catalogue import ICModel
from audioic_widget.settings import ICSettings
from audioic_widget.validation import baselines
from audioic_widget.validation.items import EDGE_FRAMES, Floats, Item
from audioic_widget.validation.melodies import melody
from audioic_widget.validation.synthesis import TIMBRES, render

BASELINES = ("level change", "spectral flux", "latent step", "Gaussian")
NOVELTY = "Foote novelty"

CALIBRATION_TONES = 96
"""Random tones in each timbre that the context-free Gaussian is fitted to."""


@dataclass(frozen=True)
class Listener:
    """A model that hears stimuli.

    Every stimulus starts in frame 0 of its own file. The engine addresses random probes by seed and file frame, so
    versions of a unit get the same probes and their difference is not blurred by the estimate of the divergence.
    """

    model: ICModel
    settings: ICSettings
    seed: int
    gaussian: baselines.Gaussian

    @classmethod
    def calibrated(cls, model: ICModel, settings: ICSettings, seed: int) -> Listener:
        """With the Gaussian fitted to random tones in all timbres.

        Raises
        ------
        ModelError
            If the model is a bare flow without a codec.
        """
        if model.codec is None:
            raise ModelError(f'The model "{model.name}" has no codec and cannot hear: give a model with a codec.')
        latents = []
        for index, timbre in enumerate(TIMBRES):
            random = np.random.default_rng((seed, index))
            tones = melody(
                random.integers(55, 85, CALIBRATION_TONES), timbre, levels=random.normal(0, 3, CALIBRATION_TONES)
            )
            latents.append(_encoded(model, Item(index, "calibration", timbre, tones, tones[-1].frame + 4), seed)[1])
        return cls(model, settings, seed, baselines.Gaussian.fit(np.concatenate(latents)))

    def hear(self, item: Item, *, with_novelty: bool = False) -> Mapping[str, Floats]:
        """Traces ``(n_frames,)`` by name, NaN in the first and last `EDGE_FRAMES` frames; levels are named by number."""
        samples, latents = _encoded(self.model, item, self.seed)
        ic, _ = compute_ic_from_latents(latents, model=self.model, settings=self.settings)
        traces = {
            level_name(level): np.append(np.nan, row) for level, row in zip(self.settings.noise_levels, ic, strict=True)
        }
        mel = baselines.log_mel(samples)
        known = (
            baselines.level_change(samples),
            baselines.spectral_flux(mel),
            baselines.latent_step(latents),
            self.gaussian.surprise(latents),
        )
        traces.update(zip(BASELINES, known, strict=True))
        if with_novelty:
            traces[NOVELTY] = baselines.novelty(mel)
        for trace in traces.values():
            trace[:EDGE_FRAMES] = trace[-EDGE_FRAMES:] = np.nan
        return traces


def level_name(level: float) -> str:
    """How a noise level is called in the table."""
    return f"{level:g}"


def _encoded(model: ICModel, item: Item, seed: int) -> tuple[baselines.Samples, Floats]:
    """Samples and latents of a stimulus."""
    assert model.codec is not None
    samples = render(item, seed)
    return samples, model.codec.encode(samples, 0, item.n_frames).double().cpu().numpy()
