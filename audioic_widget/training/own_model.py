"""A model of one's own recordings: codec, flow, evaluation and export, by the loop and trainers of the embedded model.

Everything is kept in ``MODEL_DIR/training`` as it is made, so a run that was killed goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from audioic_widget.codec.mini import MiniCodec, MiniConfig
from audioic_widget.codec.music2latent import Music2Latent
from audioic_widget.errors import CheckpointError, SettingsError
from audioic_widget.formats.files import replacing
from audioic_widget.frames import FRAME_PERIOD
from audioic_widget.model.catalogue import checked_device
from audioic_widget.model.published import LICENCE, load_codec
from audioic_widget.training import evaluate
from audioic_widget.training.export import export, rounded
from audioic_widget.training.loop import Schedule
from audioic_widget.training.recordings import OwnRecording, find_recordings, split
from audioic_widget.training.train_codec import extract_features, train_codec
from audioic_widget.training.train_flow import Flow, encode_all, train_flow

log = logging.getLogger(__name__)

HEAD_WIDTH = 64
"""Of one attention head; the width of a model is a multiple of it."""

CODEC_FRAMES = 80_000
"""Frames of training audio (two hours) after which no further recording trains the codec: it needs variety, not length."""

FLOOR_WINDOWS = 12
"""Windows of held-out audio in which values under the floor are counted."""


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that decides the model.

    Parameters
    ----------
    audio : path
        Folder of recordings, searched with all its subfolders.
    output : path
        Folder of the model.
    codec : str
        "own" trains one; or a codec to build on: "music2latent", or the path of its file (see `load_codec`).
    codec_steps : int
        Updates of the codec, if one is trained.
    flow_steps : int
        Updates of the flow, at most.
    frames : int
        Frames (93 ms) of a training window, and of the finished model's memory.
    dim : int
        Width of the flow, a multiple of 64.
    depth : int
        Layers of its backbone.
    head_depth : int
        Blocks of its head.
    codec_hidden : int
        Width of the codec.
    held_out : float
        Share of the audio that is kept from training, in whole files.
    check_steps : int
        Updates between checks on the held-out files.
    patience : int
        So many checks that brought nothing better end the training early.
    mixed_precision : bool
        Matrix products in bfloat16.
    device : str
        "auto" (CUDA, else CPU) or any torch device.
    seed : int
        Of everything that is drawn.
    """

    audio: Path
    output: Path
    codec: str = "own"
    codec_steps: int = 1500
    flow_steps: int = 3000
    frames: int = 512
    dim: int = 128
    depth: int = 4
    head_depth: int = 3
    codec_hidden: int = 320
    held_out: float = 0.1
    check_steps: int = 100
    patience: int = 5
    mixed_precision: bool = True
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("audio", "output"):
            object.__setattr__(self, name, Path(getattr(self, name)))
        whole = ("codec_steps", "flow_steps", "dim", "depth", "head_depth", "codec_hidden", "check_steps", "patience")
        for name in whole:
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be 1 or more, not {getattr(self, name)}.")
        if self.frames < 2:
            raise SettingsError(f"frames must be 2 or more, not {self.frames}.")
        if self.dim % HEAD_WIDTH:
            raise SettingsError(f"dim must be a multiple of {HEAD_WIDTH}, not {self.dim}.")
        if not 0 < self.held_out < 1:
            raise SettingsError(f"held_out must lie between 0 and 1, not {self.held_out}.")


