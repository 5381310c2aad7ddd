# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The planes of all queries, found again only where a query has moved too far to keep its own.

The five nearest stay the same while twice the movement is below the gap between the fifth and the
sixth distance, and a query with fewer than five in reach stays so until it has moved as far as
that is: the result is that of searching every time.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.inner_loop import inlined, inner_loop
from dcreg_ros.registration.counting import MAX_LEAVES, count_near, leaves_near
from dcreg_ros.registration.kdtree import MAX_DEPTH, nearest
from dcreg_ros.registration.leaves import LEAF_SIZE
from dcreg_ros.registration.plane import fit_plane, quick_plane

NEIGHBORS = 5
SEARCH_MARGIN = 1.1
"""Searching a little beyond the radius tells how far a lone query may move."""
_ROUNDING = 1e-9
"""Share, and metres, that a limit known beforehand is wider for the sake of rounding."""


class Kept(NamedTuple):
    """What is known of each query since it was last searched for.

    Attributes
    ----------
    anchor : (N, 3) float64 array
        Where that was, target frame [m].
    slack2 : (N,) float64 array
        Squared distance from there within which it keeps its neighbours, or has too few [m^2].
    fifth, sixth : (N,) float64 arrays
        Distances of these neighbours [m]; the sixth infinite where it is not known.
    neighbors : (N, NEIGHBORS) int64 array
        Rows of the tree's points, nearest first; set where the fifth is within the radius.
    plane : (N, 4) float64 array
        ``(n, d)`` through them, ``n . q + d = 0`` [m]; set where they were fitted.
    usable : (N,) bool array
        Whether there are enough and the plane fits.
    """

    anchor: NDArray[np.float64]
    slack2: NDArray[np.float64]
    fifth: NDArray[np.float64]
    sixth: NDArray[np.float64]
    neighbors: NDArray[np.int64]
    plane: NDArray[np.float64]
    usable: NDArray[np.bool_]


def nothing_kept(n: int) -> Kept:
    """Of `n` queries that were never searched for."""
    return Kept(
        np.zeros((n, 3)), np.full(n, -1.0), np.zeros(n), np.full(n, np.inf),
        np.zeros((n, NEIGHBORS), np.int64), np.zeros((n, 4)), np.zeros(n, np.bool_))


class Scratch(NamedTuple):
    """Memory for the functions below, which allocate none."""

    rows: NDArray[np.int64]
    places: NDArray[np.float64]
    moved: NDArray[np.float64]
    box: NDArray[np.float64]
    leaf_numbers: NDArray[np.int64]
    leaf_boxes: NDArray[np.float64]
    leaf_d2: NDArray[np.float64]
    counts: NDArray[np.int64]
    found_d2: NDArray[np.float64]
    found: NDArray[np.int64]
    stack: NDArray[np.int64]
    hits: NDArray[np.float64]
    near: NDArray[np.float64]
    u: NDArray[np.float64]
    v: NDArray[np.float64]


@njit(cache=True, nogil=True)
def make_scratch():
    """Memory of one thread."""
    return Scratch(
        np.empty(LEAF_SIZE, np.int64), np.empty((LEAF_SIZE, 3)), np.empty(LEAF_SIZE), np.empty(6),
        np.empty(MAX_LEAVES, np.int64), np.empty((6, MAX_LEAVES)), np.empty(MAX_LEAVES),
        np.empty(LEAF_SIZE, np.int64), np.empty(NEIGHBORS + 1),
        np.empty(NEIGHBORS + 1, np.int64),
        np.empty(MAX_DEPTH, np.int64), np.empty((MAX_DEPTH, 2)), np.empty((NEIGHBORS, 3)),
        np.empty((NEIGHBORS, 3)), np.empty((3, 3)))


@inner_loop
def associate(transform, source, tree, radius, tolerance, kept, start, end, scratch):
    """Bring what is `kept` of source rows `start` to `end`, leaf after leaf, up to `transform`.

    Returns how many had to be searched for.
    """
    reach = SEARCH_MARGIN * radius
    rows, moved, counts = scratch.rows, scratch.moved, scratch.counts
    searched = 0
    for low in range(start, end, LEAF_SIZE):
        stale = _stale(transform, source, kept, low, min(end, low + LEAF_SIZE), scratch)
        counted = _count(tree, stale, reach, scratch)
        for k in range(stale):
            if counted and counts[k] < NEIGHBORS:
                _leave(rows[k], reach - radius, kept)
            else:
                _search(rows[k], moved[k], tree, radius, reach, tolerance, kept, scratch)
        searched += stale
    return searched


