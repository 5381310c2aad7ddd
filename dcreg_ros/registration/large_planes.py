# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Large planes among the matches, as floors and walls are: what single cells cannot tell.

The plane of a few cells may be that of a surface, or of two that meet in it, and a ring of the
LiDAR all by itself has none. Where many cells lie in one plane, all of these are a part of it: it
gives planes to those without, and tells how much the others err.
"""

import numpy as np
from numba import njit

from dcreg_ros.geometry.eigen3 import eigen3
from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.voxels.map import PLANE

MATCH, LARGE, BODY = PLANE + 4, 6, 7
"""Numbers of a match: the plane, its point in the frame of the map, the mean of its cell, and how
near to it something stands; of a large plane; and of what is looked at to find these."""
STANDS = PLANE + 3
"""Which number of a match is how many columns of cells away something stands on its floor."""
LEVEL = 5
"""Which number of a large plane is 0 until it was fitted to places away from its edges, and then
the distance to another below which points may be of either [m]."""
NOTHING, PLACE_ONLY = -2.0, -1.0
"""In place of the larger variance of the tilt: there is no cell, or a cell without a plane."""
MOST = 8
"""Large planes at most."""
ROUNDS = 12
"""How often one is looked for; some are none."""
MEMBERS = 30
"""Matches that a large plane has at least."""
SEEDED, PARTS, RELIABLE_PARTS = 0, 1, 2
"""What a large plane is fitted to: what may be in one with its seed, its parts, or those of them
that have a plane of their own, as far as these are enough."""
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


@njit(cache=True, nogil=True)
def find_large_planes(plane):
    """Large ones (K, LARGE) among the planes of matches (N, MATCH).

    Each with its unit normal, offset [m], the variance of the heights of its parts [m^2], and 0:
    it may hold points of another where they meet.
    """
    body = np.empty((plane.shape[0], BODY))
    count = _gather(plane, body)
    seeds, sample = np.empty(count, np.int64), np.empty((2 * COUNTED, BODY))
    found, size = np.empty((MOST, LARGE)), 0
    matrix, vectors, trial = np.empty((3, 3)), np.empty((3, 3)), np.empty(LARGE)
    seed = np.empty(BODY)
    for _ in range(ROUNDS):
        if size == MOST or count < MEMBERS:
            break
        best = _best_seed(body[:count], seeds, sample)
        if best < 0:
            break
        seed[:] = body[best]
        good = True
        for which in (SEEDED, PARTS, PARTS):
            good = good and _fit(body[:count], seed, which, trial, matrix, vectors)
        if good:
            _fit(body[:count], seed, RELIABLE_PARTS, trial, matrix, vectors)
            good = _is_plane(body[:count], trial, vectors)
        if good:
            found[size], found[size, LEVEL] = trial, 0.0
            size += 1
        count = _without(body[:count], seed, good, trial)
    return found[:size]


@inner_loop
def _gather(plane, body):
    """Fill `body` with place, normal, and whether it is reliable, of matches that have a place."""
    count = 0
    for i in range(plane.shape[0]):
        q = plane[i]
        if q[11] == 0.0 and q[10] >= PLACE_ONLY:
            for axis in range(3):
                body[count, axis], body[count, 3 + axis] = q[3 + axis], q[axis]
            body[count, 6] = is_reliable(q)
            count += 1
    return count


@inner_loop
def _best_seed(body, seeds, sample):
    """Row of `body` (M, BODY) that most others may be in one plane with, or -1.

    `seeds` (M,) and `sample` (S, BODY) are scratch.
    """
    starts = size = 0
    for m in range(body.shape[0]):
        if body[m, 6] > 0.0:
            seeds[starts] = m
            starts += 1
    stride = max(1, body.shape[0] // COUNTED)
    for m in range(0, body.shape[0], stride):
        for part in range(BODY):
            sample[size, part] = body[m, part]
        size += 1
    best, most = -1, 0
    for s in range(0, starts, max(1, starts // SEEDS)):
        seed, members = body[seeds[s]], 0
        for m in range(size):
            members += _belongs(seed, sample[m])
        if members > most:
            best, most = seeds[s], members
    return best if most * stride >= MEMBERS else -1


@inner_loop
def _without(body, seed, good, trial):
    """Take out of `body` what lies in the plane `trial` or, that being none, by the seed's."""
    left = 0
    for m in range(body.shape[0]):
        if not (_is_part(trial, body[m]) if good else _belongs(seed, body[m])):
            for part in range(BODY):
                body[left, part] = body[m, part]
            left += 1
    return left


