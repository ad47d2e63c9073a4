"""``audioic validate MODEL``: run the suite, print its table, keep table and figure in a folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from audioic_widget.console import description, exit_status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, or 2 after an error of the package's own."""
    options = vars(parser().parse_args(arguments))
    output: Path = options.pop("output")
    fields = {name: value for name, value in options.items() if value is not None}
    return exit_status(lambda: run(output, fields), output, "nothing was written.")


def run(output: Path, fields: dict[str, Any]) -> int:
    """Run the suite and write table and figure; the exit status."""
    # Torch is slow to import: help and mistakes do not wait for it.
    from audioic_widget.validation.suite import validate

    output.mkdir(parents=True, exist_ok=True)
    with tqdm(total=1.0, bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}", delay=1, leave=False) as bar:

        def show(protocol: str, share: float) -> None:
            bar.set_description_str(protocol, refresh=False)
            bar.n = share
            bar.refresh()

        report = validate(on_progress=show, **fields)
    report.to_csv(output / "validation.csv")
    report.plot(output / "validation.png")
    markdown = report.to_markdown()
    (output / "validation.md").write_text(markdown, encoding="utf-8")
    print(markdown)
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line; what is not given is the library's default."""
    command = argparse.ArgumentParser("audioic validate", description=description(__doc__))
    add = command.add_argument
    add("model", help="name, folder or file of the model")
    add("--output", type=Path, default=Path("validation"), help="folder for table and figure (%(default)s)")
    add("--items", type=int, help="units of each protocol, 4 or more (20)")
    add("--protocols", nargs="+", help="some only; all if not given")
    add("--noise-levels", "--noise_levels", type=float, nargs="+", help="levels besides 1 (0 0.3 0.6 0.9)")
    add("--noising", help="expectation, monte_carlo, flow or average")
    add("--monte-carlo-samples", type=int, help="draws of monte_carlo and average")
    add("--preset", help="draft (default), standard, pa-audioic or exact")
    add("--device", help="auto, cpu, cuda, ...")
    add("--seed", type=int, help="of stimuli, probes and intervals (0)")
    return command


if __name__ == "__main__":
    sys.exit(main())
