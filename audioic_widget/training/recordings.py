"""Anyone's recordings: which can be read, which are held out, and whether they are enough."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audioic_widget.audio import read_recording
from audioic_widget.errors import AudioError
from audioic_widget.frames import FRAME_PERIOD, FrameGrid

log = logging.getLogger(__name__)

SUFFIXES = frozenset(
    [".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".w64", ".caf", ".rf64"]
)
"""Files that are taken for audio."""

LEAST_WINDOWS = 4
"""Training windows that the recordings to learn from must at least fill: any fewer, and it would learn them by heart."""


@dataclass(frozen=True)
class OwnRecording:
    """One file of the collection.

    Attributes
    ----------
    path : Path
    frames : int
        Whole frames in it.
    held_out : bool
        Whether it is kept from training.
    """

    path: Path
    frames: int
    held_out: bool = False

    def samples(self) -> NDArray[np.float32]:
        """Mono samples at 44.1 kHz."""
        return read_recording(self.path).samples


def find_recordings(folder: Path) -> tuple[list[OwnRecording], dict[str, str]]:
    """Readable recordings of at least two frames anywhere under `folder`, and why others were skipped, by name.

    Raises
    ------
    AudioError
        If `folder` is no folder.
    """
    if not folder.is_dir():
        raise AudioError(f"{folder} is not a folder: name the folder that holds the recordings.")
    found: list[OwnRecording] = []
    skipped: dict[str, str] = {}
    for path in sorted(each for each in folder.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file()):
        try:
            found.append(OwnRecording(path, FrameGrid(len(read_recording(path).samples)).n_frames))
        except AudioError as error:
            skipped[str(path.relative_to(folder))] = str(error)
            log.warning("skipped: %s", error)
    return found, skipped


def split(recordings: Sequence[OwnRecording], share: float, window: int) -> list[OwnRecording]:
    """The recordings with about `share` of their frames held out, whole files, chosen by their names.

    Raises
    ------
    AudioError
        If there are fewer than two files, or too little is left on one side; it says how much is needed.
    """
    order = sorted(range(len(recordings)), key=lambda k: zlib.crc32(recordings[k].path.name.encode()))
    wanted = max(share * sum(recording.frames for recording in recordings), window)
    chosen: set[int] = set()
    held = 0
    for k in order[:-1]:
        if held < wanted:
            chosen.add(k)
            held += recordings[k].frames
    left = sum(recording.frames for recording in recordings) - held
    if held < window or left < LEAST_WINDOWS * window:
        need = (LEAST_WINDOWS + 1) * window * FRAME_PERIOD / 60
        have = (held + left) * FRAME_PERIOD / 60
        raise AudioError(
            f"There is too little audio to train on, {have:.1f} min in {len(recordings)} readable files: windows of {window} "
            f"frames need at least {need:.1f} min in two files or more, {LEAST_WINDOWS * window * FRAME_PERIOD / 60:.1f} min "
            "of it outside the files held out."
        )
    return [replace(recording, held_out=k in chosen) for k, recording in enumerate(recordings)]
