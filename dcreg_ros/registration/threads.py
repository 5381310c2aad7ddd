# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kernels on several cores, with the same result for any number of them.

Plain threads rather than numba's: on a robot the cores are shared, and a pool that sleeps while it
waits loses little there, where OpenMP's spinning loses tens of milliseconds; nor do two callers
at once abort the process.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.registration.linearize import CHUNKS, SUMS

A, B = TypeVar('A'), TypeVar('B')

MAX_THREADS = 8
_pools: dict[int, ThreadPoolExecutor] = {}
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_pools.clear)


def available_threads() -> int:
    """Cores this process may run on, up to eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    return min(cores or 1, MAX_THREADS)


def both(threads: int, first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """Call both, at once unless `threads` is 1 (0 for all cores); they release the GIL."""
    stride = threads or available_threads()
    if stride == 1:
        return first(), second()
    pending = _pool(stride).submit(second)
    return first(), pending.result()


def sum_parts(kernel: Callable[..., None], threads: int, *arguments: Any) -> NDArray[np.float64]:
    """Call ``kernel(*arguments, parts, first, stride)`` in `threads` threads.

    Parameters
    ----------
    kernel : compiled function
        Fills the rows ``first, first + stride, ...`` of `parts` and releases the GIL.
    threads : int
        How many run at once; 0 for all cores.
    *arguments
        What the kernel works on.

    Returns
    -------
    (CHUNKS, SUMS) float64 array
        The parts, whichever thread filled them.
    """
    parts = np.zeros((CHUNKS, SUMS))
    stride = threads or available_threads()
    pending = [
        _pool(stride).submit(kernel, *arguments, parts, first, stride)
        for first in range(1, stride)]
    kernel(*arguments, parts, 0, stride)
    for future in pending:
        future.result()
    return parts


def _pool(stride: int) -> ThreadPoolExecutor:
    """The threads beside the one that calls."""
    if stride not in _pools:
        _pools[stride] = ThreadPoolExecutor(stride - 1, thread_name_prefix='dcreg')
    return _pools[stride]
