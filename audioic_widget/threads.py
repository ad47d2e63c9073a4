"""The process's compute threads: independent pieces of work side by side, each on one core.

Threads that share one operation wait for each other at its end, spinning, at every one of some thousand small operations;
on a busy machine that is many times slower than a single thread. Pieces of work that never wait are not.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache

import torch


def compute_threads(device: torch.device) -> ThreadPoolExecutor:
    """The threads that work for `device`: as many as PyTorch may use of a CPU, one for anything else."""
    with _starting:
        return _threads(torch.get_num_threads() if device.type == "cpu" else 1)


_starting = threading.Lock()
"""Held while threads start: meanwhile PyTorch's number is not what it was."""


@lru_cache(maxsize=2)
def _threads(count: int) -> ThreadPoolExecutor:
    together = threading.Barrier(count + 1)

    def alone() -> None:
        torch.set_num_threads(1)
        # The first question makes the number stick: PyTorch sets a thread's number anew at its first parallel operation.
        torch.get_num_threads()
        together.wait()

    pool = ThreadPoolExecutor(count, thread_name_prefix="audioic-compute")
    begun = [pool.submit(alone) for _ in range(count)]
    together.wait()
    wait(begun)
    # They also set what threads to come will have: put that right.
    torch.set_num_threads(count)
    return pool


if hasattr(os, "register_at_fork"):
    # Threads do not survive a fork.
    os.register_at_fork(after_in_child=_threads.cache_clear)
