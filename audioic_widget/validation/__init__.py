"""What a model knows of music: listening experiments on synthesised sound, each with an effect size and its interval.

A protocol makes stimuli; a listener turns them into traces (IC at every noise level, and baselines that know no music);
the protocol's score turns one trace over all stimuli into effects. Items are resampled, never frames.
"""

from __future__ import annotations

from audioic_widget.validation.protocols import PROTOCOLS
from audioic_widget.validation.report import ValidationReport
from audioic_widget.validation.suite import validate

__all__ = ["PROTOCOLS", "ValidationReport", "validate"]
