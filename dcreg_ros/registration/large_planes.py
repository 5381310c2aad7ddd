# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Large planes among the matches, as floors and walls are: what single cells cannot tell.

The plane of a few cells may be that of a surface, or of two that meet in it, and a ring of the
LiDAR all by itself has none. Where many cells lie in one plane, all of these are a part of it: it
gives planes to those without, and tells how much the others err.
"""

import math

import numpy as np
from numba import njit

from dcreg_ros.geometry.eigen3 import eigen3
from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.voxels.map import PLANE

MATCH = PLANE + 3
"""Numbers of a match: the plane, its point in the frame of the map, and the mean of its cell."""
NOTHING, PLACE_ONLY = -2.0, -1.0
"""In place of the larger variance of the tilt: there is no cell, or a cell without a plane."""
MOST = 8
"""Large planes at most."""
ROUNDS = 12
"""How often one is looked for; some are none."""
MEMBERS = 30
"""Matches that a large plane has at least."""
SPREAD = 0.3
"""Least standard deviation of their places in either direction [m]."""
SEEDS = 32
"""Matches that are tried as the beginning of each."""
COUNTED = 512
"""Matches that are looked at to choose among these, about."""
RELIABLE = 0.1**2
"""Most variance of the tilt [rad^2] of a plane that is believed by itself."""
ANGLE = 0.1
"""Most angle between a large plane and one that is a part of it [rad]."""
OFFSET, WIDENING = 0.1, 0.02
"""Most distance of its place from the large plane [m], and from its seed by the metre."""
LYING = 0.05
"""Most distance [m] of what has no plane of its own."""
DISSENT, DISSENTERS = 0.3, 15.0
"""Reliable planes that may lie in a large one and face elsewhere: as a share of those that agree,
or so many."""
BENT, BULGE = 0.2, 0.012**2
"""Share of the variance of heights over a plane, and what of it [m^2], from which it is bent."""
SCATTER = 0.003**2
"""Variance of the tilt [rad^2] of a large plane, hence the least of its parts."""


@njit(cache=True, nogil=True)
def find_large_planes(plane):
    """Unit normals and offsets (K, 4) of the large ones among the planes of matches (N, MATCH)."""
    n = plane.shape[0]
    rows, seeds = np.empty(n, np.int64), np.empty(n, np.int64)
    count = starts = 0
    for i in range(n):
        if plane[i, 11] == 0.0 and plane[i, 10] >= PLACE_ONLY:
            rows[count] = i
            count += 1
            if _is_reliable(plane[i]):
                seeds[starts] = i
                starts += 1
    found, size = np.empty((MOST, 4)), 0
    matrix, vectors, trial = np.empty((3, 3)), np.empty((3, 3)), np.empty(4)
    for _ in range(ROUNDS):
        if size == MOST or count < MEMBERS or starts == 0:
            break
        best, most = -1, 0
        stride = max(1, count // COUNTED)
        for s in range(0, starts, max(1, starts // SEEDS)):
            seed = plane[seeds[s]]
            members = 0
            for m in range(0, count, stride):
                members += _belongs(seed, plane[rows[m]])
            if members > most:
                best, most = seeds[s], members
        if most * stride < MEMBERS:
            break
        seed = plane[best]
        good = True
        for k in range(3):
            good = good and _fit(plane, rows, count, seed, k == 0, trial, matrix, vectors)
        good = good and not _is_bent(plane, rows, count, trial, vectors)
        if good:
            found[size] = trial
            size += 1
        count = _without(plane, rows, count, seed, good, trial)
        starts = _without(plane, seeds, starts, seed, good, trial)
    return found[:size]


@inner_loop
def _without(plane, rows, count, seed, good, trial):
    """Take out of `rows` what lies in the plane `trial` or, that being none, by the seed's."""
    left = 0
    for m in range(count):
        q = plane[rows[m]]
        if not (is_part(trial, q) if good else _belongs(seed, q)):
            rows[left] = rows[m]
            left += 1
    return left


@inner_loop
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@inner_loop
def _belongs(seed, q):
    """Whether `q` (MATCH,) may be in one large plane with a `seed` (MATCH,)."""
    dx, dy, dz = q[3] - seed[3], q[4] - seed[4], q[5] - seed[5]
    off = abs(seed[0] * dx + seed[1] * dy + seed[2] * dz)
    away = math.sqrt(dx * dx + dy * dy + dz * dz)
    return off < LYING + WIDENING * away and (not _is_reliable(q) or _is_parallel(seed, q))


@inner_loop
def _is_reliable(q):
    return q[10] >= 0.0 and q[9] < RELIABLE


@inner_loop
def _is_parallel(a, b):
    return abs(_dot(a, b)) > 1.0 - 0.5 * ANGLE * ANGLE


@inner_loop
def is_part(large, q):
    """Whether what `q` (MATCH,) holds is a part of a large plane (4,)."""
    off = abs(_dot(large, q[3:6]) - large[3])
    return off < OFFSET and _is_parallel(large, q) if _is_reliable(q) else off < LYING


