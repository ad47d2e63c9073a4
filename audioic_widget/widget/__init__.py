"""The notebook widget: traits and messages around the pipeline. No numerics here."""

from audioic_widget.widget.compare import Comparison, compare
from audioic_widget.widget.widget import AudioICWidget

__all__ = ["AudioICWidget", "Comparison", "compare"]
