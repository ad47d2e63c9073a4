"""Sends curves to the browser: a few messages at once, then ten a second, each in pieces that block no channel."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from audioic_widget.settings import ICSettings
from audioic_widget.widget import messages
from audioic_widget.widget.curves import Curves, State
from audioic_widget.widget.session import Update

SEND_INTERVAL = 0.1
"""Seconds between two messages of curves, on average."""

SENT_AT_ONCE = 3
"""Messages that need not wait for each other: what is on screen is computed first, in one to three pieces."""

Send = Callable[[Iterable[messages.Message]], None]


class Outgoing:
    """Gathers the updates of one computation and sends what has changed.

    Parameters
    ----------
    curves : Curves
        Where updates are put.
    settings : ICSettings
        They are computed with.
    revision : int
        Of the computation.
    send : callable
        Takes messages.
    """

    def __init__(self, curves: Curves, settings: ICSettings, revision: int, send: Send) -> None:
        self._curves = curves
        self._settings = settings
        self._revision = revision
        self._send = send
        self._changed: list[tuple[int, int]] = []
        self._due = -math.inf

    def begin(self) -> None:
        """Say that a computation begins."""
        curves = self._curves
        self._send([messages.restart(self._revision, curves.levels, curves.n_frames, self._settings)])

    def take(self, update: Update) -> bool:
        """Take in `update`; whether it was sent, along with those before it."""
        state = State.FINAL if update.stage == "final" else State.DRAFT
        self._curves.put(update.levels, update.first, update.ic, update.stderr, state)
        self._changed.append((update.first, update.first + update.ic.shape[1]))
        now = time.monotonic()
        if update.result is None and now < self._due:
            return False
        for first, stop in joined(self._changed):
            self._send_range(first, stop)
        self._changed.clear()
        self._due = max(self._due, now - (SENT_AT_ONCE - 1) * SEND_INTERVAL) + SEND_INTERVAL
        return True

    def send_all(self) -> None:
        """Everything, for a page that has just begun."""
        self.begin()
        self._send_range(0, self._curves.n_frames)

    def _send_range(self, first: int, stop: int) -> None:
        curves = self._curves
        self._send(messages.curves(self._revision, curves.levels, first, stop, curves.ic, curves.stderr, curves.states))


def joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same frames as `spans` cover, in order, spans that touch being one: what lies far apart is not filled up."""
    found: list[tuple[int, int]] = []
    for first, stop in sorted(spans):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(stop, found[-1][1])
        else:
            found.append((first, stop))
    return found
