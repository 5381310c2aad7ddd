# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A registration and its prediction, each believed as far as it is known.

Weak motions are held to the prediction while a scan is registered. Others are not, and yet they
may be known to a decimetre only, where the prediction is known to a centimetre: at the end of a
corridor a few points at a door tell of the way along. So what was registered is corrected by what
was predicted (Kalman, 1960), of which some may be in it already.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.config import RegistrationConfig
from dcreg_ros.degeneracy.detections import SURPRISE
from dcreg_ros.geometry.se3 import local, retract
from dcreg_ros.registration.covariance import PoseUncertainty, bounded
from dcreg_ros.registration.result import RegistrationResult

Array = NDArray[np.float64]

REPEATED = 10.0
"""How many times more the variance of a prediction by others counts: wheels that are too large are
so in every scan, and the map would follow them."""


def fuse(
    match: RegistrationResult, predicted: Array, covariance: Array, told: bool,
    config: RegistrationConfig,
) -> RegistrationResult:
    """Return `match` with its pose and covariances as both together have them.

    With ``S`` the share of the guess in the match, ``C`` the covariance of what is its own and
    ``P`` that of the guess, it moves by ``K`` times its distance from the prediction,
    ``K = (C - S P (1 - S)^T) (C + (1 - S) P (1 - S)^T)^-1``, which leaves least.

    Parameters
    ----------
    match : RegistrationResult
        That began at the prediction.
    predicted : (4, 4) float array
        ``T_odom_lidar`` [m].
    covariance : (6, 6) float array
        Of the prediction, ``[rotation, translation]`` in its body frame [rad^2, m^2].
    told : bool
        Whether it is by wheels or another odometry, not by the motion until here.
    config : RegistrationConfig
        `min_sigma` and `max_sigma` are used.
    """
    _, share, both = match.trusted
    seen = np.eye(6) - share
    own = bounded(both - share @ covariance @ share.T, config.min_sigma, config.max_sigma)
    off = local(match.transform, predicted)
    surprise2 = float(off @ np.linalg.pinv(covariance) @ off)
    # What differs more than it should is known less well than was thought.
    guess = covariance * max(1.0, surprise2 / SURPRISE**2)
    felt = (REPEATED if told else 1.0) * guess @ seen.T
    gain = np.asarray(np.linalg.solve((own + seen @ felt).T, (own - share @ felt).T).T, float)
    kept = np.eye(6) - gain
    left = kept @ share + gain
    together = kept @ own @ kept.T + left @ guess @ left.T
    trusted = PoseUncertainty(
        kept @ own @ kept.T, left, bounded(together, config.min_sigma, config.max_sigma))
    errors = _with_gain(match.errors, gain, guess, config)
    return dataclasses.replace(
        match, transform=retract(match.transform, gain @ off), covariance=errors.covariance,
        errors=errors, trusted=trusted)


def _with_gain(
    errors: PoseUncertainty, gain: Array, guess: Array, config: RegistrationConfig
) -> PoseUncertainty:
    """Errors of a match that was moved by `gain` (6, 6) times its distance from the prediction."""
    kept = np.eye(6) - gain
    own, share = kept @ errors.own @ kept.T, kept @ errors.guess_share + gain
    return PoseUncertainty(
        own, share,
        bounded(own + share @ guess @ share.T, config.min_sigma, config.max_sigma))
