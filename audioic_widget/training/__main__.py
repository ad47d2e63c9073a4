"""The recipe of the embedded model, in one command.

``python -m audioic_widget.training --output DIR`` renders music, trains the codec, encodes, trains the flow,
evaluates, and writes weights and card to ``DIR/model``. It may be killed and started again at any point: finished
stages are kept, an unfinished one goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

import torch

from audioic_widget.codec.mini import MiniCodec
from audioic_widget.errors import AudioICError
from audioic_widget.training.dataset import render_all
from audioic_widget.training.evaluate import evaluate
from audioic_widget.training.export import Run, export
from audioic_widget.training.loop import Schedule
from audioic_widget.training.train_codec import extract_features, train_codec
from audioic_widget.training.train_flow import Flow, encode_all, train_flow


def main(arguments: list[str] | None = None) -> int:
    """Run the recipe; the exit status is 2 after an error of the package's own."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(options.threads)
    try:
        train(options)
    except AudioICError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser("python -m audioic_widget.training", description=__doc__)
    command.add_argument("--output", type=Path, required=True, help="folder for everything the recipe makes")
    command.add_argument("--renderings", type=int, default=RENDERINGS, help="recordings of about 90 s (%(default)s)")
    command.add_argument("--codec-renderings", type=int, default=110, help="how many of them train the codec")
    command.add_argument("--codec-steps", type=int, default=2500, help="updates of 1024 frames (%(default)s)")
    command.add_argument("--flow-steps", type=int, default=1600, help="updates of 4 windows (%(default)s)")
    command.add_argument("--frames", type=int, default=512, help="frames in a training window (%(default)s)")
    command.add_argument("--seed", type=int, default=2, help="of everything drawn (%(default)s)")
    command.add_argument("--workers", type=int, default=1, help="rendering processes (%(default)s)")
    command.add_argument("--threads", type=int, default=1, help="of PyTorch (%(default)s)")
    return command
