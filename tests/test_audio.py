"""Recordings from anything that holds sound; where sound is in them; the waveform's levels."""

from __future__ import annotations

import hashlib
import io
import mmap
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import lfilter

from audioic_widget.audio import Recording, min_max_pyramid, pcm16, read_recording, release, sounding_range
from audioic_widget.errors import AudioError
from audioic_widget.frames import FRAME_SAMPLES, SAMPLE_RATE
from audioic_widget.model.catalogue import load_model

Samples = NDArray[np.float64]

TONE = 440.0
AMPLITUDE = 0.5

LOSSLESS = {
    "PCM_U8": 2e-2,
    "PCM_16": 1e-4,
    "PCM_24": 1e-6,
    "PCM_32": 1e-6,
    "FLOAT": 1e-6,
    "DOUBLE": 1e-6,
}
"""Sample formats of a wav file, and how far a sample may be from what was written."""

COMPRESSED = [
    ("FLAC", "PCM_16", 44_100, 1),
    ("FLAC", "PCM_24", 96_000, 2),
    ("OGG", "VORBIS", 22_050, 1),
    ("OGG", "VORBIS", 48_000, 2),
    ("OGG", "OPUS", 48_000, 2),
    ("MP3", "MPEG_LAYER_III", 48_000, 2),
    ("MP3", "MPEG_LAYER_III", 22_050, 1),
    ("AIFF", "PCM_16", 44_100, 2),
]


