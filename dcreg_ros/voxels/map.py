# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The local map: hashed cells with mean and covariance of their points, bounded in radius."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.voxels.changes import add, enter, forget, seen
from dcreg_ros.voxels.hashing import make_table, unpack

CELLS_PER_EDGE = 2
MOMENTS = 16
"""Per cell: number of points, their sum, the sums of products xx xy xz yy yz zz, and those of the
parts of the unit vectors along their rays."""
PLANE = 12
"""Numbers of a plane: normal, a point from the middle of the cell [m], the direction in the plane
in which it was sampled least, the variances of its tilt towards that and towards the other
direction [rad^2], and its thickness [m^2], 0 but for poles; the last but one is below zero where
there is no plane."""
WORK = 2048
"""Cells looked at in each scan for forgetting, and entered into larger tables while these are
made, beside twice those that were added."""
SOME = 500
"""Points that are asked how new the map is where they are; at most twice as many."""
SPARE = 8.0
"""With less than this share of the room left, one in so many, what is farthest makes way."""


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
        Edge of a voxel [m]; its cells are half as wide.
    radius : float
        Cells farther than this from the sensor are forgotten little by little [m].
    max_cells : int, optional
        Cells held at most, for which address space is set aside at once. As the map fills up,
        the radius shrinks; where there is none, the map then takes in no more cells. By default
        room grows by doubling, which takes its time.

    Attributes
    ----------
    cell_size : float
        Edge of a cell [m].
    rows : (S, 2) int64 array
        Hash table from cells to rows of `cells`.
    masks : (T, 2) int64 array
        Hash table from blocks of 4 x 4 x 4 cells to 64 bits that say which are occupied.
    cells : Cells
    """

    def __init__(
        self, voxel_size: float, radius: float = np.inf, max_cells: int | None = None
    ) -> None:
        self.voxel_size = float(voxel_size)
        self.cell_size = self.voxel_size / CELLS_PER_EDGE
        self.radius = float(radius)
        self.max_cells = max_cells
        self._size = 0
        self._blocks = 0
        self._cursor = 0
        self.cells = _allocate(4096 if max_cells is None else max_cells)
        self.rows, self.masks = make_table(16384), make_table(4096)
        self._next: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
        self._entered = 0

    def __len__(self) -> int:
        return self._size

    def insert(
        self, points: NDArray[np.float64], pose: NDArray[np.float64], rays: bool = True
    ) -> float:
        """Add points and forget some of the cells beyond the radius.

        Parameters
        ----------
        points : (N, 3) float64 array
            Finite, sensor frame [m].
        pose : (4, 4) float64 array
            ``T_map_sensor`` [m].
        rays : bool
            Whether the points were seen from the origin of their frame.

        Returns
        -------
        float
            How new the map is where they are: the share of the points of a cell that are of
            these, the mean over (some of) them.
        """
        some = np.ascontiguousarray(points[::max(len(points) // SOME, 1)])
        old = self._seen(some, pose)
        before, done = self._size, 0
        while True:
            self._size, self._blocks, done = add(
                points, pose, rays, done, self.cell_size, self._reach(), self.rows, self.masks,
                self.cells, self._size, self._blocks, self.max_cells is not None)
            if done == len(points):
                break
            self._make_room()
        now = self._seen(some, pose)
        work = WORK + 2 * (self._size - before)
        self._enlarge(work)
        if np.isfinite(self.radius):
            if self.max_cells is not None:  # a full map has no reach, and would lose all of it
                work = min(work, int(self.max_cells / SPARE))
            self._size, self._blocks, self._cursor = forget(
                self.rows, self.masks, *(self._next or (self.rows, self.masks)), self._entered,
                self.cells, self._size, self._blocks, self._cursor, work, pose[:3, 3].copy(),
                self._reach(), self.cell_size)
            self._entered = min(self._entered, self._size)
        taken = now > 0.0
        share = np.maximum(1.0 - old[taken] / now[taken], 0.0)
        return float(share.mean()) if len(share) else 0.0

    def _seen(self, points: NDArray[np.float64], pose: NDArray[np.float64]) -> NDArray[np.float64]:
        """How many points (N,) the cells of these (N, 3) have seen."""
        return np.asarray(seen(points, pose, self.cell_size, self.rows, self.cells))

    def _reach(self) -> float:
        """Distance [m] beyond which cells go, so that what is farthest leaves a full map first."""
        if self.max_cells is None or np.isinf(self.radius):
            return self.radius
        return self.radius * min(1.0, SPARE * (1.0 - self._size / self.max_cells))

    def _make_room(self) -> None:
        """Double at once whatever is full."""
        if self._size == len(self.cells.key):
            grown = _allocate(2 * self._size)
            for name in Cells._fields:
                getattr(grown, name)[: self._size] = getattr(self.cells, name)
            self.cells = grown
        while 2 * self._size >= len(self.rows) or 2 * self._blocks >= len(self.masks):
            self._enlarge(self._size)

    def _enlarge(self, work: int) -> None:
        """Enter the next `work` cells into larger tables, and change to those that have all.

        Begun when a table is a quarter full, with twice as many cells as are new, this ends
        before one is half full: no scan waits for all of it.
        """
        if self._next is None:
            full = 4 * self._size > len(self.rows), 4 * self._blocks > len(self.masks)
            if not any(full):
                return
            self._next = (
                make_table(len(self.rows) << full[0]), make_table(len(self.masks) << full[1]))
        end = min(self._entered + work, self._size)
        enter(*self._next, self.cells.key, self._entered, end)
        self._entered = end
        if end == self._size:
            (self.rows, self.masks), self._next, self._entered = self._next, None, 0

    def means(self) -> NDArray[np.float64]:
        """Mean points (K, 3) of all cells, map frame [m]."""
        return _means(self.cells, self._size, self.cell_size)


def _allocate(capacity: int) -> Cells:
    # Zeroed memory costs nothing until it is touched, so room to grow is cheap.
    return Cells(
        np.zeros(capacity, np.int64), np.zeros((capacity, MOMENTS), np.float32),
        np.zeros((capacity, PLANE), np.float32), np.zeros(capacity, np.float32))


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
