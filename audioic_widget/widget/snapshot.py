"""What stays in a saved notebook: the traces small enough to be saved, and a still picture of them.

The front end draws the saved traces where no kernel answers; `Curves.load` in `js/src/curves.ts` reads them. The
picture is for pages that cannot show widgets at all; the front end hides it.
"""

from __future__ import annotations

import base64
import html
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from audioic_widget.plot import lanes
from audioic_widget.result import ICResult

SAVED_VALUES = 20_000
"""Values kept, over all levels: 80 kB with their errors."""

GAP = -32_768
"""Stands for NaN among values."""

_VALUE_STEPS = 65_000
_ERROR_STEPS = 254
_DPI = 80
_COLOURS = 64
"""In the still picture: a third of the bytes of a full palette, to the same eye."""


def saved_traces(result: ICResult) -> dict[str, Any]:
    """A small copy of `result`, as a trait that is saved with the notebook.

    Where there are more values than `SAVED_VALUES`, every group of `group` frames keeps its lowest and its highest.

    Returns
    -------
    dict
        ``levels``, ``no_knowledge``, ``n_frames``, ``group``; for every level ``low`` and ``step`` of its values and
        ``error_step``; ``values`` (int16, levels times kept) and ``errors`` (uint8, 255 for unknown) as bytes.
    """
    levels, n_frames = result.ic.shape
    group = 1 if result.ic.size <= SAVED_VALUES else -(-2 * result.ic.size // SAVED_VALUES)
    ic, stderr = (result.ic, result.stderr) if group == 1 else _reduced(result.ic, result.stderr, group)
    low, step = np.zeros(levels), np.ones(levels)
    error_step = np.ones(levels)
    values = np.full(ic.shape, GAP, "<i2")
    errors = np.full(ic.shape, 255, np.uint8)
    for row in range(levels):
        known, sure = ~np.isnan(ic[row]), ~np.isnan(stderr[row])
        if known.any():
            low[row] = ic[row, known].min()
            step[row] = max(float(np.ptp(ic[row, known])) / _VALUE_STEPS, 1e-9)
            values[row, known] = np.rint((ic[row, known] - low[row]) / step[row]) - _VALUE_STEPS // 2
        if sure.any():
            error_step[row] = max(float(stderr[row, sure].max()) / _ERROR_STEPS, 1e-9)
            errors[row, sure] = np.rint(stderr[row, sure] / error_step[row])
    return {
        "levels": result.noise_levels.tolist(),
        "no_knowledge": result.no_knowledge.tolist(),
        "n_frames": n_frames,
        "group": group,
        "low": (low + step * (_VALUE_STEPS // 2)).tolist(),
        "step": step.tolist(),
        "error_step": error_step.tolist(),
        "values": values.tobytes(),
        "errors": errors.tobytes(),
    }


def _reduced(
    ic: NDArray[np.float64], stderr: NDArray[np.float64], group: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest value of every `group` frames ``(L, 2 groups)``, with their errors."""
    padding = ((0, 0), (0, -ic.shape[1] % group))
    parts = np.pad(ic, padding, constant_values=np.nan).reshape(len(ic), -1, group)
    errors = np.pad(stderr, padding, constant_values=np.nan).reshape(parts.shape)
    lowest = np.where(np.isnan(parts), np.inf, parts).argmin(axis=2)[..., None]
    highest = np.where(np.isnan(parts), -np.inf, parts).argmax(axis=2)[..., None]
    at = np.concatenate((lowest, highest), axis=2)
    return (
        np.take_along_axis(parts, at, axis=2).reshape(len(ic), -1),
        np.take_along_axis(errors, at, axis=2).reshape(len(ic), -1),
    )


def still_picture(result: ICResult, name: str) -> str:
    """The traces as an HTML figure that holds its picture; hidden wherever the front end runs."""
    figure = lanes(result)
    drawn, buffer = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_DPI)
    with Image.open(drawn) as image:
        few = image.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    few.save(buffer, "png", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    alt = html.escape(f"Information content of {name}")
    return f'<img class="audioic-still" alt="{alt}" src="data:image/png;base64,{data}">'
