"""The `audioic` command: files in, one CSV each out; or one of its subcommands, which live where their work is.

It understands the command line of the published tool (Bjare et al. 2025): same names, same meanings, and
its default of the one noise level 0. What else is not given is the library's default.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace
from tqdm import tqdm

from audioic_widget.console import exit_status, failed, parsed
from audioic_widget.errors import AudioICError, SettingsError

SUBCOMMANDS = {
    "corpus": "audioic_widget.corpus.__main__",
    "models": "audioic_widget.model.__main__",
    "train": "audioic_widget.training.command",
    "validate": "audioic_widget.validation.__main__",
}
"""First words that are no file but the name of another command, and the module whose `main` it is."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, or 2 if anything failed."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in SUBCOMMANDS:
        return int(import_module(SUBCOMMANDS[words[0]]).main(words[1:]))
    try:
        options = parsed(parser(), words)
    except AudioICError as error:
        return failed(error)
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    return exit_status(lambda: run(options), options.output_dir, "the files named above are complete.")


def run(options: Namespace) -> int:
    """Compute and write every file; the exit status."""
    settings = settings_of(options)
    paths = [Path(name) for name in names_of(options.audio_files)]
    outputs = output_paths(paths, Path(options.output_dir))
    with folder_if_needed(Path(options.output_dir)):
        # Torch is slow to import: help and mistakes do not wait for it.
        from audioic_widget.model.catalogue import load_model

        model = load_model(options.model, options.device)
        status = 0
        for path, output in zip(paths, outputs, strict=True):
            try:
                write_one(path, output, model, settings)
                print(f"{path} -> {output}")
            except AudioICError as error:
                status = failed(error)
    return status


