# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Association "query plane", the paper's: a plane through the five points nearest to a query."""

from functools import partial

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.config import RegistrationConfig
from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.registration.kdtree import build_kdtree
from dcreg_ros.registration.leaves import LEAF_SIZE, sort_into_leaves
from dcreg_ros.registration.linearize import CHUNKS, NormalEquations, add_match, unpack
from dcreg_ros.registration.queries import NEIGHBORS, associate, make_scratch, nothing_kept
from dcreg_ros.registration.threads import both, sum_parts

WEIGHT_SLOPE = 0.9  # weight s = 1 - 0.9 |r|, |r| in metres (paper's implementation)
MIN_WEIGHT = 0.1


class QueryPlaneMatcher:
    """Matches of one source cloud against one target cloud.

    Parameters
    ----------
    source : (N, 3) float64 array
        Finite points, source frame [m].
    target : (M, 3) float64 array
        Finite points, target frame [m], M >= 1.
    config : RegistrationConfig
        `search_radius`, `plane_tolerance` and `threads` are used.
    """

    def __init__(
        self,
        source: NDArray[np.float64],
        target: NDArray[np.float64],
        config: RegistrationConfig,
    ) -> None:
        self._tree, sorted_source = both(
            config.threads, partial(build_kdtree, target), partial(sort_into_leaves, source))
        self._source = np.ascontiguousarray(sorted_source[0][:, :3])
        self._kept = nothing_kept(len(source))
        self._radius = config.search_radius
        self._tolerance = config.plane_tolerance
        self._threads = config.threads

    def linearize(self, transform: NDArray[np.float64]) -> NormalEquations:
        """Match the source at `transform` (4, 4), ``T_target_source``, and sum the equations."""
        parts = sum_parts(
            _linearize, self._threads, transform, self._source, self._tree, self._radius,
            self._tolerance, self._kept)
        return NormalEquations(*unpack(parts))


@njit(cache=True, nogil=True)
def _linearize(transform, source, tree, radius, tolerance, kept, parts, first, stride):
    """Fill rows of `parts` (CHUNKS, SUMS); what is `kept` is brought up to `transform`."""
    n = source.shape[0]
    leaves = (n + LEAF_SIZE - 1) // LEAF_SIZE
    rotation, scratch = transform[:3, :3].copy(), make_scratch()
    for part in range(first, CHUNKS, stride):
        start = leaves * part // CHUNKS * LEAF_SIZE
        end = min(n, leaves * (part + 1) // CHUNKS * LEAF_SIZE)
        associate(transform, source, tree, radius, tolerance, kept, start, end, scratch)
        _sum(transform, rotation, source, tree.points, radius, kept, start, end, parts[part])


@inner_loop
def _sum(transform, rotation, source, points, radius, kept, start, end, sums):
    """Add the matches of source rows `start` to `end` to `sums` (SUMS,)."""
    t, anchor = transform, kept.anchor
    for i in range(start, end):
        if not kept.usable[i]:
            continue
        p, q = source[i], kept.plane[i]
        x = t[0, 0] * p[0] + t[0, 1] * p[1] + t[0, 2] * p[2] + t[0, 3]
        y = t[1, 0] * p[0] + t[1, 1] * p[1] + t[1, 2] * p[2] + t[1, 3]
        z = t[2, 0] * p[0] + t[2, 1] * p[1] + t[2, 2] * p[2] + t[2, 3]
        dx, dy, dz = x - anchor[i, 0], y - anchor[i, 1], z - anchor[i, 2]
        to_spare = radius - kept.fifth[i]
        # One that has moved less than it has to spare need not measure all five.
        if not dx * dx + dy * dy + dz * dz < to_spare * to_spare and not all_within(
            points, kept.neighbors[i], x, y, z, radius * radius,
        ):
            continue
        r = q[0] * x + q[1] * y + q[2] * z + q[3]
        s = 1.0 - WEIGHT_SLOPE * abs(r)
        if s > MIN_WEIGHT:
            add_match(sums, p, rotation, q, r, s * r, s - WEIGHT_SLOPE * abs(r), 0.0)


@inner_loop
def all_within(points, rows, x, y, z, limit2):
    """Whether all rows of `points` are closer than ``sqrt(limit2)`` to a query."""
    for k in range(NEIGHBORS):
        row = rows[k]
        dx, dy, dz = points[row, 0] - x, points[row, 1] - y, points[row, 2] - z
        if not dx * dx + dy * dy + dz * dz < limit2:
            return False
    return True
