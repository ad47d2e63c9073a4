"""What the browser asks for of a recording and its result, answered at once: nothing here takes long."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from audioic_widget.result import ICResult
from audioic_widget.widget import messages
from audioic_widget.widget.session import Session


def answer(request: messages.Request, session: Session, result: ICResult | None) -> Iterable[messages.Message]:
    """Messages for a `request` of an open `session`; none where what was asked for is not there.

    However much is asked for, an answer is small enough to block no channel.
    """
    match request:
        case messages.AudioRequest(None, first, count):
            return [messages.audio(None, first, session.samples(first, min(count, messages.MESSAGE_SAMPLES)))]
        case messages.WaveformRequest(level, first, count) if level < len(session.pyramid):
            bins = session.bins(level, first, min(count, messages.MESSAGE_SAMPLES // 2))
            return [messages.waveform(level, first, bins)]
        case messages.SpectrogramRequest(level, first, count):
            tile = session.tile(level, first, min(count, messages.MESSAGE_COLUMNS))
            return [messages.spectrogram(level, first, tile)]
        case messages.PeaksRequest(noise_level, count) if result and noise_level in result.noise_levels:
            return [messages.peaks(noise_level, result.peaks(noise_level, min(count, messages.MESSAGE_PEAKS)))]
        case messages.TableRequest(kind) if result:
            name = f"{Path(session.recording.name).stem}_ic.{kind}"
            return [messages.table(name, messages.TABLES[kind](result))]
    return []
