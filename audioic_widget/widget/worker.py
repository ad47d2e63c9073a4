"""The one thread that computes for a widget. It knows jobs, and nothing of what they do."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable

from audioic_widget.errors import Cancelled

REST = 1.0
"""Seconds without a job after which the worker counts as idle."""

Check = Callable[[], None]
Job = Callable[[Check], None]


class Worker:
    """Runs the job submitted last, in a thread of its own; a newer job ends the one that runs.

    Jobs end early by calling the `check` they are given, many times a second: it raises `Cancelled`
    as soon as a newer job waits, or `cancel` or `close` was called. They handle their own errors; what one lets through is
    reported as what ends a thread is (`threading.excepthook`), but ends nothing.

    Parameters
    ----------
    name : str
        Of the thread, for those who look at a list of threads.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._changed = threading.Condition()
        self._waiting: Job | None = None
        self._later: Job | None = None
        self._aside: deque[Job] = deque()
        self._running = False
        self._cancelled = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def submit(self, job: Job) -> None:
        """Run `job` next, in place of any job that runs or waits; does nothing after `close`."""
        with self._changed:
            if self._closed:
                return
            self._waiting, self._later = job, None
            self._wake()

    def aside(self, job: Job) -> None:
        """Run a short `job` soon: at once, or where the one that runs makes room. No other job ends it."""
        with self._changed:
            if self._closed:
                return
            self._aside.append(job)
            self._wake()

    def make_room(self) -> None:
        """Run what was put aside; for jobs to call between two pieces of their work."""
        while True:
            with self._changed:
                job = self._aside.popleft() if self._aside else None
            if job is None:
                return
            self._do(job, self._check_closed)

    def when_idle(self, job: Job) -> None:
        """Run `job` once nothing was submitted for `REST` seconds; nobody waits for it, and any other job ends it."""
        with self._changed:
            self._later = job
            self._changed.notify_all()

    def cancel(self) -> bool:
        """End the job that runs or waits; whether there was one."""
        with self._changed:
            busy = self._running or self._waiting is not None
            self._waiting = None
            self._cancelled = self._running
            self._changed.notify_all()
            return busy

    @property
    def inside(self) -> bool:
        """Whether the caller is a job itself, or called by one: it cannot wait for its own end."""
        return threading.current_thread() is self._thread

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until no job runs or waits; False if `timeout` seconds were not enough."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running and self._waiting is None, timeout)

    def close(self) -> None:
        """End the job and the thread, without waiting for them."""
        with self._changed:
            self._closed = True
            self._waiting = None
            self._aside.clear()
            self._changed.notify_all()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _do(self, job: Job, check: Check) -> None:
        try:
            job(check)
        except Cancelled:
            pass
        except Exception:
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self._thread)))

    def _check_closed(self) -> None:
        if self._closed:
            raise Cancelled("Ended on request.")

    def _check(self) -> None:
        if self._closed or self._cancelled or self._waiting is not None:
            raise Cancelled("Ended on request.")

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._closed and self._waiting is None and not self._aside:
                    if not self._changed.wait(None if self._later is None else REST):
                        break
                if self._closed:
                    return
                wanted = self._waiting is not None
                if wanted or not self._aside:
                    job, self._waiting, self._later = self._waiting or self._later, None, None
                else:
                    job = None
                self._running, self._cancelled = wanted, False
            self.make_room()
            if job is not None:
                self._do(job, self._check)
            with self._changed:
                self._running = False
                self._changed.notify_all()
