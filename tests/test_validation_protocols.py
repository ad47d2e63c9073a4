"""Every protocol finds what is there in a trace made by hand, and nothing once its frames are shuffled."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from audioic_widget.training.scores import top_line
from audioic_widget.validation.items import EDGE_FRAMES, Effect, Item, Protocol
from audioic_widget.validation.melodies import MAJOR
from audioic_widget.validation.ppm import surprisal
from audioic_widget.validation.protocols import PROTOCOLS, corpus, fractal, markov, oddball, onset, probe_tones
from audioic_widget.validation.synthesis import TIMBRES

UNITS, SEED = 20, 0
Trace = NDArray[np.float64]


@pytest.fixture(autouse=True)
def _tunes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tunes made up here in place of scores that take long to read."""
    random = np.random.default_rng(0)
    tunes = [60 + np.array(MAJOR)[markov.chain(markov.transitions(random), 60, random)[0]] for _ in range(40)]
    monkeypatch.setattr(corpus, "tunes", lambda: (tunes[UNITS:], tunes[:UNITS]))
    corpus.long_term_model.cache_clear()
    yield
    corpus.long_term_model.cache_clear()


def rises(item: Item, by: float) -> Trace:
    """`by` over the first two frames of every event."""
    trace = np.zeros(item.n_frames)
    for event in item.events:
        trace[event : event + 2] = by
    return trace


def follows(item: Item) -> Trace:
    """What is expected of each event, over its first two frames."""
    trace = np.zeros(item.n_frames)
    for event, value in zip(item.events, item.expected, strict=True):
        trace[event : event + 2] = value
    return trace


def falls_when_repeated(item: Item) -> Trace:
    return np.where(np.arange(item.n_frames) >= item.events[2], -(item.condition == "repeated"), 0.0)


def falls_when_regular(item: Item) -> Trace:
    return np.where(np.arange(item.n_frames) >= item.events[0], -(item.condition == "regular"), 0.0)


IDEAL: dict[str, Callable[[Item], Trace]] = {
    "repetition": falls_when_repeated,
    "oddball": lambda item: rises(item, 4.0),
    "onset": lambda item: rises(item, 3.0),
    "markov": follows,
    "corpus": lambda item: follows(item) * (item.condition == "melody"),
    "regularity": falls_when_regular,
    "fractal": lambda item: np.full(item.n_frames, -fractal.EXPONENTS[item.condition]),
    "sections": lambda item: rises(item, 6.0),
    "probe tones": lambda item: -follows(item),
}
"""What a perfect listener's trace would be, before noise."""

NULL_CONDITIONS = {"shuffled"}
"""Conditions in which a perfect listener shows nothing."""


def traces(items: Sequence[Item], ideal: Callable[[Item], Trace], noise: float = 0.5) -> list[Trace]:
    """The ideal with noise, the ends left out as in a real trace."""
    random = np.random.default_rng(1)
    made = [ideal(item) + noise * random.normal(size=item.n_frames) for item in items]
    for trace in made:
        trace[:EDGE_FRAMES] = trace[-EDGE_FRAMES:] = np.nan
    return made


def shuffled(values: Sequence[Trace], seed: int) -> list[Trace]:
    """The same values in random frames."""
    random = np.random.default_rng(seed)
    mixed = [trace.copy() for trace in values]
    for trace in mixed:
        known = np.flatnonzero(~np.isnan(trace))
        trace[known] = trace[random.permutation(known)]
    return mixed


def is_effect(found: Effect) -> bool:
    """Away from chance in the direction of knowledge."""
    if found.measure == "difference (sd)":
        return found.high < found.chance
    return found.low > found.chance


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> Protocol:
    return PROTOCOLS[request.param]


def test_an_ideal_trace_shows_its_effect(protocol: Protocol) -> None:
    items = protocol.make(UNITS, SEED)
    found = protocol.score(items, traces(items, IDEAL[protocol.name]), SEED)
    assert {each.measure for each in found} >= {protocol.headline, *(measure for _, measure in protocol.aims)}
    for each in found:
        assert each.n == UNITS
        if each.condition in NULL_CONDITIONS:
            assert each.low < each.chance < each.high, each
        elif not np.isnan(each.chance):
            assert is_effect(each), each


def test_a_shuffled_trace_shows_nothing(protocol: Protocol) -> None:
    """Intervals hold chance as often as they should.

    A percentile interval of 20 units holds it in about 90 % of shuffles; at that rate fewer than 17 in 24 happen
    once in 2000 times.
    """
    items = protocol.make(UNITS, SEED)
    values = traces(items, IDEAL[protocol.name])
    # A constant shift of a whole melody is not touched by shuffling its frames: shuffle melodies.
    if protocol.name == "fractal":
        values = [values[k] for k in np.random.default_rng(2).permutation(len(values))]
    held: dict[tuple[str, str], list[bool]] = {}
    for seed in range(24):
        for each in protocol.score(items, shuffled(values, seed), SEED):
            if not np.isnan(each.chance):
                held.setdefault((each.condition, each.measure), []).append(each.low <= each.chance <= each.high)
    assert {name: np.sum(hits) for name, hits in held.items() if np.sum(hits) < 17} == {}


