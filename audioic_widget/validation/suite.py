"""The suite as a whole: every protocol's stimuli through a model, every trace through its score."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from typing import Any

import pandas as pd

from audioic_widget.errors import SettingsError
from audioic_widget.model.catalogue import ICModel, load_model
from audioic_widget.settings import ICSettings
from audioic_widget.validation.items import Effect, Floats, Item, Protocol
from audioic_widget.validation.protocols import PROTOCOLS
from audioic_widget.validation.report import COLUMNS, ValidationReport
from audioic_widget.validation.synthesis import TIMBRES
from audioic_widget.validation.traces import Listener

LEVELS = (0.0, 0.3, 0.6, 0.9, 1.0)
NULL_LEVEL = 1.0
LEAST_ITEMS = 4
"""Two units with familiar timbres and two with unfamiliar ones."""

Progress = Callable[[str, float], None]


def validate(
    model: str | os.PathLike[str] | ICModel = "mini",
    *,
    items: int = 20,
    protocols: Iterable[str] | None = None,
    seed: int = 0,
    device: str = "auto",
    on_progress: Progress | None = None,
    **fields: Any,
) -> ValidationReport:
    """What a model knows of music, measured on synthesised sound.

    Parameters
    ----------
    model : str, path or ICModel
        Anything that `load_model` takes and that has a codec.
    items : int >= 4
        Units (stimuli, pairs, melodies) of each protocol.
    protocols : iterable of str, optional
        Names from `PROTOCOLS`; all that can run if not given. "corpus" needs the extra `training`.
    seed : int
        Of stimuli, probes and intervals: same seed, same table.
    device : str
        See `load_model`.
    on_progress : callable, optional
        Called with a protocol's name and the share of its stimuli heard.
    **fields
        Fields of `ICSettings`. Not given: the preset "draft", whose error (r = 0.98 with the exact trace at level 0 of
        `mini`, 0.99 at others) is small against the spread between items, and levels 0, 0.3, 0.6, 0.9, 1. Level 1
        is always there: it must show nothing.

    Returns
    -------
    ValidationReport

    Raises
    ------
    SettingsError
        For an unknown protocol or setting, or too few items.
    AudioICError
        One of its other kinds for models.
    TypeError
        For an unknown keyword.

    Examples
    --------
    >>> report = validate("mini", items=4, protocols=["onset"], noise_levels=[0.3], n_steps=2)
    >>> report.levels
    ['0.3', '1']
    """
    if items < LEAST_ITEMS:
        raise SettingsError(f"items must be {LEAST_ITEMS} or more, not {items}.")
    chosen, left_out = _chosen(protocols)
    settings = ICSettings(preset="draft", noise_levels=LEVELS).replace(seed=seed, **fields)
    levels = sorted({*settings.noise_levels, NULL_LEVEL})
    settings = settings.replace(noise_levels=levels)
    listener = Listener.calibrated(load_model(model, device), settings, seed)
    rows: list[tuple[object, ...]] = []
    for protocol in chosen:
        stimuli = protocol.make(items, seed)
        heard = []
        for number, item in enumerate(stimuli):
            heard.append(listener.hear(item, with_novelty=protocol.with_novelty))
            if on_progress is not None:
                on_progress(protocol.name, (number + 1) / len(stimuli))
        for trace in heard[0]:
            rows += effects(protocol, stimuli, [each[trace] for each in heard], trace, seed)
    provenance = {
        "model": {"name": listener.model.name, "sha256": listener.model.digest},
        "settings": settings.to_dict(),
        "items": items,
        "seed": seed,
        "left_out": left_out,
    }
    return ValidationReport(pd.DataFrame(rows, columns=list(COLUMNS)), provenance)


def effects(
    protocol: Protocol, items: Sequence[Item], values: Sequence[Floats], trace: str, seed: int
) -> list[tuple[object, ...]]:
    """Rows of the table about one trace: over all units, and over those of familiar and unfamiliar timbre."""
    rows = []
    for timbres, kinds in (("all", {True, False}), ("familiar", {True}), ("unfamiliar", {False})):
        of_kind = [k for k, item in enumerate(items) if TIMBRES[item.timbre].familiar in kinds]
        found = protocol.score([items[k] for k in of_kind], [values[k] for k in of_kind], seed)
        rows += [_row(protocol.name, timbres, trace, each) for each in found]
    return rows


def _row(protocol: str, timbres: str, trace: str, found: Effect) -> tuple[object, ...]:
    values = {**dataclasses.asdict(found), "protocol": protocol, "timbres": timbres, "trace": trace}
    return tuple(values[column] for column in COLUMNS)


def _chosen(names: Iterable[str] | None) -> tuple[list[Protocol], list[str]]:
    """Protocols to run, and those left out because what they need is not installed."""
    wanted = list(PROTOCOLS if names is None else names)
    unknown = [name for name in wanted if name not in PROTOCOLS]
    if unknown or not wanted:
        raise SettingsError(
            f"There is no protocol {', '.join(unknown) or 'named'}: choose from {', '.join(PROTOCOLS)}."
        )
    lacking = [name for name in wanted if not all(find_spec(module) for module in PROTOCOLS[name].needs)]
    if lacking and names is not None:
        raise SettingsError(
            f"The protocol {lacking[0]} reads scores of music21: install audioic-widget[training], or leave it out."
        )
    return [PROTOCOLS[name] for name in wanted if name not in lacking], lacking
