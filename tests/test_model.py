"""Backbone and head against their oracles."""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import oracles
import pytest
import torch
from engine_cases import normal
from torch import nn
from torch.func import jacrev, vmap
from x_transformers import ContinuousTransformerWrapper, Decoder

from audioic_widget.model.backbone import Backbone
from audioic_widget.model.catalogue import ICModel, load_model
from audioic_widget.model.head import Head

PUBLISHED_HEAD_NAMES = {
    "time.freqs": "time_emb.freqs",
    "time.layers.0.": "emb_proj.0.",
    "time.layers.1.": "emb_proj.2.",
    "time.layers.2.": "emb_proj.4.",
    "input.": "linear_input.",
    "output.": "linear_output.",
    "output_scale.": "norm_output.scale_proj.",
    "output_shift.": "norm_output.shift_proj.",
}


def randomised(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Every parameter drawn anew, those included that start at zero or one."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.15, generator=generator)
    return module.eval().requires_grad_(False)


def published_head_name(name: str) -> str:
    name = re.sub(r"^blocks\.(\d+)\.expand", r"layers.\1.ff.to_mlp", name)
    name = re.sub(r"^blocks\.(\d+)\.contract", r"layers.\1.ff.to_out", name)
    name = re.sub(r"^blocks\.(\d+)\.scale", r"layers.\1.norm.scale_proj", name)
    for ours, theirs in PUBLISHED_HEAD_NAMES.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name


# Backbone


@pytest.mark.parametrize(("dim", "depth", "heads"), [(64, 2, 4), (96, 3, 2)])
def test_backbone_is_the_published_transformer(
    content: dict[str, Any], save: Callable[[Any], Path], dim: int, depth: int, heads: int
) -> None:
    shape = {"dim": dim, "depth": depth, "heads": heads}
    reference = randomised(
        ContinuousTransformerWrapper(
            dim_in=64,
            dim_out=None,
            max_seq_len=0,
            use_abs_pos_emb=False,
            attn_layers=Decoder(**shape, rotary_pos_emb=True, attn_flash=True),
        )
    )
    head = randomised(Head(dim, 2))
    content["model_kwargs"]["causal_transformer_hparams"].update(shape)
    content["model_state_dict"] = {
        **{f"backbone.{name}": value for name, value in reference.state_dict().items()},
        **{f"diff_mlp.{published_head_name(name)}": value for name, value in head.state_dict().items()},
    }
    model = load_model(save(content), device="cpu")
    latents = normal(2, 50, 64)
    torch.testing.assert_close(model.contexts(latents), reference(latents), rtol=0, atol=1e-5)
    x, context = normal(50, 64), normal(50, dim, seed=1)
    torch.testing.assert_close(model.head(x, torch.tensor(0.3), context), head(x, torch.tensor(0.3), context))


@pytest.mark.parametrize("reach", [1, 5])
def test_contexts_do_not_know_the_future(reach: int) -> None:
    backbone = randomised(Backbone(32, 2, 2, reach=reach))
    latents = normal(1, 20, 64)
    changed = latents.clone()
    changed[:, 12] += 1
    before, after = backbone(latents), backbone(changed)
    torch.testing.assert_close(after[:, :12], before[:, :12], rtol=0, atol=1e-6)
    assert ((after - before)[:, 12:].abs().amax(-1) > 1e-3).all()


def test_the_input_layer_sees_the_latest_latents_and_zeros_before_the_first() -> None:
    backbone, latents = randomised(Backbone(32, 0, 1, latent_dim=4, reach=3)), normal(1, 6, 4)
    backbone.final_norm = nn.Identity()
    oldest, older, newest = backbone.project_in.weight.split(4, dim=1)
    before = torch.nn.functional.pad(latents, (0, 0, 2, 0))
    expected = before[:, :-2] @ oldest.T + before[:, 1:-1] @ older.T + latents @ newest.T
    torch.testing.assert_close(backbone(latents), expected, rtol=0, atol=1e-5)


# Head


@pytest.fixture(scope="module")
def head() -> Head:
    head = randomised(Head(24, 3, 16)).double()
    assert isinstance(head, Head)
    return head


@pytest.mark.parametrize("times", ["of a row", "of a frame"])
def test_head_in_one_pass_is_its_jacobian_by_autograd(head: Head, times: str) -> None:
    x, context = normal(3, 5, 16, dtype=torch.float64), normal(3, 5, 24, seed=1, dtype=torch.float64)
    tangents = normal(4, 3, 5, 16, seed=2, dtype=torch.float64)
    t = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)
    t = t if times == "of a row" else torch.linspace(0, 1, 15, dtype=torch.float64).view(3, 5)
    value, products = head.frozen().bind(context).velocity_and_tangents(x, t, tangents)
    every = (t if t.ndim == 2 else t[:, None].expand(3, 5)).flatten()
    one = vmap(lambda point, time, seen: head(point[None], time, seen[None])[0])
    jacobian = vmap(jacrev(lambda point, time, seen: head(point[None], time, seen[None])[0]))
    flat = x.flatten(0, 1), every, context.flatten(0, 1)
    torch.testing.assert_close(value.flatten(0, 1), one(*flat), rtol=0, atol=1e-12)
    expected = torch.einsum("fij,kfj->kfi", jacobian(*flat), tangents.flatten(1, 2))
    torch.testing.assert_close(products.flatten(1, 2), expected, rtol=0, atol=1e-12)


def test_value_is_the_same_with_and_without_tangents(head: Head) -> None:
    field = head.frozen().bind(normal(1, 5, 24, dtype=torch.float64))
    x, t = normal(3, 5, 16, dtype=torch.float64), torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    value, _ = field.velocity_and_tangents(x, t, x[None])
    torch.testing.assert_close(value, field.velocity(x, t), rtol=0, atol=1e-12)


def test_an_evaluation_leaves_the_results_of_the_last_one_alone(head: Head) -> None:
    field = head.frozen().bind(normal(1, 5, 24, dtype=torch.float64))
    x, t = normal(3, 5, 16, dtype=torch.float64), torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    first = field.velocity_and_tangents(x, t, x[None])
    before = [each.clone() for each in first]
    field.velocity_and_tangents(-x, t, x[None])
    for now, then in zip(first, before, strict=True):
        torch.testing.assert_close(now, then, rtol=0, atol=0)


def test_a_frozen_head_is_gone_when_its_solve_is(head: Head) -> None:
    frozen = head.frozen()
    frozen.bind(normal(1, 5, 24, dtype=torch.float64)).velocity(
        normal(1, 5, 16, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    )
    left = weakref.ref(frozen)
    gc.disable()
    try:
        del frozen
        assert left() is None
    finally:
        gc.enable()


def test_head_of_the_published_format(tiny: ICModel) -> None:
    x, context = normal(4, 64), normal(4, 64, seed=1)
    eye = torch.eye(64)[:, None, None].expand(64, 1, 4, 64)
    _, columns = tiny.head.frozen().bind(context[None]).velocity_and_tangents(x[None], torch.tensor([0.6]), eye)
    _, jacobian = oracles.velocity_and_jacobian(oracles.velocity_of(tiny.head), x, context, 0.6)
    torch.testing.assert_close(columns[:, 0].permute(1, 2, 0), jacobian, rtol=0, atol=1e-4)
