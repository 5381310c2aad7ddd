# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The local map: hashed cells with mean and covariance of their points, bounded in radius."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.voxels.hashing import (
    CELL_LIMIT,
    EMPTY,
    find,
    find_slot,
    insert_key,
    make_table,
    pack,
    remove_key,
    unpack,
)

CELLS_PER_EDGE = 2
"""A voxel is cut into 4 x 4 x 4 cells; one 64 bit mask says which of them are occupied."""
MOMENTS = 10
"""Per cell: number of points, their sum, and the sums of products xx xy xz yy yz zz."""
PLANE = 11
"""Per plane: unit normal, centroid from the middle of the cell [m], the direction in the plane in
which it was sampled least, and the variances of its tilt towards that and towards the other
direction [rad^2]; the last is below zero where there is no plane."""
SATURATED = 1000.0
"""Points after which a cell forgets half of what it saw, so that a changing world is followed."""
SWEEP = 2048
"""Cells looked at for forgetting in each scan, beside twice those that were added."""
NEVER = -1.0


class Cells(NamedTuple):
    """The arrays of a map, row by cell; a tuple, so that kernels take it as it is.

    Attributes
    ----------
    key : (C,) int64 array
        Packed cell.
    moments : (C, MOMENTS) float32 array
        Of its points, from the middle of the cell [m].
    plane : (C, PLANE) float32 array
        Of the cell and its neighbours.
    fitted : (C,) float32 array
        Points of the cell when the plane was fitted, NEVER before.
    """

    key: NDArray[np.int64]
    moments: NDArray[np.float32]
    plane: NDArray[np.float32]
    fitted: NDArray[np.float32]


