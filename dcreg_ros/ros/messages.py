# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Odometry results as ROS messages: pure conversions, no node needed."""

import array
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import PointCloud2, PointField

from dcreg_ros.io.pointcloud2 import pack_points
from dcreg_ros.odometry.frame import Frame
from dcreg_ros.ros.extrinsics import base_pose, base_pose_covariance, base_twist, map_in_base_odom

Array = NDArray[np.float64]


def odometry_message(
    frame: Frame,
    stamp: Any,
    odom_frame: str,
    child_frame: str,
    base_lidar: Array | None = None,
) -> Odometry:
    """Return a frame as nav_msgs/Odometry.

    Parameters
    ----------
    frame : Frame
        Pose, twist and covariances of the LiDAR.
    stamp : builtin_interfaces/Time
        Stamp of the scan; goes into the header as it is.
    odom_frame, child_frame : str
        Frames of the pose and of the twist.
    base_lidar : (4, 4) float array, optional
        ``T_base_lidar`` [m]; given, the pose, twist and covariances are those of the base.
    """
    pose, covariance = frame.pose, frame.covariance
    twist, twist_covariance = frame.twist, frame.twist_covariance
    if base_lidar is not None:
        covariance = base_pose_covariance(pose, covariance, base_lidar)
        twist, twist_covariance = base_twist(twist, twist_covariance, base_lidar)
        pose = base_pose(pose, base_lidar)
    message = Odometry()
    message.header.stamp = stamp
    message.header.frame_id = odom_frame
    message.child_frame_id = child_frame
    _fill_pose(message.pose.pose, pose)
    message.pose.covariance = _covariance_field(covariance)
    _fill_vector(message.twist.twist.linear, twist[:3])
    _fill_vector(message.twist.twist.angular, twist[3:])
    message.twist.covariance = _covariance_field(twist_covariance)
    return message


def map_message(
    points: NDArray[np.float32], stamp: Any, odom_frame: str, base_lidar: Array | None = None
) -> PointCloud2:
    """Return the local map as sensor_msgs/PointCloud2 in the odom frame.

    Parameters
    ----------
    points : (M, 3) float array
        As ``LidarOdometry.map_points`` gives them [m].
    stamp : builtin_interfaces/Time
        Stamp of the newest scan in it.
    odom_frame : str
        The frame of the published odometry.
    base_lidar : (4, 4) float array, optional
        ``T_base_lidar`` [m], see :func:`odometry_message`.
    """
    if base_lidar is not None:
        points = map_in_base_odom(points, base_lidar)
    return cloud_message(points, stamp, odom_frame)


def cloud_message(
    points: NDArray[np.floating],
    stamp: Any,
    frame_id: str,
    times: NDArray[np.floating] | None = None,
) -> PointCloud2:
    """Return points (N, 3) [m], and times (N,) [s] after the stamp, as an unorganised cloud."""
    packed = pack_points(points, times)
    message = PointCloud2(height=1, width=len(points), is_dense=bool(np.isfinite(points).all()))
    message.header.stamp = stamp
    message.header.frame_id = frame_id
    message.point_step = packed.point_step
    message.row_step = packed.point_step * len(points)
    message.fields = [
        PointField(name=name, offset=offset, datatype=datatype, count=count)
        for name, offset, datatype, count in packed.fields
    ]
    message.data = byte_array(packed.data)
    return message


def byte_array(data: Any) -> array.array:
    """Return a buffer as the type that `PointCloud2.data` takes without looking at every byte."""
    out = array.array('B')
    out.frombytes(memoryview(data).cast('B'))
    return out


def quaternion(rotation: Array) -> tuple[float, float, float, float]:
    """Return x, y, z, w of a (3, 3) rotation, w not negative."""
    q = Rotation.from_matrix(rotation).as_quat()
    x, y, z, w = (float(value) for value in (-q if q[3] < 0 else q))
    return x, y, z, w


def _fill_pose(message: Any, pose: Array) -> None:
    _fill_vector(message.position, pose[:3, 3])
    x, y, z, w = quaternion(pose[:3, :3])
    message.orientation.x, message.orientation.y = x, y
    message.orientation.z, message.orientation.w = z, w


def _fill_vector(message: Any, vector: Array) -> None:
    message.x, message.y, message.z = (float(value) for value in vector)


def _covariance_field(covariance: Array) -> Array:
    # Filters check the symmetry of what they get; rounding must not be what they find.
    return (0.5 * (covariance + covariance.T)).reshape(36)
