# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Association "map plane", what a robot runs: the plane of the map cell nearest to each query."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.config import RegistrationConfig
from dcreg_ros.registration.linearize import CHUNKS, NormalEquations, add_match, unpack
from dcreg_ros.registration.threads import sum_parts
from dcreg_ros.voxels.map import CELLS_PER_EDGE, MAX_CELLS, VoxelMap
from dcreg_ros.voxels.nearest import nearest_cells
from dcreg_ros.voxels.planes import MAX_NEIGHBORS, ensure_plane

MIN_SCALE = 0.03
"""Least scale of the robust loss [m]: below the noise of common sensors nothing is an outlier."""
KEEP = 0.1
"""Share of a cell's edge that a query may move before its nearest cell is sought again."""


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
        self._anchor = np.full((len(source), 3), np.inf)
        self._plane = np.zeros((len(source), 4))
        self._usable = np.zeros(len(source), np.bool_)

    def linearize(self, transform: NDArray[np.float64]) -> NormalEquations:
        """Match the source at `transform` (4, 4), ``T_target_source``, and sum the equations."""
        parts = sum_parts(
            _linearize, self._threads, transform, self._source, self._map.table,
            self._map.voxels, self._map.voxel_size, self._radius, self._tolerance, self._scale,
            self._anchor, self._plane, self._usable)
        equations = NormalEquations(*unpack(parts))
        if equations.weight > 0.0:
            spread = math.sqrt(equations.error2 / equations.weight)
            self._scale = min(self._scale, max(MIN_SCALE, 3.0 * spread))
        return equations


@njit(cache=True, nogil=True)
def _linearize(
    transform, source, table, voxels, edge, radius, tolerance, scale, anchor, plane, usable,
    parts, first, stride,
):
    """Fill rows of `parts` (CHUNKS, SUMS); `anchor` to `usable` are kept between iterations."""
    n = source.shape[0]
    for part in range(first, CHUNKS, stride):
        start, end = n * part // CHUNKS, n * (part + 1) // CHUNKS
        _associate(
            transform, source, table, voxels, edge, radius, tolerance, anchor, plane, usable,
            start, end)
        _sum(transform, source, scale, plane, usable, start, end, parts[part])


@njit(cache=True, nogil=True)
def _associate(
    transform, source, table, voxels, edge, radius, tolerance, anchor, plane, usable, start, end
):
    """Find the planes (4,) in the map frame for source rows `start` to `end`."""
    found_d2, found = np.empty(MAX_NEIGHBORS), np.empty(MAX_NEIGHBORS, np.int64)
    near, matrix, vectors = np.empty((MAX_NEIGHBORS, 3)), np.empty((3, 3)), np.empty((3, 3))
    one_d2, one, one_xyz = np.empty(1), np.empty(1, np.int64), np.empty((1, 3))
    keep = (KEEP * edge / CELLS_PER_EDGE) ** 2
    t = transform
    for i in range(start, end):
        p = source[i]
        x = t[0, 0] * p[0] + t[0, 1] * p[1] + t[0, 2] * p[2] + t[0, 3]
        y = t[1, 0] * p[0] + t[1, 1] * p[1] + t[1, 2] * p[2] + t[1, 3]
        z = t[2, 0] * p[0] + t[2, 1] * p[1] + t[2, 2] * p[2] + t[2, 3]
        dx, dy, dz = x - anchor[i, 0], y - anchor[i, 1], z - anchor[i, 2]
        if dx * dx + dy * dy + dz * dz < keep:
            continue
        anchor[i, 0], anchor[i, 1], anchor[i, 2] = x, y, z
        usable[i] = False
        if nearest_cells(table, voxels, edge, x, y, z, radius, one_d2, one, one_xyz) == 0:
            continue
        if ensure_plane(
            table, voxels, edge, one[0], one_xyz[0, 0], one_xyz[0, 1], one_xyz[0, 2], radius,
            tolerance, found_d2, found, near, matrix, vectors,
        ):
            usable[i] = True
            fit = voxels.plane[one[0] // MAX_CELLS, one[0] % MAX_CELLS]
            plane[i, 0], plane[i, 1], plane[i, 2] = fit[0], fit[1], fit[2]
            plane[i, 3] = -(fit[0] * one_xyz[0, 0] + fit[1] * one_xyz[0, 1]
                            + fit[2] * one_xyz[0, 2] + fit[3])


@njit(cache=True, nogil=True)
def _sum(transform, source, scale, plane, usable, start, end, sums):
    """Add the matches of source rows `start` to `end` to `sums` (SUMS,)."""
    rotation = transform[:3, :3].copy()
    scale2, limit = scale * scale, 3.0 * scale
    for i in range(start, end):
        if not usable[i]:
            continue
        p, q = source[i], plane[i]
        r = q[3]
        for axis in range(3):
            r += q[axis] * (rotation[axis, 0] * p[0] + rotation[axis, 1] * p[1]
                            + rotation[axis, 2] * p[2] + transform[axis, 3])
        if abs(r) < limit:
            root = scale2 / (scale2 + r * r)
            add_match(sums, p, rotation, q, r, root * r, root)
