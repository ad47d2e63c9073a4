"""What noise leaves, by numbers: ``python benchmarks/remains.py``. Prints a Markdown table.

The sound of every level is encoded again and set against the latents of the recording: 1 is nothing lost, and what two
other moments of the same recording have in common is what "all lost" looks like. Speed is on one thread, and the first
five seconds are what one waits for after a switch.
"""

from __future__ import annotations

import time

import numpy as np
import torch

import audioic_widget as aw
from audioic_widget.frames import FRAME_SAMPLES
from audioic_widget.ic import encode
from audioic_widget.remains import Remains

LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
MARGIN = 3
"""Frames left out at either end, where there is no past."""


def main() -> None:
    """Measure both examples."""
    torch.set_num_threads(1)
    model = aw.load_model("mini", device="cpu")
    codec = model.codec
    assert codec is not None
    print("| level | minuet: cosine | loop: cosine | minuet: power, dB | first 5 s, s | a second of sound, s |")
    print("|---|---|---|---|---|---|")
    pieces = [encode(aw.read_recording(aw.example(name)), model) for name in ("minuet", "loop")]
    for level in LEVELS:
        cosines, power, first_seconds, seconds = [], 0.0, 0.0, 0.0
        for number, encoded in enumerate(pieces):
            left = Remains(encoded, model, level)
            begun = time.perf_counter()
            left.samples(0, 5 * 44_100)
            waited = time.perf_counter() - begun
            sound = left.samples(0, len(encoded.recording.samples))
            whole = time.perf_counter() - begun
            first, stop = encoded.first + MARGIN, encoded.first + len(encoded.latents) - MARGIN
            again = codec.encode(sound, first, stop)
            cosines.append(float(torch.cosine_similarity(again, encoded.latents[MARGIN:-MARGIN]).mean()))
            if number == 0:
                heard = slice(first * FRAME_SAMPLES, stop * FRAME_SAMPLES)
                share = np.mean(sound[heard] ** 2) / np.mean(encoded.recording.samples[heard] ** 2)
                power, first_seconds = 10 * np.log10(share), waited
                seconds = whole / encoded.recording.duration
        row = f"{level:.1f} | {cosines[0]:.3f} | {cosines[1]:.3f} | {power:+.1f} | {first_seconds:.2f} | {seconds:.3f}"
        print(f"| {row} |", flush=True)
    latents = pieces[0].latents
    shift = len(latents) // 2
    alike = float(torch.cosine_similarity(latents[shift:], latents[:-shift]).mean())
    print(f"\nTwo moments of the minuet {shift} frames apart: {alike:.3f}")


if __name__ == "__main__":
    main()
