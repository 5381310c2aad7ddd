# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the next scan is expected, and how certainly."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Forecast:
    """Where a scan is expected.

    Attributes
    ----------
    time : float
        Of the scan [s].
    elapsed : float
        Since the last pose that was found [s].
    pose : (4, 4) float array
        ``T_odom_lidar`` [m].
    twist : (6,) float array
        ``[w, v]`` in the LiDAR frame [rad/s, m/s].
    covariance : (6, 6) float array
        Of the motion since the last pose that was found, body frame [rad^2, m^2].
    last : (4, 4) float array or None
        The last pose that was found, if any [m].
    missed : int
        Scans in a row that were not found since.
    told : bool
        Whether wheels or another odometry foresee it, not the motion until here.
    """

    time: float
    elapsed: float
    pose: Array
    twist: Array
    covariance: Array
    last: Array | None
    missed: int
    told: bool = False
