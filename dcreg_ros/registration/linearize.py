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

NOISE, INFORMATION, SUMS = 31, 52, 74
"""Per part: 21 of the Hessian, 6 of the gradient, matches, squared residuals, squared errors,
weights; from NOISE on 21 of the noise; from INFORMATION on 21 of that, and how many matches."""


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
    information : (6, 6) float array
        ``sum w J^T J`` of what matches say of surfaces, by how sure these are, not by how far a
        point lies from them: what tells weak motions from known ones.
    noise : (6, 6) float array
        What the uncertainty of the normals alone is expected to add to `information`: even a
        perfect plane, its normals measured with noise, seems to constrain sliding along it
        (Hatleskog and Alexis, arXiv 2410.10784).
    worth : float
        Sum of the weights ``w``: how many matches say it.
    """

    hessian: NDArray[np.float64]
    rhs: NDArray[np.float64]
    num_matches: int
    residual2: float
    error2: float
    weight: float
    information: NDArray[np.float64]
    noise: NDArray[np.float64]
    worth: float


@inner_loop
def add_match(sums, point, rotation, normal, residual, error, slope):
    """Add one match to `sums` (SUMS,).

    `point` (3,) in the source frame, `normal` (3,) in the target frame, distance `residual` [m],
    weighted `error` [m] and its derivative `slope` with respect to the distance.
    ``J = [p x (R^T n), R^T n]`` (DCReg, arXiv 2509.06285, section III).
    """
    j = jacobian(point, rotation, normal[0], normal[1], normal[2])
    add_square(sums, 0, slope * slope, j)
    pull = error * slope
    for k in range(6):
        sums[21 + k] -= pull * j[k]
    sums[27] += 1.0
    sums[28] += residual * residual
    sums[29] += error * error
    sums[30] += slope * slope


@inner_loop
def add_noise(sums, point, rotation, plane, weight):
    """Add to `sums` (SUMS,) what the uncertainty of one normal adds to the information.

    `plane` holds the normal, a point, the direction in the plane in which it was sampled least,
    and the variances of its tilt towards that and towards the other direction [rad^2]; `weight`
    is that of the match.
    """
    ax, ay, az = plane[6], plane[7], plane[8]
    add_square(sums, NOISE, weight * plane[9], jacobian(point, rotation, ax, ay, az))
    bx = plane[1] * az - plane[2] * ay
    by = plane[2] * ax - plane[0] * az
    bz = plane[0] * ay - plane[1] * ax
    add_square(sums, NOISE, weight * plane[10], jacobian(point, rotation, bx, by, bz))


@inner_loop
def jacobian(point, rotation, nx, ny, nz):
    """``[p x (R^T n), R^T n]``, six numbers."""
    n0 = rotation[0, 0] * nx + rotation[1, 0] * ny + rotation[2, 0] * nz
    n1 = rotation[0, 1] * nx + rotation[1, 1] * ny + rotation[2, 1] * nz
    n2 = rotation[0, 2] * nx + rotation[1, 2] * ny + rotation[2, 2] * nz
    return (
        point[1] * n2 - point[2] * n1, point[2] * n0 - point[0] * n2,
        point[0] * n1 - point[1] * n0, n0, n1, n2)


@inner_loop
def add_square(sums, k, weight, j):
    """Add the upper triangle of ``weight J^T J`` to the 21 numbers of `sums` from `k` on."""
    for a in range(6):
        part = weight * j[a]
        for b in range(a, 6):
            sums[k] += part * j[b]
            k += 1


@njit(cache=True, nogil=True)
def unpack(parts):
    """Fields of :class:`NormalEquations` from all `parts` (CHUNKS, SUMS)."""
    sums = np.zeros(SUMS)
    for part in range(parts.shape[0]):
        for k in range(SUMS):
            sums[k] += parts[part, k]
    return (
        symmetric(sums[:21]), sums[21:27].copy(), int(sums[27]), sums[28], sums[29], sums[30],
        symmetric(sums[INFORMATION:SUMS - 1]), symmetric(sums[NOISE:INFORMATION]),
        sums[SUMS - 1])


@njit(cache=True, nogil=True)
def symmetric(upper):
    """(6, 6) matrix of its upper triangle (21,), row by row."""
    out = np.empty((6, 6))
    k = 0
    for i in range(6):
        for j in range(i, 6):
            out[i, j] = out[j, i] = upper[k]
            k += 1
    return out
