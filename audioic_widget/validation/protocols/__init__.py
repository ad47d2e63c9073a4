"""The protocols, in the order in which they are reported."""

from __future__ import annotations

from audioic_widget.validation.items import Protocol
from audioic_widget.validation.protocols import (
    corpus,
    fractal,
    markov,
    oddball,
    onset,
    probe_tones,
    regularity,
    repetition,
    sections,
)

PROTOCOLS: dict[str, Protocol] = {
    module.PROTOCOL.name: module.PROTOCOL
    for module in (repetition, oddball, onset, markov, corpus, regularity, fractal, sections, probe_tones)
}
"""All protocols by name."""