@inlined
def _stale(transform, source, kept, low, high, scratch):
    """Find the queries among rows `low` to `high` that have moved too far; returns how many.

    Their rows, places, movements [m] and box go into `scratch`, the places into `kept`, too.
    """
    t, anchor, places, box = transform, kept.anchor, scratch.places, scratch.box
    count = 0
    box[:3], box[3:] = np.inf, -np.inf
    for i in range(low, high):
        px, py, pz = source[i, 0], source[i, 1], source[i, 2]
        x = t[0, 0] * px + t[0, 1] * py + t[0, 2] * pz + t[0, 3]
        y = t[1, 0] * px + t[1, 1] * py + t[1, 2] * pz + t[1, 3]
        z = t[2, 0] * px + t[2, 1] * py + t[2, 2] * pz + t[2, 3]
        dx, dy, dz = x - anchor[i, 0], y - anchor[i, 1], z - anchor[i, 2]
        moved2 = dx * dx + dy * dy + dz * dz
        if not moved2 < kept.slack2[i]:
            scratch.rows[count], scratch.moved[count] = i, math.sqrt(moved2)
            anchor[i, 0], anchor[i, 1], anchor[i, 2] = x, y, z
            places[count, 0], places[count, 1], places[count, 2] = x, y, z
            box[0], box[1], box[2] = min(box[0], x), min(box[1], y), min(box[2], z)
            box[3], box[4], box[5] = max(box[3], x), max(box[4], y), max(box[5], z)
            count += 1
    return count


@inlined
def _count(tree, stale, reach, scratch):
    """Count the points near the first `stale` places, where that pays; whether it does."""
    box = scratch.box
    # Queries further apart than they reach belong to a sparse cloud.
    if not max(box[3] - box[0], box[4] - box[1], box[5] - box[2]) > reach:
        return False
    size = leaves_near(
        tree, box, reach * reach, scratch.leaf_numbers, scratch.leaf_boxes, scratch.stack)
    if size < 0:
        return False
    count_near(
        tree.leaves, scratch.leaf_numbers, scratch.leaf_boxes, size, scratch.places[:stale],
        reach * reach, scratch.leaf_d2, scratch.counts)
    return True


@inlined
def _leave(i, slack, kept):
    """Leave query `i` without a plane until it has moved `slack` [m]."""
    kept.usable[i] = False
    kept.sixth[i] = np.inf
    kept.slack2[i] = slack * slack


@inlined
def _search(i, moved, tree, radius, reach, tolerance, kept, scratch):
    """Find the neighbours of query `i`, which has `moved` [m], and the plane through them."""
    # The six nearest of before are no further away than this.
    known = kept.sixth[i] + moved
    limit = min(reach, known + _ROUNDING * (1.0 + known))
    count = nearest(
        tree, kept.anchor[i, 0], kept.anchor[i, 1], kept.anchor[i, 2], limit * limit,
        scratch.found_d2, scratch.found, scratch.stack, scratch.hits)
    if count < NEIGHBORS:
        _leave(i, reach - radius, kept)
        return
    fifth, sixth = math.sqrt(scratch.found_d2[NEIGHBORS - 1]), reach
    if not fifth < radius:
        _leave(i, fifth - radius, kept)
        return
    if count > NEIGHBORS:
        sixth = math.sqrt(scratch.found_d2[NEIGHBORS])
    kept.slack2[i] = 0.25 * (sixth - fifth) * (sixth - fifth)
    kept.fifth[i], kept.sixth[i] = fifth, sixth if count > NEIGHBORS else np.inf
    for k in range(NEIGHBORS):
        row = kept.neighbors[i, k] = scratch.found[k]
        for axis in range(3):
            scratch.near[k, axis] = tree.points[row, axis]
    fits = quick_plane(scratch.near, tolerance, kept.plane[i])
    if fits < 0:
        fits = int(fit_plane(scratch.near, tolerance, scratch.u, scratch.v, kept.plane[i]))
    kept.usable[i] = fits > 0
