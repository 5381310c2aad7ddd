# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Upright faces of small things, from two rings of the LiDAR that cross them one above the other.

A box far away shows two short lines and a corner. No ball of cells around has both lines but not
the corner, so upright columns of cells are tried, the cell in the middle of them or at their edge.
"""

import math

from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.voxels.hashing import unpack
from dcreg_ros.voxels.map import MOMENTS
from dcreg_ros.voxels.moments import add_moments, variance

SHIFTS = 9
"""Columns of 3 by 3 cells that are tried: first with the cell that wants a plane in the middle."""
LEANING = 0.2
"""Most upward component of the normal of an upright face."""
THICK = 0.06**2
"""Most variance of points about it [m^2]."""
WIDE = 0.12**2
"""Least variance of its points in its narrower direction [m^2]."""
MIN_ROW = 3.0
"""Points from which a row is one."""
LIKE = 0.25
"""Least spread of one row along the face, as a share of that of the other."""
APART, FLAT = 2.0, 1.0 / 16.0
"""Least distance of the rows in edges of a cell, and most variance of their heights, as a share of
the square of that distance."""


@inner_loop
def has_height(steps):
    """Whether some of the `steps` (M, 4) lead to cells above or below, not to the next."""
    for n in range(steps.shape[0]):
        if abs(steps[n, 0]) < 2 and abs(steps[n, 1]) < 2 and abs(steps[n, 2]) > 1:
            return True
    return False


@inner_loop
def gather_column(cells, cell_size, i, j, k, shift, members, found, column, sums):
    """Fill `sums` (MOMENTS,) with the moments of those of the `members` that are in one column.

    Moments are about the middle of cell (i, j, k). Rows go to `column`; returns how many they are.
    """
    count = 0
    turn = (shift + SHIFTS // 2) % SHIFTS
    aside, across = turn % 3 - 1, turn // 3 - 1
    for m in range(MOMENTS):
        sums[m] = 0.0
    for n in range(found):
        ci, cj, ck = unpack(cells.key[members[n]])
        di, dj, dk = ci - i, cj - j, ck - k
        if max(abs(di - aside), abs(dj - across)) < 2:
            column[count] = members[n]
            count += 1
            add_moments(
                sums, cells.moments[members[n]], di * cell_size, dj * cell_size, dk * cell_size)
    return count


@inner_loop
def is_upright(cells, cell_size, i, j, k, members, found, sums, matrix, vectors):
    """Whether the cells of a column are two rows of an upright face.

    `matrix` and `vectors` (3, 3) hold variances and principal directions of all its points.
    """
    if (max(matrix[0, 0], 0.0) > THICK or abs(vectors[2, 0]) > LEANING
            or matrix[1, 1] < WIDE):
        return False
    share = 1.0 / sums[0]
    cx, cy, cz = sums[1] * share, sums[2] * share, sums[3] * share
    hx, hy = -vectors[1, 0], vectors[0, 0]
    scale = 1.0 / math.sqrt(hx * hx + hy * hy)
    low_n = low_z = low_z2 = low_h = low_h2 = 0.0
    high_n = high_z = high_z2 = high_h = high_h2 = 0.0
    for n in range(found):
        m = cells.moments[members[n]]
        ci, cj, ck = unpack(cells.key[members[n]])
        own = 1.0 / m[0]
        z = (ck - k) * cell_size + m[3] * own - cz
        h = scale * (
            hx * ((ci - i) * cell_size + m[1] * own - cx)
            + hy * ((cj - j) * cell_size + m[2] * own - cy))
        if z < 0.0:
            low_n += m[0]
            low_z += m[0] * z
            low_z2 += m[0] * z * z
            low_h += m[0] * h
            low_h2 += m[0] * h * h
        else:
            high_n += m[0]
            high_z += m[0] * z
            high_z2 += m[0] * z * z
            high_h += m[0] * h
            high_h2 += m[0] * h * h
    if low_n < MIN_ROW or high_n < MIN_ROW:
        return False
    low, high = variance(low_n, low_h, low_h2), variance(high_n, high_h, high_h2)
    apart = high_z / high_n - low_z / low_n
    tall = share * (low_z2 - low_z * low_z / low_n + high_z2 - high_z * high_z / high_n)
    return (min(low, high) > max(LIKE * max(low, high), 0.5 * WIDE)
            and apart > APART * cell_size and tall < FLAT * apart * apart)
