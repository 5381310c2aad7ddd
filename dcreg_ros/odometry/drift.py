# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How errors of single scans add up to that of the pose and of the last motion.

Three errors hang together: that of the map where the LiDAR is, that of the pose, and that of the
velocity by which the next pose is foreseen. Where the geometry holds a motion, a scan has the
error of the map and one of its own; the map takes of that as much as it takes in points that are
new. A map that is not added to does not drift. Where nothing holds it, a scan goes on from the
pose before with the error of the velocity, which comes again in every scan, and takes the map
along. So covariances of all three are carried together (a Kalman filter's prediction).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.odometry.motion_noise import FIRST_VELOCITY, PRIOR_FLOOR, PRIOR_SHARE, size_of
from dcreg_ros.registration.covariance import PoseUncertainty, bounded

Matrix = NDArray[np.float64]

AGAIN = 8.0
"""How many times the variance of a scan counts in the map: scans of the same cells err alike, and
a map of few scans is worse than each registration to it says."""
_MAP, _POSE, _VELOCITY = slice(0, 6), slice(6, 12), slice(12, 18)


class Drift:
    """Covariances in the body frame, rotation before translation [rad^2, m^2].

    Attributes
    ----------
    pose : (6, 6) float array
        Of the pose since the first scan.
    motion : (6, 6) float array
        Of the motion between the last two scans.
    step : (6, 6) float array
        Of the last registration, had the map and the pose before been exact.
    """

    def __init__(self, min_sigma: float, max_sigma: float) -> None:
        self._limits = min_sigma, max_sigma
        self._joint = np.zeros((18, 18))
        self._joint[:12, :12] = np.kron(np.ones((2, 2)), np.eye(6) * min_sigma**2)
        self._joint[_VELOCITY, _VELOCITY] = np.diag(FIRST_VELOCITY**2)
        self._told = False
        self.pose = np.eye(6) * min_sigma**2
        self.motion = np.zeros((6, 6))
        self.step = np.zeros((6, 6))

    def foresee(
        self, moved: Matrix, elapsed: float, walk2: Matrix, told: Matrix | None = None
    ) -> None:
        """Go on to the next scan.

        Parameters
        ----------
        moved : (6, 6) float array
            Adjoint from the last body frame to the present one.
        elapsed : float
            Time between them [s].
        walk2 : (2,) float array
            Variance that a velocity gains in one second [rad^2/s^2, m^2/s^2].
        told : (6,) float array, optional
            Motion ``[w, v]`` [rad, m], of either sign, that wheels or another odometry foresee; by
            default it is that of before. Wheels that are too large are so in every scan.
        """
        joint = _seen_from(self._joint, np.ascontiguousarray(moved))
        if told is None:
            joint[_VELOCITY, _VELOCITY] += np.diag(np.repeat(walk2, 3) * elapsed)
        else:
            if not self._told:
                joint[_VELOCITY] = joint[:, _VELOCITY] = 0.0
            share2 = (PRIOR_SHARE * size_of(told) / elapsed) ** 2
            velocity = joint[_VELOCITY, _VELOCITY]
            velocity += np.diag(np.maximum(share2 - np.diag(velocity), 0.0))
        self._told = told is not None
        self._joint = joint

    def add(
        self, found: PoseUncertainty, elapsed: float, renewed: float, gain: Matrix
    ) -> None:
        """Take the scan that was foreseen.

        Parameters
        ----------
        found : PoseUncertainty
            Of its registration.
        elapsed : float
            Time since the one before [s].
        renewed : float
            Share of what is seen of the map that is by this scan.
        gain : (6, 6) float array
            How much of the change of velocity in this motion is believed; of no meaning where
            the motion was told.
        """
        own, share = bounded(found.own, *self._limits), found.guess_share
        self._go(own, share, elapsed, share + renewed * (np.eye(6) - share), gain)
        self._joint[_MAP, _MAP] += AGAIN * renewed * own

    def coast(self, elapsed: float) -> None:
        """Take what was foreseen for the pose, as the scan was not found; the map stays."""
        self._go(np.zeros((6, 6)), np.eye(6), elapsed, np.zeros((6, 6)), np.zeros((6, 6)))

    def _go(
        self, own: Matrix, share: Matrix, elapsed: float, followed: Matrix, gain: Matrix
    ) -> None:
        """Go on to a pose with an error of its `own`, and a `share` of that of the prediction.

        The map takes of what it differs by as much as `followed` (6, 6), the velocity `gain`.
        """
        floor = PRIOR_FLOOR if self._told else np.zeros(6)
        self._joint, self.motion, step = _go_on(
            self._joint, own, np.ascontiguousarray(share), elapsed,
            np.ascontiguousarray(followed), np.ascontiguousarray(gain), floor, self._told,
            3.0 * self._limits[1] ** 2)
        self.step = bounded(step, *self._limits)
        self.pose = bounded(self._joint[_POSE, _POSE], *self._limits)


@njit(cache=True, nogil=True)
def _seen_from(joint, moved):
    """Covariance (18, 18) with map, pose and velocity brought to another frame by `moved`."""
    turn = np.zeros((18, 18))
    for k in range(0, 18, 6):
        turn[k:k + 6, k:k + 6] = moved
    return turn @ joint @ turn.T


@njit(cache=True, nogil=True)
def _go_on(joint, own, share, elapsed, followed, gain, floor, told, most):
    """Covariance (18, 18) after a scan, that of its motion and of its registration (6, 6).

    What was told of the motion has an error of its own of `floor` (6,), and is no velocity. No
    variance grows beyond `most`, in which the small ones would be lost by rounding.
    """
    eye = np.eye(6)
    noise = np.zeros((12, 12))
    noise[:6, :6], noise[6:, 6:] = own, np.diag(floor**2)
    # Of map, pose and velocity before, and of the scan's own error and that of what was told:
    pose, felt_pose = np.hstack((eye - share, share, elapsed * share)), np.hstack((eye, share))
    moved = pose.copy()
    moved[:, 6:12] -= eye
    after, felt = np.eye(18), np.zeros((18, 12))
    after[:6] += followed @ (pose - after[:6])
    after[6:12] = pose
    felt[:6], felt[6:12] = followed @ felt_pose, felt_pose
    if not told:
        after[12:] += gain @ (moved / elapsed - after[12:])
        felt[12:] = gain @ felt_pose / elapsed
    motion = moved @ joint @ moved.T + felt_pose @ noise @ felt_pose.T
    foreseen = elapsed**2 * joint[12:, 12:] + noise[6:, 6:]
    step = own + share @ foreseen @ share.T
    joint = after @ joint @ after.T + felt @ noise @ felt.T
    joint = 0.5 * (joint + joint.T)
    if np.trace(joint) > most:
        values, vectors = np.linalg.eigh(joint)
        joint = (vectors * np.minimum(values, most)) @ vectors.T
    return joint, motion, step
