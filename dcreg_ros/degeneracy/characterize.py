# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Characterisation: which body axis each mode of a Schur complement stands for (paper, sec. V)."""

import numpy as np
from numba import njit

PERMUTATIONS = np.array(
    [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]], dtype=np.int64)


@njit(cache=True, nogil=True)
def match_axes(values, vectors):
    """Order the modes of a block by the axis each is nearest to.

    `values` (3,) and `vectors` (3, 3, modes in columns) become values (3,) and modes (3, 3, one
    row per axis), the component along the matched axis positive. Of the six one-to-one matches
    that with the largest sum of squared components is taken, whatever the order of the modes.
    """
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
