# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far the pose that is foreseen for the next scan may be off, and so how much it counts.

Robots mostly go on as they have gone: here velocities are trusted as far as drives have shown
them to be worth it. How far they may stray where nothing tells is in the covariances that are
published (`odometry/drift.py`).
"""

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.odometry.motion import MAX_EXTRAPOLATION

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


class MotionNoise:
    """Covariance of the motion that is foreseen, body frame, rotation before translation.

    Attributes
    ----------
    walk2 : (2,) float array
        Variance that a velocity gains in one second [rad^2/s^2, m^2/s^2].
    """

    def __init__(self) -> None:
        self.walk2 = VELOCITY_WALK**2
        self._step = np.zeros((6, 6))
        self._elapsed = 0.0
        self._velocity: Matrix | None = None

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
        walked = np.diag(np.repeat(self.walk2, 3) * elapsed**3)
        return np.asarray(scale**2 * moved @ self._step @ moved.T + walked)

    @staticmethod
    def given(motion: Matrix) -> Matrix:
        """Covariance (6, 6) of a motion ``[w, v]`` (6,) that somebody else foresees."""
        return np.diag((PRIOR_SHARE * size_of(motion) + PRIOR_FLOOR) ** 2)

    def found(self, covariance: Matrix, elapsed: float) -> None:
        """Take the covariance (6, 6) of the next registration, `elapsed` after the last [s]."""
        self._step = covariance
        self._elapsed = elapsed

    def learn(self, surprise: Matrix, known: NDArray[np.bool_]) -> None:
        """Learn from the scan that was found how far velocities stray.

        Parameters
        ----------
        surprise : (6,) float array
            Step ``[w, v]`` from the pose foreseen with constant velocity to the one found.
        known : (2,) bool array
            Whether the geometry held all rotations, and all translations.
        """
        seen = np.sum(np.reshape(surprise, (2, 3)) ** 2, axis=1) / (3.0 * self._elapsed**3)
        learnt = np.maximum(self.walk2 + LEARNING * (seen - self.walk2), LEAST_WALK**2)
        self.walk2 = np.where(known, learnt, self.walk2)

    def velocity_gain(self) -> Matrix:
        """How much (6, 6) of the change of velocity in the last motion is to be believed.

        Kalman gain of a velocity that strays, measured by the difference of two poses: where they
        are known to a centimetre only, one such difference is a poor velocity to coast on.
        """
        measured = CORRELATED * self._step / self._elapsed**2
        gap = self._elapsed > MAX_EXTRAPOLATION
        if gap or self._velocity is None:
            # The mean over a gap is no velocity: what the next motion says is all that is known.
            self._velocity = None if gap else measured
            return np.eye(6)
        foreseen = self._velocity + np.diag(np.repeat(self.walk2, 3) * self._elapsed)
        gain = np.linalg.solve((foreseen + measured).T, foreseen.T).T
        self._velocity = (np.eye(6) - gain) @ foreseen
        return np.asarray(gain)


def size_of(motion: Matrix) -> Matrix:
    """How far a motion ``[w, v]`` (6,) turns and goes, each three times."""
    return np.repeat([np.linalg.norm(motion[:3]), np.linalg.norm(motion[3:])], 3)
