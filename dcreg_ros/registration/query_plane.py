# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Association "query plane", the paper's: a plane through the five points nearest to a query.

Most queries move little between iterations. The five nearest stay the same while twice the
movement is below the gap between the fifth and sixth distance, so they and their plane are kept
until then: the result is that of searching every time.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.config import RegistrationConfig
from dcreg_ros.registration.kdtree import MAX_DEPTH, build_kdtree, nearest
from dcreg_ros.registration.linearize import CHUNKS, NormalEquations, add_match, unpack
from dcreg_ros.registration.plane import fit_plane
from dcreg_ros.registration.threads import sum_parts

NEIGHBORS = 5
WEIGHT_SLOPE = 0.9  # weight s = 1 - 0.9 |r|, |r| in metres (paper's implementation)
MIN_WEIGHT = 0.1
SEARCH_MARGIN = 1.1  # searching a little beyond the radius tells how far a lone query may move


class QueryPlaneMatcher:
    """Matches of one source cloud against one target cloud.

    Attributes
    ----------
    settled : bool
        The loss is the same in all iterations.

    Parameters
    ----------
    source : (N, 3) float64 array
        Finite points, source frame [m].
    target : (M, 3) float64 array
        Finite points, target frame [m], M >= 1.
    config : RegistrationConfig
        `search_radius` and `plane_tolerance` are used.
    """

    settled = True

    def __init__(
        self,
        source: NDArray[np.float64],
        target: NDArray[np.float64],
        config: RegistrationConfig,
    ) -> None:
        self._tree = build_kdtree(target)
        self._source = source
        self._radius = config.search_radius
        self._tolerance = config.plane_tolerance
        self._threads = config.threads
        n = source.shape[0]
        self._slack = np.full(n, -1.0)
        self._anchor = np.zeros((n, 3))
        self._neighbors = np.zeros((n, NEIGHBORS), np.int64)
        self._plane = np.zeros((n, 4))
        self._usable = np.zeros(n, np.bool_)

    def linearize(self, transform: NDArray[np.float64]) -> NormalEquations:
        """Match the source at `transform` (4, 4), ``T_target_source``, and sum the equations."""
        parts = sum_parts(
            _linearize, self._threads, transform, self._source, self._tree, self._radius,
            self._tolerance, self._slack, self._anchor, self._neighbors, self._plane, self._usable)
        return NormalEquations(*unpack(parts))


@njit(cache=True, nogil=True)
def _linearize(
    transform, source, tree, radius, tolerance, slack, anchor, neighbors, plane, usable,
    parts, first, stride,
):
    """Fill rows of `parts` (CHUNKS, SUMS); `slack` to `usable` are kept between iterations."""
    n = source.shape[0]
    for part in range(first, CHUNKS, stride):
        _linearize_part(
            transform, source, tree, radius, tolerance, slack, anchor, neighbors, plane, usable,
            n * part // CHUNKS, n * (part + 1) // CHUNKS, parts[part])


@njit(cache=True, nogil=True)
def _linearize_part(
    transform, source, tree, radius, tolerance, slack, anchor, neighbors, plane, usable,
    start, end, sums,
):
    """Add the matches of source rows `start` to `end` to `sums` (SUMS,)."""
    rotation = transform[:3, :3].copy()
    found_d2, found = np.empty(NEIGHBORS + 1), np.empty(NEIGHBORS + 1, np.int64)
    stack, stack_d = np.empty(MAX_DEPTH, np.int64), np.empty((MAX_DEPTH, 4))
    near, u, v = np.empty((NEIGHBORS, 3)), np.empty((NEIGHBORS, 3)), np.empty((3, 3))
    reach = radius * SEARCH_MARGIN
    for i in range(start, end):
        p = source[i]
        x = rotation[0, 0] * p[0] + rotation[0, 1] * p[1] + rotation[0, 2] * p[2] + transform[0, 3]
        y = rotation[1, 0] * p[0] + rotation[1, 1] * p[1] + rotation[1, 2] * p[2] + transform[1, 3]
        z = rotation[2, 0] * p[0] + rotation[2, 1] * p[1] + rotation[2, 2] * p[2] + transform[2, 3]
        dx, dy, dz = x - anchor[i, 0], y - anchor[i, 1], z - anchor[i, 2]
        if not math.sqrt(dx * dx + dy * dy + dz * dz) < slack[i]:
            anchor[i, 0], anchor[i, 1], anchor[i, 2] = x, y, z
            count = nearest(tree, x, y, z, reach * reach, found_d2, found, stack, stack_d)
            usable[i] = count >= NEIGHBORS
            if not usable[i]:
                slack[i] = reach - radius
                continue
            sixth = math.sqrt(found_d2[NEIGHBORS]) if count > NEIGHBORS else reach
            slack[i] = 0.5 * (sixth - math.sqrt(found_d2[NEIGHBORS - 1]))
            for k in range(NEIGHBORS):
                neighbors[i, k] = found[k]
                for axis in range(3):
                    near[k, axis] = tree.points[found[k], axis]
            usable[i] = fit_plane(near, tolerance, u, v, plane[i])
        if not usable[i]:
            continue
        if not _all_within(tree.points, neighbors[i], x, y, z, radius * radius):
            continue
        r = plane[i, 0] * x + plane[i, 1] * y + plane[i, 2] * z + plane[i, 3]
        s = 1.0 - WEIGHT_SLOPE * abs(r)
        if s > MIN_WEIGHT:
            add_match(sums, p, rotation, plane[i], r, s * r, s - WEIGHT_SLOPE * abs(r))


@njit(cache=True, nogil=True)
def _all_within(points, rows, x, y, z, limit2):
    """Whether all rows of `points` are closer than ``sqrt(limit2)`` to a query."""
    for row in rows:
        dx, dy, dz = points[row, 0] - x, points[row, 1] - y, points[row, 2] - z
        if not dx * dx + dy * dy + dz * dz < limit2:
            return False
    return True
