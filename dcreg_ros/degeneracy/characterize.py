# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Characterisation: which body axis each mode of a Schur complement stands for (paper, sec. V)."""

import numpy as np
from numba import njit

from dcreg_ros.degeneracy.joint import stable_basis

PERMUTATIONS = np.array(
    [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]], dtype=np.int64)

REPEATED = 1e-9
"""Eigenvalues of a block closer than this share of the largest are the same one."""


@njit(cache=True, nogil=True)
def match_axes(values, vectors):
    """Order the modes of a block by the axis each is nearest to.

    `values` (3,) and `vectors` (3, 3, modes in columns) become values (3,) and modes (3, 3, one
    row per axis), the component along the matched axis positive. Of the six one-to-one matches
    that with the largest sum of squared components is taken, whatever the order of the modes.
    Where eigenvalues repeat, any turn of their modes is as good: the nearest to the axes is taken,
    and the other mode has the first choice.
    """
    repeated = np.abs(values[1:] - values[:2]) <= REPEATED * values[2]
    if repeated.any():
        return _match_repeated(values, vectors, repeated)
    best, best_score = 0, -1.0
    for p in range(6):
        score = 0.0
        for axis in range(3):
            score += vectors[axis, PERMUTATIONS[p, axis]] ** 2
        if score > best_score + 1e-12:
            best, best_score = p, score
    matched = np.empty(3)
    modes = np.empty((3, 3))
    for axis in range(3):
        column = PERMUTATIONS[best, axis]
        sign = 1.0 if vectors[axis, column] >= 0.0 else -1.0
        matched[axis] = values[column]
        modes[axis] = sign * vectors[:, column]
    return matched, modes


@njit(cache=True, nogil=True)
def _match_repeated(values, vectors, repeated):
    """The same where eigenvalues repeat: `repeated` (2,), the lower two or the upper two."""
    if repeated.all():
        return values.copy(), np.eye(3)
    single = 2 if repeated[0] else 0
    axis = np.argmax(np.abs(vectors[:, single]))
    sign = 1.0 if vectors[axis, single] >= 0.0 else -1.0
    matched, modes = np.empty(3), np.empty((3, 3))
    matched[axis] = values[single]
    modes[axis] = sign * vectors[:, single]
    others = np.ones(3, np.bool_)
    others[axis] = False
    column = 0 if repeated[0] else 1
    for row in range(3):
        if others[row]:
            matched[row] = values[column]
            modes[row] = vectors[:, column]
            column += 1
    modes[others] = stable_basis(modes, others)
    return matched, modes
