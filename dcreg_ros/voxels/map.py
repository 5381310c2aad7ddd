# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The local map: hashed voxels of a few cells each, bounded in radius and in points."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.voxels.hashing import (
    CELL_LIMIT,
    EMPTY,
    find,
    insert_key,
    make_table,
    pack,
    remove_key,
    unpack,
)

CELLS_PER_EDGE = 4
"""A voxel is cut into 4 x 4 x 4 cells; a surface passes through about 16 of them."""
MAX_CELLS = 24
"""Cells a voxel keeps; what more there is in clutter adds nothing."""
SWEEP = 512
"""Voxels looked at for forgetting in each scan, beside twice those that were added."""
NEVER = -1.0


class Voxels(NamedTuple):
    """The arrays of a map, row by voxel; a tuple, so that kernels take it as it is.

    Attributes
    ----------
    key : (V,) int64 array
        Packed voxel.
    used : (V,) int32 array
        Cells in use.
    place : (V, 64) uint8 array
        One more than the place of each cell of the voxel among those in use; 0 where it is empty.
    mean : (V, MAX_CELLS, 3) float32 array
        Mean of its points, from the voxel's lowest corner [m].
    seen : (V, MAX_CELLS) float32 array
        Points averaged: how often it was seen.
    plane : (V, MAX_CELLS, 5) float32 array
        Unit normal, offset of the plane along it from the mean [m], variance of its tilt [rad^2];
        a variance below zero means that there is no plane.
    fitted : (V, MAX_CELLS) float32 array
        `seen` when the plane was fitted, NEVER before.
    """

    key: NDArray[np.int64]
    used: NDArray[np.int32]
    place: NDArray[np.uint8]
    mean: NDArray[np.float32]
    seen: NDArray[np.float32]
    plane: NDArray[np.float32]
    fitted: NDArray[np.float32]


class VoxelMap:
    """Averaged points around a moving sensor, at a cost that does not grow with the map.

    Parameters
    ----------
    voxel_size : float
        Edge of a voxel [m]; its cells, one averaged point each, are a quarter as wide.
    radius : float
        Voxels farther than this from the sensor are forgotten little by little [m].
    """

    def __init__(self, voxel_size: float, radius: float = np.inf) -> None:
        self.voxel_size = float(voxel_size)
        self.radius = float(radius)
        self._size = 0
        self._cursor = 0
        self.voxels = _allocate(1024)
        self.table = make_table(4096)

    def __len__(self) -> int:
        return self._size

    def insert(self, points: NDArray[np.float64], pose: NDArray[np.float64]) -> None:
        """Add points and forget some of the voxels beyond the radius.

        Parameters
        ----------
        points : (N, 3) float64 array
            Finite, sensor frame [m].
        pose : (4, 4) float64 array
            ``T_map_sensor`` [m].
        """
        done = 0
        before = self._size
        while done < len(points):
            self._size, done = _add(
                points, pose, done, self.voxel_size, self.table, self.voxels, self._size)
            if done < len(points):
                self._grow()
        if np.isfinite(self.radius):
            budget = SWEEP + 2 * (self._size - before)
            self._size, self._cursor = _forget(
                self.table, self.voxels, self._size, self._cursor, budget, pose[:3, 3].copy(),
                self.radius, self.voxel_size)

    def _grow(self) -> None:
        grown = _allocate(2 * len(self.voxels.key))
        for name in Voxels._fields:
            getattr(grown, name)[: self._size] = getattr(self.voxels, name)[: self._size]
        self.voxels = grown
        self.table = make_table(4 * len(grown.key))
        _index(self.table, grown.key[: self._size])

    def means(self) -> NDArray[np.float64]:
        """Averaged points (K, 3) of all cells, map frame [m]."""
        return _means(self.voxels, self._size, self.voxel_size)


def _allocate(capacity: int) -> Voxels:
    # Zeroed memory costs nothing until it is touched, so room to grow is cheap.
    cells = (capacity, MAX_CELLS)
    return Voxels(
        np.zeros(capacity, np.int64), np.zeros(capacity, np.int32),
        np.zeros((capacity, CELLS_PER_EDGE**3), np.uint8),
        np.zeros((*cells, 3), np.float32), np.zeros(cells, np.float32),
        np.zeros((*cells, 5), np.float32), np.zeros(cells, np.float32))


