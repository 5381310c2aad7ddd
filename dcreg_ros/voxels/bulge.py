# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far a bent surface, where it is matched, is off the plane that was fitted to it.

In a round tunnel a plane through the points of several cells cuts below the surface around its
middle, on all sides by the same, and the tunnel seems narrower than it is. A polynomial of second
degree through the means of the cells tells by how much; of what it tells, so much is believed as
is likely not to be noise (empirical Bayes: Efron and Morris, 1973).
"""

import math

from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.voxels.hashing import unpack

TERMS = 6
"""Of the polynomial: 1, u, v, u^2, uv, v^2."""
LINEAR = 3
"""How many of these a plane has."""
CURVED = 0.3
"""Standard deviation of the other coefficients that is expected [1/m]."""
SENSOR_SIGMA, ROUGHNESS = 0.02, 0.01
"""Noise that is expected of a point, along the ray and, beside that, across the surface [m]."""
EXPECTED = 4.0
"""How many cells this expectation is worth."""
CERTAIN = 1.5
"""How many times the noise of a point bent terms have to explain beyond which they are signal."""
MIDDLE = 2.0
"""Square of the height in the middle of a bent patch by the mean square of all its heights: 1.25
for a tube, 2.5 for a sphere."""


@inner_loop
def bulge(cells, cell_size, i, j, k, members, found, sums, vectors, system):
    """Height [m] of the surface over its plane at the points of its own cell, (i, j, k).

    The plane is that of the moments `sums` of all `found` cells, with its normal and the
    directions in it in the columns of `vectors` (3, 3); the first of `members` is the own cell.
    `system` (TERMS, TERMS + 2) is scratch.
    """
    share = 1.0 / sums[0]
    cx, cy, cz = sums[1] * share, sums[2] * share, sums[3] * share
    for a in range(TERMS):
        for b in range(TERMS + 2):
            system[a, b] = 0.0
    total = 0.0
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
        terms = (1.0, u, v, u * u, u * v, v * v)
        total += m[0] * h * h
        for a in range(TERMS):
            if n == 0:
                system[a, TERMS + 1] = terms[a]
            part = m[0] * terms[a]
            system[a, TERMS] += part * h
            for b in range(a, TERMS):
                system[a, b] += part * terms[b]
    noise2 = _expected_noise2(sums, vectors)
    for a in range(LINEAR, TERMS):
        system[a, a] += noise2 / (CURVED * CURVED)
    flat, bent, height, spread = _solve(system, 1e-9 * sums[0])
    noise2 = (max(total - flat - bent, 0.0) + EXPECTED * noise2) / (
        max(found - TERMS, 0.0) + EXPECTED)
    signal2 = MIDDLE * share * max(bent - CERTAIN * noise2, 0.0)
    return height * signal2 / (signal2 + noise2 * spread)


@inner_loop
def _expected_noise2(sums, vectors):
    """Variance of a point across the plane [m^2], by how its rays meet that on average."""
    nx, ny, nz = vectors[0, 0], vectors[1, 0], vectors[2, 0]
    across = (
        nx * (sums[10] * nx + 2.0 * (sums[11] * ny + sums[12] * nz))
        + ny * (sums[13] * ny + 2.0 * sums[14] * nz) + sums[15] * nz * nz) / sums[0]
    return SENSOR_SIGMA * SENSOR_SIGMA * across + ROUGHNESS * ROUGHNESS


@inner_loop
def _solve(system, least):
    """Least squares by Cholesky's ``A = L L^T``, of which `system` has the upper triangle.

    Behind it are two columns: the right side `b`, and the terms `c` where the solution is wanted.
    The diagonal is raised by `least`. Returns how much of the sum of squares the linear terms
    explain, how much more all of them do, ``c^T A^-1 b``, and ``c^T A^-1 c``, the variance of that
    in those of a point.
    """
    flat = bent = value = spread = 0.0
    for a in range(TERMS):
        for c in range(a):
            for b in range(a, TERMS + 2):
                system[a, b] -= system[c, a] * system[c, b]
        root = 1.0 / math.sqrt(max(system[a, a], 0.0) + least)
        for b in range(a, TERMS + 2):
            system[a, b] *= root
        right, wanted = system[a, TERMS], system[a, TERMS + 1]
        if a < LINEAR:
            flat += right * right
        else:
            bent += right * right
        value += right * wanted
        spread += wanted * wanted
    return flat, bent, value, spread
