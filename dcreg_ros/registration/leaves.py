# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points cut in halves until thirty-two are left that lie together: the order behind all searches.

The tree over the target is built from it, and the source is put into it once, so that queries that
follow each other look at the same part of the target.
"""

import numpy as np
from numba import njit

from dcreg_ros.inner_loop import inner_loop

LEAF_SIZE = 32
"""Points of a leaf, and only the last has fewer: a few vector registers of each coordinate."""
SAMPLE = 25
"""Most rows a pivot is chosen from."""
_DEPTH = 64


@njit(cache=True, nogil=True)
def sort_into_leaves(points):
    """Order `points` (N, 3) leaf after leaf, and keep the tree of cuts that leads there.

    Returns rows (N, 4), the old row of a point its last entry, and `split`, `axis` and `second`
    of :class:`dcreg_ros.registration.kdtree.KdTree`.
    """
    n = points.shape[0]
    leaves = max(1, (n + LEAF_SIZE - 1) // LEAF_SIZE)
    rows = np.empty((n, 4))
    for i in range(n):
        rows[i, 0], rows[i, 1], rows[i, 2] = points[i, 0], points[i, 1], points[i, 2]
        rows[i, 3] = i
    split, axis = np.zeros(2 * leaves - 1), np.full(2 * leaves - 1, -1, np.int64)
    second, sample = np.empty(2 * leaves - 1, np.int64), np.empty(SAMPLE)
    pending = np.empty((_DEPTH, 2), np.int64)
    start, end, top = 0, leaves, 0
    for node in range(2 * leaves - 1):
        if end - start > 1:
            low, high, middle = start * LEAF_SIZE, min(n, end * LEAF_SIZE), (start + end + 1) // 2
            axis[node] = _widest_axis(rows, low, high)
            split[node] = _select(rows, low, high, middle * LEAF_SIZE, axis[node], sample)
            pending[top, 0], pending[top, 1] = node, end
            top, end = top + 1, middle
        else:
            second[node] = start
            if top > 0:
                top -= 1
                second[pending[top, 0]] = node + 1
                start, end = end, pending[top, 1]
    return rows, split, axis, second


@inner_loop
def _widest_axis(rows, low, high):
    """Axis of the largest extent, by some 32 of the rows where there are many."""
    step = max(1, (high - low) // 32)
    best, best_extent = 0, -1.0
    for k in range(3):
        least = most = rows[low, k]
        for i in range(low + step, high, step):
            least, most = min(least, rows[i, k]), max(most, rows[i, k])
        if most - least > best_extent:
            best, best_extent = k, most - least
    return best


@inner_loop
def _select(rows, low, high, middle, axis, sample):
    """Part rows at `middle`; none before is above the coordinate returned, none after below."""
    while high - low > 1:
        pivot = _pivot(rows, low, high, middle, axis, sample)
        below = _partition(rows, low, high, axis, pivot, False)
        if middle < below:
            high = below
        elif below > low:
            low = below
        else:
            # Nothing is below the pivot: all that equal it are done with, however many.
            low = _partition(rows, low, high, axis, pivot, True)
            if middle < low:
                return pivot
        if middle == low:
            return pivot
    return rows[middle, axis]


@inner_loop
def _pivot(rows, low, high, middle, axis, sample):
    """Coordinate near that of row `middle`, from a few rows spread over all."""
    size = high - low
    number = min(size, 5 if size < 300 else (9 if size < 1500 else SAMPLE))
    for k in range(number):
        value = rows[low + k * size // number, axis]
        i = k
        while i > 0 and sample[i - 1] > value:
            sample[i] = sample[i - 1]
            i -= 1
        sample[i] = value
    return sample[(middle - low) * number // size]


@inner_loop
def _partition(rows, low, high, axis, pivot, with_equal):
    """Bring the rows below `pivot` to the front, and those at it if asked; where they end.

    Every row is swapped, needed or not: a processor cannot guess which, and guessing costs more.
    """
    end = low
    for i in range(low, high):
        x, y, z, old = rows[i, 0], rows[i, 1], rows[i, 2], rows[i, 3]
        value = rows[i, axis]
        goes = value <= pivot if with_equal else value < pivot
        rows[i, 0], rows[i, 1] = rows[end, 0], rows[end, 1]
        rows[i, 2], rows[i, 3] = rows[end, 2], rows[end, 3]
        rows[end, 0], rows[end, 1], rows[end, 2], rows[end, 3] = x, y, z, old
        end += np.int64(goes)
    return end