@inner_loop
def _belongs(seed, b):
    """Whether `b` (BODY,) may be in one large plane with a `seed` (BODY,)."""
    dx, dy, dz = b[0] - seed[0], b[1] - seed[1], b[2] - seed[2]
    beyond = abs(seed[3] * dx + seed[4] * dy + seed[5] * dz) - LYING
    if beyond > 0.0 and beyond * beyond > WIDENING * WIDENING * (dx * dx + dy * dy + dz * dz):
        return False
    return b[6] == 0.0 or is_parallel(seed[3:6], b[3:6])


@inner_loop
def dot(a, b):
    """Of the first three numbers of each."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@inner_loop
def is_reliable(q):
    """Whether the plane of a match (MATCH,) is believed by itself."""
    return q[10] >= 0.0 and q[9] < RELIABLE


@inner_loop
def is_parallel(a, b):
    """Whether unit normals that begin `a` and `b` are of one plane, of either sign."""
    return abs(dot(a, b)) > 1.0 - 0.5 * ANGLE * ANGLE


@inner_loop
def lies_in(large, place, normal, reliable):
    """Whether a place, with its normal if that is reliable, is a part of a `large` plane."""
    off = abs(dot(large, place) - large[3])
    return off < OFFSET and is_parallel(large, normal) if reliable else off < LYING


@inner_loop
def _is_part(large, b):
    return lies_in(large, b, b[3:6], b[6] > 0.0)


@inner_loop
def _fit(body, seed, which, trial, matrix, vectors):
    """Fit `trial` (LARGE,) to the places of its parts; whether they spread enough."""
    n = agree = dissent = 0.0
    x = y = z = xx = xy = xz = yy = yz = zz = 0.0
    for m in range(body.shape[0]):
        q = body[m]
        if which == RELIABLE_PARTS and q[6] == 0.0:
            continue
        if not (_belongs(seed, q) if which == SEEDED else _is_part(trial, q)):
            if which != SEEDED and q[6] > 0.0 and abs(dot(trial, q) - trial[3]) < LYING:
                dissent += 1.0
            continue
        agree += q[6]
        a, b, c = q[0] - seed[0], q[1] - seed[1], q[2] - seed[2]
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
        trial[3] += vectors[axis, 0] * seed[axis]
    trial[3] += trial[0] * x + trial[1] * y + trial[2] * z
    trial[4] = max(matrix[0, 0], 0.0)
    return True


@inner_loop
def _is_plane(body, trial, vectors):
    """Whether enough lies in `trial` (LARGE,), and heights over it are not bent.

    Fitted anew to some of its parts, it may have moved away from all. It can bend along either of
    its `vectors` (3, 3).
    """
    x = y = z = n = 0.0
    for m in range(body.shape[0]):
        q = body[m]
        if _is_part(trial, q):
            n += 1.0
            x += q[0]
            y += q[1]
            z += q[2]
    if n < MEMBERS:
        return False
    x, y, z = x / n, y / n, z / n
    h2 = u2 = u4 = hu2 = v2 = v4 = hv2 = 0.0
    for m in range(body.shape[0]):
        q = body[m]
        if _is_part(trial, q):
            a, b, c = q[0] - x, q[1] - y, q[2] - z
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
    return max(across, along) <= max(BENT * h2, n * BULGE)
