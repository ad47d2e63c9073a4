"""What every command does with errors: one sentence to the terminal, and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from audioic_widget.errors import AudioICError, OutputError


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
