# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's dealings with TF: static extrinsics in, one moving transform out.

tf2_ros comes with a ROS installation and not from PyPI; a node that needs no TF runs without it.
"""

import os
from types import SimpleNamespace
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from numpy.typing import NDArray

from dcreg_ros.config import FramesConfig
from dcreg_ros.io.poses import rigid_transform

Array = NDArray[np.float64]


class Transforms:
    """Finds transforms that do not change and broadcasts odom -> base.

    Call it from the executor's thread only, except :meth:`base_lidar` and :meth:`broadcast`.

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
        self._known: dict[tuple[str, str], Array] = {}
        self._wanted: set[tuple[str, str]] = set()
        self._listener: Any = None
        self._broadcaster: Any = None
        if frames.base_frame:
            self._listen(f'frames.base_frame = {frames.base_frame!r}')
        if frames.publish_tf:
            tf2 = _import_tf2('frames.publish_tf = true')
            self._stamped = tf2.TransformStamped
            self._broadcaster = tf2.TransformBroadcaster(node)
            if not frames.base_frame:
                node.get_logger().warning(
                    'publish_tf without base_frame: the frame of the scans must have no other '
                    'parent in TF'
                )

    def ready(self, lidar_frame: str) -> bool:
        """Return whether the scans of a frame can be used: False while TF does not know it."""
        return not self._base or self.find(self._base, lidar_frame) is not None

    def find(self, target: str, source: str) -> Array | None:
        """Return ``T_target_source`` (4, 4) [m] once TF knows it, None before.

        One frame needs no TF. Frames on a robot do not move against each other, so that what was
        found once stays.

        Raises
        ------
        RuntimeError
            If tf2_ros is needed and not installed.
        """
        if target == source:
            return np.eye(4)
        pair = target, source
        if pair in self._known:
            return self._known[pair]
        self._wanted.add(pair)
        if self._listener is None:
            self._listen(f'the transform {target!r} <- {source!r}')
        if not self._buffer.can_transform(target, source, self._latest):
            return None
        found = self._buffer.lookup_transform(target, source, self._latest).transform
        self._known[pair] = rigid_transform(found.translation, found.rotation)
        self._wanted.remove(pair)
        if not self._wanted:  # /tf is a busy topic for Python to read
            self._listener.unregister()
            self._listener = None
        return self._known[pair]

    def _listen(self, wanted: str) -> None:
        tf2 = _import_tf2(wanted)
        self._latest = tf2.Time()
        self._buffer = tf2.Buffer()
        self._listener = tf2.TransformListener(self._buffer, self._node)

    def base_lidar(self, lidar_frame: str) -> Array | None:
        """Return ``T_base_lidar`` (4, 4) [m]; None where the LiDAR's own pose is published."""
        return self._known.get((self._base, lidar_frame))

    def child_frame(self, lidar_frame: str) -> str:
        """Return the frame whose pose is published."""
        return self._base or lidar_frame

    def broadcast(self, odometry: Odometry) -> None:
        """Broadcast the pose of an odometry message, with its stamp and its frames."""
        if self._broadcaster is None:
            return
        message = self._stamped()
        message.header = odometry.header
        message.child_frame_id = odometry.child_frame_id
        position = odometry.pose.pose.position
        translation = message.transform.translation
        translation.x, translation.y, translation.z = position.x, position.y, position.z
        message.transform.rotation = odometry.pose.pose.orientation
        self._broadcaster.sendTransform(message)


def _import_tf2(wanted: str) -> Any:
    """Return what is needed of tf2_ros; `wanted` says in an error what it is needed for."""
    try:
        import tf2_ros
        from geometry_msgs.msg import TransformStamped
        from rclpy.time import Time
    except ImportError as error:
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
