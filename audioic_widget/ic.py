"""The one pipeline from audio to information content: everything that computes IC comes through here.

It yields partial results, coarse to fine, so that a widget can draw them; `compute_ic` drains it. It knows
no notebook and no file format.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, BinaryIO, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from audioic_widget.alignment import published_rows
from audioic_widget.audio import Recording, read_recording, sounding_range
from audioic_widget.codec import Codec, Latents, LatentsOnDemand
from audioic_widget.codec.music2latent import Music2Latent
from audioic_widget.engine import Fixed, Values, evaluations, precision_on, solve
from audioic_widget.errors import ModelError, SettingsError
from audioic_widget.frames import FRAME_SAMPLES, FrameGrid
from audioic_widget.kept import kept
from audioic_widget.model.catalogue import ICModel, load_model
from audioic_widget.result import ICResult
from audioic_widget.settings import ICSettings

Check = Callable[[], None]
_ALIGNMENTS = {
    "grid": "Time is the end of the frame; frames of 4096 samples at 44.1 kHz on the file's own grid",
    "published": "as published: rows from the trimmed begin, Time near the start of the predicted frame",
}
Audio = str | os.PathLike[str] | BinaryIO | NDArray[Any] | Recording


class SilenceWarning(UserWarning):
    """The recording holds nothing to compute IC of; its result is NaN throughout.

    Examples
    --------
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     result = compute_ic(np.zeros(44_100), sample_rate=44_100, noise_levels=[0.3])
    >>> caught[0].category.__name__
    'SilenceWarning'
    """


@dataclass(frozen=True)
class Encoded:
    """A recording and the latents of its sounding part.

    Attributes
    ----------
    recording : Recording
    latents : Latents (T, D)
        Of the file's frames ``first .. first + T - 1``.
    first : int
        File frame of the first latent; in published alignment the row before that of its successor.
    published_rows : int or None
        Rows of the result in published alignment.
    """

    recording: Recording
    latents: Latents
    first: int
    published_rows: int | None = None

    @property
    def n_rows(self) -> int:
        """Values of a level: one for each frame of the file, or published rows."""
        return self.recording.grid.n_frames if self.published_rows is None else self.published_rows


@dataclass(frozen=True)
class Partial:
    """News from a running computation: values of the file's frames ``first .. stop - 1``.

    Attributes
    ----------
    ic, stderr : ndarray (L, stop - first)
        Nats.
    stage : {"draft", "final"}
        Whether these values will be replaced by better ones.
    progress : float
        Share of the work done, in [0, 1].
    result : ICResult or None
        The whole, on the last one only.

    Examples
    --------
    >>> seen = []
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 44_100)
    >>> result = compute_ic(noise, sample_rate=44_100, noise_levels=[0.3], on_partial=seen.append)
    >>> seen[0].stage, seen[-1].stage, seen[-1].progress
    ('draft', 'final', 1.0)
    """

    first: int
    stop: int
    ic: NDArray[np.float64]
    stderr: NDArray[np.float64]
    stage: Literal["draft", "final"]
    progress: float
    result: ICResult | None = None


def compute_ic(
    audio: Audio,
    *,
    sample_rate: int | None = None,
    model: str | os.PathLike[str] | ICModel = "mini",
    device: str = "auto",
    settings: ICSettings | None = None,
    on_partial: Callable[[Partial], None] | None = None,
    **fields: Any,
) -> ICResult:
    """Information content of a recording.

    Parameters
    ----------
    audio : path, file object, ndarray or Recording
        A file that libsndfile reads, or samples ``(n,)`` or ``(n, channels)`` with their `sample_rate`.
    sample_rate : int, optional
        Samples a second, for arrays.
    model : str, path or ICModel
        See `load_model`.
    device : str
        "auto", "cpu", "cuda", ...
    settings : ICSettings, optional
        How to compute; the preset "standard" if not given.
    on_partial : callable, optional
        Receives every `Partial`, a draft of the whole first.
    **fields
        Fields of `ICSettings` (``noise_levels=...``, ``preset=...``), on top of `settings`.

    Returns
    -------
    ICResult
        One value for every whole frame of the file and every level, in nats.

    Raises
    ------
    AudioICError
        One of its kinds for audio, settings, model or device that cannot be used.
    TypeError
        For an unknown keyword.

    Warns
    -----
    SilenceWarning
        If there is nothing but silence; the result is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 44_100)
    >>> result = compute_ic(noise, sample_rate=44_100, noise_levels=[1.0])
    >>> result.ic[0, :3].round(5)
    array([     nan, 58.81207, 58.81207])
    """
    settings = (settings or ICSettings()).replace(**fields)
    recording, loaded = read_and_load(audio, sample_rate, model, device)
    encoded = encode(recording, loaded, settings.audio_type, alignment=settings.alignment)
    result = None
    for partial in stream_ic(encoded, loaded, settings, coarse_first=on_partial is not None):
        if on_partial is not None:
            on_partial(partial)
        result = partial.result
    assert result is not None
    warn_if_silent(result)
    return result


def read_and_load(
    audio: Audio, sample_rate: int | None, model: str | os.PathLike[str] | ICModel, device: str
) -> tuple[Recording, ICModel]:
    """`read_recording` and `load_model` side by side; what is wrong with the audio is said first, and at once."""
    loaded: Future[ICModel] = Future()

    def load() -> None:
        try:
            loaded.set_result(load_model(model, device))
        except BaseException as error:
            loaded.set_exception(error)

    threading.Thread(target=load, name="audioic-load", daemon=True).start()
    return read_recording(audio, sample_rate), loaded.result()


def warn_if_silent(result: ICResult) -> None:
    """Warn the caller's caller with a `SilenceWarning` if there was nothing to compute."""
    if result.provenance["silent"]:
        name = result.provenance["audio"]["name"]
        warnings.warn(f"{name} holds no sound to compute IC of: its result is NaN.", SilenceWarning, stacklevel=3)


