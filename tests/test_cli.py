"""The command: the published flags, a CSV of its own for every file, one sentence and status 2 for a mistake."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from audioic_widget import cli
from audioic_widget.errors import SettingsError
from audioic_widget.examples import example
from audioic_widget.formats import read_csv
from audioic_widget.ic import compute_ic
from audioic_widget.settings import ICSettings

RATE = 44_100
QUICK = ["--preset", "draft"]
QUICK_SETTINGS = ICSettings(preset="draft", noise_levels=(0.0,))
NO_DEVICE = "cuda:99" if torch.cuda.is_available() else "cuda"


class Answer(NamedTuple):
    """What a call of the command gave."""

    status: int
    out: str
    err: str


Run = Callable[..., Answer]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with two short recordings and a silent one."""
    monkeypatch.chdir(tmp_path)
    # The command takes over how warnings are shown; give it back afterwards.
    monkeypatch.setattr("warnings.showwarning", lambda *_, **__: None)
    rng = np.random.default_rng(0)
    for name in ("a.wav", "b.wav"):
        soundfile.write(name, rng.normal(0, 0.1, 30_000), RATE)
    soundfile.write("silent.wav", np.zeros(30_000), RATE)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str) -> Answer:
        try:
            status = cli.main(words)
        except SystemExit as stop:
            status = int(stop.code or 0)
        return Answer(status, *capsys.readouterr())

    return call


def settings(*words: str) -> ICSettings:
    """What the command would compute with."""
    asked: ICSettings = cli.settings_of(cli.parser().parse_args(["a.wav", *words]))
    return asked


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.csv")}


def test_files_as_words_get_a_csv_each(run: Run, folder: Path) -> None:
    answer = run("a.wav", "b.wav", *QUICK, "--output_dir", "out/deep")
    assert answer == Answer(0, "a.wav -> out/deep/a.csv\nb.wav -> out/deep/b.csv\n", "")
    assert files(folder) == {"out/deep/a.csv", "out/deep/b.csv"}


def test_a_folder_in_which_nothing_was_written_is_not_left_behind(run: Run, folder: Path) -> None:
    (folder / "broken.wav").write_bytes(b"RIFF" * 99)
    (folder / "mine").mkdir()
    for words in (["broken.wav", "--output_dir", "out/deep"], ["a.wav", "--model", "maxi", "--output_dir", "out"]):
        assert run(*words).status == 2
        assert not (folder / "out").exists()
    assert run("broken.wav", "--output_dir", "mine").status == 2
    assert (folder / "mine").exists()
    assert run("broken.wav", "a.wav", *QUICK, "--output_dir", "out").status == 2
    assert files(folder) == {"out/a.csv"}


def test_files_as_one_list_give_the_same(run: Run, folder: Path) -> None:
    assert run("['a.wav','b.wav']", *QUICK, "--output_dir", "listed").status == 0
    assert run("a.wav", "b.wav", *QUICK, "--output_dir", "words").status == 0
    for name in ("a.csv", "b.csv"):
        assert (folder / "listed" / name).read_bytes() == (folder / "words" / name).read_bytes()


def test_a_file_whose_name_looks_like_a_list_is_a_file(run: Run, folder: Path) -> None:
    (folder / "a.wav").rename(folder / "[a].wav")
    assert run("[a].wav", *QUICK).status == 0
    assert files(folder) == {"[a].csv"}


