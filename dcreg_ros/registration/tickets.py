# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Counters that several threads add to at once, for kernels that share their work."""

import numpy as np
from numba import njit, types
from numba.core.cgutils import get_item_pointer
from numba.extending import intrinsic
from numpy.typing import NDArray

_TAKEN, _DONE, _LINE = 0, 8, 16
"""Places of the two counters, a line of the cache each."""
SPINS = 2000


def new_tickets() -> NDArray[np.int64]:
    """Counters of the pieces taken and done: none yet."""
    return np.zeros(_LINE, np.int64)


@intrinsic
def _add(typing_context, counters, place, amount):
    """Add to an entry of a contiguous int64 array and return what it was, as one operation."""
    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer = get_item_pointer(context, builder, signature.args[0], array, [arguments[1]])
        return builder.atomic_rmw('add', pointer, arguments[2], 'seq_cst')

    return types.int64(counters, types.intp, types.int64), generate


@njit(cache=True, nogil=True)
def take(counters):
    """Return the number of the next piece; nobody else gets it."""
    return _add(counters, _TAKEN, 1)


@njit(cache=True, nogil=True)
def hand_in(counters):
    """Say that a piece is done."""
    _add(counters, _DONE, 1)


@njit(cache=True, nogil=True)
def all_done(counters, pieces):
    """Whether all are done, after waiting for them a few microseconds."""
    for _ in range(SPINS):  # noqa: SIM110 - any() is not compiled
        if _add(counters, _DONE, 0) == pieces:
            return True
    return False
