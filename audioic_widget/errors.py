"""The package's own errors: each says in one sentence what was wrong and what to do."""

from __future__ import annotations


class AudioICError(Exception):
    """Base of every error this package raises on purpose."""


class AudioError(AudioICError, ValueError):
    """The recording cannot be used: unreadable, empty, too short, not finite, no sample rate."""


class AnnotationError(AudioICError, ValueError):
    """Annotations cannot be used: not a table of times, a file of another kind, a span that ends before it starts."""


class SettingsError(AudioICError, ValueError):
    """A setting is outside its range, or two settings exclude each other."""


class ModelError(AudioICError):
    """The model is unknown, incomplete, or cannot do what was asked of it."""


class CheckpointError(ModelError):
    """A checkpoint file is damaged, foreign, or would have to run code to load."""


class DeviceError(AudioICError):
    """The device asked for is not there, or too small for the work."""


class ExecutorError(AudioICError):
    """The pool or cluster that should compute is lost."""


class OutputError(AudioICError, OSError):
    """A result could not be written; nothing half-written is left behind."""


class Cancelled(AudioICError):
    """The computation was ended on request before it was complete."""
