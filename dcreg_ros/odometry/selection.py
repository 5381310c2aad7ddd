# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Selection of the points to register: one per cell, so that near walls do not drown the rest."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.voxels.hashing import EMPTY, home_slot, pack


def select(points: NDArray[np.float64], cell: float, most: int) -> NDArray[np.float64]:
    """Thin a scan to at most `most` points.

    Parameters
    ----------
    points : (N, 3) float64 array
        Finite [m].
    cell : float
        Edge of the cells to begin with [m]; widened until the points are few enough.
    most : int
        How many points to keep at most.

    Returns
    -------
    (K, 3) float64 array
        Some of the points, in the order they came.
    """
    kept = one_per_cell(points, cell)
    while len(kept) > most:
        # Cells on surfaces: their number falls with the square of their edge, or slower.
        cell *= max(1.05, math.sqrt(len(kept) / most))
        kept = one_per_cell(kept, cell)
    return kept


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
    return _one_per_cell(points, 1.0 / cell)


@njit(cache=True, nogil=True)
def _one_per_cell(points, scale):
    """As above, with cells per metre; the table of keys grows with what is kept."""
    kept = np.empty(points.shape[0], np.int64)
    keys = np.full(4096, EMPTY)
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
            kept[count] = i
            count += 1
            if 2 * count > mask:
                keys, mask = _grown(keys), 2 * mask + 1
    out = np.empty((count, 3))
    for k in range(count):
        out[k] = points[kept[k]]
    return out


@njit(cache=True, nogil=True)
def _grown(keys):
    """The same keys in a table twice as long."""
    out = np.full(2 * keys.shape[0], EMPTY)
    mask = out.shape[0] - 1
    for key in keys:
        if key != EMPTY:
            slot = home_slot(key, mask)
            while out[slot] != EMPTY:
                slot = (slot + 1) & mask
            out[slot] = key
    return out
