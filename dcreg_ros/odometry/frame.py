# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the odometry knows after one scan."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.degeneracy.report import DegeneracyReport
from dcreg_ros.registration.result import RegistrationResult


@dataclass(frozen=True)
class Frame:
    """The pose of the LiDAR at one stamp, and how well it is known.

    Attributes
    ----------
    stamp : float
        Time of the pose [s]: where the per-point times are zero.
    pose : (4, 4) float array
        ``T_odom_lidar`` [m].
    covariance : (6, 6) float array
        Accumulated covariance of `pose`, in the order x y z rotX rotY rotZ about the fixed axes
        of the odom frame [m^2, rad^2], as nav_msgs/Odometry wants its pose.
    twist : (6,) float array
        Velocity in the LiDAR frame, linear [m/s] before angular [rad/s].
    twist_covariance : (6, 6) float array
        Of `twist`, same order, LiDAR frame: both scans have errors of their own in the map. After
        a gap of more than a second the mean over it may be far from the velocity, too.
    registration : RegistrationResult or None
        None for the first scan, which starts the map.
    degeneracy : DegeneracyReport or None
        Of the registration; None where there is none that is believed.
    status : str
        ``first``, ``tracking``, ``coasting`` (the match failed, the pose is a prediction).
    reason : str
        Why it is coasting, or why there is no map yet; else empty.
    num_points, num_keypoints : int
        Finite points within range, and those used for registration.
    timings : mapping of str to float
        Seconds of each stage.
    recovery : str
        How the LiDAR was found where the prediction did not lead to it, else empty.
    """

    stamp: float
    pose: NDArray[np.float64]
    covariance: NDArray[np.float64]
    twist: NDArray[np.float64]
    twist_covariance: NDArray[np.float64]
    registration: RegistrationResult | None
    degeneracy: DegeneracyReport | None
    status: str
    reason: str
    num_points: int
    num_keypoints: int
    timings: Mapping[str, float]
    recovery: str = ''
