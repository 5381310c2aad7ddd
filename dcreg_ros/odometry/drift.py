# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How errors of single registrations add up: pose, last motion, and what they share.

Where the geometry holds the pose, every registration adds an error of its own. Where it does not,
the pose is a prediction from the motion before, whose error comes again with every scan: it grows
with the length of the stretch, not with its root. So the error of the motion is carried along with
that of the pose, and their covariance with it.
"""

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.registration.covariance import bounded

Matrix = NDArray[np.float64]

VELOCITY_WALK = np.array([0.5, 1.0])
"""How far a velocity strays from constant, standard deviation after one second, growing with the
root of time [rad/s, m/s]; until the first scans tell."""
LEAST_WALK = np.array([0.15, 0.3])
"""What it is at least, however steadily the LiDAR has moved."""
CORRELATED = 10.0
"""How many times larger the variance of a velocity is than that of one registration says."""
LEARNING = 0.1
"""Share of a new scan in what is learnt of it."""
FIRST_VELOCITY = np.repeat([0.5, 3.0], 3)
"""Velocity with which the first scan may be met, standard deviation [rad/s, m/s]."""
PRIOR_SHARE = 0.05
"""Standard deviation of a prior from elsewhere, as a share of the motion it foresees."""
PRIOR_FLOOR = np.repeat([0.0005, 0.002], 3)
"""The same where it foresees none [rad, m]."""


class Drift:
    """Covariance of the pose and of the last motion, body frame, rotation before translation.

    Attributes
    ----------
    pose : (6, 6) float array
        Of the pose since the first scan [rad^2, m^2].
    step : (6, 6) float array
        Of the last registration, as if the pose before had been exact in the map.
    motion : (6, 6) float array
        Of the motion between the last two scans: both have errors of their own in the map.
    """

    def __init__(self, min_sigma: float) -> None:
        self.pose = np.eye(6) * min_sigma**2
        self.step = np.zeros((6, 6))
        self.motion = np.zeros((6, 6))
        self._shared = np.zeros((6, 6))
        self._elapsed = 0.0
        self._walk2 = VELOCITY_WALK**2
        self._velocity: Matrix | None = None

    def velocity_gain(self, elapsed: float) -> Matrix:
        """How much (6, 6) of the change of velocity in the last motion is to be believed.

        Kalman gain of a velocity that strays, measured by the difference of two poses: where they
        are known to a centimetre only, one such difference is a poor velocity to coast on.
        """
        measured = CORRELATED * self.step / elapsed**2
        if self._velocity is None:
            self._velocity = measured
            return np.eye(6)
        foreseen = self._velocity + np.diag(np.repeat(self._walk2, 3) * elapsed)
        gain = np.linalg.solve((foreseen + measured).T, foreseen.T).T
        self._velocity = (np.eye(6) - gain) @ foreseen
        return np.asarray(gain)

    def learn(self, surprise: Matrix, elapsed: float, known: NDArray[np.bool_]) -> None:
        """Learn from a scan how far velocities stray.

        Parameters
        ----------
        surprise : (6,) float array
            Step ``[w, v]`` from the pose foreseen with constant velocity to the one found.
        elapsed : float
            Time foreseen [s].
        known : (2,) bool array
            Whether the geometry held all rotations, and all translations.
        """
        seen = np.sum(np.reshape(surprise, (2, 3)) ** 2, axis=1) / (3.0 * elapsed**3)
        learnt = np.maximum(self._walk2 + LEARNING * (seen - self._walk2), LEAST_WALK**2)
        self._walk2 = np.where(known, learnt, self._walk2)

    def guess(self, moved: Matrix, elapsed: float) -> Matrix:
        """Covariance (6, 6) of a motion foreseen from the last one.

        Parameters
        ----------
        moved : (6, 6) float array
            Adjoint from the last body frame to the predicted one.
        elapsed : float
            Time foreseen [s].
        """
        if self._elapsed == 0.0:
            return np.diag((FIRST_VELOCITY * elapsed) ** 2)
        scale = elapsed / self._elapsed
        walked = np.diag(np.repeat(self._walk2, 3) * elapsed**3)
        return np.asarray(scale**2 * moved @ self.step @ moved.T + walked)

    def given(self, motion: Matrix) -> Matrix:
        """Covariance (6, 6) of a motion ``[w, v]`` (6,) that somebody else foresees.

        Its error has nothing to do with that of the motion before.
        """
        self._shared = np.zeros((6, 6))
        size = np.repeat([np.linalg.norm(motion[:3]), np.linalg.norm(motion[3:])], 3)
        return np.diag((PRIOR_SHARE * size + PRIOR_FLOOR) ** 2)

    def add(
        self, moved: Matrix, step: Matrix, share: Matrix, elapsed: float, min_sigma: float,
        max_sigma: float,
    ) -> None:
        """Take the next motion.

        Parameters
        ----------
        moved : (6, 6) float array
            Adjoint from the last body frame to the present one.
        step : (6, 6) float array
            Covariance of its registration.
        share : (6, 6) float array
            How much of the error of the prediction is left in it.
        elapsed : float
            Time between them [s].
        min_sigma, max_sigma : float
            Bounds of the standard deviation in every direction [rad, m].
        """
        scale = elapsed / self._elapsed if self._elapsed > 0.0 else 0.0
        shared = scale * moved @ self._shared @ moved.T @ share.T
        pose = moved @ self.pose @ moved.T + shared + shared.T + step
        self.pose = bounded(pose, min_sigma, max_sigma)
        # What is predicted moves on from the pose before; what is seen, it has corrected.
        corrected = (np.eye(6) - share) @ moved
        self.motion = step + corrected @ self.step @ corrected.T
        self.step = step
        self._shared = shared + step
        self._elapsed = elapsed