class VoxelMap:
    """Statistics of the points around a moving sensor, at a cost that does not grow with the map.

    Parameters
    ----------
    voxel_size : float
        Edge of a voxel [m]; its cells are a quarter as wide.
    radius : float
        Cells farther than this from the sensor are forgotten little by little [m].

    Attributes
    ----------
    cell_size : float
        Edge of a cell [m].
    rows : (S, 2) int64 array
        Hash table from cells to rows of `cells`.
    masks : (T, 2) int64 array
        Hash table from voxels to the mask of their occupied cells.
    cells : Cells
    """

    def __init__(self, voxel_size: float, radius: float = np.inf) -> None:
        self.voxel_size = float(voxel_size)
        self.cell_size = self.voxel_size / CELLS_PER_EDGE
        self.radius = float(radius)
        self._size = 0
        self._voxels = 0
        self._cursor = 0
        self.cells = _allocate(4096)
        self.rows = make_table(16384)
        self.masks = make_table(4096)

    def __len__(self) -> int:
        return self._size

    def insert(self, points: NDArray[np.float64], pose: NDArray[np.float64]) -> None:
        """Add points and forget some of the cells beyond the radius.

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
            self._size, self._voxels, done = _add(
                points, pose, done, self.cell_size, self.rows, self.masks, self.cells,
                self._size, self._voxels)
            if done < len(points):
                self._grow()
        if np.isfinite(self.radius):
            budget = SWEEP + 2 * (self._size - before)
            self._size, self._voxels, self._cursor = _forget(
                self.rows, self.masks, self.cells, self._size, self._voxels, self._cursor, budget,
                pose[:3, 3].copy(), self.radius, self.cell_size)

    def _grow(self) -> None:
        """Double whichever of cells and voxels has no room left."""
        if self._size == len(self.cells.key):
            grown = _allocate(2 * self._size)
            for old, new in zip(self.cells, grown, strict=True):
                new[: self._size] = old[: self._size]
            self.cells = grown
            self.rows = make_table(4 * len(grown.key))
            _index(self.rows, grown.key[: self._size])
        if 2 * self._voxels >= len(self.masks):
            self.masks = _larger(self.masks)

    def means(self) -> NDArray[np.float64]:
        """Mean points (K, 3) of all cells, map frame [m]."""
        return _means(self.cells, self._size, self.cell_size)


def _allocate(capacity: int) -> Cells:
    # Zeroed memory costs nothing until it is touched, so room to grow is cheap.
    return Cells(
        np.zeros(capacity, np.int64), np.zeros((capacity, MOMENTS), np.float32),
        np.zeros((capacity, PLANE), np.float32), np.zeros(capacity, np.float32))


@njit(cache=True, nogil=True)
def _index(table, keys):
    """Enter all `keys` into an empty table."""
    for row in range(keys.shape[0]):
        insert_key(table, keys[row], row)


@njit(cache=True, nogil=True)
def _larger(table):
    """The same entries in a table twice as long."""
    out = np.full((2 * table.shape[0], 2), EMPTY)
    for slot in range(table.shape[0]):
        if table[slot, 0] != EMPTY:
            insert_key(out, table[slot, 0], table[slot, 1])
    return out


@njit(cache=True, nogil=True, inline='always')
def voxel_of(i, j, k):
    """Key of the voxel of a cell, and the bit of the cell in its mask."""
    bit = ((i & 3) << 4) | ((j & 3) << 2) | (k & 3)
    return pack(i >> 2, j >> 2, k >> 2), np.int64(1) << bit


@njit(cache=True, nogil=True)
def _add(points, pose, start, cell_size, rows, masks, cells, size, voxels):
    """Take in points (N, 3) from row `start` on; returns the sizes and the row it came to."""
    scale = 1.0 / cell_size
    m = pose[:3] * scale
    last_key, row = EMPTY, 0
    for n in range(start, points.shape[0]):
        px, py, pz = points[n, 0], points[n, 1], points[n, 2]
        fx = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
        fy = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
        fz = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
        # Beyond the cells there are, and NaN: there is no such place.
        if not (abs(fx) < CELL_LIMIT and abs(fy) < CELL_LIMIT and abs(fz) < CELL_LIMIT):
            continue
        i, j, k = int(np.floor(fx)), int(np.floor(fy)), int(np.floor(fz))
        key = pack(i, j, k)
        if key != last_key:
            row = find(rows, key)
            if row < 0:
                if size == cells.key.shape[0] or 2 * voxels >= masks.shape[0]:
                    return size, voxels, n
                row = size
                size += 1
                insert_key(rows, key, row)
                cells.key[row] = key
                cells.moments[row] = np.float32(0.0)
                cells.fitted[row] = np.float32(NEVER)
                voxels += _mark(masks, i, j, k)
            last_key = key
        _accumulate(
            cells.moments[row], (fx - i - 0.5) * cell_size, (fy - j - 0.5) * cell_size,
            (fz - k - 0.5) * cell_size)
        if cells.moments[row, 0] >= SATURATED:
            cells.moments[row] *= np.float32(0.5)
            cells.fitted[row] *= np.float32(0.5)
    return size, voxels, points.shape[0]


@njit(cache=True, nogil=True, inline='always')
def _accumulate(moments, x, y, z):
    """Add one point, relative to the middle of its cell."""
    moments[0] += np.float32(1.0)
    moments[1] += np.float32(x)
    moments[2] += np.float32(y)
    moments[3] += np.float32(z)
    moments[4] += np.float32(x * x)
    moments[5] += np.float32(x * y)
    moments[6] += np.float32(x * z)
    moments[7] += np.float32(y * y)
    moments[8] += np.float32(y * z)
    moments[9] += np.float32(z * z)


@njit(cache=True, nogil=True)
def _mark(masks, i, j, k):
    """Mark a cell as occupied; returns how many voxels are new."""
    key, bit = voxel_of(i, j, k)
    slot = find_slot(masks, key)
    if slot < 0:
        insert_key(masks, key, bit)
        return 1
    masks[slot, 1] |= bit
    return 0


@njit(cache=True, nogil=True)
def _unmark(masks, i, j, k):
    """Mark a cell as empty; returns how many voxels that leaves empty."""
    key, bit = voxel_of(i, j, k)
    slot = find_slot(masks, key)
    masks[slot, 1] &= ~bit
    if masks[slot, 1] == 0:
        remove_key(masks, key)
        return 1
    return 0


@njit(cache=True, nogil=True)
def _forget(rows, masks, cells, size, voxels, cursor, budget, center, radius, cell_size):
    """Remove far cells among the next `budget`; returns the new sizes and cursor."""
    for _ in range(min(budget, size)):
        if cursor >= size:
            cursor = 0
        if size == 0:
            break
        i, j, k = unpack(cells.key[cursor])
        dx = (i + 0.5) * cell_size - center[0]
        dy = (j + 0.5) * cell_size - center[1]
        dz = (k + 0.5) * cell_size - center[2]
        if dx * dx + dy * dy + dz * dz <= radius * radius:
            cursor += 1
            continue
        remove_key(rows, cells.key[cursor])
        voxels -= _unmark(masks, i, j, k)
        # The last cell moves into the gap, so the arrays stay dense.
        size -= 1
        if cursor < size:
            remove_key(rows, cells.key[size])
            insert_key(rows, cells.key[size], cursor)
            cells.key[cursor] = cells.key[size]
            cells.moments[cursor] = cells.moments[size]
            cells.plane[cursor] = cells.plane[size]
            cells.fitted[cursor] = cells.fitted[size]
    return size, voxels, cursor


@njit(cache=True, nogil=True)
def _means(cells, size, cell_size):
    """Means (size, 3) of all cells in the map frame."""
    out = np.empty((size, 3))
    for row in range(size):
        i, j, k = unpack(cells.key[row])
        share = 1.0 / cells.moments[row, 0]
        out[row, 0] = (i + 0.5) * cell_size + cells.moments[row, 1] * share
        out[row, 1] = (j + 0.5) * cell_size + cells.moments[row, 2] * share
        out[row, 2] = (k + 0.5) * cell_size + cells.moments[row, 3] * share
    return out