@njit(cache=True, nogil=True)
def _index(table, keys):
    """Enter all `keys` into an empty table."""
    for row in range(keys.shape[0]):
        insert_key(table, keys[row], row)


@njit(cache=True, nogil=True)
def _add(points, pose, start, voxel_size, table, voxels, size):
    """Average in points (N, 3) from row `start` on; returns the size and the row it came to."""
    scale = 1.0 / voxel_size
    m = pose[:3] * scale
    last_key, row = EMPTY, 0
    for i in range(start, points.shape[0]):
        px, py, pz = points[i, 0], points[i, 1], points[i, 2]
        fx = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
        fy = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
        fz = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
        # Beyond the cells there are, and NaN: there is no such place.
        if not (abs(fx) < CELL_LIMIT and abs(fy) < CELL_LIMIT and abs(fz) < CELL_LIMIT):
            continue
        ix, iy, iz = int(np.floor(fx)), int(np.floor(fy)), int(np.floor(fz))
        key = pack(ix, iy, iz)
        if key != last_key:
            row = find(table, key)
            if row < 0:
                if size == voxels.key.shape[0]:
                    return size, i
                row = size
                size += 1
                insert_key(table, key, row)
                voxels.key[row] = key
                voxels.used[row] = 0
                voxels.place[row] = 0
            last_key = key
        x, y, z = fx - ix, fy - iy, fz - iz
        code = (_cell(x) * CELLS_PER_EDGE + _cell(y)) * CELLS_PER_EDGE + _cell(z)
        _average(voxels, row, code, x * voxel_size, y * voxel_size, z * voxel_size)
    return size, points.shape[0]


@njit(cache=True, nogil=True, inline='always')
def _cell(place):
    """Cell along one edge; a hair below a border the place rounds to 1."""
    return min(int(place * CELLS_PER_EDGE), CELLS_PER_EDGE - 1)


@njit(cache=True, nogil=True, inline='always')
def _average(voxels, row, code, x, y, z):
    """Average one point, relative to the voxel's corner, into its cell."""
    cell = np.int64(voxels.place[row, code]) - 1
    if cell >= 0:
        seen = voxels.seen[row, cell] + np.float32(1.0)
        voxels.seen[row, cell] = seen
        share = np.float32(1.0) / seen
        mean = voxels.mean[row, cell]
        mean[0] += (np.float32(x) - mean[0]) * share
        mean[1] += (np.float32(y) - mean[1]) * share
        mean[2] += (np.float32(z) - mean[2]) * share
    elif voxels.used[row] < MAX_CELLS:
        cell = np.int64(voxels.used[row])
        voxels.used[row] = cell + 1
        voxels.place[row, code] = cell + 1
        voxels.seen[row, cell] = np.float32(1.0)
        voxels.fitted[row, cell] = np.float32(NEVER)
        voxels.mean[row, cell, 0] = np.float32(x)
        voxels.mean[row, cell, 1] = np.float32(y)
        voxels.mean[row, cell, 2] = np.float32(z)


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
            remove_key(table, voxels.key[size])
            insert_key(table, voxels.key[size], cursor)
            _copy_row(voxels, size, cursor)
    return size, cursor


@njit(cache=True, nogil=True)
def _copy_row(voxels, source, target):
    """Move one voxel to another row."""
    voxels.key[target] = voxels.key[source]
    voxels.used[target] = voxels.used[source]
    voxels.place[target] = voxels.place[source]
    voxels.mean[target] = voxels.mean[source]
    voxels.seen[target] = voxels.seen[source]
    voxels.plane[target] = voxels.plane[source]
    voxels.fitted[target] = voxels.fitted[source]


@njit(cache=True, nogil=True)
def _means(voxels, size, voxel_size):
    """Means (K, 3) of all cells in the map frame."""
    total = 0
    for row in range(size):
        total += voxels.used[row]
    out = np.empty((total, 3))
    n = 0
    for row in range(size):
        i, j, k = unpack(voxels.key[row])
        for cell in range(voxels.used[row]):
            out[n, 0] = i * voxel_size + voxels.mean[row, cell, 0]
            out[n, 1] = j * voxel_size + voxels.mean[row, cell, 1]
            out[n, 2] = k * voxel_size + voxels.mean[row, cell, 2]
            n += 1
    return out
