# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exact nearest neighbours: a kd-tree over points in an order that keeps leaves together.

Written here rather than taken from scipy because the searches run inside the compiled
registration loop, which keeps neighbours between iterations and calls for few of them.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

LEAF_SIZE = 8
MAX_DEPTH = 64


class KdTree(NamedTuple):
    """A built tree; a plain tuple of arrays, so that kernels take it as it is.

    Attributes
    ----------
    points : (N, 3) float64 array
        The points, leaf after leaf.
    order : (N,) int64 array
        Row of each in the array the tree was built from.
    bounds : (K, 2) int64 array
        Stretch of `points` under each node.
    split : (K,) float64 array
        Coordinate that parts a node's children.
    axis : (K,) int64 array
        Axis of the split; -1 in a leaf.
    children : (K,) int64 array
        First child; the second follows it.
    """

    points: NDArray[np.float64]
    order: NDArray[np.int64]
    bounds: NDArray[np.int64]
    split: NDArray[np.float64]
    axis: NDArray[np.int64]
    children: NDArray[np.int64]


def build_kdtree(points: NDArray[np.float64]) -> KdTree:
    """Build a tree over finite points (N, 3), N >= 1."""
    return KdTree(*_build(np.array(points, dtype=np.float64, order='C')))


@njit(cache=True, nogil=True)
def _build(points):
    """Arrays of a :class:`KdTree`; `points` is reordered in place."""
    n = points.shape[0]
    capacity = max(1, 4 * (n // LEAF_SIZE + 1))
    order = np.arange(n)
    bounds = np.empty((capacity, 2), np.int64)
    split = np.zeros(capacity)
    axis = np.full(capacity, -1, np.int64)
    children = np.full(capacity, -1, np.int64)
    bounds[0, 0], bounds[0, 1] = 0, n
    used, node = 1, 0
    while node < used:
        start, end = bounds[node, 0], bounds[node, 1]
        if end - start > LEAF_SIZE:
            widest = _widest_axis(points, start, end)
            if widest >= 0:
                middle = (start + end) // 2
                _select(points, order, start, end - 1, middle, widest)
                axis[node], split[node], children[node] = widest, points[middle, widest], used
                bounds[used, 0], bounds[used, 1] = start, middle
                bounds[used + 1, 0], bounds[used + 1, 1] = middle, end
                used += 2
        node += 1
    return points, order, bounds[:used], split[:used], axis[:used], children[:used]


@njit(cache=True, nogil=True)
def _widest_axis(points, start, end):
    """Axis with the largest extent, or -1 where all points are one."""
    best, best_extent = -1, 0.0
    for k in range(3):
        low = high = points[start, k]
        for i in range(start + 1, end):
            low, high = min(low, points[i, k]), max(high, points[i, k])
        if high - low > best_extent:
            best, best_extent = k, high - low
    return best


@njit(cache=True, nogil=True)
def _select(points, order, low, high, middle, axis):
    """Quickselect: rows before `middle` end up not above its coordinate, rows after not below."""
    while low < high:
        # The median of three keeps sorted and constant input from taking quadratic time.
        a, b, c = points[low, axis], points[(low + high) // 2, axis], points[high, axis]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = low, high
        while i <= j:
            while points[i, axis] < pivot:
                i += 1
            while points[j, axis] > pivot:
                j -= 1
            if i <= j:
                for k in range(3):
                    points[i, k], points[j, k] = points[j, k], points[i, k]
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            return


@njit(cache=True, nogil=True)
def nearest(tree, x, y, z, limit2, found_d2, found, stack, stack_d):
    """Find the ``len(found)`` points nearest to a query, nearest first; returns how many.

    Only points closer than ``sqrt(limit2)`` count. `found_d2` and `found` receive squared
    distances and rows of ``tree.points``; `stack` (MAX_DEPTH,) int64 and `stack_d` (MAX_DEPTH, 4)
    are scratch.
    """
    k = found.shape[0]
    count = 0
    worst = limit2
    top = 0
    stack[0] = 0
    stack_d[0, 0] = stack_d[0, 1] = stack_d[0, 2] = stack_d[0, 3] = 0.0
    while top >= 0:
        node = stack[top]
        d2, dx, dy, dz = stack_d[top, 0], stack_d[top, 1], stack_d[top, 2], stack_d[top, 3]
        top -= 1
        if d2 >= worst:
            continue
        while tree.axis[node] >= 0:
            axis = tree.axis[node]
            value = x if axis == 0 else (y if axis == 1 else z)
            offset = value - tree.split[node]
            near = tree.children[node]
            far = near + 1
            if offset >= 0.0:
                near, far = far, near
            # The squared distance to the far box: this axis' share is replaced, the others stay.
            old = dx if axis == 0 else (dy if axis == 1 else dz)
            far_d2 = d2 - old * old + offset * offset
            if far_d2 < worst:
                top += 1
                stack[top] = far
                stack_d[top, 0] = far_d2
                stack_d[top, 1] = offset if axis == 0 else dx
                stack_d[top, 2] = offset if axis == 1 else dy
                stack_d[top, 3] = offset if axis == 2 else dz
            node = near
        for i in range(tree.bounds[node, 0], tree.bounds[node, 1]):
            ex, ey, ez = tree.points[i, 0] - x, tree.points[i, 1] - y, tree.points[i, 2] - z
            e2 = ex * ex + ey * ey + ez * ez
            if e2 < worst:
                j = min(count, k - 1)
                while j > 0 and found_d2[j - 1] > e2:
                    found_d2[j], found[j] = found_d2[j - 1], found[j - 1]
                    j -= 1
                found_d2[j], found[j] = e2, i
                count = min(count + 1, k)
                if count == k:
                    worst = min(worst, found_d2[k - 1])
    return count