@contextmanager
def folder_if_needed(folder: Path) -> Iterator[None]:
    """`folder`, made at once, so that it can be, and gone again if nothing was written into it."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):  # it is not empty, as it should be
            for path in made:
                path.rmdir()


def parser() -> ArgumentParser:
    """The command line."""
    command = ArgumentParser(
        prog="audioic",
        description="Information content of audio: how unexpected each 93 ms is, given all before. Writes one CSV a file.",
        epilog=f"Other commands: {', '.join(f'audioic {name} --help' for name in SUBCOMMANDS)}.",
    )
    add = command.add_argument
    add("--config", action="config", help="File with arguments, as --print_config prints them.")
    add("audio_files", nargs="+", help="Audio files, as words or as one list: \"['a.wav','b.wav']\".")
    add(
        "--noise_levels",
        type=list[float] | float,
        default=[0.0],
        help="Noise levels between 0 (clean) and 1 (all noise).",
    )
    add(
        "--audio_type",
        type=str,
        default="music",
        help="Whose leading and trailing silence is left out: music or voice.",
    )
    add("--output_dir", type=str, default=".", help="Folder for the CSV files; made if missing.")
    add("--device", type=str, default="auto", help="auto, cpu, cuda, cuda:1, mps.")
    add(
        "--monte_carlo_samples",
        type=int | None,
        default=None,
        help="Noise draws whose mean is added; none: expectation.",
    )
    add("--noise_from_expection", type=bool, default=True, help="false: points on the probability flow.")
    add("--integration_params.n_runs", type=int | None, default=None, help="Probes of the divergence estimate.")
    add(
        "--integration_params.solver",
        type=str | None,
        default=None,
        help="multistep, euler, midpoint, heun, rk4 or scipy.",
    )
    add(
        "--integration_params.solver_kwargs",
        type=dict[str, Any] | None,
        default=None,
        help="n_steps and spacing; for scipy the keywords of solve_ivp.",
    )
    add("--bz", type=int, default=1, help="Accepted for old command lines; batches are sized by themselves.")
    add("--vmap_chunk_size", type=int, default=196_608, help="Accepted for old command lines; chunks fit memory.")
    add(
        "--preset", type=str, default="standard", help="draft, standard, pa-audioic (the published procedure) or exact."
    )
    add("--model", type=str, default="mini", help="Name, folder or file of the model.")
    add("--alignment", type=str, default="grid", help="grid, or published: trim, rows and times of the published tool.")
    add("--seed", type=int, default=0, help="Seed of everything drawn: same seed, same numbers.")
    return command


def settings_of(options: Namespace) -> Any:
    """The `ICSettings` that the options ask for."""
    from audioic_widget.settings import ICSettings

    asked = options.integration_params
    kwargs = dict(asked.solver_kwargs or {})
    fields: dict[str, Any] = {"n_probes": asked.n_runs, "solver": asked.solver, "n_steps": kwargs.pop("n_steps", None)}
    if kwargs:
        fields["solver_options"] = kwargs
    if not options.noise_from_expection:
        if options.monte_carlo_samples is not None:
            raise SettingsError("--noise_from_expection false draws no samples: leave --monte_carlo_samples out.")
        fields["noising"] = "flow"
    return ICSettings(
        preset=options.preset,
        noise_levels=options.noise_levels,
        monte_carlo_samples=options.monte_carlo_samples,
        audio_type=options.audio_type,
        alignment=options.alignment,
        seed=options.seed,
        **{name: value for name, value in fields.items() if value is not None},
    )


def names_of(words: Sequence[str]) -> list[str]:
    """File names given as words, or as one word that is a list of them."""
    if len(words) == 1 and words[0].startswith("[") and not Path(words[0]).exists():
        try:
            listed = yaml.safe_load(words[0])
        except yaml.YAMLError:
            listed = None
        if not isinstance(listed, list) or not listed or not all(isinstance(name, str) for name in listed):
            raise SettingsError(f"{words[0]} is not a list of file names: write \"['a.wav','b.wav']\".")
        return listed
    return list(words)


def output_paths(paths: Sequence[Path], folder: Path) -> list[Path]:
    """A CSV path of its own for every input.

    Files of the same stem are told apart by as many of their folders as that takes, joined by "_", and then by
    their ending.

    Raises
    ------
    SettingsError
        If a file is given twice.
    """
    # Not resolve(): a link is a file of its own name.
    whole = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100
    twice = [path for path, count in Counter(whole).items() if count > 1]
    if twice:
        raise SettingsError(f"{twice[0]} is given twice: give each file once.")
    # Files beside each other cannot be told apart by their folders.
    beside = {key for key, count in Counter((path.parent, path.stem) for path in whole).items() if count > 1}
    longest = max((len(path.parts) for path in whole), default=0)
    owns = [path.name if (path.parent, path.stem) in beside else path.stem for path in whole]
    names = list(owns)
    for depth in range(1, longest + 1):
        clashes = {name for name, count in Counter(names).items() if count > 1}
        if not clashes:
            break
        names = [
            "_".join((*path.parent.parts[1:][-depth:], own)) if name in clashes or own in clashes else name
            for name, own, path in zip(names, owns, whole, strict=True)
        ]
    again = {name for name, count in Counter(names).items() if count > 1}
    names = [path.name if name in again else name for name, path in zip(names, whole, strict=True)]
    if len(set(names)) < len(names):
        raise SettingsError("Two files would write the same CSV: give them to separate calls.")
    return [folder / f"{name}.csv" for name in names]


def write_one(path: Path, output: Path, model: Any, settings: Any) -> None:
    """Compute one file with a progress bar and write its CSV."""
    from audioic_widget.audio import read_recording
    from audioic_widget.ic import encode, stream_ic, warn_if_silent

    recording = read_recording(path)
    with tqdm(
        total=1.0,
        desc=path.name,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}",
        delay=1,
        leave=False,
        disable=None,  # where nobody looks
    ) as bar:
        encoded = encode(recording, model, settings.audio_type, alignment=settings.alignment)
        for partial in stream_ic(encoded, model, settings, coarse_first=False):
            bar.update(max(partial.progress - bar.n, 0))
    assert partial.result is not None
    warn_if_silent(partial.result)
    partial.result.to_csv(output)
