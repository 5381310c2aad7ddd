# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Motion between scans: constant velocity on SE(3), by time and not by count."""

import copy

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.geometry.se3 import exp_se3, inverse, log_se3

Matrix = NDArray[np.float64]

MIN_STEP = 1e-3
"""Seconds below which two poses say nothing of a velocity."""
MAX_EXTRAPOLATION = 1.0
"""Seconds for which a velocity is believed; after a longer gap the LiDAR may have stopped."""


class MotionModel:
    """Where the LiDAR was last, and how fast it moved.

    Attributes
    ----------
    pose : (4, 4) float array or None
        Last ``T_odom_lidar`` that was found; None before the first.
    twist : (6,) float array
        ``[w, v]`` in the LiDAR frame [rad/s, m/s].
    """

    def __init__(self) -> None:
        self.pose: Matrix | None = None
        self.twist = np.zeros(6)
        self._time = 0.0
        self._period = 0.1
        self._missed = 0.0
        self._stamped: tuple[float, Matrix] | None = None

    def elapsed(self, time: float) -> float:
        """Seconds since the last pose; where time does not advance, the last period for a scan."""
        return self._missed + self._step(time)

    def _step(self, time: float) -> float:
        """Seconds since the last scan."""
        step = time - self._time
        return step if step >= MIN_STEP else self._period

    def predict(self, time: float, offset: float, prior: Matrix | None) -> tuple[Matrix, Matrix]:
        """Predict the pose at `time` and the twist around it.

        Who passes a prior has composed it with the pose at the last stamp, so that between these
        two alone his velocity is to be had: poses found in between are by another odometry.

        Parameters
        ----------
        time : float
            When the pose is wanted [s].
        offset : float
            `time` relative to that of the prior [s].
        prior : (4, 4) array or None
            ``T_odom_lidar`` predicted elsewhere; taken as it is.

        Returns
        -------
        pose : (4, 4) float array
            ``T_odom_lidar`` at `time`.
        twist : (6,) float array
            In the LiDAR frame [rad/s, m/s].
        """
        if self.pose is None:
            return (np.eye(4) if prior is None else prior), self.twist
        step = self.elapsed(time)
        if prior is not None:
            since, pose = self._stamped or (self._time, self.pose)
            passed = time - offset - since
            twist = log_se3(inverse(pose) @ prior) / (passed if passed >= MIN_STEP else step)
            return prior @ exp_se3(twist * offset), twist
        return self.pose @ exp_se3(self.twist * min(step, MAX_EXTRAPOLATION)), self.twist

    def correct(self, time: float, pose: Matrix, gain: Matrix | None = None) -> None:
        """Take the pose found at `time`; what was told of the last stamp is past.

        Of a change of velocity the part `gain` (6, 6) is believed, by default all of it.
        """
        if self.pose is not None:
            twist = log_se3(inverse(self.pose) @ pose) / self.elapsed(time)
            self.twist = twist if gain is None else self.twist + gain @ (twist - self.twist)
            self._period = min(self._step(time), MAX_EXTRAPOLATION)
        self.pose = pose
        self._time = time
        self._missed = 0.0
        self._stamped = None

    def tell(self, stamp: float, pose: Matrix) -> None:
        """Remember the pose that was published for `stamp`."""
        self._stamped = stamp, pose

    def miss(self, time: float) -> None:
        """Take note of a scan at `time` whose pose was not found."""
        self._missed = self.elapsed(time)
        self._time = time

    def moved_on(self, time: float, pose: Matrix) -> 'MotionModel':
        """Return a model that goes on from `pose` at `time` with the velocity of this one."""
        out = copy.copy(self)
        out.pose, out._time, out._missed = pose, time, 0.0
        return out