def test_a_constant_trace_shows_nothing_at_all(protocol: Protocol) -> None:
    items = protocol.make(4, SEED)
    constant = traces(items, lambda item: np.full(item.n_frames, 58.81207), noise=0.0)
    for each in protocol.score(items, constant, SEED):
        if protocol.name == "sections":  # no peak, no boundary
            assert each.estimate == 0 < each.chance
        elif not np.isnan(each.chance):
            assert (each.estimate, each.low, each.high) == (each.chance,) * 3


def test_the_same_seed_makes_the_same_stimuli_and_scores(protocol: Protocol) -> None:
    items, again, other = protocol.make(4, 3), protocol.make(4, 3), protocol.make(4, 4)
    assert [item.tones for item in items] == [item.tones for item in again]
    assert [item.tones for item in items] != [item.tones for item in other]
    # Compared as text: a lag that no trace has is NaN.
    scores = [str(protocol.score(each, traces(each, IDEAL[protocol.name]), 3)) for each in (items, again)]
    assert scores[0] == scores[1]


def test_scored_events_lie_inside_and_tones_on_the_grid(protocol: Protocol) -> None:
    for item in protocol.make(6, SEED):
        assert all(tone.frame >= 0 and tone.frames > 0 for tone in item.tones)
        assert max(tone.frame + tone.frames for tone in item.tones) <= item.n_frames
        if protocol.name != "repetition":  # whose events mark the motifs
            assert (item.events >= EDGE_FRAMES).all()
            assert (item.events + 2 <= item.n_frames - EDGE_FRAMES).all()


def test_no_timbre_is_missing_and_half_of_the_units_are_unfamiliar(protocol: Protocol) -> None:
    items = protocol.make(UNITS, SEED)
    assert {item.timbre for item in items} == set(TIMBRES)
    assert np.mean([TIMBRES[item.timbre].familiar for item in items]) == 0.5


# What sets the versions of a unit apart


def by_condition(items: Sequence[Item], unit: int) -> dict[str, Item]:
    return {item.condition: item for item in items if item.unit == unit}


def pitches(item: Item) -> list[float]:
    return [tone.pitch for tone in item.tones]


