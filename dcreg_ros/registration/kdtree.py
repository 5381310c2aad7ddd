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

from dcreg_ros.inner_loop import inlined, inner_loop
from dcreg_ros.registration.leaves import LEAF_SIZE, sort_into_leaves

MAX_DEPTH = 64
"""Room for the nodes that a walk down the tree has yet to visit."""


class KdTree(NamedTuple):
    """A built tree; a plain tuple of arrays, so that kernels take it as it is.

    A node comes before all below it, and its first child right after it.

    Attributes
    ----------
    points : (N, 3) float64 array
        The points, leaf after leaf.
    order : (N,) int64 array
        Row of each in the array the tree was built from.
    leaves : (L, 3, LEAF_SIZE) float64 array
        The same by coordinate, as vector registers want them; what is left of the last leaf is
        infinitely far.
    boxes : (2 L - 1, 6) float64 array
        Least and largest coordinates below each node.
    split : (2 L - 1,) float64 array
        Coordinate that parts a node's children.
    axis : (2 L - 1,) int64 array
        Axis of the split; -1 in a leaf.
    second : (2 L - 1,) int64 array
        A node's second child; in a leaf, which one it is.
    """

    points: NDArray[np.float64]
    order: NDArray[np.int64]
    leaves: NDArray[np.float64]
    boxes: NDArray[np.float64]
    split: NDArray[np.float64]
    axis: NDArray[np.int64]
    second: NDArray[np.int64]


def build_kdtree(points: NDArray[np.float64]) -> KdTree:
    """Build a tree over finite points (N, 3), N >= 1."""
    return KdTree(*_build(points))


@njit(cache=True, nogil=True)
def _build(points):
    """Arrays of a :class:`KdTree`."""
    rows, split, axis, second = sort_into_leaves(points)
    n = rows.shape[0]
    ordered, order = np.empty((n, 3)), np.empty(n, np.int64)
    leaves = np.full(((len(axis) + 1) // 2, 3, LEAF_SIZE), np.inf)
    for i in range(n):
        order[i] = int(rows[i, 3])
        for k in range(3):
            ordered[i, k] = leaves[i // LEAF_SIZE, k, i % LEAF_SIZE] = rows[i, k]
    boxes = np.empty((len(axis), 6))
    _bound(rows, axis, second, boxes)
    return ordered, order, leaves, boxes, split, axis, second


@inner_loop
def _bound(rows, axis, second, boxes):
    """Fill the boxes of all nodes, from the last leaf to the root."""
    for node in range(len(axis) - 1, -1, -1):
        if axis[node] >= 0:
            other = second[node]
            for k in range(3):
                boxes[node, k] = min(boxes[node + 1, k], boxes[other, k])
                boxes[node, 3 + k] = max(boxes[node + 1, 3 + k], boxes[other, 3 + k])
        else:
            low = second[node] * LEAF_SIZE
            for k in range(3):
                least = most = rows[low, k]
                for i in range(low + 1, min(low + LEAF_SIZE, rows.shape[0])):
                    least, most = min(least, rows[i, k]), max(most, rows[i, k])
                boxes[node, k], boxes[node, 3 + k] = least, most


@inlined
def nearest(tree, x, y, z, limit2, found_d2, found, stack, hits):
    """Find the ``len(found)`` points nearest to a query, nearest first; returns how many.

    Only points closer than ``sqrt(limit2)`` count. `found_d2` and `found` receive squared
    distances and rows of ``tree.points``; `stack` (MAX_DEPTH,) int64 and `hits` (MAX_DEPTH, >= 2)
    are scratch.
    """
    boxes, split, axis, second = tree.boxes, tree.split, tree.axis, tree.second
    wanted = found.shape[0]
    for k in range(wanted):
        found_d2[k] = np.inf
    count = top = stack[0] = 0
    while top >= 0:
        node = stack[top]
        top -= 1
        dx = max(max(boxes[node, 0] - x, x - boxes[node, 3]), 0.0)
        dy = max(max(boxes[node, 1] - y, y - boxes[node, 4]), 0.0)
        dz = max(max(boxes[node, 2] - z, z - boxes[node, 5]), 0.0)
        if dx * dx + dy * dy + dz * dz >= limit2:
            continue
        while axis[node] >= 0:
            offset = (x if axis[node] == 0 else (y if axis[node] == 1 else z)) - split[node]
            near, far = node + 1, second[node]
            if offset >= 0.0:
                near, far = far, near
            stack[top + 1] = far
            top += int(offset * offset < limit2)
            node = near
        number = _hits(tree.leaves, second[node], x, y, z, limit2, hits)
        for i in range(number):
            d2, row = hits[i, 0], np.int64(hits[i, 1])
            # Down the list in turn, without branches that a processor would guess wrong.
            for k in range(wanted):
                other_d2, other = found_d2[k], found[k]
                nearer = d2 < other_d2
                found_d2[k], found[k] = d2 if nearer else other_d2, row if nearer else other
                d2, row = other_d2 if nearer else d2, other if nearer else row
        count += number
        limit2 = min(limit2, found_d2[wanted - 1])
    return min(count, wanted)


@inlined
def _hits(leaves, leaf, x, y, z, limit2, hits):
    """Put squared distance and row of the points of a leaf in reach into `hits`; their number."""
    count = 0
    for i in range(leaves.shape[2]):
        dx, dy, dz = leaves[leaf, 0, i] - x, leaves[leaf, 1, i] - y, leaves[leaf, 2, i] - z
        count += int(dx * dx + dy * dy + dz * dz < limit2)
    if count == 0:
        return 0  # as in most leaves, and told by vector registers in a few cycles
    count = 0
    for i in range(LEAF_SIZE):
        dx, dy, dz = leaves[leaf, 0, i] - x, leaves[leaf, 1, i] - y, leaves[leaf, 2, i] - z
        hits[count, 0], hits[count, 1] = dx * dx + dy * dy + dz * dz, leaf * LEAF_SIZE + i
        count += int(hits[count, 0] < limit2)
    return count
