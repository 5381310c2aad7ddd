# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Localizability of X-ICP (Tuna et al., arXiv 2211.16335): counting the matches behind each mode.

The modes are the eigenvectors of the two diagonal blocks, not of their Schur complements. A match
speaks for a mode with the cosine between its normal (or its torque about the centre, cut to
length 1) and the mode. What is summed are numbers of matches, so thresholds belong to a sensor.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

ALIGNED = 0.5
"""Cosine below which a match says nothing about a mode: 60 degrees."""
STRONGLY_ALIGNED = float(np.sqrt(0.5))
"""Cosine from which it says much: 45 degrees."""


class Localizability(NamedTuple):
    """How much the matches say about each mode, rotations before translations.

    Attributes
    ----------
    modes : (6, 6) float array
        Orthonormal rows: eigenvectors of the rotation, then of the translation block, ascending.
    contributions : (6,) float array
        Sum over the matches aligned with the mode.
    full, partial : (6,) bool arrays
        Localizable by all matches; only by those aligned with the mode. Neither: not at all.
    steps : (6,) float array
        The step [rad, m] along each partial mode by the aligned matches alone; else zero.
    """

    modes: Matrix
    contributions: Matrix
    full: NDArray[np.bool_]
    partial: NDArray[np.bool_]
    steps: Matrix


def localizability(
    rows: Matrix, residuals: Matrix, insufficient: float, enough: float, high: float
) -> Localizability:
    """Judge every mode by the matches that speak for it.

    Parameters
    ----------
    rows : (M, 6) float array
        ``[p x n, n]`` of every match, body frame.
    residuals : (M,) float array
        Signed distances to the planes [m].
    insufficient, enough, high : float
        A mode is localizable where the contributions reach `high` or the strong ones `enough`,
        partially where the contributions reach `enough` or the strong ones `insufficient`.

    Returns
    -------
    Localizability
    """
    modes = np.zeros((6, 6))
    sums, steps = np.zeros(6), np.zeros(6)
    full, partial = np.zeros(6, np.bool_), np.zeros(6, np.bool_)
    for block, vectors in ((slice(0, 3), _torques(rows)), (slice(3, 6), rows[:, 3:])):
        modes[block, block] = np.linalg.eigh(rows[:, block].T @ rows[:, block])[1].T
        for i in range(block.start, block.stop):
            cosines = np.abs(vectors @ modes[i, block])
            aligned, strong = cosines >= ALIGNED, cosines >= STRONGLY_ALIGNED
            sums[i], strong_sum = cosines[aligned].sum(), cosines[strong].sum()
            full[i] = sums[i] >= high or strong_sum >= enough
            mixed = sums[i] >= enough
            partial[i] = not full[i] and (mixed or strong_sum >= insufficient)
            if partial[i]:
                chosen = aligned if mixed else strong
                # By the torques in full: cut ones would turn by that much too far.
                alone = np.linalg.lstsq(rows[chosen, block], -residuals[chosen], rcond=None)[0]
                steps[i] = modes[i, block] @ alone
    return Localizability(modes, sums, full, partial, steps)


def _torques(rows: Matrix) -> Matrix:
    """Moments (M, 3) of the normals, none longer than 1 m."""
    lengths = np.linalg.norm(rows[:, :3], axis=1, keepdims=True)
    return np.asarray(rows[:, :3] / np.maximum(lengths, 1.0))
