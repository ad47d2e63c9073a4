"""What every command does with errors: one sentence to the terminal, and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from jsonargparse import ArgumentParser, Namespace

from audioic_widget.errors import AudioICError, OutputError, SettingsError


def parsed(command: ArgumentParser, words: Sequence[str] | None) -> Namespace:
    """The options that `words` ask for; mistakes in them end the process with a sentence.

    Raises
    ------
    SettingsError
        If a file of settings is no text.
    """
    try:
        return command.parse_args(words)
    except UnicodeDecodeError as error:
        raise SettingsError(f"The file of settings is no text in UTF-8 ({error.reason}): save it as that.") from error


def description(documentation: str | None) -> str:
    """What a command says of itself: its module's docstring, without the marks of code."""
    return (documentation or "").replace("``", "")


def failed(error: AudioICError) -> int:
    """Say what went wrong; the exit status."""
    print(f"error: {error}", file=sys.stderr)
    return 2


def exit_status(work: Callable[[], int], output: str | os.PathLike[str], interrupted: str) -> int:
    """Do the `work` of a command; its exit status, or that of what ended it.

    Parameters
    ----------
    work : callable
    output : path
        Where it writes, to be named if that fails.
    interrupted : str
        What is said after Ctrl-C.
    """
    try:
        return work()
    except AudioICError as error:
        return failed(error)
    except OSError as error:
        return failed(OutputError(f"{os.fspath(output)} cannot be written ({error.strerror}): choose another folder."))
    except KeyboardInterrupt:
        print(f"interrupted: {interrupted}", file=sys.stderr)
        return 130
