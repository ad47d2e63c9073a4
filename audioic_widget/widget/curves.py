"""The traces as they are drawn: every value with how far it can be taken as final. `js/src/curves.ts` holds its twin."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from audioic_widget.likelihood.bounds import SLACK, floor

BELOW_FLOOR = 8
"""Added to the state of a value that no exact flow could give."""


class State(IntEnum):
    """How a value is drawn."""

    NONE = 0
    STALE = 1
    DRAFT = 2
    FINAL = 3


class Curves:
    """Values, standard errors (nats) and states ``(L, F)`` of some noise levels."""

    def __init__(self, levels: Sequence[float] = (), n_frames: int = 0) -> None:
        self.levels = tuple(levels)
        self.ic = np.full((len(self.levels), n_frames), np.nan, np.float32)
        self.stderr = self.ic.copy()
        self.states = np.zeros(self.ic.shape, np.uint8)

    @property
    def n_frames(self) -> int:
        """Frames of the recording."""
        return self.ic.shape[1]

    def restarted(self, levels: Sequence[float], n_frames: int) -> Curves:
        """Curves for a new computation: what is known of the same levels stays, as out of date."""
        fresh = Curves(levels, n_frames)
        if n_frames == self.n_frames:
            for row, level in enumerate(fresh.levels):
                if level in self.levels:
                    old = self.levels.index(level)
                    fresh.ic[row], fresh.stderr[row] = self.ic[old], self.stderr[old]
                    known = self.states[old] > 0
                    fresh.states[row, known] = self.states[old, known] & BELOW_FLOOR | State.STALE
        return fresh

    def put(
        self,
        levels: Sequence[float],
        first: int,
        ic: NDArray[np.floating],
        stderr: NDArray[np.floating],
        state: State,
    ) -> None:
        """Take in values ``(levels, n)`` of the frames from `first` on; NaN is a gap, not a value."""
        span = slice(first, first + ic.shape[1])
        for values, errors, level in zip(ic, stderr, levels, strict=True):
            row = self.levels.index(level)
            self.ic[row, span], self.stderr[row, span] = values, errors
            states = np.where(values < floor(level) - SLACK, BELOW_FLOOR | state, state)
            self.states[row, span] = np.where(np.isnan(values), State.NONE, states)
