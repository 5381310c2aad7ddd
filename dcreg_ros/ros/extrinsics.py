# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Move what is known about the LiDAR to the base of the robot.

With a base frame, ``odom`` is where the *base* was at the first scan (else a tilted LiDAR would
tilt the floor): ``T_odom_base = T_base_lidar T_lidarodom_lidar T_lidar_base``.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def base_pose(pose: Array, base_lidar: Array) -> Array:
    """Return ``T_odom_base`` (4, 4) of a LiDAR pose (4, 4), given ``T_base_lidar`` (4, 4) [m]."""
    return base_lidar @ pose @ _inverse(base_lidar)


def base_pose_covariance(pose: Array, covariance: Array, base_lidar: Array) -> Array:
    """Return the covariance of :func:`base_pose`.

    Parameters
    ----------
    pose : (4, 4) float array
        LiDAR pose in the frame where the LiDAR started [m].
    covariance : (6, 6) float array
        Of `pose`, x y z rotX rotY rotZ about the fixed axes of that frame [m^2, rad^2].
    base_lidar : (4, 4) float array
        ``T_base_lidar`` [m].

    Returns
    -------
    (6, 6) float array
        Same order, about the fixed axes of the frame where the base started. The lever arm from
        LiDAR to base turns an uncertain rotation into an uncertain position.
    """
    rotation = base_lidar[:3, :3]
    lever = rotation @ pose[:3, :3] @ _inverse(base_lidar)[:3, 3]
    jacobian = np.zeros((6, 6))
    jacobian[:3, :3] = jacobian[3:, 3:] = rotation
    jacobian[:3, 3:] = -_skew(lever) @ rotation
    return _propagate(jacobian, covariance)


def base_twist(twist: Array, covariance: Array, base_lidar: Array) -> tuple[Array, Array]:
    """Return the twist of the base in the base frame, and its covariance.

    Parameters
    ----------
    twist : (6,) float array
        Of the LiDAR in its own frame, linear [m/s] before angular [rad/s].
    covariance : (6, 6) float array
        Of `twist`, same order.
    base_lidar : (4, 4) float array
        ``T_base_lidar`` [m].
    """
    adjoint = np.zeros((6, 6))
    adjoint[:3, :3] = adjoint[3:, 3:] = base_lidar[:3, :3]
    adjoint[:3, 3:] = _skew(base_lidar[:3, 3]) @ base_lidar[:3, :3]
    return adjoint @ twist, _propagate(adjoint, covariance)


def map_in_base_odom(points: NDArray[np.floating], base_lidar: Array) -> Array:
    """Return map points (M, 3) [m] of the LiDAR's odom frame in that of the base."""
    return points @ base_lidar[:3, :3].T + base_lidar[:3, 3]


def _propagate(jacobian: Array, covariance: Array) -> Array:
    moved = jacobian @ covariance @ jacobian.T
    return 0.5 * (moved + moved.T)


def _inverse(transform: Array) -> Array:
    inverse = np.eye(4)
    inverse[:3, :3] = transform[:3, :3].T
    inverse[:3, 3] = -transform[:3, :3].T @ transform[:3, 3]
    return inverse


def _skew(vector: Array) -> Array:
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
