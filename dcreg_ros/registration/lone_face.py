# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Motions that hang on a single face: one plane, should it be none, decides where they end.

Where a ring of points goes up a wall and along the ceiling, its few points at the corner lie in a
plane that is no surface, and faces along the corridor as nothing else does there.
"""

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.registration.jacobians import counted
from dcreg_ros.registration.map_plane import MapPlaneMatcher

Matrix = NDArray[np.float64]

FACE = 0.4
"""Matches this near [m] may be of the same face."""
LONE = 0.8
"""Share of the information of a motion from which that hangs on one face."""
WELL_KNOWN = 20.0
"""How many times more than it must be the information of a motion is, that is not looked at."""


def lone_faces(
    matcher: MapPlaneMatcher, transform: Matrix, information: Matrix, reference: Matrix
) -> Matrix:
    """Return what is told by faces that motions hang on (6, 6), which is not to be believed.

    Parameters
    ----------
    matcher : MapPlaneMatcher
        Has just linearised at `transform` (4, 4).
    information : (6, 6) float array
        Of all matches.
    reference : (6, 6) float array
        Information that a motion must exceed to count as known.
    """
    alone = np.zeros((6, 6))
    inverse = np.linalg.inv(np.linalg.cholesky(reference))
    values, vectors = np.linalg.eigh(inverse @ information @ inverse.T)
    asked = (values >= 1.0) & (values < WELL_KNOWN)
    if not asked.any():
        return alone
    rows, flat, places = _weighted_rows(matcher, transform)
    for motion in (inverse.T @ vectors[:, asked]).T:
        says = (rows @ motion) ** 2
        first = np.argmax(np.where(flat, says, 0.0))
        face = flat & (np.sum((places - places[first]) ** 2, axis=1) < FACE**2)
        if says[face].sum() >= LONE * says.sum():
            alone += rows[face].T @ rows[face]
    return alone


def _weighted_rows(
    matcher: MapPlaneMatcher, transform: Matrix
) -> tuple[Matrix, NDArray[np.bool_], Matrix]:
    """Rows (M, 6) whose squares are the information, which are of planes, places (M, 3)."""
    _, matches, places, normals, residuals = counted(matcher, transform)
    turned = normals @ transform[:3, :3]
    rows = np.c_[np.cross((places - transform[:3, 3]) @ transform[:3, :3], turned), turned]
    scale2 = matcher._scale2[matches]
    weights = matcher._slope[matches] * np.sqrt(1.0 + residuals**2 / scale2)
    return rows * weights[:, None], matcher._plane[matches, 11] == 0.0, places
