# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Association "query plane", the paper's: a plane through the five points nearest to a query."""

import math
from functools import partial

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.config import RegistrationConfig
from dcreg_ros.inner_loop import inlined, inner_loop
from dcreg_ros.registration.kdtree import build_kdtree
from dcreg_ros.registration.leaves import LEAF_SIZE, sort_into_leaves
from dcreg_ros.registration.linearize import CHUNKS, NormalEquations, add_match, unpack
from dcreg_ros.registration.queries import NEIGHBORS, associate, make_scratch, nothing_kept
from dcreg_ros.registration.threads import both, share_parts
from dcreg_ros.registration.tickets import hand_in, take

WEIGHT_SLOPE = 0.9  # weight s = 1 - 0.9 |r|, |r| in metres (paper's implementation)
MIN_WEIGHT = 0.1


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
        `search_radius`, `plane_tolerance` and `threads` are used.
    """

    settled = True

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
        self._searched = np.full(CHUNKS, len(source))

    def linearize(self, transform: NDArray[np.float64]) -> NormalEquations:
        """Match the source at `transform` (4, 4), ``T_target_source``, and sum the equations."""
        # Once most queries keep their planes, to wake up another thread takes longer.
        work = int(self._searched.sum()) + len(self._source) // 16
        parts = share_parts(
            _linearize, self._threads if work > 1000 else 1, transform, self._source, self._tree,
            self._radius, self._tolerance, self._kept, self._searched)
        equations = NormalEquations(*unpack(parts))
        return equations._replace(information=equations.hessian, worth=equations.weight)


@njit(cache=True, nogil=True)
def _linearize(transform, source, tree, radius, tolerance, kept, searched, parts, tickets):
    """Fill rows of `parts` (CHUNKS, SUMS); what is `kept` is brought up to `transform`."""
    n = source.shape[0]
    leaves = (n + LEAF_SIZE - 1) // LEAF_SIZE
    rotation, scratch = transform[:3, :3].copy(), make_scratch()
    part = take(tickets)
    while part < CHUNKS:
        start = leaves * part // CHUNKS * LEAF_SIZE
        end = min(n, leaves * (part + 1) // CHUNKS * LEAF_SIZE)
        searched[part] = associate(
            transform, source, tree, radius, tolerance, kept, start, end, scratch)
        _sum(transform, rotation, source, tree.points, radius, kept, start, end, parts[part])
        hand_in(tickets)
        part = take(tickets)


@inner_loop
def _sum(transform, rotation, source, points, radius, kept, start, end, sums):
    """Add the matches of source rows `start` to `end` to `sums` (SUMS,)."""
    for i in range(start, end):
        r = _residual(i, transform, source, points, radius, kept)
        s = 1.0 - WEIGHT_SLOPE * abs(r)
        if s > MIN_WEIGHT:
            add_match(
                sums, source[i], rotation, kept.plane[i], r, s * r, s - WEIGHT_SLOPE * abs(r))


@njit(cache=True, nogil=True)
def list_matches(transform, source, points, radius, kept):
    """Source rows (M,) of the matches, and their signed distances (M,) to the planes [m]."""
    rows, residuals = np.empty(len(source), np.int64), np.empty(len(source))
    count = _list(transform, source, points, radius, kept, rows, residuals)
    return rows[:count], residuals[:count]


@inner_loop
def _list(transform, source, points, radius, kept, rows, residuals):
    """Fill `rows` and `residuals`; their number."""
    count = 0
    for i in range(len(source)):
        r = _residual(i, transform, source, points, radius, kept)
        if 1.0 - WEIGHT_SLOPE * abs(r) > MIN_WEIGHT:
            rows[count], residuals[count] = i, r
            count += 1
    return count


@inlined
def _residual(i, t, source, points, radius, kept):
    """Signed distance of query `i` at transform `t` to its plane; NaN where it has none."""
    if not kept.usable[i]:
        return math.nan
    p, q, anchor, neighbors = source[i], kept.plane[i], kept.anchor[i], kept.neighbors[i]
    x = t[0, 0] * p[0] + t[0, 1] * p[1] + t[0, 2] * p[2] + t[0, 3]
    y = t[1, 0] * p[0] + t[1, 1] * p[1] + t[1, 2] * p[2] + t[1, 3]
    z = t[2, 0] * p[0] + t[2, 1] * p[1] + t[2, 2] * p[2] + t[2, 3]
    dx, dy, dz = x - anchor[0], y - anchor[1], z - anchor[2]
    to_spare = radius - kept.fifth[i]
    # All five may have to be within the radius still; one that has moved less than it had to
    # spare need not measure.
    if not dx * dx + dy * dy + dz * dz < to_spare * to_spare:
        for k in range(NEIGHBORS):
            near = points[neighbors[k]]
            dx, dy, dz = near[0] - x, near[1] - y, near[2] - z
            if not dx * dx + dy * dy + dz * dz < radius * radius:
                return math.nan
    return q[0] * x + q[1] * y + q[2] * z + q[3]
