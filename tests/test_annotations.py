"""Annotations from every source, and the IC inside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import audioic_widget as aw
from audioic_widget.annotations import Annotations, annotation_ic, read_annotations
from audioic_widget.frames import FRAME_PERIOD

SOURCES = [
    [(1, 2, "b"), (0, 0.5, "a")],
    pd.DataFrame({"start": [0, 1], "end": [0.5, 2], "label": ["a", "b"]}),
    pd.DataFrame({"Onset": [0, 1], "Offset": [0.5, 2], "Value": ["a", "b"]}),
    {"time": [0, 1], "end": [0.5, 2], "text": ["a", "b"]},
]


@pytest.mark.parametrize("source", SOURCES)
def test_rows_and_tables_are_the_same_annotations(source: object) -> None:
    read = Annotations.of(source)
    assert read.to_dataframe().to_dict("list") == {"start": [0.0, 1.0], "end": [0.5, 2.0], "label": ["a", "b"]}
    assert Annotations.of(read) is read


def test_times_are_moments() -> None:
    read = Annotations.of(np.array([2.0, 1.0]))
    assert (read.start.tolist(), read.end.tolist(), read.label) == ([1.0, 2.0], [1.0, 2.0], ("", ""))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ([(2, 1, "x")], "ends earlier"),
        ([(-1, 1)], "0 or more"),
        ([(0, float("nan"))], "0 or more"),
        ([(0, 1, 2, 3)], "rows of other lengths"),
        (7, "not int"),
        ([("a", "b")], "number of seconds"),
        (pd.DataFrame({"label": ["a"]}), 'needs a column "start"'),
        ("missing.txt", "cannot be read"),
        ("notes.docx", "unknown kind"),
    ],
)
def test_what_cannot_be_annotations_says_why(source: object, words: str) -> None:
    with pytest.raises(aw.AnnotationError, match=words):
        Annotations.of(source)


def test_audacity_labels_with_frequencies_commas_and_bad_lines(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("1,5\t2,5\tvérse <b>\n\\\t100.0\t200.0\n\n0.25\t0.25\n", encoding="utf-8")
    read = read_annotations(path)
    assert read.start.tolist() == [0.25, 1.5]
    assert read.end.tolist() == [0.25, 2.5]
    assert read.label == ("", "vérse <b>")
    path.write_text("1.0\t2.0\tok\nverse\t1\t2\n")
    with pytest.raises(aw.AnnotationError, match=r"labels\.txt, line 2"):
        read_annotations(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(aw.AnnotationError, match="cannot be read as labels"):
        read_annotations(path)


_TIMES = st.floats(0, 1e5).map(lambda t: round(t, 6))
_LABELS = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20)


@given(st.lists(st.tuples(_TIMES, _TIMES, _LABELS), max_size=20))
def test_audacity_labels_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple]) -> None:
    rows = [(min(a, b), max(a, b), label) for a, b, label in rows]
    path = tmp_path_factory.mktemp("labels") / "labels.txt"
    path.write_text("".join(f"{a:.6f}\t{b:.6f}\t{label}\n" for a, b, label in rows), encoding="utf-8")
    read, expected = read_annotations(path), Annotations.of(rows)
    np.testing.assert_array_equal(read.start, expected.start)
    np.testing.assert_array_equal(read.end, expected.end)
    assert read.label == expected.label


def test_ic_inside_annotations_takes_the_frames_they_touch() -> None:
    time = np.arange(1, 6) * FRAME_PERIOD
    ic = np.array([[np.nan, 1.0, 2.0, 3.0, 10.0], [np.nan, 0.0, 0.0, 6.0, 0.0]])
    result = aw.ICResult(time, [0.3, 0.6], ic, np.zeros_like(ic))
    spans = [(0.0, FRAME_PERIOD, "first"), (1.5 * FRAME_PERIOD, 3 * FRAME_PERIOD, "middle"), (3.5 * FRAME_PERIOD,) * 2]
    table = annotation_ic(result, spans)
    assert table["noise_level"].tolist() == [0.3, 0.6] * 3
    assert table["frames"].tolist() == [0, 0, 2, 2, 1, 1]
    assert table["mean"].tolist()[2:] == [1.5, 0.0, 3.0, 6.0]
    assert table["max"].tolist()[2:] == [2.0, 0.0, 3.0, 6.0]
    assert table["mean"].isna().tolist()[:2] == [True, True]
