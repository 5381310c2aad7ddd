# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Planes of map cells, from as many neighbours as it takes to span one."""

import numpy as np
from numba import njit

from dcreg_ros.geometry.eigen3 import eigen3
from dcreg_ros.voxels.map import MAX_CELLS
from dcreg_ros.voxels.nearest import nearest_cells

NEIGHBORS = (8, 12, 20)
"""How many are tried: between the rings of a sparse LiDAR the nearest are in one line, and only
more of them reach the next."""
MAX_NEIGHBORS = NEIGHBORS[-1]
MIN_NEIGHBORS = 5
LINE = 0.05
"""Middle over largest eigenvalue below which neighbours are a line and say nothing of a plane."""
FLAT = 0.1
"""Smallest over middle eigenvalue above which they are no surface."""
COMMON_SIGMA = 0.005
"""Error that all points of a scan share [m], from its pose: it tilts planes with no residual."""
REFIT = 1.5
"""A plane is fitted anew once its cell has been seen this many times as often as before."""


@njit(cache=True, nogil=True)
def ensure_plane(
    table, voxels, edge, cell_id, x, y, z, radius, tolerance, found_d2, found, near, matrix,
    vectors,
):
    """Fit the plane of a cell whose mean is at (x, y, z), unless it is fresh; whether it has one.

    The result depends on the map alone, so it does not matter which thread comes first. The last
    five arguments are scratch for MAX_NEIGHBORS cells.
    """
    row, cell = cell_id // MAX_CELLS, cell_id % MAX_CELLS
    count, fitted = voxels.seen[row, cell], voxels.fitted[row, cell]
    if fitted < 0.0 or count > REFIT * fitted:
        tilt2 = -1.0
        for k in NEIGHBORS:
            found_count = nearest_cells(
                table, voxels, edge, x, y, z, radius, found_d2[:k], found[:k], near)
            tilt2 = _fit(near, found_count, tolerance, matrix, vectors)
            if tilt2 >= 0.0 or found_count < k:
                break
        plane = voxels.plane[row, cell]
        if tilt2 >= 0.0:
            offset = 0.0
            for axis in range(3):
                plane[axis] = np.float32(vectors[axis, 0])
                offset += vectors[axis, 0] * (matrix[axis, 1] - near[0, axis])
            plane[3] = np.float32(offset)
        plane[4] = np.float32(tilt2)
        voxels.fitted[row, cell] = count
    return voxels.plane[row, cell, 4] >= 0.0


@njit(cache=True, nogil=True)
def _fit(near, k, tolerance, matrix, vectors):
    """Variance of the tilt [rad^2] of the plane of `k` rows of `near`, below 0 without a plane.

    The normal is left in ``vectors[:, 0]`` and the centroid in ``matrix[:, 1]``.
    """
    if k < MIN_NEIGHBORS:
        return -1.0
    cx = cy = cz = 0.0
    for i in range(k):
        cx += near[i, 0]
        cy += near[i, 1]
        cz += near[i, 2]
    cx, cy, cz = cx / k, cy / k, cz / k
    matrix[:] = 0.0
    for i in range(k):
        dx, dy, dz = near[i, 0] - cx, near[i, 1] - cy, near[i, 2] - cz
        matrix[0, 0] += dx * dx
        matrix[0, 1] += dx * dy
        matrix[0, 2] += dx * dz
        matrix[1, 1] += dy * dy
        matrix[1, 2] += dy * dz
        matrix[2, 2] += dz * dz
    matrix[1, 0], matrix[2, 0], matrix[2, 1] = matrix[0, 1], matrix[0, 2], matrix[1, 2]
    eigen3(matrix, vectors)
    low, middle, high = matrix[0, 0], matrix[1, 1], matrix[2, 2]
    if not (middle > LINE * high and low < FLAT * middle):
        return -1.0
    for i in range(k):
        distance = (vectors[0, 0] * (near[i, 0] - cx) + vectors[1, 0] * (near[i, 1] - cy)
                    + vectors[2, 0] * (near[i, 2] - cz))
        if not abs(distance) < tolerance:
            return -1.0
    matrix[0, 1], matrix[1, 1], matrix[2, 1] = cx, cy, cz
    # Residual variance over the spread along either axis of the plane; a plane has three unknowns.
    variance = max(low, 0.0) / (k - 3) + 0.5 * k * COMMON_SIGMA**2
    return 0.5 * variance * (1.0 / middle + 1.0 / high)
