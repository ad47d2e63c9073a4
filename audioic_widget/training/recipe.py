"""The recipe as a whole: stage after stage into one folder, each finished output kept."""

from __future__ import annotations

import json
import logging
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import soundfile
import torch

from audioic_widget.codec.mini import MiniCodec
from audioic_widget.formats.files import replacing
from audioic_widget.frames import FRAME_PERIOD
from audioic_widget.training import evaluate, tones
from audioic_widget.training.arrange import HELD_OUT_PROGRAMS
from audioic_widget.training.dataset import PROCEDURAL, SHARES, Rendering, Sound, at_speeds, performance_of, render_all
from audioic_widget.training.export import export, rounded
from audioic_widget.training.loop import Schedule
from audioic_widget.training.scores import COLLECTIONS
from audioic_widget.training.train_codec import extract_features, train_codec
from audioic_widget.training.train_flow import Flow, encode_all, train_flow

log = logging.getLogger(__name__)

VERSION = "0.2.0"
"""Of the model that this recipe makes with its defaults."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the trained model; the defaults are those of the latest attempt in docs/model-card.md.

    Parameters
    ----------
    output : Path
        Folder for all that the recipe makes; the model ends up in its subfolder ``model``.
    renderings : int
        Recordings of about 90 s.
    codec_renderings : int
        How many of them train the codec.
    speeds : int
        At how many other speeds the flow hears each of them.
    tones : int
        Recordings of tones, each as long as two training windows.
    codec_steps, flow_steps : int
        Updates of codec and flow.
    frames : int
        Length of the flow's training windows.
    seed : int
        Of everything that is drawn.
    """

    output: Path
    renderings: int = 400
    codec_renderings: int = 240
    speeds: int = 2
    tones: int = 2400
    codec_steps: int = 2500
    flow_steps: int = 9_000
    frames: int = 512
    seed: int = 4


def run(recipe: Recipe, workers: int = 1) -> None:
    """Follow `recipe`, with `workers` rendering processes; goes on where an earlier run of it was ended."""
    folder = recipe.output
    folder.mkdir(parents=True, exist_ok=True)
    with timed(folder, "rendering"):
        renderings = render_all(folder, recipe.renderings, recipe.seed, workers)
    with timed(folder, "codec"):
        codec = codec_of(recipe, renderings)
    with timed(folder, "encoding"):
        heard: list[Sound] = [*renderings, *at_speeds(renderings, recipe.speeds, recipe.seed)]
        latents = encode_all(codec, heard, folder / "latents")
    with timed(folder, "tones"):
        made_up = tones.encode_tones(codec, recipe.tones, recipe.seed, folder)
    with timed(folder, "flow"):
        torch.manual_seed(recipe.seed)
        schedule = Schedule(recipe.flow_steps, rate=1.2e-3, warmup=150, fall=0.25)
        stream = np.concatenate((latents["training"], made_up))
        flow = train_flow(Flow(), stream, recipe.frames, schedule, folder / "flow.pt", recipe.seed)
    codec, flow = rounded(codec), rounded(flow)
    with timed(folder, "evaluation"):
        measured = measure(recipe, codec, flow, renderings, latents["held_out"])
    export("mini", folder / "model", codec, flow, recipe.frames, card(recipe, renderings, measured))
    log.info("the model is in %s", folder / "model")


def codec_of(recipe: Recipe, renderings: list[Rendering]) -> MiniCodec:
    """The trained codec."""
    heard = [rendering for rendering in renderings[: recipe.codec_renderings] if not rendering.held_out]
    features = extract_features(MiniCodec(), heard, recipe.output / "features.npy")
    torch.manual_seed(recipe.seed)
    schedule = Schedule(recipe.codec_steps, rate=2e-3)
    return train_codec(MiniCodec(), features, schedule, recipe.output / "codec.pt", recipe.seed)


def measure(
    recipe: Recipe, codec: MiniCodec, flow: Flow, renderings: list[Rendering], held_out: np.ndarray
) -> dict[str, object]:
    """Figures of the model on held-out pieces."""
    unheard = [rendering for rendering in renderings if rendering.held_out]
    features = extract_features(codec, unheard[:12], recipe.output / "features-held-out.npy")
    losses = evaluate.flow_losses(flow, held_out, recipe.frames, recipe.seed)
    contents, performances = [], []
    for rendering in unheard:
        samples = rendering.samples()
        stop = min(len(samples) // 4096, recipe.frames)
        contents.append(evaluate.information_content(flow, codec.encode(samples, 0, stop), recipe.seed))
        performances.append(performance_of(recipe.output, recipe.seed, rendering))
    return {
        "held_out_loss": evaluate.mean_loss(losses),
        "held_out_loss_by_level": losses,
        "codec_error_by_level": evaluate.codec_errors(codec, features[::4], recipe.seed),
        "onset_response_by_level": evaluate.onset_response(contents, performances),
        "share_below_floor_by_level": evaluate.share_below_floor(contents),
    }


def card(recipe: Recipe, renderings: list[Rendering], measured: dict[str, object]) -> dict[str, object]:
    """What the model's card says of its making."""
    hours = {False: 0.0, True: 0.0}
    for rendering in renderings:
        hours[rendering.held_out] += soundfile.info(rendering.path).duration / 3600
    options = {key: value for key, value in asdict(recipe).items() if key != "output"}
    given = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in options.items())
    return {
        "version": VERSION,
        "licence": "CC0-1.0",
        "training": {
            "recipe": f"python -m audioic_widget.training --output DIR {given}",
            "seed": recipe.seed,
            "date": datetime.now(timezone.utc).date().isoformat(),
            "machine": f"{platform.machine()} CPU, {torch.get_num_threads()} thread(s), PyTorch {torch.__version__}",
            "wall_seconds": json.loads((recipe.output / "seconds.json").read_text(encoding="utf-8")),
            "hours": {
                "training": hours[False],
                "held_out": hours[True],
                "tones": recipe.tones * tones.FRAMES * FRAME_PERIOD / 3600,
            },
            "pieces": len({rendering.piece for rendering in renderings}),
            "renderings": len(renderings),
            "shares": SHARES,
            "shares_of_tones": {name: share for name, (share, _) in tones.STRETCHES.items()},
            "scores": {
                **{name: {"music": c.music, "encoding": c.encoding} for name, c in COLLECTIONS.items()},
                **{name: {"music": "made up by the recipe", "encoding": "part of this project"} for name in PROCEDURAL},
            },
            "scores_from": "the corpus of music21 (its note: the encodings are distributed with permission)",
            "sound_font": "FluidR3 GM (MIT), rendered by FluidSynth",
            "held_out_programs": HELD_OUT_PROGRAMS,
        },
        "evaluation": measured,
    }


@contextmanager
def timed(folder: Path, stage: str) -> Iterator[None]:
    """Add the seconds that the block takes to `stage` in ``folder/seconds.json``."""
    began, kept = time.monotonic(), folder / "seconds.json"
    try:
        yield
    finally:
        seconds = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        seconds[stage] = round(seconds.get(stage, 0.0) + time.monotonic() - began, 1)
        with replacing(kept) as file:
            file.write(json.dumps(seconds).encode())
        log.info("%s: %.0f s", stage, time.monotonic() - began)
