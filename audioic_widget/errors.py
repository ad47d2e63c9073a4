"""The package's own errors: each says in one sentence what was wrong and what to do."""

from __future__ import annotations


class AudioICError(Exception):
    """Base of every error this package raises on purpose.

    Examples
    --------
    >>> from audioic_widget import ICSettings
    >>> try:
    ...     ICSettings(noise_levels=[])
    ... except AudioICError as error:
    ...     print(error)
    noise_levels is empty: give at least one number in [0, 1].
    """


class AudioError(AudioICError, ValueError):
    """The recording cannot be used: unreadable, empty, too short, not finite, no sample rate.

    Examples
    --------
    >>> from audioic_widget import read_recording
    >>> read_recording("missing.wav")
    Traceback (most recent call last):
    audioic_widget.errors.AudioError: missing.wav does not exist: check the path.
    """


class AnnotationError(AudioICError, ValueError):
    """Annotations cannot be used: not a table of times, a file of another kind, a span that ends before it starts.

    Examples
    --------
    >>> from audioic_widget import Annotations
    >>> Annotations([2.0], [1.0])
    Traceback (most recent call last):
    audioic_widget.errors.AnnotationError: An annotation from 2 s ends earlier, at 1 s.
    """


class SettingsError(AudioICError, ValueError):
    """A setting is outside its range, or two settings exclude each other.

    Examples
    --------
    >>> from audioic_widget import ICSettings
    >>> ICSettings(noise_levels=[1.5])
    Traceback (most recent call last):
    audioic_widget.errors.SettingsError: noise level 1.5 is outside [0, 1].
    """


class ModelError(AudioICError):
    """The model is unknown, incomplete, or cannot do what was asked of it.

    Examples
    --------
    >>> from audioic_widget import load_model
    >>> load_model("maxi")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    audioic_widget.errors.ModelError: There is no model "maxi": use "mini", ...
    """


class CheckpointError(ModelError):
    """A checkpoint file is damaged, foreign, or would have to run code to load.

    Examples
    --------
    >>> from pathlib import Path
    >>> from audioic_widget import load_model
    >>> Path("flow.pt").write_bytes(b"no weights")
    10
    >>> load_model("flow.pt")
    Traceback (most recent call last):
    audioic_widget.errors.CheckpointError: flow.pt is damaged or no PyTorch checkpoint: get the file again.
    """


class DeviceError(AudioICError):
    """The device asked for is not there, or too small for the work.

    Examples
    --------
    >>> from audioic_widget import load_model
    >>> load_model("mini", device="toaster")
    Traceback (most recent call last):
    audioic_widget.errors.DeviceError: The device "toaster" is not available here: use device="cpu" or "auto".
    """


class ExecutorError(AudioICError):
    """The pool or cluster that should compute is lost.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> import audioic_widget as aw
    >>> pool = ThreadPoolExecutor(1)
    >>> pool.shutdown()
    >>> aw.compute_corpus([aw.example("loop")], "dataset", preset="draft", executor=pool)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    audioic_widget.errors.ExecutorError: The executor takes no more work (...): start it again and repeat the call, what is done is kept.
    """


class OutputError(AudioICError, OSError):
    """A result could not be written; nothing half-written is left behind.

    Examples
    --------
    >>> from audioic_widget import ICResult
    >>> ICResult([0.1], [0.0], [[1.0]], [[0.0]]).save("nowhere/song.npz")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    audioic_widget.errors.OutputError: nowhere/song.npz cannot be written (...): choose another place or make room.
    """


class Cancelled(AudioICError):
    """The computation was ended on request before it was complete.

    Examples
    --------
    >>> import audioic_widget as aw
    >>> widget = aw.AudioICWidget(aw.example("minuet"), preset="exact")
    >>> widget.cancel()
    >>> widget.wait()
    Traceback (most recent call last):
    audioic_widget.errors.Cancelled: Computing minuet.flac was ended before it was complete: call compute() to start again.
    >>> widget.close()
    """
