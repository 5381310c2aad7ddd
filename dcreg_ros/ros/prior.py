# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Odometry of another kind from the topic `prior`, and the pose it foresees for a scan."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from numpy.typing import NDArray

from dcreg_ros.io.poses import stamped_pose
from dcreg_ros.odometry.external import ExternalOdometry, NoMotion
from dcreg_ros.odometry.frame import Frame
from dcreg_ros.odometry.prior import MotionPrior
from dcreg_ros.ros.qos import subscribe_to_sensor
from dcreg_ros.ros.transforms import Transforms

DEPTH = 200
"""Messages that may wait while the executor is busy: a second of a fast IMU odometry."""


class PriorInput:
    """Hands what the topic says from the executor's thread to the worker's.

    Parameters
    ----------
    node : rclpy.node.Node
        Whose subscription it is.
    transforms : Transforms
        Knows where the LiDAR sits on what the odometry is of.
    wait : float
        How long a scan may wait for the odometry to come up to it [s], by the clock on the wall:
        a simulated one may stand still.
    note : callable
        Told the kind of trouble and what it is.
    """

    def __init__(
        self, node: Any, transforms: Transforms, wait: float, note: Callable[[str, str], None]
    ) -> None:
        self._transforms = transforms
        self._wait = wait
        self._note = note
        self._changed = threading.Condition()
        self._external = ExternalOdometry()
        self._motion = MotionPrior(self._external)
        self._child: str | None = None
        self._lidar: str | None = None
        self._child_lidar: NDArray[np.float64] | None = None
        self._obstacle = 'no odometry yet'
        self._waited_in_vain = False
        self._stopping = False
        self.topic = subscribe_to_sensor(
            node,
            Odometry,
            'prior',
            self._receive,
            incompatible=lambda text: note('prior_refused', text),
            lost=lambda text, number: None,  # its neighbours stand in for a lost one
            depth=DEPTH,
        ).topic_name

    def join(self, lidar_frame: str) -> None:
        """Look for the transform to the frame of the scans, on the executor's thread."""
        self._lidar = lidar_frame
        self._find_lidar()

    def predict(self, stamp: float, middle: float) -> NDArray[np.float64] | None:
        """Return the prior of a scan, on the worker's thread; see :class:`MotionPrior`.

        None where there is none, which is noted: the scan then goes on with constant velocity.
        """
        with self._changed:
            if not self._motion.begun:
                return None
            end = stamp + middle
            if not self._waited_in_vain:  # or odometry that died would hold up every scan
                self._waited_in_vain = not self._changed.wait_for(
                    lambda: self._external.covers(end) or self._stopping, self._wait
                )
            try:
                if self._obstacle:
                    raise NoMotion(self._obstacle)
                return self._motion.predict(stamp, middle, self._child_lidar)
            except NoMotion as error:
                self._note('no_prior', f'scan {stamp:.3f} has no prior from {self.topic}: {error}')
                return None

    def follow(self, frame: Frame, middle: float) -> None:
        """Take the result of a scan, on the worker's thread."""
        self._motion.follow(frame, middle)

    def reset(self) -> None:
        """Forget the last scan, on the worker's thread."""
        self._motion.reset()

    def stop(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def _receive(self, message: Odometry) -> None:
        if message.child_frame_id != self._child:
            self._change_child(message.child_frame_id)
        try:
            time, pose = stamped_pose(message)
            with self._changed:
                self._external.add(time, pose)
                self._waited_in_vain = False
                self._changed.notify()
        except ValueError as error:
            self._note('prior_refused', f'odometry on {self.topic} refused: {error}')

    def _change_child(self, child: str) -> None:
        if self._child is not None:
            self._note(
                'prior_refused',
                f'odometry on {self.topic} is of frame {child!r}, that before of {self._child!r}: '
                'begun anew; is there more than one publisher?',
            )
        with self._changed:
            self._child = child
            self._external.clear()
        self._find_lidar()

    def _find_lidar(self) -> None:
        """Look for the transform, and keep what stands in the way where it cannot be found."""
        child, lidar = self._child, self._lidar
        if child is None or lidar is None:
            return
        found, obstacle = None, f'waiting for the transform {child!r} <- {lidar!r} on /tf'
        try:
            if child or not lidar:
                found = self._transforms.find(child, lidar)
            else:
                obstacle = 'its child_frame_id is empty'
        except RuntimeError as error:
            obstacle = str(error)
        with self._changed:
            self._child_lidar = found
            self._obstacle = '' if found is not None else obstacle
