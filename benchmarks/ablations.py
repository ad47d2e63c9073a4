"""What the embedded model's parts are worth: the same flow, trained shortly, each time with one of them missing.

``python benchmarks/ablations.py DIR`` takes the folder of a finished ``python -m audioic_widget.training --output DIR``, trains
flows on its first recordings of tones, and prints two markdown tables: what `audioic validate` finds of each, and how
often the nearest noised latent among others has the same pitch, for the codec and for one trained without noise. Finished
flows are kept in ``DIR/ablations``. Eight minutes a flow on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

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
SHOWN = ("0", "0.3", "0.6", "0.9")
MEASURES = ("share below", "AUC", "onset over baseline (sd)", "rank correlation")


class WithoutMuon(Flow):
    """A flow that AdamW trains alone."""

    @property
    def matrices(self) -> list[nn.Parameter]:
        """None."""
        return []


@dataclass(frozen=True)
class Variant:
    """One column of the table."""

    name: str
    flow: Callable[[], Flow]
    noisy_codec: bool = True


VARIANTS = (
    Variant("nothing missing", Flow),
    Variant("input layer sees 1 latent, not 8", lambda: Flow(reach=1)),
    Variant("AdamW alone, no Muon", WithoutMuon),
    Variant("codec trained without noise", Flow, noisy_codec=False),
)


def codecs(recipe: Recipe, folder: Path) -> dict[bool, MiniCodec]:
    """The recipe's codec (True), and the same trained without noise (False)."""
    found = list(renderings(recipe.output))
    heard = [rendering for rendering in found[: recipe.codec_renderings] if not rendering.held_out]
    features = extract_features(MiniCodec(), heard, recipe.output / "features.npy")
    torch.manual_seed(recipe.seed)
    schedule = Schedule(recipe.codec_steps, rate=2e-3)
    clean = train_codec(MiniCodec(), features, schedule, folder / "codec.pt", recipe.seed, noisy=False)
    return {True: codec_of(recipe, found), False: clean}


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


def print_pitches(both: Mapping[bool, MiniCodec]) -> None:
    """The second table."""
    print(f"\n| codec | timbre | {' | '.join(f'level {level}' for level in LEVELS)} |")
    print("|---" * (2 + len(LEVELS)) + "|")
    for noisy, codec in both.items():
        for timbre in TIMBRES:
            cells = (f"{pitch_found(codec, timbre, level):.2f}" for level in LEVELS)
            print(f"| {'with' if noisy else 'without'} noise | {timbre} | {' | '.join(cells)} |", flush=True)


def effects(variant: Variant, codec: MiniCodec, recipe: Recipe, options: argparse.Namespace, folder: Path) -> pd.Series:
    """What `audioic validate` finds of one variant, over all timbres."""
    own = folder / ("noise" if variant.noisy_codec else "no-noise")
    own.mkdir(parents=True, exist_ok=True)
    if not (own / "scores").exists():
        (own / "scores").symlink_to((recipe.output / "scores").resolve())
    latents = encode_tones(codec, options.tones, recipe.seed, own)
    torch.manual_seed(recipe.seed)
    schedule = Schedule(options.steps, rate=1.2e-3, warmup=150, fall=0.3)
    kept = folder / f"flow-{VARIANTS.index(variant)}.pt"
    flow = train_flow(variant.flow(), latents, recipe.frames, schedule, kept, recipe.seed)
    model = folder / f"model-{VARIANTS.index(variant)}"
    export("ablation", model, rounded(codec), rounded(flow), recipe.frames, {})
    table = validate(model, items=options.items, protocols=PROTOCOLS, device="cpu").table
    table = table[table["timbres"].eq("all") & table["measure"].isin(MEASURES) & table["trace"].isin(SHOWN)]
    rows = table.set_index(["protocol", "condition", "measure", "trace"])
    found: pd.Series = rows.apply(lambda row: f"{row['estimate']:.2f} [{row['low']:.2f}, {row['high']:.2f}]", axis=1)
    return found


def main() -> None:
    """Train, measure, print."""
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument("folder", type=Path)
    command.add_argument("--tones", type=int, default=320, help="recordings of tones that the flows learn from")
    command.add_argument("--steps", type=int, default=1200, help="updates of a flow")
    command.add_argument("--items", type=int, default=12, help="of each protocol")
    options = command.parse_args()
    torch.set_num_threads(1)
    recipe, folder = Recipe(options.folder), options.folder / "ablations"
    folder.mkdir(exist_ok=True)
    both = codecs(recipe, folder)
    columns = {
        variant.name: effects(variant, both[variant.noisy_codec], recipe, options, folder) for variant in VARIANTS
    }
    table = pd.DataFrame(columns).reset_index()
    print(f"| {' | '.join(table.columns)} |", "|---" * len(table.columns) + "|", sep="\n")
    for row in table.itertuples(index=False):
        print(f"| {' | '.join(row)} |")
    print_pitches(both)


if __name__ == "__main__":
    main()
