# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Eigenvectors of symmetric 3x3 matrices by Jacobi rotations: no call to LAPACK in inner loops."""

import math

from dcreg_ros.inner_loop import inner_loop


@inner_loop
def eigen3(matrix, vectors):
    """Diagonalise `matrix` (3, 3) in place; columns of `vectors` (3, 3) become the eigenvectors.

    Sorted ascending along the diagonal of `matrix`; relative accuracy of rounding.
    """
    for i in range(3):
        for j in range(3):
            vectors[i, j] = 1.0 if i == j else 0.0
    for _ in range(12):
        off = matrix[0, 1] ** 2 + matrix[0, 2] ** 2 + matrix[1, 2] ** 2
        diagonal = matrix[0, 0] ** 2 + matrix[1, 1] ** 2 + matrix[2, 2] ** 2
        if off <= 1e-32 * diagonal:
            break
        for p in range(2):
            for q in range(p + 1, 3):
                if matrix[p, q] != 0.0:
                    _rotate(matrix, vectors, p, q)
    _sort(matrix, vectors)


@inner_loop
def _rotate(matrix, vectors, p, q):
    """Zero the entry (p, q)."""
    r = 3 - p - q
    tau = (matrix[q, q] - matrix[p, p]) / (2.0 * matrix[p, q])
    t = math.copysign(1.0, tau) / (abs(tau) + math.sqrt(1.0 + tau * tau))
    c = 1.0 / math.sqrt(1.0 + t * t)
    s = t * c
    matrix[p, p] -= t * matrix[p, q]
    matrix[q, q] += t * matrix[p, q]
    matrix[p, q] = matrix[q, p] = 0.0
    rp, rq = matrix[r, p], matrix[r, q]
    matrix[r, p] = matrix[p, r] = c * rp - s * rq
    matrix[r, q] = matrix[q, r] = s * rp + c * rq
    for i in range(3):
        vp, vq = vectors[i, p], vectors[i, q]
        vectors[i, p], vectors[i, q] = c * vp - s * vq, s * vp + c * vq


@inner_loop
def _sort(matrix, vectors):
    """Put the eigenvalues in ascending order."""
    for i, j in ((0, 1), (1, 2), (0, 1)):
        if matrix[i, i] > matrix[j, j]:
            matrix[i, i], matrix[j, j] = matrix[j, j], matrix[i, i]
            for k in range(3):
                vectors[k, i], vectors[k, j] = vectors[k, j], vectors[k, i]
