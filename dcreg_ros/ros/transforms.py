# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's dealings with TF: one static extrinsic in, one moving transform out.

tf2_ros comes with a ROS installation and not from PyPI; a node that needs no TF runs without it.
"""

import os
from types import SimpleNamespace
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dcreg_ros.config import FramesConfig

Array = NDArray[np.float64]


class Transforms:
    """Finds ``T_base_lidar`` and broadcasts odom -> base, as far as the configuration asks for it.

    Call it from the executor's thread only, except :meth:`broadcast`.

    Parameters
    ----------
    node : rclpy.node.Node
        Whose subscriptions and publisher are used.
    frames : FramesConfig
        Names, and whether to broadcast.

    Raises
    ------
    RuntimeError
        If TF is asked for and tf2_ros is not installed; the text names the package.
    """

    def __init__(self, node: Any, frames: FramesConfig) -> None:
        self._node = node
        self._base = frames.base_frame
        self._known: dict[str, Array] = {}
        self._listener: Any = None
        self._broadcaster: Any = None
        if frames.base_frame or frames.publish_tf:
            self._tf2 = _import_tf2(frames)
        if frames.base_frame:
            self._listen()
        if frames.publish_tf:
            self._broadcaster = self._tf2.TransformBroadcaster(node)

    def ready(self, lidar_frame: str) -> bool:
        """Return whether the scans of a frame can be used: False while TF does not know it."""
        if not self._base or lidar_frame == self._base or lidar_frame in self._known:
            return True
        if self._listener is None:
            self._listen()
        latest = self._tf2.Time()
        if not self._buffer.can_transform(self._base, lidar_frame, latest):
            return False
        found = self._buffer.lookup_transform(self._base, lidar_frame, latest)
        self._known[lidar_frame] = matrix(found.transform)
        # A LiDAR does not move on its robot, and /tf is a busy topic for Python to read.
        self._listener.unregister()
        self._listener = None
        return True

    def _listen(self) -> None:
        self._buffer = self._tf2.Buffer()
        self._listener = self._tf2.TransformListener(self._buffer, self._node)

    def base_lidar(self, lidar_frame: str) -> Array | None:
        """Return ``T_base_lidar`` (4, 4) [m]; None where the LiDAR's own pose is published."""
        return self._known.get(lidar_frame)

    def child_frame(self, lidar_frame: str) -> str:
        """Return the frame whose pose is published."""
        return self._base or lidar_frame

    def broadcast(self, odometry: Odometry) -> None:
        """Broadcast the pose of an odometry message, with its stamp and its frames."""
        if self._broadcaster is None:
            return
        message = self._tf2.TransformStamped()
        message.header = odometry.header
        message.child_frame_id = odometry.child_frame_id
        position = odometry.pose.pose.position
        translation = message.transform.translation
        translation.x, translation.y, translation.z = position.x, position.y, position.z
        message.transform.rotation = odometry.pose.pose.orientation
        self._broadcaster.sendTransform(message)


def matrix(transform: Any) -> Array:
    """Return a geometry_msgs/Transform as a (4, 4) array [m].

    Raises
    ------
    ValueError
        If its quaternion is zero, as an unfilled message has it.
    """
    t, q = transform.translation, transform.rotation
    out = np.eye(4)
    out[:3, :3] = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
    out[:3, 3] = t.x, t.y, t.z
    return out


def _import_tf2(frames: FramesConfig) -> Any:
    try:
        import tf2_ros
        from geometry_msgs.msg import TransformStamped
        from rclpy.time import Time
    except ImportError as error:
        wanted = f'frames.base_frame = {frames.base_frame!r}'
        if frames.publish_tf:
            wanted = 'frames.publish_tf = true'
        distro = os.environ.get('ROS_DISTRO', '<distro>')
        raise RuntimeError(
            f'{wanted} needs tf2_ros, which is not installed ({error}): '
            f'sudo apt install ros-{distro}-tf2-ros-py'
        ) from error
    return SimpleNamespace(
        Buffer=tf2_ros.Buffer,
        TransformListener=tf2_ros.TransformListener,
        TransformBroadcaster=tf2_ros.TransformBroadcaster,
        TransformStamped=TransformStamped,
        Time=Time,
    )
