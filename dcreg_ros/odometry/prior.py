# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The prior of each scan from another odometry: where that says the LiDAR has moved."""

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.geometry.se3 import exp_se3, inverse, log_se3
from dcreg_ros.odometry.external import ExternalOdometry, NoMotion
from dcreg_ros.odometry.frame import Frame
from dcreg_ros.odometry.motion import MIN_STEP

Matrix = NDArray[np.float64]


class MotionPrior:
    """Foresees the scans of one :class:`~dcreg_ros.odometry.odometry.LidarOdometry`.

    Ask :meth:`predict` before each scan and tell :meth:`follow` after it.

    Parameters
    ----------
    external : ExternalOdometry
        Its poses.
    """

    def __init__(self, external: ExternalOdometry) -> None:
        self._external = external
        self.reset()

    def reset(self) -> None:
        """Forget the last scan, as ``LidarOdometry.reset`` does."""
        self._last: tuple[float, Matrix] | None = None

    @property
    def begun(self) -> bool:
        """Whether there was a scan; the first has no motion to be foreseen."""
        return self._last is not None

    def predict(self, stamp: float, middle: float, child_lidar: Matrix) -> Matrix | None:
        """Return the prior of a scan.

        Parameters
        ----------
        stamp : float
            Of the scan [s].
        middle : float
            When the middle of the sweep was, counted from `stamp`
            (:func:`~dcreg_ros.odometry.preprocess.middle_of_sweep`) [s].
        child_lidar : (4, 4) float array
            ``T_child_lidar``: where the LiDAR sits in the child frame of the odometry [m].

        Returns
        -------
        (4, 4) float array or None
            ``T_odom_lidar`` at `stamp` for ``LidarOdometry.process``; None for the first scan.

        Raises
        ------
        NoMotion
            If the odometry cannot tell the motion since the scan before, or no time has passed.
        """
        if self._last is None:
            return None
        before, pose = self._last
        elapsed = stamp + middle - before
        if min(elapsed, elapsed - middle) < MIN_STEP:
            raise NoMotion('the stamps of the scans do not advance')
        moved = self._external.motion(before, stamp + middle)
        motion = log_se3(inverse(child_lidar) @ moved @ child_lidar)
        # Scans are registered as of their middles. LidarOdometry comes from this share of the
        # motion to the whole of it, at the speed measured. The pose at the stamp itself would
        # differ from the last one by old speed and new, and the speed in between swing for ever.
        return np.asarray(pose @ exp_se3(motion * (1.0 - middle / elapsed)))

    def follow(self, frame: Frame, middle: float) -> None:
        """Take the result of a scan, whose `middle` was that of :meth:`predict`."""
        if frame.status == 'first' and frame.reason:
            return  # there is no map yet: the first scan that begins one is the origin
        twist = np.concatenate([frame.twist[3:], frame.twist[:3]])
        self._last = frame.stamp + middle, frame.pose @ exp_se3(middle * twist)
