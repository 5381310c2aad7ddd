# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Planes of map cells: of the cells around each, as many as it takes to tell its direction."""

import math

import numpy as np
from numba import njit

from dcreg_ros.geometry.eigen3 import eigen3
from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.voxels.bulge import TERMS, bulge
from dcreg_ros.voxels.grazing import straighten
from dcreg_ros.voxels.hashing import find, pack, unpack
from dcreg_ros.voxels.layout import SUSPECT_TILT, layout
from dcreg_ros.voxels.map import MOMENTS, PLANE
from dcreg_ros.voxels.moments import add_moments
from dcreg_ros.voxels.nearest import list_occupied, load_masks
from dcreg_ros.voxels.poles import goes_on, is_pole, write_pole
from dcreg_ros.voxels.uprights import SHIFTS, gather_column, has_height, is_upright

REACHES = (0, 1, 2, 4)
"""Cells on either side that are tried: between the rings of a sparse LiDAR near points are in one
line, and only a wider neighbourhood reaches the next ring."""
MIN_POINTS = 6.0
MIN_CELLS = 3
LINE = 0.05
"""Middle over largest eigenvalue below which points are a line and say nothing of a plane."""
CORNER = 0.26
"""The same for the points of a single cell, where a line with a corner in the middle has 0.25."""
FLAT = 0.1
"""Smallest over middle eigenvalue above which they are no surface."""
COMMON_SIGMA = 0.002
"""Error that all points of a scan share [m], from its pose: it tilts planes with no residual."""
SENSOR_SIGMA, SENSOR_WEIGHT = 0.02, 4.0
"""Noise [m] that is expected of a sensor, and how many points this expectation is worth."""
FEW_CELLS = 32
"""Cells around, up to which they may be of a small thing far away."""
WORST_TILT = 0.3**2
"""Variance of the tilt [rad^2] above which a plane says nothing."""
REFIT = 1.5
"""A plane is fitted anew once its cell has been seen this many times as often as before."""


@inner_loop
def is_fresh(cells, row):
    """Whether the plane of a cell still stands for the points it has seen."""
    fitted = cells.fitted[row]
    return fitted >= 0.0 and cells.moments[row, 0] <= REFIT * fitted + 2.0


@inner_loop
def fit_cell(rows, masks, cells, cell_size, row, tolerance, scratch, plane):
    """Fill `plane` (PLANE,) with the best plane of a cell, which the map alone decides.

    `scratch` is of :func:`make_scratch`.
    """
    around, ways, members, sums, matrix, vectors, pole, system = scratch
    i, j, k = unpack(cells.key[row])
    load_masks(masks, i, j, k, around)
    steps = ways[:list_occupied(around, i, j, k, REACHES[-1], ways)]
    best = WORST_TILT
    plane[10], pole[10] = np.float32(-1.0), np.float32(-1.0)
    inner, found = -1, 0
    for m in range(MOMENTS):
        sums[m] = 0.0
    for reach in REACHES:
        found = _gather(rows, cells, cell_size, i, j, k, inner, reach, steps, members, found, sums)
        inner = reach
        if sums[0] < MIN_POINTS:
            continue
        shape = _principal(sums, matrix, vectors)
        if pole[10] < 0.0 and reach > 0 and is_pole(matrix, vectors, cell_size):
            write_pole(pole, sums, cells.moments[row], matrix, vectors)
        if reach > 0 and found < MIN_CELLS:
            continue
        if shape < 0 or not math.sqrt(max(matrix[0, 0], 0.0)) < tolerance:
            break  # no surface, nor will more of it be one
        if shape == 0 or (reach == 0 and matrix[1, 1] < CORNER * matrix[2, 2]):
            continue
        bend_minor = bend_major = 0.0
        if reach > 0:
            one_line, bend_minor, bend_major = layout(
                cells, cell_size, i, j, k, reach, members, found, sums, matrix[0, 0], vectors)
            if one_line:
                if best < SUSPECT_TILT:  # its own cell showed a part of the same line
                    best, plane[10] = WORST_TILT, np.float32(-1.0)
                continue
        spread = _spread(matrix[0, 0], sums[0])
        minor, major = bend_minor + spread / matrix[1, 1], bend_major + spread / matrix[2, 2]
        if minor < best:
            best = minor
            _write(plane, sums, vectors, minor, major)
            straighten(
                cells, cell_size, i, j, k, reach, members, found, sums, matrix, vectors, plane)
            if reach > 0 and max(bend_minor, bend_major) < SUSPECT_TILT:
                height = bulge(
                    cells, cell_size, i, j, k, members, found, sums, vectors, system)
                for axis in range(3):
                    plane[3 + axis] += np.float32(height * vectors[axis, 0])
            if reach > 1 or (reach > 0 and minor < SUSPECT_TILT):
                break
    upright = best >= SUSPECT_TILT and steps.shape[0] <= FEW_CELLS and has_height(steps)
    if upright or (plane[10] < 0.0 and pole[10] >= 0.0):
        found = _gather(
            rows, cells, cell_size, i, j, k, inner, REACHES[-1], steps, members, found, sums)
    if upright:
        _fit_upright(cells, cell_size, i, j, k, found, scratch, plane)
    if (plane[10] < 0.0 and pole[10] >= 0.0
            and goes_on(cells, cell_size, i, j, k, members, found, pole)):
        for n in range(PLANE):
            plane[n] = pole[n]


