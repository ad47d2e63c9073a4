"""The compute threads: one core each, shared by all, and no trace left in PyTorch's settings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch

from audioic_widget.threads import compute_threads

CPU = torch.device("cpu")


def test_each_works_on_one_core_and_pytorch_keeps_its_number() -> None:
    before = torch.get_num_threads()
    pool = compute_threads(CPU)

    def cores() -> int:
        torch.ones(100_000).exp()
        return torch.get_num_threads()

    assert set(pool.map(lambda _: cores(), range(8))) == {1}
    assert torch.get_num_threads() == before


def test_callers_at_the_same_time_share_them() -> None:
    with ThreadPoolExecutor(8) as callers:
        pools = list(callers.map(lambda _: compute_threads(CPU), range(32)))
    assert len(set(map(id, pools))) == 1