def tone(rate: int, seconds: float = 1.0, frequency: float = TONE) -> Samples:
    return AMPLITUDE * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def inside(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without the edges, where a resampler and an encoder have less to go by."""
    return samples[2_000:-2_000]


def recording(samples: NDArray[np.floating]) -> Recording:
    return Recording("test", samples.astype(np.float32), SAMPLE_RATE)


def speech(seconds: float) -> Samples:
    """A buzzing voice that goes through five vowels: pulses through three resonances each."""
    count, syllable = round(seconds * SAMPLE_RATE), round(0.16 * SAMPLE_RATE)
    time = np.arange(count) / SAMPLE_RATE
    pitch = 120 + 15 * np.sin(2 * np.pi * 2.3 * time) + 8 * np.sin(2 * np.pi * 0.7 * time)
    pulses = np.diff(np.floor(np.cumsum(pitch) / SAMPLE_RATE), prepend=0)
    source = lfilter([1], [1, -0.97], pulses) + 0.01 * np.random.default_rng(0).normal(size=count)
    vowels = [(700, 1200, 2600), (300, 2200, 3000), (500, 900, 2500), (350, 800, 2300), (550, 1800, 2500)]
    voice = np.zeros(count)
    for number, start in enumerate(range(0, count, syllable)):
        sound = source[start : start + syllable]
        for formant, bandwidth in zip(vowels[number % 5], (80, 100, 150), strict=True):
            radius = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
            poles = [1, -2 * radius * np.cos(2 * np.pi * formant / SAMPLE_RATE), radius**2]
            sound = lfilter([sum(poles)], poles, sound)
        voice[start : start + syllable] = sound * np.minimum(1, 3 * np.sin(np.linspace(0, np.pi, len(sound))))
    return 0.3 * voice / np.abs(voice).max()


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("subtype", LOSSLESS)
def test_a_wav_of_any_rate_width_and_channels_is_read_as_mono_at_44100(
    tmp_path: Path, subtype: str, rate: int, channels: int
) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.stack([tone(rate)] * channels, axis=1), rate, subtype=subtype)
    read = read_recording(path)
    assert (read.name, read.source_rate, read.samples.dtype) == ("tone.wav", rate, np.float32)
    assert len(read.samples) == SAMPLE_RATE
    assert read.duration == 1.0
    assert read.grid.n_frames == 10
    np.testing.assert_allclose(inside(read.samples), inside(tone(SAMPLE_RATE)), atol=LOSSLESS[subtype] + 1e-5)


@pytest.mark.parametrize(("container", "subtype", "rate", "channels"), COMPRESSED)
def test_compressed_files_are_read_in_time_and_in_full(
    tmp_path: Path, container: str, subtype: str, rate: int, channels: int
) -> None:
    path = tmp_path / f"tone.{container.lower()}"
    soundfile.write(path, np.stack([tone(rate)] * channels, axis=1), rate, format=container, subtype=subtype)
    read = read_recording(path)
    assert read.source_rate == rate
    assert len(read.samples) == pytest.approx(SAMPLE_RATE, abs=2)
    np.testing.assert_allclose(inside(read.samples), inside(tone(SAMPLE_RATE)), atol=0.06)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = tone(SAMPLE_RATE), tone(SAMPLE_RATE, frequency=880)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), SAMPLE_RATE, subtype="FLOAT")
    np.testing.assert_allclose(read_recording(tmp_path / "a.wav").samples, (left + right) / 2, atol=1e-6)


def test_a_path_a_word_a_file_object_and_an_array_give_the_same_recording(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(48_000), 48_000, subtype="PCM_16")
    of_path = read_recording(path)
    with path.open("rb") as opened:
        of_file = read_recording(opened)
    of_bytes = read_recording(io.BytesIO(path.read_bytes()))
    of_array = read_recording(soundfile.read(path, dtype="float32")[0], 48_000)
    for other in (read_recording(str(path)), of_file, of_bytes, of_array):
        np.testing.assert_array_equal(other.samples, of_path.samples)
        assert other.checksum == of_path.checksum
        assert other.source_rate == 48_000
    assert of_file.name == "tone.wav"
    assert read_recording(of_path) is of_path


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", ">i2", "float16", "float64"])
def test_arrays_of_any_number_type_have_the_full_scale_of_their_type(dtype: str) -> None:
    samples = tone(SAMPLE_RATE)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        array, step = samples.astype(kind), 1e-3
    else:
        limits = np.iinfo(kind)
        half = (int(limits.max) - int(limits.min) + 1) / 2
        array, step = np.rint(samples * (half - 1) + (half if kind.kind == "u" else 0)).astype(kind), 1.5 / half
    np.testing.assert_allclose(read_recording(array, SAMPLE_RATE).samples, samples, atol=step + 1e-6)


def test_array_and_wav_file_of_unsigned_bytes_agree(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, SAMPLE_RATE, dtype=np.uint8)
    signed = ((array.astype(np.int16) - 128) << 8).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", signed, 8_000, subtype="PCM_U8")
    of_array, of_file = read_recording(array, 8_000), read_recording(tmp_path / "a.wav")
    np.testing.assert_array_equal(of_array.samples, of_file.samples)


def test_a_row_of_samples_and_a_column_are_both_mono() -> None:
    samples = tone(SAMPLE_RATE)
    row, column = read_recording(samples, SAMPLE_RATE), read_recording(samples[:, None], SAMPLE_RATE)
    np.testing.assert_array_equal(row.samples, column.samples)


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000, 96_000])
@pytest.mark.parametrize("at", [0.25, 0.6])
def test_resampling_keeps_the_time_of_a_click(rate: int, at: float) -> None:
    clicks = np.zeros(rate)
    clicks[round(at * rate)] = 1.0
    heard = np.abs(read_recording(clicks, rate).samples).argmax()
    assert abs(heard - at * SAMPLE_RATE) <= 1


def test_resampling_keeps_a_constant(tmp_path: Path) -> None:
    read = read_recording(np.full(48_000, 0.25), 48_000)
    np.testing.assert_allclose(inside(read.samples), 0.25, atol=1e-5)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_the_size_of_the_pieces_read_changes_nothing(
    tmp_path: Path, rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, (rate, 2))
    soundfile.write(tmp_path / "a.flac", samples, rate)
    at_once = read_recording(tmp_path / "a.flac").samples, read_recording(samples, rate).samples
    monkeypatch.setattr("audioic_widget.audio.BLOCK", 997)
    in_pieces = read_recording(tmp_path / "a.flac").samples, read_recording(samples, rate).samples
    for one, other in zip(at_once, in_pieces, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_the_checksum_is_that_of_the_samples() -> None:
    samples = tone(SAMPLE_RATE).astype(np.float32)
    assert recording(samples).checksum == hashlib.sha256(samples.tobytes()).hexdigest()
    changed = samples.copy()
    changed[-1] += 1e-3
    assert recording(changed).checksum != recording(samples).checksum


def test_the_least_that_can_be_used_is_two_frames() -> None:
    samples = np.full(2 * FRAME_SAMPLES, 0.1)
    assert read_recording(samples, SAMPLE_RATE).grid.n_frames == 2
    with pytest.raises(AudioError, match="too short"):
        read_recording(samples[:-1], SAMPLE_RATE)
    with pytest.raises(AudioError, match="too short"):
        read_recording(samples[:FRAME_SAMPLES], SAMPLE_RATE)


def test_the_length_that_counts_is_that_at_44100() -> None:
    assert read_recording(np.zeros(1_500), 8_000).grid.n_frames == 2
    with pytest.raises(AudioError, match="too short"):
        read_recording(np.zeros(2 * FRAME_SAMPLES), 96_000)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [0, 30_000, 47_999])
def test_one_sample_that_is_not_finite_is_refused(tmp_path: Path, bad: float, where: int) -> None:
    samples = np.stack([tone(48_000)] * 2, axis=1)
    samples[where, 1] = bad
    soundfile.write(tmp_path / "bad.wav", samples, 48_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"bad\.wav holds NaN or infinite"):
        read_recording(tmp_path / "bad.wav")
    with pytest.raises(AudioError, match="holds NaN or infinite"):
        read_recording(samples, 48_000)


@given(first=st.integers(0, 40_000), length=st.integers(1, 40_000))
def test_silence_is_trimmed_outwards_to_whole_frames(first: int, length: int) -> None:
    samples = np.zeros(20 * FRAME_SAMPLES)
    samples[first : first + length] = 0.1 * (-1.0) ** np.arange(length)
    expected = first // FRAME_SAMPLES, -(-(first + length) // FRAME_SAMPLES)
    assert sounding_range(recording(samples)) == expected


def test_sound_all_through_is_kept_whole() -> None:
    assert sounding_range(recording(tone(SAMPLE_RATE))) == (0, 10)


def test_a_pause_in_the_middle_is_kept() -> None:
    samples = tone(SAMPLE_RATE)
    samples[3 * FRAME_SAMPLES : 8 * FRAME_SAMPLES] = 0
    assert sounding_range(recording(samples)) == (0, 10)


def test_silence_holds_no_frames() -> None:
    assert sounding_range(recording(np.zeros(SAMPLE_RATE))) == (0, 0)
    assert sounding_range(recording(np.full(SAMPLE_RATE, 1e-6))) == (0, 0)


def square(frames: int) -> NDArray[np.float64]:
    """A square wave at the Nyquist frequency: power 1 in any piece."""
    return np.resize([1.0, -1.0], frames * FRAME_SAMPLES)


def test_loud_and_quiet_recordings_have_the_same_range() -> None:
    samples = np.zeros(20 * FRAME_SAMPLES)
    samples[5 * FRAME_SAMPLES : 9 * FRAME_SAMPLES] = square(4)
    for gain in (1.0, 1e-2, 1e-4):
        assert sounding_range(recording(gain * samples)) == (5, 9)


def test_what_is_60_decibels_below_the_loudest_is_silence() -> None:
    samples = square(10)
    samples[: 2 * FRAME_SAMPLES] *= 0.9e-3
    samples[-3 * FRAME_SAMPLES :] *= 1.1e-3
    assert sounding_range(recording(samples)) == (2, 10)


def test_an_offset_is_no_sound() -> None:
    samples = np.full(10 * FRAME_SAMPLES, 0.2)
    samples[2 * FRAME_SAMPLES : 6 * FRAME_SAMPLES] += 0.1 * square(4)
    samples[: FRAME_SAMPLES // 2] = 0
    assert sounding_range(recording(samples)) == (2, 6)


def test_sound_after_the_last_whole_frame_belongs_to_no_frame() -> None:
    samples = np.zeros(10 * FRAME_SAMPLES + 2_000)
    samples[-1_500:] = 0.1
    assert sounding_range(recording(samples)) == (0, 0)


def test_silence_and_noise_hold_no_voice() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * SAMPLE_RATE)
    assert sounding_range(recording(np.zeros(2 * SAMPLE_RATE)), "voice") == (0, 0)
    assert sounding_range(recording(noise), "voice") == (0, 0)


def test_a_voice_is_found_where_it_speaks_and_noise_around_it_is_left_out() -> None:
    samples = np.random.default_rng(0).normal(0, 0.003, 60 * FRAME_SAMPLES)
    voice = speech(1.5)
    begin, end = 20, 20 + len(voice) / FRAME_SAMPLES
    samples[20 * FRAME_SAMPLES :][: len(voice)] += voice
    first, stop = sounding_range(recording(samples), "voice")
    assert first == pytest.approx(begin, abs=3)
    assert stop == pytest.approx(end, abs=3)
    assert sounding_range(recording(samples), "music") != (first, stop)


def test_pcm16_clips_and_is_within_half_a_step() -> None:
    np.testing.assert_array_equal(pcm16(np.array([0, 1, -1, 2, -2], np.float32)), [0, 32_767, -32_767, 32_767, -32_768])
    samples = np.linspace(-1, 1, 10_001, dtype=np.float32)
    assert pcm16(samples).dtype == np.int16
    np.testing.assert_allclose(pcm16(samples) / 32_767, samples, atol=0.51 / 32_767)


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 12_000),
    base=st.integers(1, 40),
    factor=st.integers(2, 5),
)
def test_every_bin_of_every_level_holds_the_least_and_greatest_of_its_samples(
    seed: int, count: int, base: int, factor: int
) -> None:
    samples = np.random.default_rng(seed).normal(0, 0.5, count).astype(np.float32)
    levels = min_max_pyramid(samples, base, factor)
    integers = pcm16(samples)
    for number, level in enumerate(levels):
        size = base * factor**number
        assert level.dtype == np.int16
        assert level.shape == (-(-count // size), 2)
        starts = np.arange(0, count, size)
        np.testing.assert_array_equal(level[:, 0], [integers[start : start + size].min() for start in starts])
        np.testing.assert_array_equal(level[:, 1], [integers[start : start + size].max() for start in starts])
    assert len(levels[-1]) <= 1_000
    assert all(len(level) > 1_000 for level in levels[:-1])


@pytest.mark.parametrize(
    ("bins", "sizes"), [(1, [1]), (1_000, [1_000]), (1_001, [1_001, 251]), (5_000, [5_000, 1_250, 313])]
)
def test_levels_end_where_a_thousand_bins_are_left(bins: int, sizes: list[int]) -> None:
    levels = min_max_pyramid(np.zeros(256 * bins, np.float32))
    assert [len(level) for level in levels] == sizes


def test_a_name_too_long_is_refused() -> None:
    with pytest.raises(AudioError):
        read_recording("x" * 300)


def test_masked_samples_do_not_pass_as_finite() -> None:
    samples = tone(SAMPLE_RATE)
    samples[7] = np.nan
    with pytest.raises(AudioError, match="NaN"):
        read_recording(np.ma.masked_invalid(samples), SAMPLE_RATE)


@pytest.mark.parametrize("wrong", [np.full((SAMPLE_RATE, 2), 1e300), np.tile([np.inf, -np.inf], (SAMPLE_RATE, 1))])
def test_samples_out_of_range_are_refused_without_a_warning(wrong: np.ndarray) -> None:
    with pytest.raises(AudioError, match="infinite"):
        read_recording(wrong, SAMPLE_RATE)


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_a_long_recording_lies_in_a_file_and_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: int
) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, (700_000, 2))
    sound[:300_000] = 0
    soundfile.write(tmp_path / "a.wav", sound, rate, subtype="FLOAT")
    held = read_recording(tmp_path / "a.wav")
    monkeypatch.setattr("audioic_widget.audio.IN_MEMORY", 100_000)
    mapped = read_recording(tmp_path / "a.wav")
    assert isinstance(held.samples.base, np.ndarray | None)
    assert isinstance(mapped.samples.base, np.memmap)
    np.testing.assert_array_equal(mapped.samples, held.samples)
    assert mapped.checksum == held.checksum
    assert sounding_range(mapped) == sounding_range(held) != (0, held.grid.n_frames)


def test_no_room_for_a_long_recording_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    soundfile.write(tmp_path / "a.wav", np.full(200_000, 0.1), 44_100)
    monkeypatch.setattr("audioic_widget.audio.IN_MEMORY", 100_000)
    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(AudioError, match=r"a\.wav is long and needs room .+No space left.+TMPDIR\.$"):
        read_recording(tmp_path / "a.wav")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="counts pages as Linux does")
def test_a_pass_over_a_long_recording_holds_little_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audioic_widget.audio.IN_MEMORY", 1 << 16)

    def in_files() -> int:
        """Bytes that this process holds of files."""
        return int(Path("/proc/self/statm").read_text().split()[2]) * mmap.PAGESIZE

    samples = np.random.default_rng(0).normal(0, 0.1, 10_000_000).astype(np.float32)
    recording = read_recording(samples, 44_100)
    codec = load_model("mini", device="cpu").codec
    assert codec is not None
    codec.encode(samples, 0, 300)  # loads libraries, which lie in files too
    before = in_files()
    recording.samples.sum()
    assert in_files() - before > 30e6
    release(recording.samples[5:])  # a part is enough to know it by
    assert in_files() - before < 5e6
    assert recording.checksum == Recording("in memory", samples, 44_100).checksum
    assert sounding_range(recording) == (0, 2441)
    codec.encode(recording.samples, 0, 2_441)
    assert in_files() - before < 5e6
    np.testing.assert_array_equal(recording.samples, samples)
