# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kernels on several cores, with the same result for any number of them.

Plain threads rather than numba's: on a robot the cores are shared, and a pool that sleeps while it
waits loses little there, where OpenMP's spinning loses tens of milliseconds; nor do two callers
at once abort the process.
"""

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.registration.linearize import CHUNKS, SUMS
from dcreg_ros.registration.tickets import all_done, new_tickets

A = TypeVar('A')
B = TypeVar('B')

MAX_THREADS = 8
_jobs: SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...], SimpleQueue[Any]]] = SimpleQueue()
_helpers: list[threading.Thread] = []
_starting = threading.Lock()
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_helpers.clear)


def available_threads() -> int:
    """Cores this process may run on, up to eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    return min(cores or 1, MAX_THREADS)


def both(threads: int, first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """Call both, at once unless `threads` is 1 (0 for all cores); they release the GIL."""
    if (threads or available_threads()) == 1:
        return first(), second()
    pending = _start(second)
    return first(), _result(pending)


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
    pending = [_start(kernel, *arguments, parts, first, stride) for first in range(1, stride)]
    kernel(*arguments, parts, 0, stride)
    for outcome in pending:
        _result(outcome)
    return parts


def share_parts(kernel: Callable[..., None], threads: int, *arguments: Any) -> NDArray[np.float64]:
    """Call ``kernel(*arguments, parts, tickets)`` in `threads` threads.

    As :func:`sum_parts`, but whoever is free takes the next row of `parts`, by
    :mod:`dcreg_ros.registration.tickets`, so that nobody waits for a thread that woke up late.
    """
    parts, tickets = np.zeros((CHUNKS, SUMS)), new_tickets()
    pending = [
        _start(kernel, *arguments, parts, tickets)
        for _ in range(1, threads or available_threads())]
    kernel(*arguments, parts, tickets)
    if not all_done(tickets, CHUNKS):
        for outcome in pending:
            _result(outcome)
    return parts


def _start(call: Callable[..., A], *arguments: Any) -> SimpleQueue[Any]:
    """Have a call made in another thread; where its result, or error, will be put."""
    with _starting:
        if len(_helpers) < (os.cpu_count() or 1) - 1 or not _helpers:
            _helpers.append(threading.Thread(target=_help, name='dcreg', daemon=True))
            _helpers[-1].start()
    outcome: SimpleQueue[Any] = SimpleQueue()
    _jobs.put((call, arguments, outcome))
    return outcome


def _help() -> None:
    while True:
        call, arguments, outcome = _jobs.get()
        try:
            outcome.put((call(*arguments), None))
        except BaseException as error:  # for whoever asked
            outcome.put((None, error))


def _result(outcome: SimpleQueue[Any]) -> Any:
    value, error = outcome.get()
    if error is not None:
        raise error
    return value
