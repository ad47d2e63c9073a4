"""The process's compute threads: independent pieces of work side by side, each on one core.

Threads that share one operation wait for each other at its end, spinning, at every one of some thousand small operations;
on a busy machine that is many times slower than a single thread. Pieces of work that never wait are not.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch


def compute_threads(device: torch.device) -> ThreadPoolExecutor:
    """The threads that work for `device`: as many as PyTorch may use of a CPU, one for anything else."""
    return _threads(torch.get_num_threads() if device.type == "cpu" else 1)


@lru_cache(maxsize=1)
def _threads(count: int) -> ThreadPoolExecutor:
    pool = ThreadPoolExecutor(
        count, thread_name_prefix="audioic-compute", initializer=torch.set_num_threads, initargs=(1,)
    )
    # All of them start now: setting a thread's number also sets what threads to come will have, which is put right here.
    together = threading.Barrier(count + 1)
    for _ in range(count):
        pool.submit(together.wait)
    together.wait()
    torch.set_num_threads(count)
    return pool


if hasattr(os, "register_at_fork"):
    # Threads do not survive a fork.
    os.register_at_fork(after_in_child=_threads.cache_clear)