@inner_loop
def _fit(plane, rows, count, seed, first, trial, matrix, vectors):
    """Fit `trial` (4,) to the places of its parts; whether they spread enough."""
    n = agree = dissent = 0.0
    x = y = z = xx = xy = xz = yy = yz = zz = 0.0
    for m in range(count):
        q = plane[rows[m]]
        if not (_belongs(seed, q) if first else is_part(trial, q)):
            if not first and _is_reliable(q) and abs(_dot(trial, q[3:6]) - trial[3]) < LYING:
                dissent += 1.0
            continue
        agree += _is_reliable(q)
        a, b, c = q[3] - seed[3], q[4] - seed[4], q[5] - seed[5]
        n += 1.0
        x += a
        y += b
        z += c
        xx += a * a
        xy += a * b
        xz += a * c
        yy += b * b
        yz += b * c
        zz += c * c
    if n < MEMBERS or dissent > max(DISSENT * agree, DISSENTERS):
        return False
    x, y, z = x / n, y / n, z / n
    matrix[0, 0] = xx / n - x * x
    matrix[0, 1] = matrix[1, 0] = xy / n - x * y
    matrix[0, 2] = matrix[2, 0] = xz / n - x * z
    matrix[1, 1] = yy / n - y * y
    matrix[1, 2] = matrix[2, 1] = yz / n - y * z
    matrix[2, 2] = zz / n - z * z
    eigen3(matrix, vectors)
    if matrix[1, 1] < SPREAD * SPREAD:
        return False
    trial[3] = 0.0
    for axis in range(3):
        trial[axis] = vectors[axis, 0]
        trial[3] += vectors[axis, 0] * seed[3 + axis]
    trial[3] += trial[0] * x + trial[1] * y + trial[2] * z
    return True


@inner_loop
def _is_bent(plane, rows, count, trial, vectors):
    """Whether heights over the plane `trial` (4,) bend along one of its `vectors` (3, 3)."""
    x = y = z = n = 0.0
    for m in range(count):
        q = plane[rows[m]]
        if is_part(trial, q):
            n += 1.0
            x += q[3]
            y += q[4]
            z += q[5]
    x, y, z = x / n, y / n, z / n
    h2 = u2 = u4 = hu2 = v2 = v4 = hv2 = 0.0
    for m in range(count):
        q = plane[rows[m]]
        if is_part(trial, q):
            a, b, c = q[3] - x, q[4] - y, q[5] - z
            h = trial[0] * a + trial[1] * b + trial[2] * c
            u = vectors[0, 1] * a + vectors[1, 1] * b + vectors[2, 1] * c
            v = vectors[0, 2] * a + vectors[1, 2] * b + vectors[2, 2] * c
            h2 += h * h
            u2 += u * u
            u4 += u * u * u * u
            hu2 += h * u * u
            v2 += v * v
            v4 += v * v * v * v
            hv2 += h * v * v
    across = hu2 * hu2 / max(u4 - u2 * u2 / n, 1e-12)
    along = hv2 * hv2 / max(v4 - v2 * v2 / n, 1e-12)
    return max(across, along) > max(BENT * h2, n * BULGE)


@inner_loop
def complete(q, large):
    """Let large planes complete what `q` (MATCH,) holds; whether it can be matched then.

    A reliable part of a large plane keeps its normal, and how much that deviates becomes its tilt;
    any other takes the normal of the large one. What lies on a large plane, or has its own cell
    there, and faces elsewhere is of two surfaces, or a streak of points on one.
    """
    on = False
    for k in range(large.shape[0]):
        if q[11] == 0.0 and is_part(large[k], q):
            _become_part(q, large[k])
            return True
        on |= (abs(_dot(large[k], q[3:6]) - large[k, 3]) < OFFSET
               or abs(_dot(large[k], q[PLANE:MATCH]) - large[k, 3]) < LYING)
    return q[10] >= 0.0 and not on


@inner_loop
def _become_part(q, large):
    """Give `q` (MATCH,) the direction and the variances of its tilt from a large plane (4,)."""
    if _is_reliable(q):
        dot = _dot(large, q)
        x, y, z = large[0] - dot * q[0], large[1] - dot * q[1], large[2] - dot * q[2]
        q[9] = max(x * x + y * y + z * z, SCATTER)
    else:
        q[0], q[1], q[2] = large[0], large[1], large[2]
        x, y, z = (-q[1], q[0], 0.0) if abs(q[2]) < 0.7 else (0.0, -q[2], q[1])
        q[9] = SCATTER
    q[10] = SCATTER
    length2 = x * x + y * y + z * z
    if length2 > 1e-12:
        scale = 1.0 / math.sqrt(length2)
        q[6], q[7], q[8] = x * scale, y * scale, z * scale


@njit(cache=True, nogil=True)
def complete_all(plane, usable, large):
    """:func:`complete` each of the matches (N, MATCH), whether `usable` (N,) or not."""
    for i in range(usable.shape[0]):
        if usable[i] or plane[i, 10] == PLACE_ONLY:
            usable[i] = complete(plane[i], large)
