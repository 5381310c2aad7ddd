# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Association "map plane", what a robot runs: the plane of the map cell nearest to each query.

As in :mod:`dcreg_ros.registration.query_plane`, the nearest cell is kept while twice the movement
of a query is below the gap to the second nearest, with the result of searching every time.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.config import RegistrationConfig
from dcreg_ros.registration.linearize import CHUNKS, NormalEquations, add_match, unpack
from dcreg_ros.registration.threads import sum_parts
from dcreg_ros.voxels.map import MAX_CELLS, VoxelMap
from dcreg_ros.voxels.nearest import nearest_cells
from dcreg_ros.voxels.planes import MAX_NEIGHBORS, ensure_plane

MIN_SCALE = 0.03
"""Least scale of the robust loss [m]: below the noise of common sensors nothing is an outlier."""
CUT = 3.0
"""Scales beyond which a residual is left out altogether."""
SEARCH_MARGIN = 1.1
"""Searching a little beyond the radius tells how far a query with few neighbours may move."""


class MapPlaneMatcher:
    """Matches of one source cloud against a voxel map.

    The robust loss (Geman-McClure) starts as wide as the search and narrows to three times the
    residuals of the iteration before, so that it adapts to the sensor and to the first guess.

    Parameters
    ----------
    source : (N, 3) float64 array
        Finite points, source frame [m].
    voxels : VoxelMap
        The target.
    config : RegistrationConfig
        `search_radius`, `plane_tolerance` and `threads` are used.
    """

    def __init__(
        self, source: NDArray[np.float64], voxels: VoxelMap, config: RegistrationConfig
    ) -> None:
        self._source = source
        self._map = voxels
        self._radius = config.search_radius
        self._tolerance = config.plane_tolerance
        self._threads = config.threads
        self._scale = config.search_radius / 3.0
        self._anchor = np.zeros((len(source), 3))
        self._slack = np.full(len(source), -1.0)
        self._mean = np.zeros((len(source), 3))
        self._plane = np.zeros((len(source), 5))
        self._usable = np.zeros(len(source), np.bool_)

    def linearize(self, transform: NDArray[np.float64]) -> NormalEquations:
        """Match the source at `transform` (4, 4), ``T_target_source``, and sum the equations."""
        parts = sum_parts(
            _linearize, self._threads, transform, self._source, self._map.table,
            self._map.voxels, self._map.voxel_size, self._radius, self._tolerance, self._scale,
            self._anchor, self._slack, self._mean, self._plane, self._usable)
        equations = NormalEquations(*unpack(parts))
        if equations.weight > 0.0:
            spread = math.sqrt(equations.error2 / equations.weight)
            self._scale = min(self._scale, max(MIN_SCALE, 3.0 * spread))
        return equations


@njit(cache=True, nogil=True)
def _linearize(
    transform, source, table, voxels, edge, radius, tolerance, scale, anchor, slack, mean,
    plane, usable, parts, first, stride,
):
    """Fill rows of `parts` (CHUNKS, SUMS); `anchor` to `usable` are kept between iterations."""
    n = source.shape[0]
    for part in range(first, CHUNKS, stride):
        start, end = n * part // CHUNKS, n * (part + 1) // CHUNKS
        _associate(
            transform, source, table, voxels, edge, radius, tolerance, anchor, slack, mean,
            plane, usable, start, end)
        _sum(transform, source, radius, scale, mean, plane, usable, start, end, parts[part])


@njit(cache=True, nogil=True)
def _associate(
    transform, source, table, voxels, edge, radius, tolerance, anchor, slack, mean, plane,
    usable, start, end,
):
    """Find the planes (5,) in the map frame for source rows `start` to `end`."""
    found_d2, found = np.empty(MAX_NEIGHBORS), np.empty(MAX_NEIGHBORS, np.int64)
    near, matrix, vectors = np.empty((MAX_NEIGHBORS, 3)), np.empty((3, 3)), np.empty((3, 3))
    two_d2, two, two_xyz = np.empty(2), np.empty(2, np.int64), np.empty((2, 3))
    reach = SEARCH_MARGIN * radius
    t = transform
    for i in range(start, end):
        p = source[i]
        x = t[0, 0] * p[0] + t[0, 1] * p[1] + t[0, 2] * p[2] + t[0, 3]
        y = t[1, 0] * p[0] + t[1, 1] * p[1] + t[1, 2] * p[2] + t[1, 3]
        z = t[2, 0] * p[0] + t[2, 1] * p[1] + t[2, 2] * p[2] + t[2, 3]
        if _distance(anchor[i], x, y, z) < slack[i]:
            continue
        anchor[i, 0], anchor[i, 1], anchor[i, 2] = x, y, z
        usable[i] = False
        count = nearest_cells(table, voxels, edge, x, y, z, reach, two_d2, two, two_xyz)
        if count == 0:
            slack[i] = reach - radius
            continue
        second = math.sqrt(two_d2[1]) if count > 1 else reach
        slack[i] = 0.5 * (second - math.sqrt(two_d2[0]))
        cx, cy, cz = two_xyz[0, 0], two_xyz[0, 1], two_xyz[0, 2]
        if ensure_plane(
            table, voxels, edge, two[0], cx, cy, cz, radius, tolerance, found_d2, found, near,
            matrix, vectors,
        ):
            usable[i] = True
            fit = voxels.plane[two[0] // MAX_CELLS, two[0] % MAX_CELLS]
            mean[i, 0], mean[i, 1], mean[i, 2] = cx, cy, cz
            plane[i, 0], plane[i, 1], plane[i, 2] = fit[0], fit[1], fit[2]
            plane[i, 4] = fit[4]
            plane[i, 3] = -(fit[0] * cx + fit[1] * cy + fit[2] * cz + fit[3])


@njit(cache=True, nogil=True, inline='always')
def _distance(place, x, y, z):
    """Distance [m] from `place` (3,) to (x, y, z)."""
    dx, dy, dz = x - place[0], y - place[1], z - place[2]
    return math.sqrt(dx * dx + dy * dy + dz * dz)


@njit(cache=True, nogil=True)
def _sum(transform, source, radius, scale, mean, plane, usable, start, end, sums):
    """Add the matches of source rows `start` to `end` to `sums` (SUMS,)."""
    rotation = transform[:3, :3].copy()
    t = transform
    scale2, limit = scale * scale, CUT * scale
    for i in range(start, end):
        if not usable[i]:
            continue
        p, q = source[i], plane[i]
        x = t[0, 0] * p[0] + t[0, 1] * p[1] + t[0, 2] * p[2] + t[0, 3]
        y = t[1, 0] * p[0] + t[1, 1] * p[1] + t[1, 2] * p[2] + t[1, 3]
        z = t[2, 0] * p[0] + t[2, 1] * p[1] + t[2, 2] * p[2] + t[2, 3]
        r = q[0] * x + q[1] * y + q[2] * z + q[3]
        if abs(r) < limit and _distance(mean[i], x, y, z) < radius:
            root = scale2 / (scale2 + r * r)
            add_match(sums, p, rotation, q, r, root * r, root, q[4])
