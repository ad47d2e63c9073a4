"""Files that are whole or not there, and the provenance beside those whose format has no place for it."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from audioic_widget.errors import OutputError

PathLike = str | os.PathLike[str]


@contextmanager
def replacing(path: PathLike) -> Iterator[IO[bytes]]:
    """A file to write that takes the name `path` once the block ends well; otherwise nothing is left of it.

    Raises
    ------
    OutputError
        If it cannot be written.

    Examples
    --------
    >>> with replacing("note.txt") as file:
    ...     file.write(b"whole")
    5
    >>> Path("note.txt").read_text()
    'whole'
    """
    path = Path(path)
    temporary: str | None = None
    try:
        # A name may be as long as the system allows: the temporary one must not be longer.
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:20]}-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            yield file
        # A temporary file is private; the result gets the permissions of any other new file.
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path} cannot be written ({reason}): choose another place or make room.") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def write_beside(path: PathLike, content: bytes, provenance: Mapping[str, Any]) -> None:
    """Write `content`, and provenance as ``<path>.json`` beside it, tied to it by its checksum."""
    with replacing(path) as file:
        file.write(content)
    note = {"sha256": hashlib.sha256(content).hexdigest(), "provenance": dict(provenance)}
    with replacing(sidecar(path)) as file:
        file.write(json.dumps(note, sort_keys=True, indent=1).encode())


def read_beside(path: PathLike, content: bytes) -> dict[str, Any] | None:
    """The provenance that `write_beside` wrote for `content`; None if there is none or it is of another file."""
    try:
        note = json.loads(sidecar(path).read_text(encoding="utf-8"))
        fits = note["sha256"] == hashlib.sha256(content).hexdigest()
        return dict(note["provenance"]) if fits else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def sidecar(path: PathLike) -> Path:
    """Where the provenance of the file `path` lies."""
    return Path(f"{os.fspath(path)}.json")
