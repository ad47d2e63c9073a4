"""Several widgets as one; that they move together is the front end's, see `js/tests/group.test.ts`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audioic_widget as aw

FAST = {"preset": "draft", "n_steps": 2, "noise_levels": [0.3]}


@pytest.fixture
def samples() -> np.ndarray:
    return np.random.default_rng(3).normal(0, 0.1, 44_100).astype(np.float32)


def test_recordings_and_widgets_share_a_group_and_keep_their_settings(samples: np.ndarray) -> None:
    given = aw.AudioICWidget(samples, sample_rate=44_100, **{**FAST, "n_steps": 3})
    both = aw.compare(given, samples, sample_rate=44_100, **FAST)
    made = both.widgets[1]
    assert both.widgets[0] is given
    assert both.children == both.widgets
    assert given.group == made.group != ""
    assert [widget.compact for widget in both.widgets] == [False, True]
    results = both.wait(60)
    assert [result.provenance["settings"]["n_steps"] for result in results] == [3, 2]
    assert repr(both) == "Comparison(AudioICWidget('array'), AudioICWidget('array'))"
    both.close()


def test_one_sounds(samples: np.ndarray) -> None:
    three = aw.compare(samples, samples, samples, sample_rate=44_100, **FAST)
    assert three.solo is three.widgets[0]
    three.solo = three.widgets[2]
    assert [widget.solo for widget in three.widgets] == [False, False, True]
    other = aw.AudioICWidget(samples, sample_rate=44_100, **FAST)
    with pytest.raises(aw.SettingsError, match="is not compared here"):
        three.solo = other
    other.close()
    three.close()


def test_there_must_be_two_of_them(samples: np.ndarray) -> None:
    widget = aw.AudioICWidget(samples, sample_rate=44_100, **FAST)
    with pytest.raises(aw.SettingsError, match="two or more"):
        aw.compare(widget)
    with pytest.raises(aw.SettingsError, match="given twice"):
        aw.compare(widget, widget)
    with pytest.raises(TypeError, match="steps"):
        aw.compare("a.wav", "b.wav", steps=3)
    widget.close()


def test_one_page_holds_all_of_them(samples: np.ndarray, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "<script>.wav", samples, 44_100)
    both = aw.compare(samples, aw.AudioICWidget(tmp_path / "<script>.wav", **FAST), sample_rate=44_100, **FAST)
    both.export_html(tmp_path / "silent.html")
    both.export_html(tmp_path / "both.html", sound=True)
    page = (tmp_path / "both.html").read_text()
    (stored,) = re.findall(r'<script type="application/json" id="widgets">(.*)</script>', page)
    widgets = json.loads(stored)
    assert [each["state"]["name"] for each in widgets] == ["array", "<script>.wav"]
    assert widgets[0]["state"]["group"] == widgets[1]["state"]["group"] != ""
    assert [each["state"]["solo"] for each in widgets] == [True, False]
    assert [len(each["pieces"]) for each in widgets] == [1, 1]
    assert "<title>array and &lt;script&gt;.wav</title>" in page
    # The front end is there once.
    assert len(page) < 250_000
    assert len((tmp_path / "silent.html").read_text()) < len(page)
    both.close()
