"""One recording under one model: read once, encoded once, every finished noise level remembered."""

from __future__ import annotations

import itertools
import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audioic_widget.audio import PYRAMID_BASE, PYRAMID_FACTOR, min_max_pyramid, pcm16
from audioic_widget.codec import decoder_of
from audioic_widget.engine import evaluations
from audioic_widget.ic import Audio, Encoded, Partial, describe, encode, read_and_load, stream_ic
from audioic_widget.model.catalogue import ICModel, load_model
from audioic_widget.remains import Remains
from audioic_widget.result import ICResult
from audioic_widget.settings import ICSettings
from audioic_widget.spectrogram import spectrogram_tile

REMEMBERED_VALUES = 4_000_000
"""Values (frames times levels) kept of finished computations: 64 MB with their errors."""

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Update:
    """Values ``(levels, n)`` in nats of the file's frames from `first` on; the last one carries the result."""

    levels: Sequence[float]
    first: int
    ic: Rows
    stderr: Rows
    stage: Literal["draft", "final"]
    progress: float
    result: ICResult | None = None


class Session:
    """What a widget computes with. Its methods run in the worker thread; `samples` and `bins` in any.

    Parameters
    ----------
    audio, sample_rate, model, device
        As for `compute_ic`.
    """

    def __init__(
        self, audio: Audio, sample_rate: int | None, model: str | os.PathLike[str] | ICModel, device: str
    ) -> None:
        self._source = (audio, sample_rate)
        self._model_source = (model, device)
        self._encoded: dict[str, Encoded] = {}
        self._remains: tuple[tuple[str, float, int], Remains] | None = None
        self._finished: OrderedDict[tuple[str, float], tuple[Rows, Rows]] = OrderedDict()
        self.pyramid: list[NDArray[np.int16]] = []

    def open(self) -> None:
        """Read the recording and load the model, unless that was done.

        Raises
        ------
        AudioICError
            If either cannot be used.
        """
        if self.pyramid:
            self.model = load_model(*self._model_source)
        else:
            self.recording, self.model = read_and_load(*self._source, *self._model_source)
            self.pyramid = min_max_pyramid(self.recording.samples)

    @property
    def bin_samples(self) -> list[int]:
        """Samples a bin at every level of the pyramid, finest first."""
        return [PYRAMID_BASE * PYRAMID_FACTOR**level for level in range(len(self.pyramid))]

    def samples(self, first: int, count: int) -> NDArray[np.int16]:
        """Sound as the model hears it, for the browser to play; what lies outside the recording is left out."""
        return pcm16(self.recording.samples[first : first + count])

    @property
    def decodes(self) -> bool:
        """Whether what noise leaves can be heard."""
        return decoder_of(self.model.codec) is not None

    def remains(
        self, settings: ICSettings, noise_level: float, first: int, count: int, check: Callable[[], None]
    ) -> NDArray[np.int16]:
        """What is left of `samples` at a noise level, to play; of the level asked for last, sound is remembered."""
        key = (settings.audio_type, noise_level, settings.seed)
        if self._remains is None or self._remains[0] != key:
            encoded = self._encode(settings.audio_type, check)
            self._remains = key, Remains(encoded, self.model, noise_level, settings.seed)
        stop = min(first + count, len(self.recording.samples))
        return pcm16(self._remains[1].samples(first, stop, check))

    def bins(self, level: int, first: int, count: int) -> NDArray[np.int16]:
        """Bins ``(n, 2)`` of a waveform level; what lies outside is left out."""
        return self.pyramid[level][first : first + count]

    def tile(self, level: int, first: int, count: int) -> NDArray[np.uint8]:
        """Columns ``(n, mels)`` of a spectrogram level; what lies outside is left out."""
        peak = float(np.abs(self.pyramid[-1]).max()) / 32_767
        return spectrogram_tile(self.recording.samples, level, first, count, peak)

    def compute(
        self,
        settings: ICSettings,
        visible: Callable[[], Sequence[tuple[int, int]]],
        check: Callable[[], None],
        encoding: Callable[[float], None],
    ) -> Iterator[Update]:
        """Compute what is not remembered: first a draft, then values as asked for.

        `encoding` is told the share of the recording that is encoded, from any thread.

        Yields
        ------
        Update
            What is remembered first; the last one carries the result.
        """
        wanted = settings.noise_levels
        known = [level for level in wanted if self._key(settings, level) in self._finished]
        missing = tuple(level for level in wanted if level not in known)
        if known:
            yield Update(known, 0, *self._rows(settings, known), "final", len(known) / len(wanted))
        encoded = self._encode(settings.audio_type, check, encoding)
        if missing:
            for partial in self._partials(encoded, settings.replace(noise_levels=missing), visible, check):
                if partial.result is None:
                    done = (len(known) + partial.progress * len(missing)) / len(wanted)
                    yield Update(missing, partial.first, partial.ic, partial.stderr, partial.stage, done)
        ic, stderr = self._rows(settings, wanted)
        provenance = describe(encoded, self.model, settings)
        result = ICResult(self.recording.grid.end_times(), wanted, ic, stderr, provenance)
        self._forget()
        yield Update(wanted, 0, ic, stderr, "final", 1.0, result)

    def _partials(
        self,
        encoded: Encoded,
        settings: ICSettings,
        visible: Callable[[], Sequence[tuple[int, int]]],
        check: Callable[[], None],
    ) -> Iterator[Partial]:
        """As `stream_ic`, remembering the draft, which does not depend on steps and probes, and the result."""
        draft = settings.replace(preset="draft")
        n_frames = self.recording.grid.n_frames
        worthwhile = evaluations(draft) < evaluations(settings)
        known = worthwhile and all(self._key(draft, level) in self._finished for level in settings.noise_levels)
        if known:
            yield Partial(0, n_frames, *self._rows(draft, settings.noise_levels), "draft", 0.0)
        rough = np.full((2, len(settings.noise_levels), n_frames), np.nan)
        for partial in stream_ic(encoded, self.model, settings, coarse_first=not known, visible=visible, check=check):
            if partial.stage == "draft":
                rough[:, :, partial.first : partial.stop] = partial.ic, partial.stderr
            elif worthwhile and not known:
                self._remember(draft, *rough)
                known = True
            if partial.result is not None:
                self._remember(settings, partial.result.ic, partial.result.stderr)
            yield partial

    def _encode(
        self, audio_type: str, check: Callable[[], None], encoding: Callable[[float], None] = lambda share: None
    ) -> Encoded:
        codec = self.model.codec
        pieces = max(self.recording.grid.n_frames / codec.piece_frames, 1) if codec else 1
        begun = itertools.count()

        def counted() -> None:
            check()
            encoding(min(next(begun) / pieces, 1.0))

        if audio_type not in self._encoded:
            self._encoded[audio_type] = encode(self.recording, self.model, audio_type, counted)
        return self._encoded[audio_type]

    @staticmethod
    def _key(settings: ICSettings, level: float) -> tuple[str, float]:
        """A value depends on everything but the preset's name and the other levels."""
        deciding = {k: v for k, v in settings.to_dict().items() if k not in ("preset", "noise_levels")}
        return json.dumps(deciding, sort_keys=True), level

    def _rows(self, settings: ICSettings, levels: Sequence[float]) -> tuple[Rows, Rows]:
        rows = []
        for level in levels:
            key = self._key(settings, level)
            self._finished.move_to_end(key)
            rows.append(self._finished[key])
        return np.stack([ic for ic, _ in rows]), np.stack([stderr for _, stderr in rows])

    def _remember(self, settings: ICSettings, ic: Rows, stderr: Rows) -> None:
        for level, *row in zip(settings.noise_levels, ic, stderr, strict=True):
            self._finished[self._key(settings, level)] = row[0], row[1]

    def _forget(self) -> None:
        most = max(REMEMBERED_VALUES // max(self.recording.grid.n_frames, 1), 1)
        while len(self._finished) > most:
            self._finished.popitem(last=False)
