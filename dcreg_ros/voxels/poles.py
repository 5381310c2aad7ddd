# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poles and trunks: upright things too thin for planes.

Along its axis a pole says nothing; across it, points lie about the axis as far as the pole is
thick. So it makes two planes through the axis, square to each other, with that thickness as noise:
a query is matched to one or the other. Lines that lie are no poles: they are rings of the LiDAR,
which move with it.
"""

import math

import numpy as np

from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.voxels.hashing import unpack
from dcreg_ros.voxels.moments import covariance_along

UPRIGHT = 0.8
"""Least upward component of the axis of a pole."""
SLENDER = 0.33
"""Most variance across a pole, as a share of that along it."""
LENGTH = 0.5
"""Least standard deviation of its points along it, in edges of a cell: two rings."""
THINNEST = 0.02**2
"""Least thickness [m^2]: with fewer points than that takes, all poles seem thin."""
MIN_OWN = 4.0
"""Points from which a cell tells its own part of the surface of a pole."""
ASIDE = 2.0
"""Most distance from the axis in edges of a cell, for cells above and below to be of the pole."""
MIN_LEVELS = 4
"""Heights at which it is seen: far away, two or three returns above each other may be
of anything."""
MOST_LEVELS = 32
"""Heights that are told apart."""


@inner_loop
def is_pole(matrix, vectors, cell_size):
    """Whether points with these variances and principal directions are a pole."""
    along = matrix[2, 2]
    return (abs(vectors[2, 2]) > UPRIGHT and matrix[1, 1] < SLENDER * along
            and along > (LENGTH * cell_size) ** 2)


@inner_loop
def write_pole(pole, sums, own, matrix, vectors):
    """Fill `pole` (PLANE,), with the part of its surface in the `own` cell where that tells.

    The tilt towards the second direction across has no meaning: in its place is the thickness
    along that direction.
    """
    alone = own[0] >= MIN_OWN
    share = 1.0 / own[0] if alone else 1.0 / sums[0]
    for axis in range(3):
        pole[axis] = np.float32(vectors[axis, 0])
        pole[3 + axis] = np.float32(share * (own[1 + axis] if alone else sums[1 + axis]))
        pole[6 + axis] = np.float32(vectors[axis, 1])
    first = covariance_along(own, vectors, 0, 0) if alone else matrix[0, 0]
    second = covariance_along(own, vectors, 1, 1) if alone else matrix[1, 1]
    pole[9] = np.float32(max(second - THINNEST, THINNEST))
    pole[10] = np.float32(matrix[1, 1] / (sums[0] * matrix[2, 2]))
    pole[11] = np.float32(max(first - THINNEST, THINNEST))


@inner_loop
def goes_on(cells, cell_size, i, j, k, members, found, pole):
    """Whether there are cells at several heights along the axis of a pole at cell (i, j, k)."""
    ax, ay, az = _axis(pole)
    levels = 0
    for n in range(found):
        m = cells.moments[members[n]]
        ci, cj, ck = unpack(cells.key[members[n]])
        own = 1.0 / m[0]
        x = (ci - i) * cell_size + m[1] * own - pole[3]
        y = (cj - j) * cell_size + m[2] * own - pole[4]
        z = (ck - k) * cell_size + m[3] * own - pole[5]
        h = ax * x + ay * y + az * z
        if x * x + y * y + z * z - h * h < (ASIDE * cell_size) ** 2:
            levels |= 1 << (math.floor(h / cell_size + 0.5) + MOST_LEVELS // 2)
    count = 0
    for level in range(MOST_LEVELS):
        count += (levels >> level) & 1
    return count >= MIN_LEVELS


@inner_loop
def _axis(pole):
    return (
        pole[1] * pole[8] - pole[2] * pole[7], pole[2] * pole[6] - pole[0] * pole[8],
        pole[0] * pole[7] - pole[1] * pole[6])


@inner_loop
def stands_up(pole, rotation):
    """Whether the axis of a pole is upright for a LiDAR turned by `rotation`, too."""
    ax, ay, az = _axis(pole)
    return abs(rotation[0, 2] * ax + rotation[1, 2] * ay + rotation[2, 2] * az) > UPRIGHT


@inner_loop
def turn_pole(pole):
    """Make the other plane through the axis of a pole out of the one it is."""
    for axis in range(3):
        pole[axis], pole[6 + axis] = pole[6 + axis], pole[axis]
    pole[9], pole[11] = pole[11], pole[9]