@inner_loop
def _fit_upright(cells, cell_size, i, j, k, found, scratch, plane):
    """Fill `plane` (PLANE,) with an upright face of a small thing, if cell (i, j, k) is of one.

    In `scratch` are the `found` cells around.
    """
    _, _, members, sums, matrix, vectors, _, _ = scratch
    column = members[found:]
    for shift in range(SHIFTS):
        count = gather_column(
            cells, cell_size, i, j, k, shift, members, found, column, sums)
        if sums[0] < MIN_POINTS or count < MIN_CELLS or _principal(sums, matrix, vectors) < 1:
            continue
        if is_upright(cells, cell_size, i, j, k, column, count, sums, matrix, vectors):
            spread = _spread(matrix[0, 0], sums[0])
            if spread < 0.5 * SUSPECT_TILT * matrix[1, 1]:
                _write(plane, sums, vectors, spread / matrix[1, 1], spread / matrix[2, 2])
                return


@inner_loop
def _spread(variance, count):
    """Variance [m^2] of the height of a plane that `count` points lie about with a `variance`.

    A few points fit any plane: their residuals count for more, the more of them there are.
    """
    noise = (max(variance, 0.0) * count + SENSOR_WEIGHT * SENSOR_SIGMA**2) / (
        count - 3.0 + SENSOR_WEIGHT)
    return noise / count + 0.5 * COMMON_SIGMA**2


@inner_loop
def _gather(rows, cells, cell_size, i, j, k, inner, reach, steps, members, found, sums):
    """Add to `sums` the moments of the cells beyond `inner` up to `reach` cells away.

    Of these, `steps` (M, 4) has all. Moments are about the middle of cell (i, j, k). Rows go to
    `members` behind the first `found`; returns how many these are then.
    """
    for n in range(steps.shape[0]):
        if inner < steps[n, 3] <= reach:
            di, dj, dk = steps[n, 0], steps[n, 1], steps[n, 2]
            member = find(rows, pack(i + di, j + dj, k + dk))
            members[found] = member
            found += 1
            add_moments(
                sums, cells.moments[member], di * cell_size, dj * cell_size, dk * cell_size)
    return found


@inner_loop
def _principal(sums, matrix, vectors):
    """Eigenvalues of the covariance in the diagonal of `matrix`: -1 no surface, 0 a line, 1 both.

    Columns of `vectors` become the principal directions, the normal first.
    """
    share = 1.0 / sums[0]
    x, y, z = sums[1] * share, sums[2] * share, sums[3] * share
    matrix[0, 0] = sums[4] * share - x * x
    matrix[0, 1] = matrix[1, 0] = sums[5] * share - x * y
    matrix[0, 2] = matrix[2, 0] = sums[6] * share - x * z
    matrix[1, 1] = sums[7] * share - y * y
    matrix[1, 2] = matrix[2, 1] = sums[8] * share - y * z
    matrix[2, 2] = sums[9] * share - z * z
    eigen3(matrix, vectors)
    if not matrix[1, 1] > LINE * matrix[2, 2]:
        return 0
    return 1 if matrix[0, 0] < FLAT * matrix[1, 1] else -1


@njit(cache=True, nogil=True)
def make_scratch():
    """Room that :func:`fit_cell` works in."""
    most = (2 * REACHES[-1] + 1) ** 3
    return (
        np.empty((3, 3, 3), np.int64), np.empty((most, 4), np.int64), np.empty(most, np.int64),
        np.empty(MOMENTS), np.empty((3, 3)), np.empty((3, 3)), np.empty(PLANE, np.float32),
        np.empty((TERMS, TERMS + 2)))


@inner_loop
def _write(plane, sums, vectors, minor, major):
    """Fill `plane` (PLANE,)."""
    share = 1.0 / sums[0]
    for axis in range(3):
        plane[axis] = np.float32(vectors[axis, 0])
        plane[3 + axis] = np.float32(sums[1 + axis] * share)
        plane[6 + axis] = np.float32(vectors[axis, 1])
    plane[9] = np.float32(minor)
    plane[10] = np.float32(major)
    plane[11] = np.float32(0.0)
