"""Corpora: IC of many files, on one machine or a cluster, as a dataset that any table reader opens."""

from audioic_widget.corpus.dataset import ICDataset
from audioic_widget.corpus.run import compute_corpus
from audioic_widget.corpus.shard import Job, run_shard
from audioic_widget.corpus.sources import Item, find_items

__all__ = ["ICDataset", "Item", "Job", "compute_corpus", "find_items", "run_shard"]
