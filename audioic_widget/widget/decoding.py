"""What noise leaves of a recording, made while it is listened to, between the pieces of what is computed."""

from __future__ import annotations

from collections.abc import Callable

from audioic_widget.errors import Cancelled
from audioic_widget.settings import ICSettings
from audioic_widget.widget import messages
from audioic_widget.widget.outgoing import Send
from audioic_widget.widget.session import Session
from audioic_widget.widget.worker import Worker


class Decoding:
    """Puts the decoding of sound aside for the worker, which does it piece by piece."""

    def __init__(self, worker: Worker, session: Session) -> None:
        self._worker, self._session = worker, session
        self._wanted: float | None = None

    def ask(
        self,
        settings: ICSettings,
        noise_level: float,
        first: int,
        count: int,
        send: Send,
        fail: Callable[[Exception], None],
    ) -> None:
        """Send `count` samples from `first` on, unless another level is asked for before they are made."""
        self._wanted = noise_level

        def decode(check: Callable[[], None]) -> None:
            if noise_level != self._wanted:
                return
            try:
                samples = self._session.remains(
                    settings, noise_level, first, min(count, messages.MESSAGE_SAMPLES), check
                )
            except Cancelled:
                return
            except Exception as error:
                fail(error)
                return
            send([messages.audio(noise_level, first, samples)])

        self._worker.aside(decode)
