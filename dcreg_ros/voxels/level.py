# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A local map of hashed voxels, each with the mean, the covariance and the plane of its points."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.registration.eigen3 import eigen3
from dcreg_ros.registration.voxel_hash import (
    EMPTY, find, insert_key, make_table, pack, remove_key, unpack)

MIN_POINTS = 5
PLANARITY = 0.1
"""Least share of the middle eigenvalue in the largest, and most of the smallest in the middle."""
SWEEP = 2048
"""Voxels looked at for forgetting in each scan, beside twice those that were added."""


class Voxels(NamedTuple):
    """The arrays of a map, row by voxel; a tuple, so that kernels take it as it is.

    Attributes
    ----------
    key : (C,) int64 array
        Packed cell.
    moments : (C, 10) float64 array
        Number of points, mean (3) [m], sums of squared deviations xx xy xz yy yz zz [m^2].
    plane : (C, 8) float64 array
        Mean (3) [m], unit normal (3), variance along it [m^2], 1 where this is a plane.
    fitted : (C,) float64 array
        Number of points when the plane was last computed.
    """

    key: NDArray[np.int64]
    moments: NDArray[np.float64]
    plane: NDArray[np.float64]
    fitted: NDArray[np.float64]


class VoxelMap:
    """Voxels around a moving sensor, bounded in radius, at a cost that does not grow with the map.

    Parameters
    ----------
    voxel_size : float
        Edge [m].
    radius : float
        Voxels farther than this from the sensor are forgotten little by little [m].
    """

    def __init__(self, voxel_size: float, radius: float = np.inf) -> None:
        self.voxel_size = float(voxel_size)
        self.radius = float(radius)
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._size = 0
        self._cursor = 0
        self.voxels = _allocate(1024)
        self.table = make_table(4096)

    def __len__(self) -> int:
        return self._size

    def insert(self, points: NDArray[np.float64], center: NDArray[np.float64]) -> None:
        """Add points and forget some of the voxels beyond the radius.

        Parameters
        ----------
        points : (N, 3) float64 array
            Finite, map frame [m].
        center : (3,) float64 array
            Where the sensor is, map frame [m].
        """
        self._reserve(self._size + len(points))
        before = self._size
        touched = np.empty(len(points), np.int64)
        self._size, count = _add(
            points, self.voxel_size, self.table, self.voxels, self._size, touched)
        _fit_planes(self.voxels, touched[:count])
        if np.isfinite(self.radius):
            budget = SWEEP + 2 * (self._size - before)
            self._size, self._cursor = _forget(
                self.table, self.voxels, self._size, self._cursor, budget, center, self.radius,
                self.voxel_size)

    def _reserve(self, size: int) -> None:
        capacity = len(self.voxels.key)
        if size > capacity:
            grown = _allocate(max(size, 2 * capacity))
            for old, new in zip(self.voxels, grown, strict=True):
                new[: self._size] = old[: self._size]
            self.voxels = grown
        if 2 * size > len(self.table):
            self.table = make_table(4 * size)
            _index(self.table, self.voxels.key[: self._size])

    def means(self) -> NDArray[np.float64]:
        """Means of all voxels (len(self), 3) [m]."""
        return self.voxels.moments[: self._size, 1:4].copy()


def _allocate(capacity: int) -> Voxels:
    return Voxels(
        np.empty(capacity, np.int64), np.empty((capacity, 10)), np.empty((capacity, 8)),
        np.empty(capacity))


@njit(cache=True, nogil=True)
def _index(table, keys):
    """Enter all `keys` into an empty table."""
    for row in range(keys.shape[0]):
        insert_key(table, keys[row], row)


@njit(cache=True, nogil=True)
def _add(points, voxel_size, table, voxels, size, touched):
    """Add points (N, 3) to the moments; returns the size and how many rows `touched` lists."""
    scale = 1.0 / voxel_size
    count = 0
    last_key, row = EMPTY, 0
    for i in range(points.shape[0]):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        key = pack(int(np.floor(x * scale)), int(np.floor(y * scale)), int(np.floor(z * scale)))
        if key != last_key:
            last_key = key
            row = find(table, key)
            if row < 0:
                row = size
                size += 1
                insert_key(table, key, row)
                voxels.key[row] = key
                voxels.moments[row, :] = 0.0
                voxels.plane[row, :] = 0.0
                voxels.fitted[row] = 0.0
        m = voxels.moments[row]
        # The sign of `fitted` marks a voxel that is in the list already.
        if voxels.fitted[row] >= 0.0:
            voxels.fitted[row] = -1.0 - voxels.fitted[row]
            touched[count] = row
            count += 1
        m[0] += 1.0
        dx, dy, dz = x - m[1], y - m[2], z - m[3]
        m[1] += dx / m[0]
        m[2] += dy / m[0]
        m[3] += dz / m[0]
        ex, ey, ez = x - m[1], y - m[2], z - m[3]
        m[4] += dx * ex
        m[5] += dx * ey
        m[6] += dx * ez
        m[7] += dy * ey
        m[8] += dy * ez
        m[9] += dz * ez
    return size, count


@njit(cache=True, nogil=True)
def _fit_planes(voxels, touched):
    """Compute the planes of the voxels `touched` (K,), where enough has been added to matter."""
    matrix, vectors = np.empty((3, 3)), np.empty((3, 3))
    for row in touched:
        fitted = -1.0 - voxels.fitted[row]
        m, plane = voxels.moments[row], voxels.plane[row]
        if m[0] < MIN_POINTS or m[0] < 1.05 * fitted:
            voxels.fitted[row] = fitted
            continue
        voxels.fitted[row] = m[0]
        matrix[0, 0], matrix[1, 1], matrix[2, 2] = m[4] / m[0], m[7] / m[0], m[9] / m[0]
        matrix[0, 1] = matrix[1, 0] = m[5] / m[0]
        matrix[0, 2] = matrix[2, 0] = m[6] / m[0]
        matrix[1, 2] = matrix[2, 1] = m[8] / m[0]
        eigen3(matrix, vectors)
        low, middle, high = matrix[0, 0], matrix[1, 1], matrix[2, 2]
        for k in range(3):
            plane[k] = m[1 + k]
            plane[3 + k] = vectors[k, 0]
        plane[6] = max(low, 0.0)
        plane[7] = 1.0 if middle > PLANARITY * high and low < PLANARITY * middle else 0.0


@njit(cache=True, nogil=True)
def _forget(table, voxels, size, cursor, budget, center, radius, voxel_size):
    """Remove far voxels among the next `budget`; returns the new size and cursor."""
    for _ in range(min(budget, size)):
        if cursor >= size:
            cursor = 0
        if size == 0:
            break
        i, j, k = unpack(voxels.key[cursor])
        dx = (i + 0.5) * voxel_size - center[0]
        dy = (j + 0.5) * voxel_size - center[1]
        dz = (k + 0.5) * voxel_size - center[2]
        if dx * dx + dy * dy + dz * dz <= radius * radius:
            cursor += 1
            continue
        # The last voxel moves into the gap, so the arrays stay dense.
        remove_key(table, voxels.key[cursor])
        size -= 1
        if cursor < size:
            voxels.key[cursor] = voxels.key[size]
            voxels.moments[cursor] = voxels.moments[size]
            voxels.plane[cursor] = voxels.plane[size]
            voxels.fitted[cursor] = voxels.fitted[size]
            remove_key(table, voxels.key[cursor])
            insert_key(table, voxels.key[cursor], cursor)
    return size, cursor
