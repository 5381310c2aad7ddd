# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Normal equations of weighted point-to-plane matches, summed in an order that never changes."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.inner_loop import inner_loop

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


@inner_loop
def add_match(sums, point, rotation, normal, residual, error, slope, tilt2):
    """Add one match to `sums` (SUMS,).

    `point` (3,) in the source frame, `normal` (3,) in the target frame, distance `residual` [m],
    weighted `error` [m] and its derivative `slope` with respect to the distance, variance `tilt2`
    of the normal about either axis in the plane [rad^2].
    ``J = [p x (R^T n), R^T n]`` (DCReg, arXiv 2509.06285, section III).
    """
    n0 = rotation[0, 0] * normal[0] + rotation[1, 0] * normal[1] + rotation[2, 0] * normal[2]
    n1 = rotation[0, 1] * normal[0] + rotation[1, 1] * normal[1] + rotation[2, 1] * normal[2]
    n2 = rotation[0, 2] * normal[0] + rotation[1, 2] * normal[1] + rotation[2, 2] * normal[2]
    j0 = slope * (point[1] * n2 - point[2] * n1)
    j1 = slope * (point[2] * n0 - point[0] * n2)
    j2 = slope * (point[0] * n1 - point[1] * n0)
    j3, j4, j5 = slope * n0, slope * n1, slope * n2
    sums[0] += j0 * j0
    sums[1] += j0 * j1
    sums[2] += j0 * j2
    sums[3] += j0 * j3
    sums[4] += j0 * j4
    sums[5] += j0 * j5
    sums[6] += j1 * j1
    sums[7] += j1 * j2
    sums[8] += j1 * j3
    sums[9] += j1 * j4
    sums[10] += j1 * j5
    sums[11] += j2 * j2
    sums[12] += j2 * j3
    sums[13] += j2 * j4
    sums[14] += j2 * j5
    sums[15] += j3 * j3
    sums[16] += j3 * j4
    sums[17] += j3 * j5
    sums[18] += j4 * j4
    sums[19] += j4 * j5
    sums[20] += j5 * j5
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


    # Normal errors in both directions of the plane: all directions less that of the normal.
    w = slope * slope * tilt2
    x, y, z = point[0], point[1], point[2]
    sums[31] += w * (y * y + z * z) - tilt2 * j0 * j0
    sums[32] -= w * x * y + tilt2 * j0 * j1
    sums[33] -= w * x * z + tilt2 * j0 * j2
    sums[34] -= tilt2 * j0 * j3
    sums[35] -= w * z + tilt2 * j0 * j4
    sums[36] += w * y - tilt2 * j0 * j5
    sums[37] += w * (x * x + z * z) - tilt2 * j1 * j1
    sums[38] -= w * y * z + tilt2 * j1 * j2
    sums[39] += w * z - tilt2 * j1 * j3
    sums[40] -= tilt2 * j1 * j4
    sums[41] -= w * x + tilt2 * j1 * j5
    sums[42] += w * (x * x + y * y) - tilt2 * j2 * j2
    sums[43] -= w * y + tilt2 * j2 * j3
    sums[44] += w * x - tilt2 * j2 * j4
    sums[45] -= tilt2 * j2 * j5
    sums[46] += w - tilt2 * j3 * j3
    sums[47] -= tilt2 * j3 * j4
    sums[48] -= tilt2 * j3 * j5
    sums[49] += w - tilt2 * j4 * j4
    sums[50] -= tilt2 * j4 * j5
    sums[51] += w - tilt2 * j5 * j5


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
