"""Prediction by partial matching: what a melody's notes alone make predictable.

Escape method C (Moffat 1990) with exclusion; a long-term model of a corpus and a short-term one of the melody so far,
combined as by Pearce (2005): geometrically, the surer one weighing more. Symbols are integers ``0 .. n_symbols - 1``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from audioic_widget.validation.items import Floats

ORDER = 5
BIAS = 7.0
"""Exponent of the relative entropies in the weights of long- and short-term model (Pearce 2005)."""


class PPM:
    """Counts of what followed every context of up to `order` symbols.

    Examples
    --------
    >>> model = PPM(n_symbols=3, order=1)
    >>> model.learn([0, 1, 0, 1])
    >>> model.distribution([0])  # 1 followed 0 twice: 2/3; escape 1/3, of which 0 gets 2/3 and the unseen 2 gets 1/3
    array([0.22222222, 0.66666667, 0.11111111])
    """

    def __init__(self, n_symbols: int, order: int = ORDER) -> None:
        self.n_symbols = n_symbols
        self.order = order
        self.counts: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)

    def learn(self, sequence: Sequence[int]) -> None:
        """Count a whole sequence."""
        for k, symbol in enumerate(sequence):
            self.observe(sequence[max(k - self.order, 0) : k], symbol)

    def observe(self, history: Sequence[int], symbol: int) -> None:
        """Count `symbol` after `history` and all its endings."""
        for context in self._contexts(history):
            self.counts[context][symbol] += 1

    def distribution(self, history: Sequence[int]) -> Floats:
        """Probabilities ``(n_symbols,)`` of the next symbol; they add up to 1.

        From the longest context down, what it has not seen shares its escape probability ``d / (n + d)``: n are its
        counts and d its distinct symbols, among those that no longer context has seen.
        """
        probabilities = np.zeros(self.n_symbols)
        left, mass = set(range(self.n_symbols)), 1.0
        for context in self._contexts(history):
            seen = {symbol: n for symbol, n in self.counts.get(context, Counter()).items() if symbol in left}
            if not seen:
                continue
            # Where nothing unseen is left to escape to, nothing is kept for it.
            kept = len(seen) if len(seen) < len(left) else 0
            total = sum(seen.values()) + kept
            for symbol, n in seen.items():
                probabilities[symbol] = mass * n / total
            left -= seen.keys()
            mass *= kept / total
        for symbol in left:
            probabilities[symbol] = mass / len(left)
        return probabilities

    def _contexts(self, history: Sequence[int]) -> Iterable[tuple[int, ...]]:
        """Endings of `history`, longest first, the empty one last."""
        recent = tuple(history[max(len(history) - self.order, 0) :])
        return (recent[k:] for k in range(len(recent) + 1))


def combined(distributions: Sequence[Floats], bias: float = BIAS) -> Floats:
    """Weighted geometric mean of distributions; weights are relative entropies to the power of ``-bias``."""
    weights = []
    for p in distributions:
        entropy = -np.sum(p[p > 0] * np.log2(p[p > 0])) / np.log2(len(p))
        weights.append(max(float(entropy), 1e-3) ** -bias)
    logs = np.array(weights) / sum(weights) @ np.log(np.maximum(distributions, 1e-300))
    product = np.exp(logs - logs.max())
    return np.asarray(product / product.sum())


def surprisal(sequence: Sequence[int], long_term: PPM) -> Floats:
    """-log2 P of every symbol, given those before it and what `long_term` has learnt: ``(n,)`` bits."""
    short_term = PPM(long_term.n_symbols, long_term.order)
    bits = []
    for k, symbol in enumerate(sequence):
        history = sequence[:k]
        bits.append(-np.log2(combined([model.distribution(history) for model in (long_term, short_term)])[symbol]))
        short_term.observe(history, symbol)
    return np.array(bits)