def train(settings: TrainingSettings) -> Path:
    """Train a model; the folder that `load_model` takes.

    Raises
    ------
    AudioError
        If there is too little audio.
    CheckpointError
        If the folder holds a run with other settings, or the codec's file is no codec.
    ModelError
        If there is no such codec.
    DeviceError
        If the device is not there.
    OutputError
        If the folder cannot be written.
    """
    folder, given = settings.output / "training", None if settings.codec == "own" else load_codec(settings.codec)
    _claim(folder / "settings.json", settings)
    found, skipped = find_recordings(settings.audio)
    recordings = split(found, settings.held_out, settings.frames)
    device = checked_device(settings.device)
    log.info("%.2f h in %d files, %d skipped", _hours(recordings), len(recordings), len(skipped))

    codec: MiniCodec | Music2Latent = given.to(device) if given else _codec(settings, recordings, folder, device)
    latents = encode_all(codec, recordings, folder / "latents")

    def loss(flow: Flow) -> float:
        return evaluate.mean_loss(evaluate.flow_losses(flow, latents["held_out"], settings.frames, settings.seed))

    schedule = Schedule(
        settings.flow_steps,
        rate=1.2e-3,
        check_steps=settings.check_steps,
        patience=settings.patience,
        mixed=settings.mixed_precision,
    )
    torch.manual_seed(settings.seed)
    flow = Flow(settings.dim, settings.depth, settings.dim // HEAD_WIDTH, settings.head_depth).to(device)
    flow = train_flow(flow, latents["training"], settings.frames, schedule, folder / "flow.pt", settings.seed, loss)
    codec = (rounded(codec) if isinstance(codec, MiniCodec) else codec).cpu()
    flow = rounded(flow).cpu()
    losses = evaluate.flow_losses(flow, latents["held_out"], settings.frames, settings.seed)
    windows = torch.from_numpy(latents["held_out"]).split(settings.frames)[:FLOOR_WINDOWS]
    contents = [evaluate.information_content(flow, window, settings.seed) for window in windows if len(window) > 1]
    card = {
        **({"licence": LICENCE} if given else {}),
        "training": {
            "settings": _described(settings),
            "hours": {
                kind: _hours([recording for recording in recordings if recording.held_out == is_out])
                for kind, is_out in (("training", False), ("held_out", True))
            },
            "files": len(recordings),
            "held_out_files": [
                recording.path.relative_to(settings.audio).as_posix() for recording in recordings if recording.held_out
            ],
            "skipped": skipped,
        },
        "evaluation": {
            "held_out_loss": evaluate.mean_loss(losses),
            "held_out_loss_by_level": losses,
            "share_below_floor_by_level": evaluate.share_below_floor(contents),
        },
    }
    export(settings.output.resolve().name, settings.output, codec, flow, settings.frames, card)
    log.info("held-out loss %.4f; the model is in %s", evaluate.mean_loss(losses), settings.output)
    return settings.output


def _codec(settings: TrainingSettings, recordings: list[OwnRecording], folder: Path, device: torch.device) -> MiniCodec:
    """A codec trained on recordings in an order drawn by the seed until there are `CODEC_FRAMES`."""
    learnt = [recording for recording in recordings if not recording.held_out]
    heard: list[OwnRecording] = []
    for k in np.random.default_rng(settings.seed).permutation(len(learnt)):
        if sum(recording.frames for recording in heard) < CODEC_FRAMES:
            heard.append(learnt[k])
    torch.manual_seed(settings.seed)
    codec = MiniCodec(MiniConfig(hidden=settings.codec_hidden)).to(device)
    features = extract_features(codec, heard, folder / "features.npy")
    schedule = Schedule(settings.codec_steps, rate=2e-3, mixed=settings.mixed_precision)
    return train_codec(codec, features, schedule, folder / "codec.pt", settings.seed)


def _claim(kept: Path, settings: TrainingSettings) -> None:
    """Write down the settings of a new run; refuse to go on with those of another."""
    described = _described(settings)
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with replacing(kept) as file:
            file.write(json.dumps(described, indent=2).encode() + b"\n")
        return
    before = json.loads(kept.read_text(encoding="utf-8"))
    changed = sorted(name for name in described if before.get(name) != described[name])
    if changed:
        raise CheckpointError(
            f"{kept.parent} holds a run with other settings ({', '.join(changed)}): choose another output, or remove it."
        )


def _described(settings: TrainingSettings) -> dict[str, object]:
    """What the card says: all but where things lie and what computes."""
    described = {name: value for name, value in asdict(settings).items() if name not in ("audio", "output", "device")}
    file = Path(settings.codec)
    return {**described, "codec": hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else settings.codec}


def _hours(recordings: list[OwnRecording]) -> float:
    return sum(recording.frames for recording in recordings) * FRAME_PERIOD / 3600
