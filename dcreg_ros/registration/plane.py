# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The plane through a few points: least squares of ``a . q = -1``, minimum norm."""

import math

from dcreg_ros.inner_loop import inlined, inner_loop

EPSILON = 2.220446049250313e-16


WELL_CONDITIONED = 1e-8


@inlined
def quick_plane(points, tolerance, plane):
    """As :func:`fit_plane` by normal equations: 1 if it fits, 0 if not, -1 if ill conditioned."""
    k = points.shape[0]
    mx = my = mz = 0.0
    for i in range(k):
        mx, my, mz = mx + points[i, 0], my + points[i, 1], mz + points[i, 2]
    mx, my, mz = mx / k, my / k, mz / k
    xx = xy = xz = yy = yz = zz = 0.0
    for i in range(k):
        dx, dy, dz = points[i, 0] - mx, points[i, 1] - my, points[i, 2] - mz
        xx, xy, xz = xx + dx * dx, xy + dx * dy, xz + dx * dz
        yy, yz, zz = yy + dy * dy, yz + dy * dz, zz + dz * dz
    cxx, cxy, cxz = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    cyy, cyz, czz = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    bx = cxx * mx + cxy * my + cxz * mz
    by = cxy * mx + cyy * my + cyz * mz
    bz = cxz * mx + cyz * my + czz * mz
    norm = math.sqrt(bx * bx + by * by + bz * bz)
    trace = xx + yy + zz
    if not norm > WELL_CONDITIONED * trace * trace * math.sqrt(mx * mx + my * my + mz * mz):
        return -1
    determinant = xx * cxx + xy * cxy + xz * cxz
    nx, ny, nz = -bx / norm, -by / norm, -bz / norm
    d = (determinant / k + mx * bx + my * by + mz * bz) / norm
    plane[0], plane[1], plane[2], plane[3] = nx, ny, nz, d
    for i in range(k):
        if not abs(nx * points[i, 0] + ny * points[i, 1] + nz * points[i, 2] + d) < tolerance:
            return 0
    return 1


@inner_loop
def fit_plane(points, tolerance, u, v, plane):
    """Fit `plane` (4,) = (n, d), ``n . q + d = 0``, to `points` (K, 3); whether it fits.

    Neighbourhoods in sparse clouds are often exactly collinear; the singular value decomposition
    (one-sided Jacobi) gives their minimum-norm solution, where normal equations would lose them.
    It does not fit where a point is `tolerance` [m] or more away. `u` (K, 3) and `v` (3, 3) are
    scratch.
    """
    k = points.shape[0]
    for i in range(k):
        for j in range(3):
            u[i, j] = points[i, j]
    _orthogonalize(u, v)
    largest = 0.0
    for j in range(3):
        norm2 = 0.0
        for i in range(k):
            norm2 += u[i, j] * u[i, j]
        largest = max(largest, norm2)
    cutoff = EPSILON * max(k, 3)
    a0 = a1 = a2 = 0.0
    for j in range(3):
        norm2 = total = 0.0
        for i in range(k):
            norm2 += u[i, j] * u[i, j]
            total -= u[i, j]
        if norm2 > cutoff * cutoff * largest:
            scale = total / norm2
            a0 += v[0, j] * scale
            a1 += v[1, j] * scale
            a2 += v[2, j] * scale
    norm = math.sqrt(a0 * a0 + a1 * a1 + a2 * a2)
    if not norm > 0.0:
        return False
    plane[0], plane[1], plane[2], plane[3] = a0 / norm, a1 / norm, a2 / norm, 1.0 / norm
    for i in range(k):
        distance = (plane[0] * points[i, 0] + plane[1] * points[i, 1]
                    + plane[2] * points[i, 2] + plane[3])
        if not abs(distance) < tolerance:
            return False
    return True


@inner_loop
def _orthogonalize(u, v):
    """Rotate the columns of `u` until they are orthogonal, ``u <- u v``; `v` (3, 3) is filled."""
    k = u.shape[0]
    for i in range(3):
        for j in range(3):
            v[i, j] = 1.0 if i == j else 0.0
    for _ in range(30):
        done = True
        for p in range(2):
            for q in range(p + 1, 3):
                alpha = beta = gamma = 0.0
                for i in range(k):
                    alpha += u[i, p] * u[i, p]
                    beta += u[i, q] * u[i, q]
                    gamma += u[i, p] * u[i, q]
                if abs(gamma) <= EPSILON * math.sqrt(alpha * beta):
                    continue
                done = False
                zeta = (beta - alpha) / (2.0 * gamma)
                t = math.copysign(1.0, zeta) / (abs(zeta) + math.sqrt(1.0 + zeta * zeta))
                c = 1.0 / math.sqrt(1.0 + t * t)
                s = c * t
                for i in range(k):
                    u[i, p], u[i, q] = c * u[i, p] - s * u[i, q], s * u[i, p] + c * u[i, q]
                for i in range(3):
                    v[i, p], v[i, q] = c * v[i, p] - s * v[i, q], s * v[i, p] + c * v[i, q]
        if done:
            return
