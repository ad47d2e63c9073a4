"""Annotations: labelled spans of time, read from what people have, and the IC inside each.

Other file formats join by a reader in `READERS`; this module knows no notebook and no model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audioic_widget.errors import AnnotationError
from audioic_widget.formats import Label, read_audacity, read_textgrid
from audioic_widget.frames import FRAME_PERIOD
from audioic_widget.result import ICResult

if TYPE_CHECKING:
    import pandas as pd

AnnotationsLike = Any
"""An `Annotations`, a DataFrame, a path, times, or ``(start, end)`` or ``(start, end, label)`` rows."""

_STARTS = ("start", "time", "onset", "begin")
_ENDS = ("end", "offset", "stop")
_LABELS = ("label", "value", "text", "name")


@dataclass(frozen=True, eq=False)
class Annotations:
    """A table of labelled spans, sorted by their start.

    Attributes
    ----------
    start, end : ndarray (n,)
        Seconds; equal for a moment without length.
    label : tuple of str
        Empty where there is none.

    Raises
    ------
    AnnotationError
        If lengths differ, a time is negative or not finite, or a span ends before it starts.

    Examples
    --------
    >>> annotations = Annotations([1.0, 0.0], [2.0, 0.0], ["verse", "click"])
    >>> annotations.label
    ('click', 'verse')
    >>> annotations.to_dataframe()["end"].tolist()
    [0.0, 2.0]
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    label: tuple[str, ...]

    def __init__(self, start: ArrayLike, end: ArrayLike | None = None, label: Iterable[object] | None = None) -> None:
        starts = _times("start", start)
        ends = starts if end is None else _times("end", end)
        labels = [""] * len(starts) if label is None else [_text(each) for each in label]
        if not len(starts) == len(ends) == len(labels):
            raise AnnotationError(
                f"Annotations need as many starts as ends and labels, not {len(starts)}, {len(ends)} and {len(labels)}."
            )
        backwards = np.flatnonzero(ends < starts)
        if len(backwards):
            first = backwards[0]
            raise AnnotationError(f"An annotation from {starts[first]:g} s ends earlier, at {ends[first]:g} s.")
        order = np.lexsort((ends, starts))
        object.__setattr__(self, "start", starts[order])
        object.__setattr__(self, "end", ends[order])
        object.__setattr__(self, "label", tuple(labels[row] for row in order))

    def __len__(self) -> int:
        return len(self.label)

    def __repr__(self) -> str:
        return f"Annotations({len(self)} rows)"

    @classmethod
    def of(cls, source: AnnotationsLike) -> Annotations:
        """Annotations from whatever holds them.

        Parameters
        ----------
        source : Annotations, DataFrame, path, or sequence
            A DataFrame with the columns ``start`` (or ``time``, ``onset``), and if it has them ``end`` and ``label``;
            a file that a reader in `READERS` knows; times in seconds; or rows ``(start, end)`` or ``(start, end, label)``.

        Raises
        ------
        AnnotationError
            If it is none of these.

        Examples
        --------
        >>> Annotations.of([(0, 1.5, "intro"), (1.5, 4, "verse")]).end
        array([1.5, 4. ])
        >>> Annotations.of([0.5, 1.0]).end
        array([0.5, 1. ])
        """
        if isinstance(source, Annotations):
            return source
        if isinstance(source, str | os.PathLike):
            return read_annotations(source)
        if hasattr(source, "columns"):
            return cls._of_table({str(name): source[name].tolist() for name in source.columns})
        if isinstance(source, Mapping):
            return cls._of_table(source)
        try:
            rows = list(source)
        except TypeError as error:
            raise AnnotationError(_ADVICE.format(type(source).__name__)) from error
        if all(isinstance(row, int | float | np.number) for row in rows):
            return cls(rows)
        if not all(isinstance(row, list | tuple | np.ndarray) and len(row) in (2, 3) for row in rows):
            raise AnnotationError(_ADVICE.format("rows of other lengths"))
        return cls(
            [row[0] for row in rows], [row[1] for row in rows], [row[2] if len(row) == 3 else "" for row in rows]
        )

    @classmethod
    def _of_table(cls, columns: Mapping[str, Any]) -> Annotations:
        by_name = {name.lower(): values for name, values in columns.items()}
        start, end, label = (
            next((by_name[n] for n in names if n in by_name), None) for names in (_STARTS, _ENDS, _LABELS)
        )
        if start is None:
            raise AnnotationError('A table of annotations needs a column "start" (or "time"), in seconds.')
        return cls(start, end, label)

    def to_dataframe(self) -> pd.DataFrame:
        """Columns ``start``, ``end`` (s) and ``label``."""
        import pandas as pd

        return pd.DataFrame({"start": self.start, "end": self.end, "label": list(self.label)})


def annotation_ic(result: ICResult, annotations: AnnotationsLike) -> pd.DataFrame:
    """IC inside every annotation.

    A span takes in every frame that it touches; a moment, the frame that is sounding then.

    Parameters
    ----------
    result : ICResult
    annotations : Annotations, DataFrame, path, or sequence
        Whatever `Annotations.of` takes.

    Returns
    -------
    DataFrame
        A row an annotation and noise level: ``start``, ``end`` (s), ``label``, ``noise_level``, ``frames`` (with a
        value), ``mean``, ``max`` (nats), NaN where there is no value.

    Examples
    --------
    >>> result = ICResult([0.1, 0.2, 0.3], [0.3], [[1.0, 2.0, 6.0]], [[0.0, 0.0, 0.0]])
    >>> annotation_ic(result, [(0.12, 0.3, "tail")])[["label", "mean", "max"]].values.tolist()
    [['tail', 4.0, 6.0]]
    """
    import pandas as pd

    rows = []
    table = Annotations.of(annotations)
    for start, end, label in zip(table.start, table.end, table.label, strict=True):
        inside = result.between(start, max(end, start + _MOMENT))
        for level, values in zip(result.noise_levels, inside.ic, strict=True):
            known = values[~np.isnan(values)]
            mean, most = (known.mean(), known.max()) if len(known) else (np.nan, np.nan)
            rows.append((start, end, label, level, len(known), mean, most))
    return pd.DataFrame(rows, columns=["start", "end", "label", "noise_level", "frames", "mean", "max"])


def read_annotations(path: str | os.PathLike[str]) -> Annotations:
    """Read a file of annotations, by the ending of its name.

    Raises
    ------
    AnnotationError
        If the file is missing, of an unknown kind, or not what its name says.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(READERS)
        raise AnnotationError(f"{path.name} is of an unknown kind: annotations are read from {known}.")
    return Annotations.of([(label.start, label.end, label.text) for label in reader(path)])


READERS: dict[str, Callable[[Path], list[Label]]] = {".txt": read_audacity, ".textgrid": read_textgrid}
"""What reads the files of an ending: label tracks of Audacity, TextGrids of Praat."""

_ADVICE = "Annotations must be a table, a file, times, or (start, end, label) rows, not {}."
_MOMENT = min(FRAME_PERIOD / 100, 1e-3)
"""Seconds that a moment is taken to last: enough to lie in a frame, too little to touch the next by rounding."""


def _times(name: str, values: ArrayLike) -> NDArray[np.float64]:
    try:
        times = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise AnnotationError(f"The {name} of an annotation must be a number of seconds.") from error
    if times.ndim != 1 or not np.isfinite(times).all() or (times < 0).any():
        raise AnnotationError(f"The {name} of an annotation must be a number of seconds, 0 or more.")
    return times


def _text(label: object) -> str:
    return "" if label is None or (isinstance(label, float) and np.isnan(label)) else str(label)