def test_the_csv_is_written_to_the_working_folder_by_default(run: Run, folder: Path) -> None:
    assert run("a.wav", *QUICK).status == 0
    assert files(folder) == {"a.csv"}


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        ([], {}),
        (["--noise_levels", "[0.5, 0.0]"], {"noise_levels": (0.5, 0.0)}),
        (["--noise_levels", "0.4"], {"noise_levels": (0.4,)}),
        (["--seed", "7", "--integration_params.n_runs", "2"], {"seed": 7, "n_probes": 2}),
        (["--monte_carlo_samples", "3", "--noise_levels", "[0.4]"], {"monte_carlo_samples": 3, "noise_levels": (0.4,)}),
        (["--noise_from_expection", "false"], {"noising": "flow"}),
        (
            ["--integration_params.solver", "scipy", "--integration_params.solver_kwargs", "{method: RK23, rtol: 0.1}"],
            {"solver": "scipy", "solver_options": {"method": "RK23", "rtol": 0.1}},
        ),
    ],
    ids=["plain", "levels", "one level", "seed", "monte carlo", "flow", "scipy"],
)
def test_the_csv_holds_what_the_library_computes(
    run: Run, folder: Path, words: list[str], fields: dict[str, Any]
) -> None:
    assert run("a.wav", *QUICK, *words) == Answer(0, "a.wav -> a.csv\n", "")
    expected = compute_ic("a.wav", settings=QUICK_SETTINGS.replace(**fields))
    written = read_csv(folder / "a.csv")
    np.testing.assert_array_equal(written.time, expected.time)
    np.testing.assert_array_equal(written.noise_levels, expected.noise_levels)
    np.testing.assert_array_equal(written.ic, expected.ic)
    assert np.isfinite(written.ic[:, 1:]).all()


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        ([], {"noise_levels": (0.0,)}),
        (["--noise_levels", "[0.0,0.3,0.5]"], {"noise_levels": (0.0, 0.3, 0.5)}),
        (["--noise_levels=[1, 0]"], {"noise_levels": (1.0, 0.0)}),
        (["--audio_type", "voice"], {"noise_levels": (0.0,), "audio_type": "voice"}),
        (["--monte_carlo_samples", "8"], {"noise_levels": (0.0,), "monte_carlo_samples": 8, "noising": "monte_carlo"}),
        (["--monte_carlo_samples", "null"], {"noise_levels": (0.0,), "noising": "expectation"}),
        (["--noise_from_expection", "True"], {"noise_levels": (0.0,), "noising": "expectation"}),
        (["--noise_from_expection", "False"], {"noise_levels": (0.0,), "noising": "flow"}),
        (["--integration_params.n_runs", "8"], {"noise_levels": (0.0,), "n_probes": 8}),
        (["--integration_params.solver", "rk4"], {"noise_levels": (0.0,), "solver": "rk4"}),
        (["--integration_params.solver_kwargs", "{'n_steps': 7}"], {"noise_levels": (0.0,), "n_steps": 7}),
        (
            ["--integration_params.solver_kwargs", '{"n_steps": 7, "spacing": "uniform"}'],
            {"noise_levels": (0.0,), "n_steps": 7, "solver_options": {"spacing": "uniform"}},
        ),
        (
            ["--integration_params.solver=scipy", "--integration_params.solver_kwargs={method: DOP853, atol: 1e-6}"],
            {"noise_levels": (0.0,), "solver": "scipy", "solver_options": {"method": "DOP853", "atol": 1e-6}},
        ),
        (["--preset", "pa-audioic"], {"noise_levels": (0.0,), "preset": "pa-audioic"}),
        (["--seed", "3"], {"noise_levels": (0.0,), "seed": 3}),
        (["--bz", "64", "--vmap_chunk_size", "1024"], {"noise_levels": (0.0,)}),
    ],
)
def test_every_flag_means_a_setting(words: list[str], fields: dict[str, Any]) -> None:
    assert settings(*words) == ICSettings(**fields)


def test_a_whole_published_command_line_is_understood(run: Run, folder: Path) -> None:
    words = shlex.split(
        """ "['a.wav','b.wav']" --noise_levels "[0.0,0.5]" --audio_type music --output_dir ics --device cpu
        --monte_carlo_samples 2 --noise_from_expection true --integration_params.n_runs 2
        --integration_params.solver euler --integration_params.solver_kwargs "{'n_steps': 3}"
        --bz 4 --vmap_chunk_size 196608 """
    )
    answer = run(*words)
    assert (answer.status, answer.err) == (0, "")
    assert files(folder) == {"ics/a.csv", "ics/b.csv"}
    assert list(pd.read_csv("ics/a.csv").columns) == ["Time", "IC_0.0", "IC_0.5"]


def test_a_printed_configuration_can_be_given_back(run: Run, folder: Path) -> None:
    words = [*QUICK, "--noise_levels", "[0.2,0.7]", "--seed", "5", "--integration_params.n_runs", "2"]
    words += ["--integration_params.solver_kwargs", "{n_steps: 4}", "--output_dir", "out"]
    printed = run("a.wav", "b.wav", *words, "--print_config")
    assert printed.status == 0
    assert not files(folder)
    (folder / "config.yaml").write_text(printed.out)
    assert run("--config", "config.yaml").status == 0
    by_config = {name: (folder / name).read_bytes() for name in files(folder)}
    assert run("a.wav", "b.wav", *words).status == 0
    assert by_config == {name: (folder / name).read_bytes() for name in ("out/a.csv", "out/b.csv")}


def test_a_flag_after_a_configuration_wins(run: Run, folder: Path) -> None:
    (folder / "config.yaml").write_text(run("a.wav", *QUICK, "--print_config").out)
    assert run("--config", "config.yaml", "--noise_levels", "[1.0]").status == 0
    assert read_csv("a.csv").noise_levels.tolist() == [1.0]


