# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Normal equations of weighted point-to-plane matches, summed in an order that never changes."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

CHUNKS = 32
"""Parts a source is cut into: fixed, so that sums do not depend on how many threads run."""

SUMS = 52
"""Per part: 21 of the Hessian, 6 of the gradient, matches, squared residuals, squared errors,
weights, 21 of the noise."""


class NormalEquations(NamedTuple):
    """``hessian @ delta = rhs`` and what it was summed from.

    Attributes
    ----------
    hessian : (6, 6) float array
        ``sum f^2 J^T J``, rotation before translation, body frame.
    rhs : (6,) float array
        ``-sum f e J^T`` with the weighted error ``e``.
    num_matches : int
        Matches that count.
    residual2 : float
        Sum of squared point-to-plane distances [m^2].
    error2 : float
        Sum of squared weighted errors [m^2].
    weight : float
        Sum of squared slopes: how many full matches they amount to.
    noise : (6, 6) float array
        What the uncertainty of the normals alone is expected to add to `hessian`: even a perfect
        plane, its normals measured with noise, seems to constrain sliding along it (Hatleskog and
        Alexis, arXiv 2410.10784).
    """

    hessian: NDArray[np.float64]
    rhs: NDArray[np.float64]
    num_matches: int
    residual2: float
    error2: float
    weight: float
    noise: NDArray[np.float64]


@njit(cache=True, nogil=True)
def add_match(sums, point, rotation, normal, residual, error, slope):
    """Add one match to `sums` (SUMS,).

    `point` (3,) in the source frame, `normal` (3,) in the target frame, distance `residual` [m],
    weighted `error` [m] and its derivative `slope` with respect to the distance.
    ``J = [p x (R^T n), R^T n]`` (DCReg, arXiv 2509.06285, section III).
    """
    j0, j1, j2, j3, j4, j5 = jacobian(point, rotation, normal[0], normal[1], normal[2], slope)
    _add_square(sums, 0, j0, j1, j2, j3, j4, j5)
    sums[21] -= error * j0
    sums[22] -= error * j1
    sums[23] -= error * j2
    sums[24] -= error * j3
    sums[25] -= error * j4
    sums[26] -= error * j5
    sums[27] += 1.0
    sums[28] += residual * residual
    sums[29] += error * error
    sums[30] += slope * slope


@njit(cache=True, nogil=True)
def add_noise(sums, point, rotation, plane, slope):
    """Add to `sums` (SUMS,) what the uncertainty of one normal adds to the Hessian.

    `plane` holds the normal, a point, the direction in the plane in which it was sampled least, and the variances of its tilt towards that and towards the other direction [rad^2].
    """
    ax, ay, az = plane[6], plane[7], plane[8]
    bx = plane[1] * az - plane[2] * ay
    by = plane[2] * ax - plane[0] * az
    bz = plane[0] * ay - plane[1] * ax
    j0, j1, j2, j3, j4, j5 = jacobian(
        point, rotation, ax, ay, az, slope * math.sqrt(plane[9]))
    _add_square(sums, 31, j0, j1, j2, j3, j4, j5)
    j0, j1, j2, j3, j4, j5 = jacobian(
        point, rotation, bx, by, bz, slope * math.sqrt(plane[10]))
    _add_square(sums, 31, j0, j1, j2, j3, j4, j5)


@njit(cache=True, nogil=True, inline='always')
def jacobian(point, rotation, nx, ny, nz, factor):
    """``factor * [p x (R^T n), R^T n]``, six numbers."""
    n0 = rotation[0, 0] * nx + rotation[1, 0] * ny + rotation[2, 0] * nz
    n1 = rotation[0, 1] * nx + rotation[1, 1] * ny + rotation[2, 1] * nz
    n2 = rotation[0, 2] * nx + rotation[1, 2] * ny + rotation[2, 2] * nz
    return (
        factor * (point[1] * n2 - point[2] * n1), factor * (point[2] * n0 - point[0] * n2),
        factor * (point[0] * n1 - point[1] * n0), factor * n0, factor * n1, factor * n2)


@njit(cache=True, nogil=True, inline='always')
def _add_square(sums, k, j0, j1, j2, j3, j4, j5):
    """Add the upper triangle of ``J^T J`` to the 21 numbers of `sums` from `k` on."""
    sums[k] += j0 * j0
    sums[k + 1] += j0 * j1
    sums[k + 2] += j0 * j2
    sums[k + 3] += j0 * j3
    sums[k + 4] += j0 * j4
    sums[k + 5] += j0 * j5
    sums[k + 6] += j1 * j1
    sums[k + 7] += j1 * j2
    sums[k + 8] += j1 * j3
    sums[k + 9] += j1 * j4
    sums[k + 10] += j1 * j5
    sums[k + 11] += j2 * j2
    sums[k + 12] += j2 * j3
    sums[k + 13] += j2 * j4
    sums[k + 14] += j2 * j5
    sums[k + 15] += j3 * j3
    sums[k + 16] += j3 * j4
    sums[k + 17] += j3 * j5
    sums[k + 18] += j4 * j4
    sums[k + 19] += j4 * j5
    sums[k + 20] += j5 * j5


@njit(cache=True, nogil=True)
def unpack(parts):
    """Fields of :class:`NormalEquations` from all `parts` (CHUNKS, SUMS)."""
    sums = np.zeros(SUMS)
    for part in range(parts.shape[0]):
        for k in range(SUMS):
            sums[k] += parts[part, k]
    return (
        _symmetric(sums[:21]), sums[21:27].copy(), int(sums[27]), sums[28], sums[29], sums[30],
        _symmetric(sums[31:52]))


@njit(cache=True, nogil=True)
def _symmetric(upper):
    """(6, 6) matrix of its upper triangle (21,), row by row."""
    out = np.empty((6, 6))
    k = 0
    for i in range(6):
        for j in range(i, 6):
            out[i, j] = out[j, i] = upper[k]
            k += 1
    return out
