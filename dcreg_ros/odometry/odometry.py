# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LiDAR odometry: the method from scan to pose, top to bottom."""

import time

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcreg_ros.config import OdometryConfig
from dcreg_ros.geometry.se3 import check_transform, exp_se3
from dcreg_ros.odometry.frame import Frame
from dcreg_ros.odometry.order import why_late
from dcreg_ros.odometry.preprocess import Scan, middle_of_sweep, prepare
from dcreg_ros.odometry.tracker import Outcome, Tracker
from dcreg_ros.registration.covariance import bounded, to_ros_order
from dcreg_ros.registration.points import as_points

Array = NDArray[np.float64]

POINTS_PER_KEYPOINT = 5
"""About how many points of a scan are used for each that is registered. The first scan gives all
it has: alone, and thinned, it would show the pattern of the sensor more than the scene."""


class LidarOdometry:
    """Pose of a LiDAR from its scans, one after the other.

    Parameters
    ----------
    config : OdometryConfig, optional
        Defaults serve a spinning LiDAR on a robot.
    """

    def __init__(self, config: OdometryConfig | None = None) -> None:
        self.config = OdometryConfig() if config is None else config
        if not isinstance(self.config, OdometryConfig):
            raise ValueError(
                f'config should be an OdometryConfig, not {type(self.config).__name__}')
        if self.config.registration.association != 'map_plane':
            raise ValueError(
                'registration.association should be "map_plane" in odometry: the local map '
                f'holds planes, not points; it is {self.config.registration.association!r}')
        self.reset()

    def reset(self) -> None:
        """Forget map and motion; the next scan is the first."""
        self._tracker = Tracker(self.config)
        self._stamp: float | None = None

    def reconfigure(self, config: OdometryConfig) -> None:
        """Go on with other values of the live parameters; the map stays as it is."""
        self.config = config
        self._tracker.reconfigure(config)

    def why_late(self, stamp: float) -> str:
        """Say why a scan with this stamp [s] is refused, see :mod:`dcreg_ros.odometry.order`."""
        return why_late(stamp, self._stamp)

    def process(
        self,
        points: ArrayLike,
        times: ArrayLike | None = None,
        stamp: float = 0.0,
        prior: ArrayLike | None = None,
    ) -> Frame:
        """Take one scan and return the pose at its stamp.

        Parameters
        ----------
        points : (N, 3) array
            LiDAR frame, each at its own time [m]; points that are not finite are left out together
            with their times.
        times : (N,) array, optional
            Seconds relative to `stamp`, of either sign.
        stamp : float
            Time of the pose [s]. Scans with stamps of 0 are taken as evenly spaced.
        prior : (4, 4) array, optional
            Predicted ``T_odom_lidar`` from wheels, IMU or any other odometry; instead of constant
            velocity.

        Returns
        -------
        Frame

        Raises
        ------
        ValueError
            If an array has the wrong shape or type, the stamp is not finite, the scan comes late
            (:meth:`why_late`), or the prior is not a rigid transform.
        """
        began = time.perf_counter()
        cloud, offsets = _check_scan(points, times, stamp)
        stamp = float(stamp)
        guess = None if prior is None else check_transform(prior, 'prior')
        if late := self.why_late(stamp):
            raise ValueError(late)
        self._stamp = stamp
        middle = middle_of_sweep(offsets)
        track = self._tracker.track
        forecast = track.forecast(stamp + middle, middle, guess)
        scan = self._preprocess(cloud, offsets, middle, forecast.twist)
        prepared = time.perf_counter()
        fix = track.locate(scan.keypoints, forecast)
        registered = time.perf_counter()
        outcome = self._tracker.update(scan.surface, scan.keypoints, fix, forecast)
        mapped = time.perf_counter()
        timings = {
            'preprocess': prepared - began,
            'register': registered - prepared,
            'map': mapped - registered,
            'total': mapped - began,
        }
        told = outcome.twist if guess is None else forecast.twist
        return self._frame(stamp, middle, told, scan, outcome, timings)

    def _preprocess(
        self, points: Array, times: Array | None, middle: float, twist: Array
    ) -> Scan:
        config = self.config.preprocess
        begun = len(self._tracker.track.map) > 0
        most = POINTS_PER_KEYPOINT * config.max_keypoints if begun else np.inf
        return prepare(points, times, middle, twist, config, most)

    def _frame(
        self, stamp: float, middle: float, told: Array, scan: Scan, outcome: Outcome,
        timings: dict[str, float],
    ) -> Frame:
        """All that is known after a scan, with the pose at its stamp.

        The outcome is for the `middle` of the sweep [s], the velocity between them `told` (6,).
        """
        pose = outcome.pose @ exp_se3(-middle * told)
        config = self.config.registration
        match, trouble, twist = outcome.match, outcome.trouble, outcome.twist
        twist_covariance = np.eye(6) * config.max_sigma**2
        if match is not None:
            twist_covariance = to_ros_order(outcome.drift.twist, np.eye(3))
        self._tracker.track.motion.tell(stamp, pose)
        empty = 'no points within range yet' if not len(self._tracker.track.map) else ''
        return Frame(
            stamp=stamp,
            pose=pose,
            covariance=to_ros_order(outcome.drift.at(middle), pose[:3, :3]),
            twist=np.concatenate([twist[3:], twist[:3]]),
            twist_covariance=bounded(twist_covariance, config.min_sigma, config.max_sigma),
            registration=match,
            degeneracy=outcome.report,
            status='first' if match is None else 'coasting' if trouble else 'tracking',
            reason=trouble or empty,
            num_points=scan.num_points,
            num_keypoints=len(scan.keypoints),
            timings=timings,
            recovery=outcome.recovery,
        )

    def map_points(self) -> NDArray[np.float32]:
        """Means of the voxels of the local map (M, 3), odom frame [m]."""
        return self._tracker.track.map.means().astype(np.float32)


def _check_scan(
    points: ArrayLike, times: ArrayLike | None, stamp: float
) -> tuple[Array, Array | None]:
    cloud = as_points(points, 'points')
    if not isinstance(stamp, (int, float, np.number)) or not np.isfinite(stamp):
        raise ValueError(f'stamp = {stamp!r} should be a finite number of seconds')
    if times is None:
        return cloud, None
    offsets = np.ascontiguousarray(times, dtype=np.float64)
    if offsets.shape != (len(cloud),):
        raise ValueError(
            f'times should have shape ({len(cloud)},), one for each point, not {offsets.shape}')
    return cloud, offsets
