# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Selection of points: one per cell, so that near surfaces do not drown far ones."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.voxels.hashing import EMPTY, home_slot, pack


def one_per_cell(points: NDArray[np.float64], cell: float) -> NDArray[np.float64]:
    """First point of each cell, in the order they came.

    Parameters
    ----------
    points : (N, 3) float64 array
        Finite [m].
    cell : float
        Edge of the cells [m].

    Returns
    -------
    (K, 3) float64 array
    """
    slots = 1 << (2 * len(points) + 1).bit_length()
    return _one_per_cell(points, 1.0 / cell, np.full(slots, EMPTY))


@njit(cache=True, nogil=True)
def _one_per_cell(points, scale, keys):
    """As above; `keys` is an empty table twice as long as `points`."""
    out = np.empty_like(points)
    mask = keys.shape[0] - 1
    count = 0
    last = EMPTY
    for i in range(points.shape[0]):
        key = pack(
            int(np.floor(points[i, 0] * scale)),
            int(np.floor(points[i, 1] * scale)),
            int(np.floor(points[i, 2] * scale)),
        )
        if key == last:
            continue
        last = key
        slot = home_slot(key, mask)
        while keys[slot] != EMPTY and keys[slot] != key:
            slot = (slot + 1) & mask
        if keys[slot] == EMPTY:
            keys[slot] = key
            out[count] = points[i]
            count += 1
    return out[:count]
