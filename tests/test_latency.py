"""How soon a widget answers: what is seen first, an older request ended, earlier settings at once.

The model is made slow and counts, so that nothing depends on how fast the machine is.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from recorded import until
from torch import Tensor

import audioic_widget as aw
from audioic_widget.model.catalogue import ICModel
from audioic_widget.widget import AudioICWidget
from audioic_widget.widget.session import Session

STEP = 0.02
"""Seconds a pass of the slow model takes."""


class Slow:
    """A head and a field at once: no velocity, `STEP` seconds a pass; `passes` has their flow times."""

    latent_dim = 64

    def __init__(self) -> None:
        self.passes: list[float] = []

    def bind(self, context: Tensor) -> Slow:
        return self

    def frozen(self, dtype: torch.dtype | None = None) -> Slow:
        return self

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        self.passes.append(float(t.max()))
        time.sleep(STEP)
        return torch.zeros_like(x)

    def velocity_and_tangents(self, x: Tensor, t: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        return self.velocity(x, t), torch.zeros_like(tangents)


@pytest.fixture
def slow() -> ICModel:
    return dataclasses.replace(aw.load_model("mini", device="cpu"), head=Slow())  # type: ignore[arg-type]


@pytest.fixture
def widget(slow: ICModel) -> Iterator[Recorded]:
    samples = np.random.default_rng(3).normal(0, 0.1, 40 * 44_100).astype(np.float32)
    made = Recorded(samples, sample_rate=44_100, model=slow, preset="pa-audioic", noise_levels=[0.3])
    yield made
    made.close()


class Recorded(AudioICWidget):
    """Keeps what it would send."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.sent: list[dict[str, Any]] = []
        super().__init__(*args, **kwargs)

    def send(self, content: dict[str, Any], buffers: object = None) -> None:
        self.sent.append(content)


def workers_now() -> set[int | None]:
    return {thread.ident for thread in threading.enumerate() if thread.name == "audioic-widget"}


FEW = 10
"""Passes of the slow model in 200 ms."""


def test_a_newer_request_ends_an_older_one_within_a_few_passes(widget: Recorded, slow: ICModel) -> None:
    passes = slow.head.passes  # type: ignore[union-attr]
    until(lambda: len(passes) > 20)
    workers, before = workers_now(), len(passes)
    # Flow time starts at 1 - s: what the older one asks is told from the newer one's by its time.
    widget.noise_levels = [0.9]
    until(lambda: any(t <= 0.1 + 1e-6 for t in passes[-3:]))
    # Passes of the older one near t = 0 look like the newer one's; its others are enough.
    assert sum(t > 0.1 + 1e-6 for t in passes[before:]) < FEW
    assert workers_now() <= workers


def test_cancel_ends_it_as_soon(widget: Recorded, slow: ICModel) -> None:
    passes = slow.head.passes  # type: ignore[union-attr]
    until(lambda: len(passes) > 20)
    before = len(passes)
    widget.cancel()
    assert widget._worker.wait(30)
    assert len(passes) - before < FEW


def test_after_a_change_the_first_answer_is_under_the_playhead_and_then_on_screen(widget: Recorded) -> None:
    widget.view, widget.current_time = (20.0, 30.0), 25.0
    widget.sent.clear()
    widget.n_probes = 2
    until(lambda: [m for m in widget.sent if m["type"] == "curves" and m["revision"] == widget._revision])
    first = next(m for m in widget.sent if m["type"] == "curves" and m["revision"] == widget._revision)
    frame = int(25.0 * 44_100 // 4096)
    assert first["first"] <= frame < first["first"] + first["count"]
    assert widget._urgent() == [(269, 323), (215, 323)]
    widget.current_time = 5.0
    assert widget._urgent() == [(215, 323), (53, 107)]
    widget.view = None
    assert widget._urgent()[0] == (53, 107)


def test_earlier_settings_come_back_without_a_pass_of_the_model(slow: ICModel) -> None:
    samples = np.random.default_rng(3).normal(0, 0.1, 44_100).astype(np.float32)
    widget = Recorded(samples, sample_rate=44_100, model=slow, preset="draft", n_steps=1, noise_levels=[0.3])
    before = widget.wait(30)
    widget.n_steps = 2
    widget.wait(30)
    passes = len(slow.head.passes)  # type: ignore[union-attr]
    begun = time.monotonic()
    widget.n_steps = 1
    again = widget.wait(30)
    assert time.monotonic() - begun < 0.2
    assert len(slow.head.passes) == passes  # type: ignore[union-attr]
    np.testing.assert_array_equal(again.ic, before.ic)
    widget.close()


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audioic_widget.widget.session.REMEMBERED_VALUES", 3 * 10)
    samples = np.random.default_rng(3).normal(0, 0.1, 10 * 4096).astype(np.float32)
    session = Session(samples, 44_100, "mini", "cpu")
    session.open()
    settings = [aw.ICSettings(preset="draft", n_steps=steps, noise_levels=[0.3]) for steps in (1, 2, 3, 1, 4)]
    for each in settings:
        *_, last = session.compute(each, list, lambda: None, lambda share: None)
        assert last.result is not None
    kept = [json_settings for json_settings, _ in session._finished]
    assert ['"n_steps": 3' in kept[0], '"n_steps": 1' in kept[1], '"n_steps": 4' in kept[2]] == [True] * 3
    assert len(kept) == 3
