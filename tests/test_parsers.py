"""Everything that reads what others wrote: whatever the file holds, there is a value or a sentence of the package's own."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from audioic_widget import cli, formats
from audioic_widget.annotations import read_annotations
from audioic_widget.console import parsed
from audioic_widget.corpus import ICDataset, find_items
from audioic_widget.errors import AudioICError
from audioic_widget.model.checkpoint import read_checkpoint
from audioic_widget.result import ICResult

NUMBERS = st.one_of(st.floats(), st.integers(), st.sampled_from(["", "nan", "-1", "1e999", "0x10", "١", "1_0", "1,5"]))
WORDS = st.one_of(st.text(max_size=8), NUMBERS.map(str))
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """`whole` with a piece replaced, or anything at all."""
    places = st.integers(0, len(whole))
    pieces = st.tuples(places, st.integers(0, 40), st.binary(max_size=20) | WORDS.map(str.encode))
    return pieces.map(lambda p: whole[: p[0]] + p[2] + whole[p[0] + p[1] :]) | st.binary(max_size=200)


def tables(columns: list[str], separator: str) -> st.SearchStrategy[bytes]:
    """Rows of words under a header that may be right."""
    header = st.just(columns) | st.lists(st.sampled_from(columns) | WORDS, min_size=1, max_size=4)
    rows = st.lists(st.lists(WORDS, min_size=1, max_size=4), max_size=4)
    return st.tuples(header, rows).map(
        lambda table: "\n".join(separator.join(row) for row in [table[0], *table[1]]).encode("utf-8", "surrogatepass")
    )


def written(write: Callable[[ICResult, Path], None], folder: Path) -> bytes:
    """What a writer makes of a small result."""
    time = (np.arange(3) + 1) * 4_096 / 44_100
    result = ICResult(time, [0.3], [[np.nan, 1.0, 2.0]], [[np.nan, 0.1, 0.2]], {"seed": 0})
    write(result, folder / "written")
    return (folder / "written").read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parsers")


def value_or_sentence(read: Callable[[Path], object], path: Path, content: bytes) -> None:
    path.write_bytes(content)
    sentence = "."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            read(path)
        except AudioICError as error:
            sentence = str(error).replace(str(path), "")
    assert sentence.endswith(".")
    assert len(sentence) < 500


RESULTS: dict[str, tuple[Any, Any]] = {
    "csv": (formats.write_csv, formats.read_csv),
    "parquet": (formats.write_parquet, formats.read_parquet),
    "npz": (formats.write_npz, formats.read_npz),
    "jams": (formats.write_jams, formats.read_jams),
}


@pytest.mark.parametrize("kind", RESULTS)
@given(data=st.data())
def test_files_of_results(kind: str, folder: Path, data: st.DataObject) -> None:
    write, read = RESULTS[kind]
    content = data.draw(damaged(written(write, folder)))
    value_or_sentence(read, folder / f"result.{kind}", content)


@given(content=tables(["Time", "IC_0.3", "IC_0.6"], ","))
def test_tables_of_results(folder: Path, content: bytes) -> None:
    value_or_sentence(formats.read_csv, folder / "result.csv", content)


TEXTGRID = b"""File type = "ooTextFile"
Object class = "TextGrid"
    intervals [1]:
        xmin = 0.0
        xmax = 1.5
        text = "a ""b"""
TEXTGRID += b'"\n'


@given(content=tables(["0.5", "1.5", "a"], "\t") | damaged(b"0.5\t1.5\ta\n\\\t10\t20\n2,5\t3\tb\n"))
def test_label_tracks(folder: Path, content: bytes) -> None:
    value_or_sentence(read_annotations, folder / "labels.txt", content)


@given(content=damaged(TEXTGRID))
def test_textgrids(folder: Path, content: bytes) -> None:
    value_or_sentence(read_annotations, folder / "labels.TextGrid", content)


@given(content=tables(["path", "id", "start", "end"], ","))
def test_manifests(folder: Path, content: bytes) -> None:
    value_or_sentence(lambda path: find_items([path]), folder / "manifest.csv", content)


@given(content=JSON)
def test_descriptions_of_datasets(folder: Path, content: object) -> None:
    (folder / "dataset").mkdir(exist_ok=True)
    encoded = json.dumps(content).encode()
    value_or_sentence(lambda path: ICDataset(path.parent).model, folder / "dataset" / "dataset.json", encoded)


CARD = json.loads((Path(cli.__file__).parent / "model" / "weights" / "mini.json").read_text())


@given(content=JSON | st.tuples(st.sampled_from(sorted(CARD)), JSON).map(lambda pair: {**CARD, pair[0]: pair[1]}))
def test_cards_of_models(folder: Path, content: object) -> None:
    (folder / "mini.safetensors").write_bytes(b"nothing")
    value_or_sentence(
        lambda path: read_checkpoint(path.with_suffix(".safetensors")),
        folder / "mini.json",
        json.dumps(content).encode(),
    )


OPTIONS = st.sampled_from(["noise_levels", "seed", "integration_params", "preset", "audio_type", "model", "other"])


@given(
    content=st.dictionaries(OPTIONS, JSON, max_size=3).map(lambda value: json.dumps(value).encode())
    | damaged(b"noise_levels: [0.0]\nintegration_params:\n  n_runs: 2\n")
)
@examples(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
def test_files_of_settings(folder: Path, content: bytes) -> None:
    def read(path: Path) -> object:
        status, settings = 2, None
        try:
            settings = cli.settings_of(parsed(cli.parser(), ["--config", str(path), "a.wav"]))
        except SystemExit as end:  # the parser's own sentence
            status = end.code
        assert status == 2
        return settings

    value_or_sentence(read, folder / "settings.yaml", content)
