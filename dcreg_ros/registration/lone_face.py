# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Motions that hang on a single face: one plane, should it be none, decides where they end.

Where a ring of points goes up a wall and along the ceiling, its few points at the corner lie in a
plane that is no surface, and faces along the corridor as nothing else does there.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.registration.linearize import add_square, jacobian, symmetric
from dcreg_ros.registration.map_plane import MapPlaneMatcher

Matrix = NDArray[np.float64]

FACE = 0.4
"""Matches this near [m] may be of the same face."""
LONE = 0.8
"""Share of the information of a motion from which that hangs on one face."""
MATCHES = 64.0
"""More of them a face does not have, so that one says at least so small a part of it."""
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
    return np.asarray(_lone_faces(
        information, reference, transform, matcher._source, matcher._slope, matcher._scale2,
        matcher._plane))


@njit(cache=True, nogil=True)
def _lone_faces(information, reference, transform, source, slope, scale2, plane):
    alone = np.zeros((6, 6))
    inverse = np.linalg.inv(np.linalg.cholesky(reference))
    values, vectors = np.linalg.eigh(inverse @ information @ inverse.T)
    asked = (values >= 1.0) & (values < WELL_KNOWN)
    if not asked.any():
        return alone
    motions = np.ascontiguousarray((inverse.T @ np.ascontiguousarray(vectors[:, asked])).T)
    told = values[asked]
    most, first = _tell(motions, transform, source, slope, scale2, plane)
    for k in np.flatnonzero(MATCHES * most > LONE * told):
        _add_face(
            motions[k], told[k], first[k], transform, source, slope, scale2, plane, alone)
    return alone


@njit(cache=True, nogil=True)
def _tell(motions, transform, source, slope, scale2, plane):
    """Most that one match of a plane tells of each of `motions` (K, 6), and which it is."""
    most = np.zeros(motions.shape[0])
    first = np.zeros(motions.shape[0], np.int64)
    for i in range(slope.shape[0]):
        if slope[i] > 0.0 and plane[i, 11] == 0.0:  # a pole is known by its shape
            weight, j = _weighted(i, transform, source, slope, scale2, plane)
            for k in range(motions.shape[0]):
                says = weight * _along(j, motions[k]) ** 2
                if says > most[k]:
                    most[k], first[k] = says, i
    return most, first


@njit(cache=True, nogil=True)
def _add_face(motion, told, first, transform, source, slope, scale2, plane, alone):
    """Add to `alone` (6, 6) what the face of match `first` says, if `motion` (6,) hangs on it."""
    middle, share, own = source[first % source.shape[0]], 0.0, np.zeros(21)
    for i in range(slope.shape[0]):
        p = source[i % source.shape[0]]
        x, y, z = p[0] - middle[0], p[1] - middle[1], p[2] - middle[2]
        if slope[i] > 0.0 and plane[i, 11] == 0.0 and x * x + y * y + z * z < FACE * FACE:
            weight, j = _weighted(i, transform, source, slope, scale2, plane)
            share += weight * _along(j, motion) ** 2 / told
            add_square(own, 0, weight, j)
    if share >= LONE:
        alone += symmetric(own)


@inner_loop
def _weighted(i, transform, source, slope, scale2, plane):
    """Weight of match `i` in the information, and its Jacobian, six numbers."""
    p, q = source[i % source.shape[0]], plane[i]
    r = 0.0
    for a in range(3):
        place = transform[a, 3]
        for b in range(3):
            place += transform[a, b] * p[b]
        r += q[a] * (place - q[3 + a])
    weight = slope[i] * slope[i] * (1.0 + r * r / scale2[i])
    return weight, jacobian(p, transform, q[0], q[1], q[2])


@inner_loop
def _along(j, motion):
    total = 0.0
    for a in range(6):
        total += j[a] * motion[a]
    return total
