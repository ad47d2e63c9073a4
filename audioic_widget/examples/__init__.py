"""Short recordings for tutorials and tests: see `audioic_widget.training.examples` for their notes."""

from __future__ import annotations

from pathlib import Path

from audioic_widget.errors import AudioError

_FOLDER = Path(__file__).parent


def example(name: str) -> Path:
    """Path of an example recording (FLAC, 44.1 kHz, about 20 s).

    Parameters
    ----------
    name : {"minuet", "frere_jacques", "loop"}
        A minuet by Petzold (once thought Bach's) on two guitars; a folk song on a recorder, each phrase played
        twice; a loop of melody, bass and drums, the fourth of five times with a wrong note.

    Raises
    ------
    AudioError
        If there is no example of that name.

    Examples
    --------
    >>> example("minuet").name
    'minuet.flac'
    """
    path = _FOLDER / f"{name}.flac"
    names = sorted(found.stem for found in _FOLDER.glob("*.flac"))
    if name not in names:
        raise AudioError(f'There is no example "{name}": choose one of {", ".join(names)}.')
    return path
