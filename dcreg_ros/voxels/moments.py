# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Moments of points: their number, sum, and sums of products, and what follows from them."""

from dcreg_ros.inner_loop import inner_loop


@inner_loop
def add_moments(sums, m, ox, oy, oz):
    """Add moments `m` (MOMENTS,) about a point that lies (ox, oy, oz) from that of `sums`."""
    n, sx, sy, sz = m[0], m[1], m[2], m[3]
    sums[0] += n
    sums[1] += sx + n * ox
    sums[2] += sy + n * oy
    sums[3] += sz + n * oz
    sums[4] += m[4] + 2.0 * ox * sx + n * ox * ox
    sums[5] += m[5] + ox * sy + oy * sx + n * ox * oy
    sums[6] += m[6] + ox * sz + oz * sx + n * ox * oz
    sums[7] += m[7] + 2.0 * oy * sy + n * oy * oy
    sums[8] += m[8] + oy * sz + oz * sy + n * oy * oz
    sums[9] += m[9] + 2.0 * oz * sz + n * oz * oz
    for slot in range(10, 16):
        sums[slot] += m[slot]


@inner_loop
def variance(n, total, squares):
    """Variance of `n` values from their sums, 0 of none."""
    return squares / n - (total / n) ** 2 if n > 0.0 else 0.0


@inner_loop
def covariance_along(m, vectors, p, q):
    """Covariance of the points with `moments` (MOMENTS,) along columns `p` and `q`."""
    share = 1.0 / m[0]
    x, y, z = m[1] * share, m[2] * share, m[3] * share
    px, py, pz = vectors[0, p], vectors[1, p], vectors[2, p]
    qx, qy, qz = vectors[0, q], vectors[1, q], vectors[2, q]
    return (
        px * qx * (m[4] * share - x * x) + py * qy * (m[7] * share - y * y)
        + pz * qz * (m[9] * share - z * z) + (px * qy + py * qx) * (m[5] * share - x * y)
        + (px * qz + pz * qx) * (m[6] * share - x * z)
        + (py * qz + pz * qy) * (m[8] * share - y * z))
