"""A published model of full size, random weights: loaded from its files within bounds, and what it computes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from oracles import euler, log_standard_normal, probed, uniform_times
from published import codec_state, contexts_of, flow_state, latents_of, save_flow, velocity_of

pytest.importorskip("music2latent")
pytest.importorskip("resource")

FRAMES, LEVEL, STEPS = 6, 0.3, 3

LOAD_AND_COMPUTE = """
import json, resource, sys, time
import numpy as np
from audioic_widget import ICSettings, compute_ic_from_latents, load_model

flow, codec, samples, probes, out, frames, level, steps = sys.argv[1:]
begin = time.process_time()
model = load_model(flow, "cpu", codec=codec)
loaded = time.process_time() - begin
latents = model.codec.encode(np.load(samples), 0, int(frames))
settings = ICSettings(preset="pa-audioic", noise_levels=[float(level)], n_steps=int(steps))
ic, _ = compute_ic_from_latents(latents, model=model, settings=settings, probes=np.load(probes))
np.savez(out, latents=latents, ic=ic)
parameters = sum(p.numel() for part in (model.backbone, model.head) for p in part.parameters())
megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
print(json.dumps([parameters, loaded, megabytes]))
"""


def test_a_published_model_of_full_size_loads_within_bounds_and_computes(tmp_path: Path) -> None:
    from music2latent.models import UNet

    random = np.random.default_rng(0)
    samples = random.normal(0, 0.1, FRAMES * 4_096 + 1_536).astype(np.float32)
    probe = random.choice([-1.0, 1.0], (1, FRAMES - 1, 64)).astype(np.float32)
    np.save(tmp_path / "samples.npy", samples)
    np.save(tmp_path / "probes.npy", probe)
    encoder = {f"encoder.{name}": value for name, value in codec_state().items()}
    whole = {name: value for name, value in UNet().state_dict().items() if not name.startswith("encoder.")}
    assert sum(value.numel() for value in (*whole.values(), *encoder.values())) > 58e6
    torch.save({"gen_state_dict": {**whole, **encoder}}, tmp_path / "music2latent.pt")
    save_flow(tmp_path / "pa_rectflow.pt")

    names = ("pa_rectflow.pt", "music2latent.pt", "samples.npy", "probes.npy", "out.npz")
    words = [*(str(tmp_path / name) for name in names), str(FRAMES), str(LEVEL), str(STEPS)]
    # A process of its own: what it holds at most is the model's doing, and its cache is no one else's.
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", LOAD_AND_COMPUTE, *words]
    answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    parameters, seconds, megabytes = json.loads(answer)
    assert parameters == 16_720_704
    assert seconds < 20
    assert megabytes < 1_500

    found = np.load(tmp_path / "out.npz")
    latents = latents_of(codec_state(), samples)
    np.testing.assert_allclose(found["latents"], latents, atol=1e-3)
    state, t = flow_state(), 1 - LEVEL
    points = t * torch.from_numpy(found["latents"])
    end, integral = euler(
        lambda x, context, time: velocity_of(state, x, context, time),
        points[1:],
        contexts_of(state, points)[:-1],
        uniform_times(t, STEPS),
        probed(torch.from_numpy(probe[0])),
    )
    np.testing.assert_allclose(found["ic"][0], -(log_standard_normal(end) + integral), atol=1e-2)