def test_a_permuted_control_has_the_same_tones_in_every_motif() -> None:
    for unit in range(6):
        pair = by_condition(PROTOCOLS["repetition"].make(6, SEED), unit)
        repeated, permuted = pitches(pair["repeated"])[4:], pitches(pair["permuted"])[4:]
        assert repeated == repeated[:8] * (len(repeated) // 8)
        assert 6 <= len(repeated) // 8 <= 8
        assert permuted[:8] == repeated[:8]
        assert permuted != repeated
        for k in range(0, len(permuted), 8):
            assert sorted(permuted[k : k + 8]) == sorted(repeated[:8])


@pytest.mark.parametrize("name", ["repetition", "oddball", "markov", "regularity"])
def test_no_tone_repeats_where_that_would_favour_a_condition(name: str) -> None:
    for item in PROTOCOLS[name].make(UNITS, SEED):
        scored = [tone for tone in item.tones if tone.frame >= (item.events[0] if len(item.events) else 0) - 4]
        for one, other in itertools.pairwise(scored[:3] if name == "oddball" else scored):
            assert one.pitch != other.pitch or item.condition == "omission", (item.unit, item.condition)


def test_repeated_and_permuted_motifs_have_intervals_of_one_size() -> None:
    sizes: dict[str, list[float]] = {"repeated": [], "permuted": []}
    for item in PROTOCOLS["repetition"].make(200, SEED):
        sizes[item.condition].append(float(np.abs(np.diff(pitches(item)[4:])).mean()))
    assert np.mean(sizes["repeated"]) == pytest.approx(np.mean(sizes["permuted"]), rel=0.05)


def test_an_odd_tone_differs_from_its_twin_as_its_condition_says() -> None:
    items = oddball.make(8, SEED)
    for unit in range(8):
        versions = by_condition(items, unit)
        twin = versions.pop(oddball.TWIN)
        keys = [tonic for tonic in range(12) if {(pitch - tonic) % 12 for pitch in pitches(twin)} <= set(MAJOR)]
        assert set(versions) == {name for names in oddball.GROUPS.values() for name in names}
        for condition, item in versions.items():
            odd = [tone for tone in item.tones if tone not in twin.tones]
            missing = [tone for tone in twin.tones if tone not in item.tones]
            assert [tone.frame for tone in missing] == item.events.tolist()
            if condition == "omission":
                assert odd == []
                continue
            (tone,), (usual,) = odd, missing
            assert tone.frame == usual.frame
            distance = abs(tone.pitch - usual.pitch)
            assert distance == (float(condition[0]) if condition[0].isdigit() else 0)
            assert (tone.timbre != usual.timbre) == (condition == "timbre")
            assert (tone.level != usual.level) == (condition == "loudness")
            fits = [(tone.pitch - tonic) % 12 in MAJOR for tonic in keys]
            if condition.endswith("in key"):
                assert any(fits)
            if condition.endswith("out of key"):
                assert not all(fits)


def test_a_regular_sequence_and_its_control_share_beginning_and_pitches() -> None:
    for unit in range(6):
        pair = by_condition(PROTOCOLS["regularity"].make(6, SEED), unit)
        regular, control = pitches(pair["regular"]), pitches(pair["random"])
        assert regular[:22] == control[:22]
        assert sorted(regular) == sorted(control)
        assert regular[22:28] == regular[16:22] != control[22:28]


def test_noise_melodies_have_the_same_pitches_and_grow_smoother() -> None:
    steps = {name: [] for name in fractal.EXPONENTS}
    items = fractal.make(UNITS, SEED)
    for unit in range(UNITS):
        versions = by_condition(items, unit)
        assert len({tuple(sorted(pitches(item))) for item in versions.values()}) == 1
        for name, item in versions.items():
            steps[name].append(np.abs(np.diff(pitches(item))).mean())
    assert np.mean(steps["white"]) > np.mean(steps["1/f"]) > np.mean(steps["1/f^2"])


def test_a_markov_melody_carries_the_exact_surprisal_of_its_tones() -> None:
    random = np.random.default_rng(0)
    matrix = markov.transitions(random)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    states, bits = markov.chain(matrix, 4000, random)
    assert (np.diff(states) != 0).all()
    np.testing.assert_allclose(bits[1:], -np.log2(matrix[states[:-1], states[1:]]))
    counts = np.zeros((7, 7))
    np.add.at(counts, (states[:-1], states[1:]), 1)
    np.testing.assert_allclose(counts / counts.sum(axis=1, keepdims=True), matrix, atol=0.06)


def test_a_shuffled_tune_keeps_its_tones_each_with_its_surprisal() -> None:
    items = corpus.make(4, SEED)
    versions = [item for item in items if item.unit == 2]
    assert [item.condition for item in versions] == ["melody", "melody", "shuffled", "shuffled"]
    melody, mixed = versions[0], versions[2]
    assert sorted(pitches(melody)) == sorted(pitches(mixed))
    assert pitches(melody)[:8] == pitches(mixed)[:8]
    assert melody.events.tolist() == mixed.events.tolist()
    bits = surprisal(corpus.symbols(np.array(pitches(melody), dtype=int)), corpus.long_term_model())
    np.testing.assert_allclose(melody.expected, bits[7:-4])
    surprising = {(pitch, round(value, 9)) for pitch, value in zip(pitches(melody)[1:], bits, strict=True)}
    heard = zip(pitches(mixed)[8:-4], mixed.expected, strict=True)
    assert {(pitch, round(value, 9)) for pitch, value in heard} <= surprising


def test_the_top_line_of_a_score_is_its_highest_tones() -> None:
    notes = np.array([[0, 1, 60, 0], [0, 1, 67, 0], [1, 1, 64, 0], [2, 1, 55, 0], [2, 1, 59, 0]], dtype=np.float32)
    assert top_line(notes).tolist() == [67, 64, 59]


def test_height_and_fit_of_probes_are_not_confounded_over_units() -> None:
    """Over twelve units every degree is every step of the probed octave once."""
    items = [item for item in probe_tones.make(12, SEED) if item.condition == "major"]
    steps = np.array([item.tones[-1].pitch for item in items]).reshape(12, 12)
    steps -= steps.min(axis=1, keepdims=True)
    assert all(sorted(step) == list(range(12)) for step in (*steps, *steps.T))


def test_probes_are_all_twelve_tones_of_an_octave_after_the_same_context() -> None:
    items = [item for item in probe_tones.make(3, SEED) if item.unit == 1 and item.condition == "minor"]
    assert len({item.tones[:-1] for item in items}) == 1
    probes = [item.tones[-1].pitch for item in items]
    assert [(probe - probes[0]) % 12 for probe in probes] == list(range(12))
    assert max(probes) - min(probes) == 11
    assert {(tone.pitch - probes[0]) % 12 for tone in items[0].tones[:-1]} == {0, 2, 3, 5, 7, 8, 11}
    assert items[0].expected == pytest.approx(6.33)


def test_onset_locking_is_found_at_its_lag() -> None:
    items = onset.make(8, SEED)
    values = traces(items, lambda item: np.roll(rises(item, 3.0), 1))
    lag = next(each for each in onset.score(items, values, SEED) if each.measure.startswith("peak lag"))
    assert lag.estimate in (1, 2)
