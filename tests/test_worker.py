"""The one thread that computes for a widget."""

from __future__ import annotations

import threading

import pytest

from audioic_widget.widget.worker import Worker


def test_worker_waits_for_its_work_and_says_if_that_took_too_long() -> None:
    worker = Worker("test")
    release = threading.Event()
    worker.submit(lambda check: release.wait(20))
    assert not worker.wait(0.05)
    release.set()
    assert worker.wait(20)
    assert not worker.cancel()
    worker.close()


def test_what_can_wait_runs_when_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audioic_widget.widget.worker.REST", 0.1)
    worker, ran = Worker("test"), []
    done = threading.Event()
    worker.submit(lambda check: worker.when_idle(lambda check: ran.append("never")))
    worker.wait(20)
    worker.submit(lambda check: worker.when_idle(lambda check: (ran.append("later"), done.set())))
    assert worker.wait(20)
    assert ran == []
    assert done.wait(20)
    assert ran == ["later"]
    worker.close()
