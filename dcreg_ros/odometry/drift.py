# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How errors of single scans add up to that of the pose and of the last motion.

Three errors hang together: that of the map where the LiDAR is, that of the pose, and that of the
velocity by which the next pose is foreseen. Where the geometry holds a motion, a scan has the
error of the map and one of its own; the map takes of that as much as it takes in points that are
new. A map that is not added to does not drift. Where nothing holds it, a scan goes on from the
pose before with the error of the velocity, which comes again in every scan, and takes the map
along; or with that of the scale of wheels, as far as they turn. So covariances of all are carried
together (a Kalman filter's prediction).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.odometry.motion import MAX_EXTRAPOLATION, MIN_STEP
from dcreg_ros.odometry.motion_noise import FIRST_VELOCITY, PRIOR_FLOOR, PRIOR_SHARE, size_of
from dcreg_ros.registration.covariance import PoseUncertainty, bounded

Matrix = NDArray[np.float64]

AGAIN = 3.0
"""How many times the variance of a scan counts in the map: scans of the same cells err alike, and
a map of few scans is worse than each registration to it says. Fitted to drives."""
_MAP, _POSE, _VELOCITY, _SCALE = slice(0, 6), slice(6, 12), slice(12, 18), slice(18, 24)


class Drift:
    """Covariances in the body frame, rotation before translation [rad^2, m^2].

    Attributes
    ----------
    motion : (6, 6) float array
        Of the motion between the last two scans.
    step : (6, 6) float array
        Of the last registration, had the map and the pose before been exact.
    """

    def __init__(self, min_sigma: float, max_sigma: float) -> None:
        self._limits = min_sigma, max_sigma
        self._joint = np.zeros((24, 24))
        self._joint[:12, :12] = np.kron(np.ones((2, 2)), np.eye(6) * min_sigma**2)
        self._joint[_VELOCITY, _VELOCITY] = np.diag(FIRST_VELOCITY**2)
        self._joint[_SCALE, _SCALE] = np.eye(6) * PRIOR_SHARE**2
        self._elapsed = MIN_STEP
        self._foreseen, self._floor = np.zeros((6, 12)), np.zeros(6)
        self.motion = np.zeros((6, 6))
        self.step = np.zeros((6, 6))

    @property
    def pose(self) -> Matrix:
        """Covariance (6, 6) of the pose since the first scan."""
        return self.at(0.0)

    @property
    def twist(self) -> Matrix:
        """Covariance (6, 6) of the velocity by the last motion [rad^2/s^2, m^2/s^2]."""
        return self.motion / self._elapsed**2 + self._unheard()

    def _unheard(self) -> Matrix:
        """How far the velocity may be (6, 6) from its mean over a gap, at the end of that."""
        return np.diag(FIRST_VELOCITY**2) * (self._elapsed > MAX_EXTRAPOLATION)

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
        self._elapsed = max(elapsed, MIN_STEP)
        self._joint = _seen_from(self._joint, np.ascontiguousarray(moved))
        self._joint[_VELOCITY, _VELOCITY] += np.diag(np.repeat(walk2, 3) * self._elapsed)
        self._foreseen = np.zeros((6, 12))
        if told is None:
            self._foreseen[:, :6] = np.eye(6) * self._elapsed
        else:
            self._foreseen[:, 6:] = np.diag(size_of(told))
        self._floor = np.zeros(6) if told is None else PRIOR_FLOOR

    def add(self, found: PoseUncertainty, renewed: float, gain: Matrix) -> None:
        """Take the scan that was foreseen.

        Parameters
        ----------
        found : PoseUncertainty
            Of its registration.
        renewed : float
            Share of this scan in the map where it is, see :meth:`VoxelMap.insert`.
        gain : (6, 6) float array
            How much of the change of velocity in this motion is believed.
        """
        own, share = bounded(found.own, *self._limits), found.guess_share
        self._go(own, share, share + renewed * (np.eye(6) - share), gain)
        self._joint[_MAP, _MAP] += AGAIN * renewed * own
        self._joint[_VELOCITY, _VELOCITY] += self._unheard()

    def coast(self) -> None:
        """Take what was foreseen for the pose, as the scan was not found; the map stays."""
        self._go(np.zeros((6, 6)), np.eye(6), np.zeros((6, 6)), np.zeros((6, 6)))

    def begin_map(self) -> None:
        """Go on with a new map, which has the error of the pose."""
        joint = self._joint.copy()
        joint[_MAP] = joint[_POSE]
        joint[:, _MAP] = joint[:, _POSE]
        self._joint = joint

    def at(self, offset: float) -> Matrix:
        """Covariance (6, 6) of the pose some time before the scan [s], to where it is foreseen."""
        back = np.hstack([np.eye(6), -offset / self._elapsed * self._foreseen])
        floor2 = np.diag((offset / self._elapsed * self._floor) ** 2)
        return bounded(back @ self._joint[6:, 6:] @ back.T + floor2, *self._limits)

    def _go(self, own: Matrix, share: Matrix, followed: Matrix, gain: Matrix) -> None:
        """Go on to a pose with an error of its `own`, and a `share` of that of the prediction.

        The map takes of what it differs by as much as `followed` (6, 6), the velocity `gain`.
        """
        most = 3.0 * max(self._limits[1], 10.0 * FIRST_VELOCITY.max()) ** 2
        self._joint, self.motion, step = _go_on(
            self._joint, own, np.ascontiguousarray(share), self._elapsed, self._foreseen,
            self._floor, np.ascontiguousarray(followed), np.ascontiguousarray(gain), most)
        self.step = bounded(step, *self._limits)


@njit(cache=True, nogil=True)
def _seen_from(joint, moved):
    """Covariance (24, 24) with map, pose and velocity brought to another frame by `moved`."""
    turn = np.eye(24)
    for k in range(0, 18, 6):
        turn[k:k + 6, k:k + 6] = moved
    return turn @ joint @ turn.T


@njit(cache=True, nogil=True)
def _go_on(joint, own, share, elapsed, foreseen, floor, followed, gain, most):
    """Covariance (24, 24) after a scan, that of its motion and of its registration (6, 6).

    The prediction errs by `foreseen` (6, 12) times the errors of velocity and scale, and by a
    `floor` (6,) of its own. No variance grows beyond `most`, in which the small ones would be lost
    by rounding.
    """
    eye = np.eye(6)
    noise = np.zeros((12, 12))
    noise[:6, :6], noise[6:, 6:] = own, np.diag(floor**2)
    # Of map, pose, velocity and scale before, and of the scan's own error and the floor:
    pose, felt_pose = np.hstack((eye - share, share, share @ foreseen)), np.hstack((eye, share))
    moved = pose.copy()
    moved[:, 6:12] -= eye
    after, felt = np.eye(24), np.zeros((24, 12))
    after[:6] += followed @ (pose - after[:6])
    after[6:12] = pose
    after[12:18] += gain @ (moved / elapsed - after[12:18])
    felt[:6], felt[6:12], felt[12:18] = followed @ felt_pose, felt_pose, gain @ felt_pose / elapsed
    motion = moved @ joint @ moved.T + felt_pose @ noise @ felt_pose.T
    ahead = foreseen @ np.ascontiguousarray(joint[12:, 12:]) @ foreseen.T + noise[6:, 6:]
    step = own + share @ ahead @ share.T
    joint = after @ joint @ after.T + felt @ noise @ felt.T
    joint = 0.5 * (joint + joint.T)
    if np.trace(joint) > most:
        values, vectors = np.linalg.eigh(joint)
        joint = (vectors * np.minimum(np.maximum(values, 0.0), most)) @ vectors.T
    return joint, motion, step
