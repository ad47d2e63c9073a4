"""The recipe of the embedded model, in one command.

``python -m audioic_widget.training --output DIR`` renders music, trains the codec, encodes, trains the flow,
evaluates, and writes weights and card to ``DIR/model``. It may be killed and started again at any point: finished
stages are kept, an unfinished one goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from audioic_widget.errors import AudioICError
from audioic_widget.training.recipe import Recipe, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the recipe; the exit status is 2 after an error of the package's own."""
    options = vars(parser().parse_args(arguments))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(options.pop("threads"))
    workers = options.pop("workers")
    try:
        run(Recipe(**options), workers)
    except AudioICError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser("python -m audioic_widget.training", description=__doc__)
    add, defaults = command.add_argument, Recipe
    add("--output", type=Path, required=True, help="folder for everything the recipe makes")
    add("--renderings", type=int, default=defaults.renderings, help="recordings of about 90 s (%(default)s)")
    add("--codec-renderings", type=int, default=defaults.codec_renderings, help="that train the codec (%(default)s)")
    add("--speeds", type=int, default=defaults.speeds, help="other speeds to hear each at (%(default)s)")
    add("--tones", type=int, default=defaults.tones, help="recordings of tones of 95 s (%(default)s)")
    add("--codec-steps", type=int, default=defaults.codec_steps, help="updates of 1024 frames (%(default)s)")
    add("--flow-steps", type=int, default=defaults.flow_steps, help="updates of 4 windows (%(default)s)")
    add("--frames", type=int, default=defaults.frames, help="frames in a training window (%(default)s)")
    add("--seed", type=int, default=defaults.seed, help="of everything drawn (%(default)s)")
    add("--workers", type=int, default=1, help="rendering processes (%(default)s)")
    add("--threads", type=int, default=1, help="of PyTorch (%(default)s)")
    return command


if __name__ == "__main__":
    sys.exit(main())
