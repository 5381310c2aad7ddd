# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Motion between scans: constant velocity on SE(3), by time and not by count."""

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.geometry.se3 import exp_se3, inverse, log_se3

Matrix = NDArray[np.float64]

MAX_EXTRAPOLATION = 1.0
"""Seconds for which a velocity is believed; after a longer gap the LiDAR may as well have stopped."""


class MotionModel:
    """Where the LiDAR was last, and how fast it moved.

    Attributes
    ----------
    pose : (4, 4) float array or None
        Last ``T_odom_lidar``; None before the first.
    twist : (6,) float array
        ``[w, v]`` in the LiDAR frame [rad/s, m/s].
    """

    def __init__(self) -> None:
        self.pose: Matrix | None = None
        self.twist = np.zeros(6)
        self._stamp = 0.0
        self._period = 0.1

    def elapsed(self, stamp: float) -> float:
        """Seconds since the last scan; the last period again where stamps do not advance."""
        step = stamp - self._stamp
        return step if step > 0.0 else self._period

    def predict(self, stamp: float, prior: Matrix | None) -> tuple[Matrix, Matrix]:
        """Predict the pose at `stamp` and the twist of the sweep that starts there.

        Parameters
        ----------
        stamp : float
            Time of the new scan [s].
        prior : (4, 4) array or None
            Predicted ``T_odom_lidar`` from elsewhere; taken as it is.

        Returns
        -------
        pose : (4, 4) float array
            ``T_odom_lidar``.
        twist : (6,) float array
            In the LiDAR frame [rad/s, m/s].
        """
        if self.pose is None:
            return (np.eye(4) if prior is None else prior), self.twist
        step = self.elapsed(stamp)
        if prior is not None:
            return prior, log_se3(inverse(self.pose) @ prior) / step
        return self.pose @ exp_se3(self.twist * min(step, MAX_EXTRAPOLATION)), self.twist

    def correct(self, stamp: float, pose: Matrix) -> None:
        """Take the pose found at `stamp`."""
        if self.pose is not None:
            step = self.elapsed(stamp)
            self.twist = log_se3(inverse(self.pose) @ pose) / step
            self._period = min(step, MAX_EXTRAPOLATION)
        self.pose = pose
        self._stamp = stamp
