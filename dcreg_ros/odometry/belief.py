# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a match is believed: whether points lie on the surfaces they are near.

A match of simulated or recorded scans that is right has 0.74 or more of its points on the surfaces
they are near, from the second scan on mostly 0.95; one that ended elsewhere 0.2 to 0.4, among much
floor up to 0.75.
"""

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.geometry.se3 import local
from dcreg_ros.registration.result import RegistrationResult

FITS = 0.6
"""Share of the points near surfaces that have to be on them, or the match is not believed."""
FITS_WELL = 0.8
"""Share from which no better match is looked for."""
MIN_NEAR = 0.05
"""Share of all points that have to be near a surface."""
STRAY, STRAY_TURN, STRAY_WAY = 0.1, np.radians([4.0, 4.0, 20.0]), 0.5
"""Share of points for every factor e of the distance; what turns [rad] and way [m] are far: less
for roll and pitch, for robots turn about their upright axis."""
SURPRISE = 6.0
"""Standard deviations from the prediction beyond which a better match is looked for."""


def misfit(match: RegistrationResult) -> str:
    """Say why a match is not believed, in words; empty where it is."""
    if match.failure_reason:
        return match.failure_reason
    if match.near_surface < MIN_NEAR:
        return f'the scan does not fit the map: only {match.near_surface:.0%} of it near surfaces'
    if fit_of(match) < FITS:
        return f'the scan does not fit the map: {fit_of(match):.0%} of it on surfaces'
    return ''


def fit_of(match: RegistrationResult) -> float:
    """Share of the points near surfaces of the map that are on them."""
    return match.on_surface / max(match.near_surface, 1e-9)


def score_of(match: RegistrationResult) -> float:
    """Compare matches of one scan by this: points on surfaces less those off, as a share of all.

    At a wrong place a third of the points are on surfaces by chance, at the right one a tenth is
    off: a point off counts twice (ratio of the logarithms of the likelihoods).
    """
    off = match.near_surface - match.on_surface
    return -1.0 if match.failure_reason else match.on_surface - 2.0 * off


def stray_of(match: RegistrationResult, expected: NDArray[np.float64]) -> float:
    """What a match far from the `expected` pose (4, 4) has to make up for, as a share of points.

    A corridor looks much the same from the other side.
    """
    off = local(expected, match.transform)
    turn, way = np.linalg.norm(off[:3] / STRAY_TURN), np.linalg.norm(off[3:]) / STRAY_WAY
    return float(STRAY * np.log1p(turn**2 + way**2))


def is_doubtful(
    match: RegistrationResult, predicted: NDArray[np.float64], expected: NDArray[np.float64]
) -> bool:
    """Whether a match may have a better one elsewhere.

    Parameters
    ----------
    match : RegistrationResult
    predicted : (4, 4) float array
        Where it was expected [m].
    expected : (6, 6) float array
        How certainly, ``[rotation, translation]`` in the body frame [rad^2, m^2].
    """
    if misfit(match) or fit_of(match) < FITS_WELL:
        return True
    off = local(match.transform, predicted)
    return bool(off @ np.linalg.solve(expected + match.trusted.covariance, off) > SURPRISE**2)
