"""``audioic train --audio DIR --output MODEL_DIR``: a model of anyone's recordings."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from jsonargparse import ArgumentParser

from audioic_widget.console import exit_status, failed, parsed
from audioic_widget.errors import AudioICError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, or 2 after an error of the package's own."""
    from audioic_widget.training.own_model import TrainingSettings, train

    command = ArgumentParser(prog="audioic train", description="Train a model on a folder of recordings.")
    command.add_argument("--config", action="config", help="File with settings, as --print_config prints them.")
    command.add_class_arguments(TrainingSettings)
    try:
        values = vars(parsed(command, arguments))
    except AudioICError as error:
        return failed(error)
    values.pop("config")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")

    def run() -> int:
        print(train(TrainingSettings(**values)))
        return 0

    return exit_status(run, values["output"], "the same command goes on from the last checkpoint.")
