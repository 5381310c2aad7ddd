# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Selection of the points to register: some way apart, so that near walls do not drown the rest.

Which points are kept must not depend on their noise. The first of each cell lies at its edge, and
is the first because noise has moved it over that edge; of a wall near the border of two layers of
cells, both keep points, and so the few that noise has moved far count as much as all others. A
scan of two flat walls was off by 1.4 standard deviations for such reasons. So points are taken in
an order that has nothing to do with where they are, and none that is near one taken before.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.voxels.hashing import CELL_LIMIT, EMPTY, home_slot, pack

SEEN = 1 << 14
"""Cells that are remembered in the first, fast pass."""
APART = 0.7
"""Least distance of points in edges of the cells asked for: somewhat fewer than cells are left."""
CANDIDATES = 2.5
"""Points, one for each cell, for every one of those that will be left some way apart."""
CLOSEST = 0.05
"""Distance [m] below which more points tell little more: their noise spans it."""
GOLDEN = 0.6180339887498949


def select(
    points: NDArray[np.float64], cell: float, least: int, most: int
) -> NDArray[np.int64]:
    """Thin a scan to at most `most` points, less than one for each cell.

    Where near walls would leave fewer than `least`, points are kept nearer to each other.

    Parameters
    ----------
    points : (N, 3) float64 array
        Finite [m].
    cell : float
        Edge of the cells to begin with [m].
    least, most : int
        How many points to keep: fewer than `least` only where not more lie CLOSEST apart, and
        never more than `most`.

    Returns
    -------
    (K,) int64 array
        Rows of some of the points, in the order they came, none within APART times the edge of
        the cells that were used of another.
    """
    rows = _all_over(len(points))
    kept, distance = _few_enough(points, rows, APART * cell, most)
    while len(kept) < min(least, len(points)) and distance > CLOSEST:
        # On surfaces their number grows with the inverse square of the distance, or slower.
        distance = max(distance * min(0.9, math.sqrt(len(kept) / least)), CLOSEST)
        more = _apart(points, _few_per_cell(points, rows, 1.0 / distance), distance)
        if len(more) > most:
            break
        kept = more
    return np.sort(kept)


def _few_enough(
    points: NDArray[np.float64], rows: NDArray[np.int64], distance: float, most: int
) -> tuple[NDArray[np.int64], float]:
    """At most so many of the rows, some `distance` apart or more; and how much that is."""
    enough = CANDIDATES * most
    while True:
        rows = _few_per_cell(points, rows, 1.0 / distance)
        if len(rows) <= enough:
            kept = _apart(points, rows, distance)
            if len(kept) <= most:
                return kept, distance
            enough = len(rows) * most / len(kept)
        distance *= max(1.05, math.sqrt(len(rows) / enough))


def _all_over(count: int) -> NDArray[np.int64]:
    """All rows, each far from the one before: a step of the golden section around the scan."""
    step = max(1, round(GOLDEN * count))
    while math.gcd(step, count) > 1:
        step += 1
    return (np.arange(count) * step) % max(count, 1)


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
def _apart(points, rows, distance):
    """Those of the rows, in their order, that have none before them within `distance`."""
    size = 16
    while size < 2 * rows.shape[0]:
        size *= 2
    keys, owners = np.full(size, EMPTY), np.empty(size, np.int64)
    kept = np.empty_like(rows)
    count, scale = 0, 1.0 / distance
    for row in rows:
        x, y, z = points[row, 0], points[row, 1], points[row, 2]
        key = cell_key(x, y, z, scale)
        slot = _slot_of(keys, key)
        if keys[slot] == EMPTY and _is_free(points, keys, owners, x, y, z, scale):
            keys[slot], owners[slot] = key, row
            kept[count] = row
            count += 1
    return kept[:count]


@njit(cache=True, nogil=True)
def _is_free(points, keys, owners, x, y, z, scale):
    """Whether no point was kept near (x, y, z) in the cells around its own."""
    edge = 1.0 / scale
    for i in range(-1, 2):
        for j in range(-1, 2):
            for k in range(-1, 2):
                slot = _slot_of(keys, cell_key(x + i * edge, y + j * edge, z + k * edge, scale))
                if keys[slot] != EMPTY:
                    other = points[owners[slot]]
                    dx, dy, dz = other[0] - x, other[1] - y, other[2] - z
                    if dx * dx + dy * dy + dz * dz < edge * edge:
                        return False
    return True


@njit(cache=True, nogil=True, inline='always')
def _slot_of(keys, key):
    """Slot that holds a key, or the empty one where it would go."""
    slot = home_slot(key, keys.shape[0] - 1)
    while keys[slot] != EMPTY and keys[slot] != key:
        slot = (slot + 1) & (keys.shape[0] - 1)
    return slot