def encode(
    recording: Recording,
    model: ICModel,
    audio_type: str = "music",
    check: Check | None = None,
    alignment: str = "grid",
) -> Encoded:
    """Latents of the sounding part of `recording`; "published" alignment also cuts it into the published chunks.

    Raises
    ------
    ModelError
        If the model is a bare flow without a codec.
    """
    if model.codec is None:
        raise ModelError(
            f'The model "{model.name}" has no codec and takes latents only: use compute_ic_from_latents, or another model.'
        )
    if alignment == "published":
        rows = published_rows(recording, audio_type)
        codec = model.codec.chunked("published") if isinstance(model.codec, Music2Latent) else model.codec
        latents = _latents(recording, slice(rows.start, rows.stop), (0, rows.n_latents), model, codec, check)
        return Encoded(recording, latents, rows.leading - 1, rows.n_rows)
    frames = sounding_range(recording, audio_type)
    whole = slice(0, len(recording.samples))
    return Encoded(recording, _latents(recording, whole, frames, model, model.codec, check), frames[0])


def _latents(
    recording: Recording,
    samples: slice,
    frames: tuple[int, int],
    model: ICModel,
    codec: Codec,
    check: Check | None,
) -> Latents:
    """Latents of the `frames` ``(first, stop)`` of some `samples`: where they are needed, or kept if the codec is slow."""
    heard, (first, stop) = recording.samples[samples], frames
    if not isinstance(codec, Music2Latent):
        return LatentsOnDemand(
            lambda start, end: codec.encode(heard, first + start, first + end),
            *(stop - first, codec.latent_dim, model.device),
        )

    def make() -> Tensor:
        return codec.encode(heard, first, stop, check)

    key = {
        "audio": recording.checksum,
        "samples": (samples.start, samples.stop),
        "frames": frames,
        "model": model.digest,
        "codec": codec.description,
        "chunking": codec.chunking,
        "device": model.device.type,
    }
    return kept(key, make).to(model.device)


def stream_ic(
    encoded: Encoded,
    model: ICModel,
    settings: ICSettings,
    *,
    coarse_first: bool = True,
    visible: Callable[[], Sequence[tuple[int, int]]] = tuple,
    check: Check | None = None,
) -> Iterator[Partial]:
    """Compute IC piece by piece.

    Parameters
    ----------
    encoded : Encoded
    model : ICModel
        The one that encoded.
    settings : ICSettings
    coarse_first : bool
        A draft of everything before the values asked for.
    visible : callable
        Gives spans of file frames to compute before the others, the most urgent first; asked again and again.
    check : callable, optional
        Called many times a second; may raise to end the work.

    Yields
    ------
    Partial
        The last one carries the result.
    """
    if (settings.alignment == "published") != (encoded.published_rows is not None):
        raise SettingsError(f'alignment="{settings.alignment}" decides how a recording is encoded: encode it again.')
    n_frames = encoded.n_rows
    first = encoded.first + 1  # the first latent has no context

    def wanted() -> list[tuple[int, int]]:
        return [(low - encoded.first, high - encoded.first) for low, high in visible()]

    stages = [("final", settings)]
    draft = settings.replace(preset="draft")
    if coarse_first and evaluations(draft) < evaluations(settings):
        stages.insert(0, ("draft", draft))
    work = sum(evaluations(each) for _, each in stages)
    done = 0.0
    values = None
    for stage, each in stages:
        values = Values.empty(len(each.noise_levels), max(len(encoded.latents) - 1, 0))
        for start, stop in solve(
            values, encoded.latents, model, each, max(encoded.first, 0), wanted=wanted, check=check
        ):
            done += evaluations(each) * (stop - start) / max(values.n_frames, 1)
            yield Partial(
                first + start,
                first + stop,
                values.mean[:, start:stop].copy(),
                values.stderr(start, stop),
                "draft" if stage == "draft" else "final",
                min(done / work, 1.0),
            )
    assert values is not None
    ic = np.full((len(settings.noise_levels), n_frames), np.nan)
    stderr = ic.copy()
    inside = slice(first, first + values.n_frames)
    ic[:, inside], stderr[:, inside] = values.mean, values.stderr()
    provenance = describe(encoded, model, settings)
    time = FrameGrid(n_frames * FRAME_SAMPLES).end_times()
    result = ICResult(time, settings.noise_levels, ic, stderr, provenance)
    yield Partial(0, n_frames, result.ic, result.stderr, "final", 1.0, result)


