"""What the published codec costs on a CPU, and what bfloat16 products change: ``python benchmarks/codec.py [--seconds 15]``.

Full size, random weights: no result of a published model, but the same operations. Ways to run its network on one chunk
of 14.9 s, in turns: float32 as PyTorch lays it out, channels last (what the package does), compiled, and with bfloat16
products. Then how far these move latents, and IC at three levels under a flow of the published size. Prints Markdown.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np
import torch
from machine import machine
from models import LEVELS, medians, published_size
from torch import Tensor, nn

from audioic_widget.codec.music2latent import CHUNK_FRAMES, Music2Latent
from audioic_widget.frames import FRAME_PERIOD, FRAME_SAMPLES
from audioic_widget.ic import compute_ic_from_latents
from audioic_widget.settings import ICSettings


def random_codec() -> Music2Latent:
    """Full size, random weights; no layer is left at zero, where training begins."""
    torch.manual_seed(0)
    codec = Music2Latent().eval().requires_grad_(False)
    for value in codec.encoder.parameters():
        if value.ndim > 1 and not value.any():
            nn.init.kaiming_uniform_(value, a=math.sqrt(5))
    return codec


def notes(frames: int) -> np.ndarray:
    """Decaying notes, some frames more than asked for."""
    random, beat = np.random.default_rng(0), np.arange(11_025, dtype=np.float32) / 44_100
    pitches = 220 * 2 ** (random.integers(0, 24, (frames + 2) * FRAME_SAMPLES // len(beat) + 1) / 12)
    return np.concatenate([0.3 * np.sin(2 * np.pi * pitch * beat) * np.exp(-6 * beat) for pitch in pitches]).astype(
        "f4"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=CHUNK_FRAMES * FRAME_PERIOD, help="of audio, a chunk at most")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="also torch.compile, which takes minutes to begin")
    options = parser.parse_args()
    torch.set_num_threads(1)
    codec, frames = random_codec(), min(round(options.seconds / FRAME_PERIOD), CHUNK_FRAMES)
    samples, fast = notes(frames), codec.in_precision("bfloat16")
    spectrum = codec._spectrum(samples, 0, frames)

    @torch.inference_mode()
    def network(memory_format: torch.memory_format, encoder: Callable[[Tensor], Tensor]) -> None:
        encoder(spectrum.contiguous(memory_format=memory_format))

    plain = random_codec()
    plain.encoder.to(memory_format=torch.contiguous_format)
    works: dict[str, Callable[[], object]] = {
        "float32, default layout": lambda: network(torch.contiguous_format, plain.encoder),
        "float32, channels last": lambda: codec.encode(samples, 0, frames),
        "bfloat16 products, channels last": lambda: fast.encode(samples, 0, frames),
    }
    if options.compile:
        compiled = torch.compile(codec.encoder)
        works["float32, channels last, compiled"] = lambda: network(torch.channels_last, compiled)
    for work in works.values():
        work()
    times = medians(works, options.rounds)
    print(f"{machine()}. One thread, {frames * FRAME_PERIOD:.1f} s of audio, random weights.\n")
    print("| how | s a second of audio | times as fast |", "|---|---|---|", sep="\n")
    slowest = times["float32, default layout"]
    for name, each in times.items():
        print(f"| {name} | {each / (frames * FRAME_PERIOD):.3f} | {slowest / each:.2f} |")

    exact, approximate = (each.encode(samples, 0, frames) for each in (codec, fast))
    print(f"\nbfloat16 moves latents by {float((approximate - exact).norm() / exact.norm()):.1%} and IC by")
    print("\n| level | rms, nats | mean, nats | sd of IC, nats |", "|---|---|---|---|", sep="\n")
    settings, flow = ICSettings(noise_levels=LEVELS), published_size()
    values, moved = (compute_ic_from_latents(z, model=flow, settings=settings)[0] for z in (exact, approximate))
    for level, before, after in zip(LEVELS, values, moved, strict=True):
        difference = after - before
        print(f"| {level} | {np.sqrt(np.mean(difference**2)):.3f} | {difference.mean():+.3f} | {before.std():.2f} |")


if __name__ == "__main__":
    main()
