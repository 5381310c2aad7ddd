# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Selection of the points to register: one per cell, so that near walls do not drown the rest."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.voxels.hashing import CELL_LIMIT, EMPTY, home_slot, pack

SEEN = 1 << 14
"""Cells that are remembered in the first, fast passes."""


def select(points: NDArray[np.float64], cell: float, most: int) -> NDArray[np.int64]:
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
    (K,) int64 array
        Rows of some of the points, in the order they came.
    """
    rows = _few_per_cell(points, np.arange(len(points)), 1.0 / cell)
    while len(rows) > most:
        # Cells on surfaces: their number falls with the square of their edge, or slower.
        cell *= max(1.05, math.sqrt(len(rows) / most))
        rows = _few_per_cell(points, rows, 1.0 / cell)
    return one_per_cell(points, rows, cell)


def one_per_cell(
    points: NDArray[np.float64], rows: NDArray[np.int64], cell: float
) -> NDArray[np.int64]:
    """First point of each cell, in the order they came.

    Parameters
    ----------
    points : (N, 3) float64 array
        Finite in those rows [m].
    rows : (M,) int64 array
        Rows to choose from.
    cell : float
        Edge of the cells [m].

    Returns
    -------
    (K,) int64 array
        Some of the rows.
    """
    return _one_per_cell(points, rows, 1.0 / cell)


@njit(cache=True, nogil=True, inline='always')
def cell_key(x, y, z, scale):
    """Key of the cell of a point, with `scale` cells per metre.

    What is positive is rounded down by cutting it off, which takes less than rounding does.
    """
    return pack(
        int(x * scale + CELL_LIMIT) - CELL_LIMIT,
        int(y * scale + CELL_LIMIT) - CELL_LIMIT,
        int(z * scale + CELL_LIMIT) - CELL_LIMIT,
    )


@njit(cache=True, nogil=True)
def _few_per_cell(points, rows, scale):
    """First of the rows in each cell, and few more: some cells are forgotten for others."""
    seen = np.full(SEEN, EMPTY)
    kept = np.empty_like(rows)
    count = 0
    for row in rows:
        key = cell_key(points[row, 0], points[row, 1], points[row, 2], scale)
        slot = home_slot(key, SEEN - 1)
        # Written whether new or not: a processor cannot guess which.
        kept[count] = row
        count += seen[slot] != key
        seen[slot] = key
    return kept[:count]


@njit(cache=True, nogil=True)
def _one_per_cell(points, rows, scale):
    """As above, with cells per metre."""
    size = 16
    while size < 2 * rows.shape[0]:
        size *= 2
    keys = np.full(size, EMPTY)
    kept = np.empty_like(rows)
    count = 0
    for row in rows:
        key = cell_key(points[row, 0], points[row, 1], points[row, 2], scale)
        slot = home_slot(key, size - 1)
        while keys[slot] != EMPTY and keys[slot] != key:
            slot = (slot + 1) & (size - 1)
        # Written whether new or not: a processor cannot guess which.
        kept[count] = row
        count += keys[slot] != key
        keys[slot] = key
    return kept[:count]
