"""``audioic models list|fetch|info|remove``: the models there are, and what is kept of the published ones."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Sequence

from audioic_widget.console import description, failed
from audioic_widget.errors import AudioICError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, or 2 after an error of the package's own."""
    options = parser().parse_args(arguments)
    warnings.showwarning = lambda message, *_, **__: print(f"notice: {message}", file=sys.stderr)
    try:
        for line in answer(options):
            print(line)
    except AudioICError as error:
        return failed(error)
    return 0


def answer(options: argparse.Namespace) -> list[str]:
    """What the command prints."""
    # Torch is slow to import: help and mistakes do not wait for it.
    from audioic_widget.model import published
    from audioic_widget.model.catalogue import load_model

    if options.action in (None, "list"):
        lines = ["mini: embedded"]
        for name, source in published.SOURCES.items():
            card = published.card_of(name)
            state = f"not fetched ({source.repository})" if card is None else f"in {published.models_folder() / name}"
            lines.append(f"{name}: {state}")
        return lines
    if options.action == "fetch":
        return [f"{options.name} -> {published.fetch(options.name, options.revision)}"]
    if options.action == "remove":
        return [f"removed {folder}" for folder in published.remove(options.name)]
    model = load_model(options.name, device="cpu")
    return [json.dumps({**model.card, "sha256": model.digest}, indent=2)]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser("audioic models", description=description(__doc__))
    actions = command.add_subparsers(dest="action")
    actions.add_parser("list", help="names, and where the fetched ones lie")
    fetch = actions.add_parser("fetch", help="get a published model, now rather than on first use")
    fetch.add_argument("name")
    fetch.add_argument("--revision", help="commit, tag or branch; the newest commit if not given")
    for action, text in (("info", "the card of a model, by name or path"), ("remove", "delete a fetched model")):
        actions.add_parser(action, help=text).add_argument("name")
    return command


if __name__ == "__main__":
    sys.exit(main())
