"""``audioic train --audio DIR --output MODEL_DIR``: a model of anyone's recordings."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from jsonargparse import ArgumentParser

from audioic_widget.errors import AudioICError, OutputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, or 2 after an error of the package's own."""
    from audioic_widget.training.own_model import TrainingSettings, train

    command = ArgumentParser(prog="audioic train", description="Train a model on a folder of recordings.")
    command.add_argument("--config", action="config", help="File with settings, as --print_config prints them.")
    command.add_class_arguments(TrainingSettings)
    values = vars(command.parse_args(arguments))
    values.pop("config")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        print(train(TrainingSettings(**values)))
    except AudioICError as error:
        return _failed(error)
    except OSError as error:
        return _failed(OutputError(f"{values['output']} cannot be written ({error.strerror}): choose another folder."))
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from the last checkpoint.", file=sys.stderr)
        return 130
    return 0


def _failed(error: AudioICError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return 2