def test_a_real_call_on_an_example_keeps_to_the_frame_grid_and_repeats_itself(run: Run, folder: Path) -> None:
    audio = str(example("minuet"))
    words = [audio, "--noise_levels", "[0.0,0.3,0.5]", *QUICK]
    call = subprocess.run(
        [sys.executable, "-m", "audioic_widget", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert call.returncode == 0, call.stderr
    assert call.stdout == f"{audio} -> minuet.csv\n"
    table = pd.read_csv("minuet.csv")
    frames = soundfile.info(audio).frames // 4_096
    np.testing.assert_allclose(table["Time"], np.arange(1, frames + 1) * 4_096 / RATE, rtol=0, atol=1e-9)
    assert list(table.columns) == ["Time", "IC_0.0", "IC_0.3", "IC_0.5"]
    assert table["IC_0.3"].notna().sum() > frames - 10
    first = (folder / "minuet.csv").read_bytes()
    assert run(*words).status == 0
    assert (folder / "minuet.csv").read_bytes() == first


def test_a_real_call_says_its_error_and_nothing_else() -> None:
    words = [sys.executable, "-m", "audioic_widget", "missing.wav"]
    call = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (call.returncode, call.stdout) == (2, "")
    assert call.stderr == "error: missing.wav does not exist: check the path.\n"


def test_the_seed_decides_the_numbers(run: Run, folder: Path) -> None:
    contents = []
    for seed in ("1", "2", "1"):
        assert run("a.wav", *QUICK, "--noise_levels", "[0.5]", "--seed", seed).status == 0
        contents.append((folder / "a.csv").read_bytes())
    assert contents[0] == contents[2] != contents[1]


def test_silence_gives_a_csv_of_nan_and_a_warning(run: Run, folder: Path) -> None:
    answer = run("silent.wav", *QUICK, "--noise_levels", "[0.0,0.3]")
    assert answer.status == 0
    assert answer.err == "warning: silent.wav holds no sound to compute IC of: its result is NaN.\n"
    rows = (folder / "silent.csv").read_text().splitlines()
    assert len(rows) == 1 + 30_000 // 4_096
    assert all(row.endswith(",nan,nan") for row in rows[1:])


def test_noise_is_music_but_no_voice(run: Run) -> None:
    assert run("a.wav", *QUICK, "--audio_type", "music").err == ""
    assert np.isfinite(read_csv("a.csv").ic[:, 1:]).all()
    answer = run("a.wav", *QUICK, "--audio_type", "voice")
    assert (answer.status, answer.err[:8]) == (0, "warning:")
    assert np.isnan(read_csv("a.csv").ic).all()


def test_files_of_one_stem_in_two_folders_get_two_csv(run: Run, folder: Path) -> None:
    for place, source in (("one", "a.wav"), ("two", "b.wav")):
        (folder / place).mkdir()
        (folder / source).rename(folder / place / "song.wav")
    assert run("one/song.wav", "two/song.wav", *QUICK).status == 0
    assert files(folder) == {"one_song.csv", "two_song.csv"}
    assert (folder / "one_song.csv").read_bytes() != (folder / "two_song.csv").read_bytes()


def test_an_unambiguous_file_keeps_its_plain_name() -> None:
    paths = [Path("one/song.wav"), Path("two/song.wav"), Path("two/other.wav")]
    assert [path.name for path in cli.output_paths(paths, Path())] == ["one_song.csv", "two_song.csv", "other.csv"]


PARTS = st.sampled_from(["a", "b", "a_b", "x", "x.wav"])
PATHS = st.builds(
    lambda folders, stem, ending: Path(*folders, stem + ending),
    st.lists(PARTS, max_size=3),
    PARTS,
    st.sampled_from([".wav", ".flac", ""]),
)


@given(paths=st.lists(PATHS, min_size=1, max_size=6))
def test_no_two_files_ever_share_a_csv(paths: list[Path]) -> None:
    try:
        outputs = cli.output_paths(paths, Path("out"))
    except SettingsError:
        return
    assert len(set(paths)) == len(paths) == len(set(outputs))
    assert {output.parent for output in outputs} == {Path("out")}
    assert {output.suffix for output in outputs} == {".csv"}


def test_one_bad_file_does_not_keep_the_others_from_being_done(run: Run, folder: Path) -> None:
    (folder / "bad.wav").write_text("no sound")
    answer = run("a.wav", "bad.wav", "b.wav", *QUICK)
    assert (answer.status, answer.out) == (2, "a.wav -> a.csv\nb.wav -> b.csv\n")
    assert answer.err.startswith("error: bad.wav cannot be read as audio:")
    assert files(folder) == {"a.csv", "b.csv"}


def test_an_interrupted_run_keeps_what_is_complete(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cli.write_one

    def interrupted(path: Path, *rest: Any) -> None:
        if path.name == "b.wav":
            raise KeyboardInterrupt
        whole(path, *rest)

    monkeypatch.setattr(cli, "write_one", interrupted)
    answer = run("a.wav", "b.wav", *QUICK)
    assert (answer.status, answer.out) == (130, "a.wav -> a.csv\n")
    assert answer.err.startswith("interrupted")
    assert files(folder) == {"a.csv"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.wav"], "missing.wav does not exist"),
        (["."], ". is a folder"),
        (["a.wav", "a.wav"], "a.wav is given twice"),
        (["a.wav", "./a.wav"], "a.wav is given twice"),
        (["[a.wav"], "[a.wav is not a list of file names"),
        (["['a.wav', 3]"], "is not a list of file names"),
        (["a.wav", "--noise_levels", "[0.0,1.5]"], "noise level 1.5 is outside [0, 1]"),
        (["a.wav", "--noise_levels", "[]"], "noise_levels is empty"),
        (["a.wav", "--audio_type", "speech"], "'speech'"),
        (["a.wav", "--device", NO_DEVICE], f'The device "{NO_DEVICE}" is not available'),
        (["a.wav", "--device", "toaster"], 'The device "toaster" is not available'),
        (["a.wav", "--model", "maxi"], 'There is no model "maxi"'),
        (["a.wav", "--preset", "best"], "'best'"),
        (["a.wav", "--seed", "-1"], "seed must be a whole number of 0 or more"),
        (["a.wav", "--monte_carlo_samples", "0"], "monte_carlo_samples must be a whole number of 1 or more"),
        (["a.wav", "--noise_from_expection", "false", "--monte_carlo_samples", "2"], "--monte_carlo_samples"),
        (["a.wav", "--integration_params.n_runs", "0"], "n_probes must be a whole number of 1 or more"),
        (["a.wav", "--integration_params.solver", "guess"], "'guess'"),
        (["a.wav", "--integration_params.solver_kwargs", "{n_steps: 0}"], "n_steps must be a whole number of 1"),
        (["a.wav", "--integration_params.solver_kwargs", "{n_steps: many}"], "n_steps must be a whole number of 1"),
        (["a.wav", "--integration_params.solver_kwargs", "{rtol: 0.1}"], "'rtol'"),
        (
            ["a.wav", "--integration_params.solver=scipy", "--integration_params.solver_kwargs={method: RK99}"],
            "solve_ivp",
        ),
        (["a.wav", "--output_dir", "b.wav"], "b.wav cannot be written"),
        (["a.wav", "--output_dir", "b.wav/deeper"], "b.wav/deeper cannot be written"),
    ],
)
def test_a_mistake_gets_one_sentence_and_status_2(run: Run, folder: Path, words: list[str], said: str) -> None:
    answer = run(*words)
    assert answer.status == 2
    assert answer.err.startswith("error: ")
    assert said in answer.err
    assert answer.err.endswith(".\n")
    assert answer.err.count("\n") == 1
    assert not files(folder)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "audio_files"),
        (["a.wav", "--volume", "11"], "--volume"),
        (["a.wav", "--noise_levels", "[0.0,loud]"], "noise_levels"),
        (["a.wav", "--bz", "many"], "bz"),
        (["a.wav", "--integration_params.solver_kwargs", "fast"], "solver_kwargs"),
        (["a.wav", "--config", "missing.yaml"], "missing.yaml"),
    ],
)
def test_words_that_cannot_be_parsed_are_named_with_status_2(
    run: Run, folder: Path, words: list[str], said: str
) -> None:
    answer = run(*words)
    assert answer.status == 2
    assert said in answer.err.partition("error: ")[2]
    assert not files(folder)


def test_help_names_every_flag(run: Run) -> None:
    answer = run("--help")
    assert answer.status == 0
    for flag in ("noise_levels", "audio_type", "output_dir", "device", "monte_carlo_samples", "noise_from_expection"):
        assert f"--{flag}" in answer.out
    for flag in ("integration_params.n_runs", "integration_params.solver", "integration_params.solver_kwargs"):
        assert f"--{flag}" in answer.out
    for flag in ("bz", "vmap_chunk_size", "config", "print_config"):
        assert f"--{flag}" in answer.out


def test_an_empty_list_of_files_is_a_mistake(run: Run) -> None:
    assert run("[]").status == 2


def test_files_that_differ_in_their_ending_keep_it() -> None:
    paths = [Path("a/x.wav"), Path("a/x.flac"), Path("b/y.wav")]
    assert [path.name for path in cli.output_paths(paths, Path())] == ["x.wav.csv", "x.flac.csv", "y.csv"]


def test_a_subcommand_takes_over_with_the_words_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["validate", "--help"])
    assert exit_.value.code == 0
    assert "audioic validate" in capsys.readouterr().out