def compute_ic_from_latents(
    latents: ArrayLike | Tensor,
    *,
    model: str | os.PathLike[str] | ICModel = "mini",
    settings: ICSettings | None = None,
    probes: ArrayLike | Tensor | None = None,
    noise: ArrayLike | Tensor | None = None,
    device: str = "auto",
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """IC of latents, for those who bring their own.

    Parameters
    ----------
    latents : array (T, D)
        Layer-normalised: mean 0, variance 1 over D.
    model : str, path or ICModel
    settings : ICSettings, optional
    probes : array (L, n, T-1, D) or (n, T-1, D), optional
        Fixed probes in place of those drawn from the seed.
    noise : array (T, D), or (M, T, D) for ``noising="average"``, optional
        The noise of "monte_carlo" (its mean) or "average" in place of what is drawn.
    device : str
        See `load_model`.

    Returns
    -------
    ic, stderr : ndarray (L, T-1)
        Nats; for latents 2 .. T.

    Raises
    ------
    SettingsError
        If a shape does not fit, a value is not finite, or the mode has no noise to fix.

    Examples
    --------
    >>> latents = np.random.default_rng(0).normal(size=(5, 64))
    >>> ic, stderr = compute_ic_from_latents(latents, settings=ICSettings(noise_levels=[0.3, 1.0]))
    >>> ic.shape
    (2, 4)
    >>> ic[1].round(3)
    array([58.812, 58.812, 58.812, 58.812])
    """
    settings = settings or ICSettings()
    loaded = load_model(model, device)
    z = _tensor("latents", latents)
    if z.ndim != 2 or z.shape[0] < 2 or z.shape[1] != loaded.latent_dim:
        raise SettingsError(
            f"latents must have shape (T, {loaded.latent_dim}) with T of 2 or more, not {tuple(z.shape)}."
        )
    levels, count = len(settings.noise_levels), len(z) - 1
    fixed_probes = None if probes is None else _tensor("probes", probes)
    if fixed_probes is not None:
        if fixed_probes.ndim == 3:
            fixed_probes = fixed_probes.expand(levels, *fixed_probes.shape)
        if fixed_probes.ndim != 4 or fixed_probes.shape[0] != levels or fixed_probes.shape[2:] != (count, z.shape[1]):
            raise SettingsError(
                f"probes must have shape ({levels}, n, {count}, {z.shape[1]}) or (n, {count}, {z.shape[1]}), "
                f"not {tuple(fixed_probes.shape)}."
            )
    fixed_noise = None if noise is None else _tensor("noise", noise)
    if fixed_noise is not None:
        if settings.noising not in ("monte_carlo", "average"):
            raise SettingsError(f'noising="{settings.noising}" has no noise to fix: leave noise out.')
        if settings.noising == "average" and fixed_noise.ndim == 2:
            fixed_noise = fixed_noise.unsqueeze(0)
        draws = (settings.monte_carlo_samples,) if settings.noising == "average" else ()
        if tuple(fixed_noise.shape) != (*draws, *z.shape):
            raise SettingsError(f"noise must have shape {(*draws, *z.shape)}, not {tuple(fixed_noise.shape)}.")
    values = Values.empty(levels, count)
    for _ in solve(values, z.to(loaded.device), loaded, settings, 0, fixed=Fixed(fixed_probes, fixed_noise)):
        pass
    return values.mean, values.stderr()


def describe(encoded: Encoded, model: ICModel, settings: ICSettings) -> dict[str, Any]:
    """Provenance of a result: everything needed to compute it again, as JSON values."""
    recording = encoded.recording
    return {
        "versions": {name: version(name) for name in ("audioic-widget", "torch", "numpy", "numba")},
        "model": {
            "name": model.name,
            "sha256": model.digest,
            "device": str(model.device),
            **{key: model.card[key] for key in ("source", "licence") if key in model.card},
            **({"codec": model.codec.description} if isinstance(model.codec, Music2Latent) else {}),
        },
        "settings": settings.to_dict(),
        "precision": precision_on(settings, model.device),
        "audio": {
            "name": recording.name,
            "duration": recording.duration,
            "source_rate": recording.source_rate,
            "sha256": recording.checksum,
        },
        "alignment": _ALIGNMENTS[settings.alignment],
        "units": {"time": "s", "ic": "nat/frame"},
        "silent": len(encoded.latents) < 2,
    }


def _tensor(name: str, values: ArrayLike | Tensor) -> Tensor:
    tensor = torch.as_tensor(values if isinstance(values, Tensor) else np.asarray(values))
    tensor = tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
    if not bool(torch.isfinite(tensor).all()):
        raise SettingsError(f"{name} must be finite: it holds NaN or infinity.")
    return tensor
