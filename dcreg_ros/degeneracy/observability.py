# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Feature observability of SuperLoc (Zhao et al., arXiv 2412.02901): every match has three votes.

Each votes for the two rotations its torque is largest about and for the one translation its
normal is nearest to. Counted are votes, not how much they are worth: around a round tunnel every
match votes for some rotation, however little it says about any.
"""

import numpy as np
from numpy.typing import NDArray


def confidence(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the votes for each body axis against an even split.

    Parameters
    ----------
    rows : (M, 6) float array
        ``[p x n, n]`` of every match, body frame.

    Returns
    -------
    (6,) float array
        Roll, pitch, yaw, x, y, z; 0 without a vote, 1 with a third of them or more.
    """
    ranked = np.argsort(np.abs(rows[:, :3]), axis=1)
    turning = np.bincount(ranked[:, 1:].ravel(), minlength=3)
    moving = np.bincount(np.argmax(np.abs(rows[:, 3:]), axis=1), minlength=3)
    shares = np.concatenate([votes / max(votes.sum(), 1) for votes in (turning, moving)])
    return np.minimum(3.0 * shares, 1.0)
