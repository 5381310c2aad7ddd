# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the cells of a plane lie in it: in a line, bent, or all over it."""

import math

from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.voxels.hashing import unpack
from dcreg_ros.voxels.moments import covariance_along, variance

MIN_INSIDE = 3.0
"""Points from which a cell tells how they spread inside it."""
BENT = 0.3
"""Share of the spread that all cells have in common that single cells should have as well."""
LINE_NOISE = 1e-3
"""Spread across a line [m^2] below which that is noise."""
BENDING = 0.25
"""Mean square distance, in edges of a cell, between a point and where its plane touches a bent
surface; 1/12 if every plane touched it in the middle of its cell, but the rings of a LiDAR see
surfaces unevenly."""
NOISE_OF_BENDING = 2.0
"""How many times more than noise alone on average heights must bend to count as bent."""
FILLED = 0.75
"""Share of the cells of a plane that have to be occupied where these are too thin to tell."""
ONE_CELL = 0.4
"""Share of the spread that one cell may have."""
HALF = 0.25
"""Least spread along the points of one half of a plane, as a share of that of the other half."""
SUSPECT_TILT = 0.2**2
"""Variance of the tilt [rad^2] of planes through points that may as well lie in two surfaces."""


@inner_loop
def layout(cells, cell_size, i, j, k, reach, members, found, sums, noise2, vectors):
    """Whether points that spread in two directions are a line, and variances of tilt [rad^2].

    Tilt from bending, and where the points may as well lie in two surfaces: the plane of a ring
    of the LiDAR that crosses from a wall to the floor is no surface, nor is that of a ring and a
    few points of the next. Inside every cell such points are a line, yet not all of these lines
    are parallel; one half of the points is shorter than the other; what spreads them is one cell;
    or cells too thin to tell do not fill the plane.
    """
    share = 1.0 / sums[0]
    cx, cy, cz = sums[1] * share, sums[2] * share, sums[3] * share
    low_n = low_v = low_v2 = high_n = high_v = high_v2 = 0.0
    a = b = c = inside = narrow = aside_known = most = 0.0
    u2 = u4 = hu2 = v2 = v4 = hv2 = u2v2 = huv = 0.0
    for n in range(found):
        member = members[n]
        m = cells.moments[member]
        ci, cj, ck = unpack(cells.key[member])
        own = 1.0 / m[0]
        x, y = (ci - i) * cell_size + m[1] * own - cx, (cj - j) * cell_size + m[2] * own - cy
        z = (ck - k) * cell_size + m[3] * own - cz
        h = vectors[0, 0] * x + vectors[1, 0] * y + vectors[2, 0] * z
        u = vectors[0, 1] * x + vectors[1, 1] * y + vectors[2, 1] * z
        v = vectors[0, 2] * x + vectors[1, 2] * y + vectors[2, 2] * z
        part = m[0] * u * u
        most = max(most, part)
        if u < 0.0:
            low_n += m[0]
            low_v += m[0] * v
            low_v2 += m[0] * v * v
        else:
            high_n += m[0]
            high_v += m[0] * v
            high_v2 += m[0] * v * v
        u2 += part
        u4 += part * u * u
        hu2 += h * part
        v2 += m[0] * v * v
        v4 += m[0] * v * v * v * v
        hv2 += m[0] * h * v * v
        u2v2 += part * v * v
        huv += m[0] * h * u * v
        if m[0] < MIN_INSIDE:
            continue
        aside_known += part
        inside += m[0]
        p = covariance_along(m, vectors, 1, 1)
        q = covariance_along(m, vectors, 1, 2)
        r = covariance_along(m, vectors, 2, 2)
        a += m[0] * p
        b += m[0] * q
        c += m[0] * r
        narrow += m[0] * _least(p, q, r)
    side = 2 * reach + 1
    thin = aside_known < 0.5 * u2 and found < FILLED * side * side
    one_cell = most > ONE_CELL * (u2 + a)
    low, high = variance(low_n, low_v, low_v2), variance(high_n, high_v, high_v2)
    uneven = min(low, high) < HALF * max(low, high)
    common = _least(a, b, c)
    one_line = (one_cell and uneven) or (
        narrow < BENT * common and common > LINE_NOISE * inside)
    suspect = SUSPECT_TILT if thin or one_cell or uneven else 0.0
    across = _curvature2(hu2, u4 - u2 * u2 * share, noise2)
    along = _curvature2(hv2, v4 - v2 * v2 * share, noise2)
    twisted = _curvature2(huv, u2v2, noise2)
    scale = BENDING * cell_size * cell_size
    return (
        one_line, scale * (4.0 * across + twisted) + suspect,
        scale * (4.0 * along + twisted) + suspect)


@inner_loop
def _curvature2(product, square, noise2):
    """Square of a coefficient of heights, 0 unless it is more than `noise2` explains."""
    if not square > 0.0:
        return 0.0
    return max(product * product / square - NOISE_OF_BENDING * noise2, 0.0) / square


@inner_loop
def _least(a, b, c):
    """Least eigenvalue of the matrix with rows (a, b) and (b, c)."""
    return 0.5 * (a + c - math.sqrt((a - c) * (a - c) + 4.0 * b * b))
