"""Does noise in the codec's training matter? Two codecs, with and without it, and a small flow on the latents of each.

``python benchmarks/codec_noise.py DIR`` takes the folder of a finished ``python -m audioic_widget.training --output DIR``,
trains the codec again without noise (same features, steps and seed) and prints two markdown tables: how often the
nearest noised latent among others has the same pitch, and, with ``--flows``, of the same small flow trained on each codec's latents of the
same tones, what `audioic validate` finds. A minute on a core, ten more with the flows.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from audioic_widget.codec.mini import MiniCodec
from audioic_widget.training.dataset import renderings
from audioic_widget.training.export import export, rounded
from audioic_widget.training.loop import Schedule
from audioic_widget.training.recipe import Recipe, codec_of
from audioic_widget.training.tones import encode_tones
from audioic_widget.training.train_codec import extract_features, train_codec
from audioic_widget.training.train_flow import Flow, train_flow
from audioic_widget.validation import validate
from audioic_widget.validation.items import NOTE_FRAMES, Item
from audioic_widget.validation.melodies import melody
from audioic_widget.validation.synthesis import TIMBRES, render

PROTOCOLS = ("repetition", "oddball", "onset", "markov")
LEVELS = (0.0, 0.3, 0.6, 0.8)
MEASURES = ("share below", "AUC", "onset over baseline (sd)", "rank correlation")


def codecs(recipe: Recipe) -> Iterator[tuple[str, MiniCodec, Path]]:
    """Both codecs, each with the folder that keeps its latents."""
    found = list(renderings(recipe.output))
    yield "with noise", codec_of(recipe, found), recipe.output
    heard = [rendering for rendering in found[: recipe.codec_renderings] if not rendering.held_out]
    features = extract_features(MiniCodec(), heard, recipe.output / "features.npy")
    folder = recipe.output / "without-noise"
    folder.mkdir(exist_ok=True)
    scores = folder / "scores"
    if not scores.exists():
        scores.symlink_to((recipe.output / "scores").resolve())
    torch.manual_seed(recipe.seed)
    schedule = Schedule(recipe.codec_steps, rate=2e-3)
    yield (
        "without noise",
        train_codec(MiniCodec(), features, schedule, folder / "codec.pt", recipe.seed, noisy=False),
        folder,
    )


def pitch_found(codec: MiniCodec, timbre: str, level: float, count: int = 400) -> float:
    """Share of random tones, noised to `level`, whose nearest neighbour among as many others has their pitch."""
    pitches = np.random.default_rng(list(TIMBRES).index(timbre)).integers(57, 80, count)
    frames = count * NOTE_FRAMES
    samples = render(Item(0, "", timbre, melody(pitches, timbre), frames), 0)
    latents = codec.encode(samples, 0, frames).view(count, NOTE_FRAMES, -1)[:, :2].flatten(1)
    noised = (1 - level) * latents + level * torch.randn(latents.shape, generator=torch.Generator().manual_seed(1))
    asked, others = noised[: count // 2], noised[count // 2 :]
    nearest = torch.cdist(asked, others).argmin(1).numpy()
    return float(np.mean(pitches[count // 2 :][nearest] == pitches[: count // 2]))


def print_pitches(both: Mapping[str, MiniCodec]) -> None:
    """The first table."""
    head = ["codec", "timbre", *(f"level {level}" for level in LEVELS)]
    print(f"| {' | '.join(head)} |", "|---" * len(head) + "|", sep="\n")
    for name, codec in both.items():
        for timbre in TIMBRES:
            cells = (f"{pitch_found(codec, timbre, level):.2f}" for level in LEVELS)
            print(f"| {name} | {timbre} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Train, measure, print."""
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument("folder", type=Path)
    command.add_argument("--tones", type=int, default=160, help="recordings of tones that the flows learn from")
    command.add_argument("--steps", type=int, default=1000, help="updates of a flow")
    command.add_argument("--items", type=int, default=20)
    command.add_argument("--flows", action="store_true", help="also train a small flow on each")
    options = command.parse_args()
    torch.set_num_threads(1)
    recipe = Recipe(options.folder)
    both = list(codecs(recipe))
    print_pitches({name: codec for name, codec, _ in both})
    columns = {}
    for name, codec, folder in both if options.flows else ():
        latents = encode_tones(codec, options.tones, recipe.seed, folder)
        torch.manual_seed(recipe.seed)
        schedule = Schedule(options.steps, rate=2e-3, warmup=50, fall=0.5, average=0.99)
        flow = train_flow(Flow(64, 3, 1, 2), latents, recipe.frames, schedule, folder / "small-flow.pt", recipe.seed)
        model = folder / "small-model"
        export(name.replace(" ", "-"), model, rounded(codec), rounded(flow), recipe.frames, {})
        table = validate(model, items=options.items, protocols=PROTOCOLS, device="cpu").table
        table = table[table["timbres"].eq("all") & table["measure"].isin(MEASURES)]
        table = table[table["trace"].isin(["0", "0.3", "0.6", "0.9"])]
        rows = table.set_index(["protocol", "condition", "measure", "trace"])
        columns[name] = rows.apply(lambda row: f"{row['estimate']:.2f} [{row['low']:.2f}, {row['high']:.2f}]", axis=1)
    if columns:
        table = pd.DataFrame(columns).reset_index()
        print(f"\n| {' | '.join(table.columns)} |", "|---" * len(table.columns) + "|", sep="\n")
        for row in table.itertuples(index=False):
            print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
