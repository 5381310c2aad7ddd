# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Association "map plane", what a robot runs: the plane held by the voxel nearest to each query."""

import math

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from dcreg_ros.config import RegistrationConfig
from dcreg_ros.registration.linearize import CHUNKS, SUMS, NormalEquations, add_match, unpack
from dcreg_ros.registration.voxel_hash import find, pack
from dcreg_ros.registration.voxel_map import VoxelMap

MIN_SCALE = 0.03
"""Least scale of the robust loss [m]: below the noise of common sensors nothing is an outlier."""


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
        `search_radius` and `plane_tolerance` are used.
    """

    def __init__(
        self, source: NDArray[np.float64], voxels: VoxelMap, config: RegistrationConfig
    ) -> None:
        self._source = source
        self._map = voxels
        self._radius = config.search_radius
        self._tolerance = config.plane_tolerance
        self._scale = config.search_radius / 3.0

    def linearize(self, transform: NDArray[np.float64]) -> NormalEquations:
        """Match the source at `transform` (4, 4), ``T_target_source``, and sum the equations."""
        parts = _linearize(
            transform, self._source, self._map.table, self._map.voxels.plane,
            self._map.voxel_size, self._radius, self._tolerance, self._scale)
        equations = NormalEquations(*unpack(parts))
        if equations.weight > 0.0:
            spread = math.sqrt(equations.error2 / equations.weight)
            self._scale = min(self._scale, max(MIN_SCALE, 3.0 * spread))
        return equations


@njit(cache=True, nogil=True, parallel=True)
def _linearize(transform, source, table, plane, voxel_size, radius, tolerance, scale):
    """Sums (CHUNKS, SUMS) of all matches."""
    parts = np.zeros((CHUNKS, SUMS))
    n = source.shape[0]
    for part in prange(CHUNKS):
        _linearize_part(
            transform, source, table, plane, voxel_size, radius, tolerance, scale,
            n * part // CHUNKS, n * (part + 1) // CHUNKS, parts[part])
    return parts


@njit(cache=True, nogil=True)
def _linearize_part(
    transform, source, table, plane, voxel_size, radius, tolerance, scale, start, end, sums
):
    """Add the matches of source rows `start` to `end` to `sums` (SUMS,)."""
    rotation = transform[:3, :3].copy()
    reach = min(radius, voxel_size)
    scale2 = scale * scale
    for i in range(start, end):
        p = source[i]
        x = rotation[0, 0] * p[0] + rotation[0, 1] * p[1] + rotation[0, 2] * p[2] + transform[0, 3]
        y = rotation[1, 0] * p[0] + rotation[1, 1] * p[1] + rotation[1, 2] * p[2] + transform[1, 3]
        z = rotation[2, 0] * p[0] + rotation[2, 1] * p[1] + rotation[2, 2] * p[2] + transform[2, 3]
        row = _nearest_plane(table, plane, voxel_size, x, y, z, reach, radius * radius)
        if row < 0:
            continue
        q = plane[row]
        r = q[3] * (x - q[0]) + q[4] * (y - q[1]) + q[5] * (z - q[2])
        if abs(r) < tolerance:
            root = scale2 / (scale2 + r * r)
            add_match(sums, p, rotation, q[3:6], r, root * r, root)


@njit(cache=True, nogil=True)
def _nearest_plane(table, plane, voxel_size, x, y, z, reach, limit2):
    """Row of the planar voxel whose mean is nearest to a query, or -1."""
    best, best_d2 = -1, limit2
    inverse = 1.0 / voxel_size
    for i in range(math.floor((x - reach) * inverse), math.floor((x + reach) * inverse) + 1):
        for j in range(math.floor((y - reach) * inverse), math.floor((y + reach) * inverse) + 1):
            for k in range(
                math.floor((z - reach) * inverse), math.floor((z + reach) * inverse) + 1
            ):
                row = find(table, pack(i, j, k))
                if row >= 0 and plane[row, 7] > 0.0:
                    dx, dy, dz = plane[row, 0] - x, plane[row, 1] - y, plane[row, 2] - z
                    d2 = dx * dx + dy * dy + dz * dz
                    if d2 < best_d2:
                        best, best_d2 = row, d2
    return best
