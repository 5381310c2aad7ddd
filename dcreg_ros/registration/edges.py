# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where large planes meet: cells hold points of both there, and a point may be of either.

The mean of such a cell is off the plane, all along an edge to the same side, and so is a point of
the other plane that is too near to be an outlier. A tunnel is drawn by both, the same way
everywhere, where no residual tells of it. So a plane is fitted anew to places far from edges, and
its cells at edges are given the height of that.
"""

import math

import numpy as np
from numba import njit

from dcreg_ros.geometry.eigen3 import eigen3
from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.registration.large_planes import (
    LEVEL,
    MEMBERS,
    PLACE_ONLY,
    SPREAD,
    STANDS,
    dot,
    is_reliable,
    lies_in,
)
from dcreg_ros.voxels.map import PLANE

EDGE, NOISY = 0.04, 4.0
"""Distance of a point to another large plane below which it may be of that one: so many standard
deviations of a residual, as most rays graze, and at most so far [m]."""
NARROWER = 0.7
"""Share of that distance from which it is worth to do all this again."""
SHARED, FITTED = 1.2, 4.4
"""Distance to another large plane, in edges of a cell, below which a cell may hold points of that
one as well, and a plane through the cells around may be fitted to some."""
CROSSING = 0.9
"""Cosine between normals of large planes below which they have an edge."""
ROUGH = 0.01
"""Standard deviation of its heights [m] above which a large plane is not known well enough."""
PLACE_NOISE, COMMON = 0.02**2, 0.005**2
"""Variance of a point along the beam, and of the place of a cell beside that [m^2]."""


@inner_loop
def to_another(large, k, x, y, z):
    """Distance [m] of a place to the nearest level one of `large` that crosses that in row `k`."""
    nearest = math.inf
    for m in range(large.shape[0]):
        if m != k and large[m, LEVEL] > 0.0 and abs(dot(large[m], large[k])) < CROSSING:
            off = large[m, 0] * x + large[m, 1] * y + large[m, 2] * z - large[m, 3]
            nearest = min(nearest, abs(off))
    return nearest


@njit(cache=True, nogil=True)
def level(plane, large, t, cell_size, edge):
    """Fit large planes (K, LARGE) anew to the cells of the matches (N, MATCH) away from edges.

    What lies far away counts as much, which tells their tilt. Those known well are level then; the
    others stay as they are. The sensor is at the translation of `t` (4, 4). Points within `edge`
    [m] of another plane may be of that one.
    """
    out, apart = large.copy(), large.copy()
    apart[:, LEVEL] = 1.0
    matrix, vectors, middle = np.empty((3, 3)), np.empty((3, 3)), np.empty(3)
    for k in range(large.shape[0]):
        count = _moments(plane, apart, k, t, cell_size, middle, matrix)
        if count < MEMBERS:
            continue
        eigen3(matrix, vectors)
        if matrix[1, 1] < SPREAD * SPREAD or matrix[0, 0] > ROUGH * ROUGH:
            continue
        out[k, :3], out[k, LEVEL] = vectors[:, 0], edge
        out[k, 3] = dot(out[k], middle)
    return out


@inner_loop
def _moments(plane, large, k, t, cell_size, middle, matrix):
    """Fill the weighted mean (3,) and covariance (3, 3) of places in plane `k`; their number."""
    count = total = x = y = z = xx = xy = xz = yy = yz = zz = 0.0
    for i in range(plane.shape[0]):
        q = plane[i]
        own = q[PLANE:STANDS]
        if q[11] != 0.0 or q[10] < PLACE_ONLY or not lies_in(large[k], own, q, is_reliable(q)):
            continue
        if q[STANDS] == 0:
            continue
        if to_another(large, k, own[0], own[1], own[2]) < SHARED * cell_size:
            continue
        a, b, c = own[0] - t[0, 3], own[1] - t[1, 3], own[2] - t[2, 3]
        down = large[k, 0] * a + large[k, 1] * b + large[k, 2] * c
        noise = PLACE_NOISE * down * down / max(a * a + b * b + c * c, 1e-12)
        w = 1.0 / (noise + COMMON)
        count, total = count + 1.0, total + w
        x, y, z = x + w * a, y + w * b, z + w * c
        xx, xy, xz = xx + w * a * a, xy + w * a * b, xz + w * a * c
        yy, yz, zz = yy + w * b * b, yz + w * b * c, zz + w * c * c
    share = 1.0 / max(total, 1e-12)
    x, y, z = x * share, y * share, z * share
    matrix[0, 0] = xx * share - x * x
    matrix[0, 1] = matrix[1, 0] = xy * share - x * y
    matrix[0, 2] = matrix[2, 0] = xz * share - x * z
    matrix[1, 1] = yy * share - y * y
    matrix[1, 2] = matrix[2, 1] = yz * share - y * z
    matrix[2, 2] = zz * share - z * z
    middle[0], middle[1], middle[2] = x + t[0, 3], y + t[1, 3], z + t[2, 3]
    return count
