# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the noise along its rays makes of a plane that a LiDAR sees at a grazing angle.

A range too long puts a point farther away and, on a floor, lower as well. So a ring on the floor
leans towards the sensor, and the plane through it with it, in the same way wherever the robot
goes: it climbs or sinks. Points that fill all of a neighbourhood do not lean, as those that noise
takes over one border are made up for by those it brings in over the other. In between, what is
expected of the height of a point, seen where it is, follows from the density `p` of points there
(Tweedie's formula; Robbins, 1956): ``-S grad log p``, with the covariance `S` of its noise across
and along the plane. The plane is fitted to that, too, so that is taken off.
"""

import math

from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.voxels.hashing import unpack

RANGE_SIGMA = 0.03
"""Most noise of a range [m] that is taken for it: what is rougher is the surface."""
LEAST_ACROSS = 1e-4
"""Mean square of the cosine between rays and normal below which nothing can be told."""


@inner_loop
def straighten(cells, cell_size, i, j, k, reach, members, found, sums, matrix, vectors, plane):
    """Turn and move `plane` (PLANE,) by what is expected of noise along the rays.

    It was fitted to `sums` (MOMENTS,) of the `found` cells up to `reach` away, with the variances
    of its points in the diagonal of `matrix` and their directions in the columns of `vectors`.
    """
    if reach == 0:
        return  # who is to say whether a single cell is full of points
    share = 1.0 / sums[0]
    nx, ny, nz = vectors[0, 0], vectors[1, 0], vectors[2, 0]
    sx = share * (sums[10] * nx + sums[11] * ny + sums[12] * nz)
    sy = share * (sums[11] * nx + sums[13] * ny + sums[14] * nz)
    sz = share * (sums[12] * nx + sums[14] * ny + sums[15] * nz)
    across = sx * nx + sy * ny + sz * nz
    if not across > LEAST_ACROSS:
        return
    noise2 = min(max(matrix[0, 0], 0.0) / across, RANGE_SIGMA**2)
    sx, sy, sz = sx - across * nx, sy - across * ny, sz - across * nz
    lx, hx, ly, hy, lz, hz = _at_ends(cells, i, j, k, reach, members, found)
    density = share / cell_size
    edge = (reach + 0.5) * cell_size
    fx = density * ((edge + share * sums[1]) * lx + (edge - share * sums[1]) * hx)
    fy = density * ((edge + share * sums[2]) * ly + (edge - share * sums[2]) * hy)
    fz = density * ((edge + share * sums[3]) * lz + (edge - share * sums[3]) * hz)
    tx = ty = tz = 0.0
    for a in range(1, 3):
        vx, vy, vz = vectors[0, a], vectors[1, a], vectors[2, a]
        unfilled = min(max(1.0 - vx * vx * fx - vy * vy * fy - vz * vz * fz, 0.0), 1.0)
        lean = noise2 * unfilled * (vx * sx + vy * sy + vz * sz) / matrix[a, a]
        tx, ty, tz = tx + lean * vx, ty + lean * vy, tz + lean * vz
    aside = tx * vectors[0, 1] + ty * vectors[1, 1] + tz * vectors[2, 1]
    rise = noise2 * density * (sx * (hx - lx) + sy * (hy - ly) + sz * (hz - lz))
    scale = 1.0 / math.sqrt(1.0 + tx * tx + ty * ty + tz * tz)
    plane[0], plane[1], plane[2] = scale * (nx + tx), scale * (ny + ty), scale * (nz + tz)
    for axis in range(3):
        plane[3 + axis] += rise * vectors[axis, 0]
        plane[6 + axis] -= aside * vectors[axis, 0]


@inner_loop
def _at_ends(cells, i, j, k, reach, members, found):
    """Points in the outermost cells along x, y and z, at the lower and the upper end of each."""
    lx = hx = ly = hy = lz = hz = 0.0
    for n in range(found):
        ci, cj, ck = unpack(cells.key[members[n]])
        count = cells.moments[members[n], 0]
        lx += count if ci - i == -reach else 0.0
        hx += count if ci - i == reach else 0.0
        ly += count if cj - j == -reach else 0.0
        hy += count if cj - j == reach else 0.0
        lz += count if ck - k == -reach else 0.0
        hz += count if ck - k == reach else 0.0
    return lx, hx, ly, hy, lz, hz
