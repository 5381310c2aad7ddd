# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses out of messages, of rclpy or of rosbags alike: only their attributes count."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dcreg_ros.io.pointcloud2 import stamp_seconds

Matrix = NDArray[np.float64]

UNIT_TOLERANCE = 0.01
"""How far from 1 the length of a quaternion may be; an unfilled message has 0."""


def rigid_transform(position: Any, orientation: Any) -> Matrix:
    """Return a position and a quaternion as a transform.

    Parameters
    ----------
    position : geometry_msgs/Point or Vector3
        In metres.
    orientation : geometry_msgs/Quaternion
        Made a unit quaternion where digits are missing.

    Returns
    -------
    (4, 4) float array

    Raises
    ------
    ValueError
        If a number is not finite or the quaternion not of unit length.
    """
    place = np.array([position.x, position.y, position.z], dtype=np.float64)
    quaternion = np.array(
        [orientation.x, orientation.y, orientation.z, orientation.w], dtype=np.float64
    )
    if not (np.isfinite(place).all() and np.isfinite(quaternion).all()):
        raise ValueError(f'position {place} or quaternion {quaternion} is not finite')
    length = float(np.linalg.norm(quaternion))
    if abs(length - 1.0) > UNIT_TOLERANCE:
        raise ValueError(f'quaternion {quaternion} is of length {length:.3g}, expected 1')
    out = np.eye(4)
    out[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    out[:3, 3] = place
    return out


def stamped_pose(message: Any) -> tuple[float, Matrix]:
    """Return stamp [s] and pose (4, 4) [m] of a nav_msgs/Odometry.

    Raises
    ------
    ValueError
        As :func:`rigid_transform` does.
    """
    pose = message.pose.pose
    return stamp_seconds(message.header.stamp), rigid_transform(pose.position, pose.orientation)
