# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LiDAR odometry: the method from scan to pose, top to bottom."""

import time

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcreg_ros.config import OdometryConfig
from dcreg_ros.degeneracy.report import DegeneracyReport
from dcreg_ros.geometry.se3 import adjoint, check_transform, exp_se3, inverse, log_se3
from dcreg_ros.odometry.drift import Drift
from dcreg_ros.odometry.frame import Frame
from dcreg_ros.odometry.motion import MotionModel
from dcreg_ros.odometry.preprocess import Scan, middle_of_sweep, prepare
from dcreg_ros.registration.covariance import bounded, to_ros_order
from dcreg_ros.registration.points import as_points
from dcreg_ros.registration.register import register
from dcreg_ros.registration.result import RegistrationResult
from dcreg_ros.voxels.map import VoxelMap

Array = NDArray[np.float64]

MAX_RMSE = 0.25
"""Residual, in search radii, above which a match is not believed: it closed in on no surface."""
PATIENCE = 3
"""Scans in a row that do not fit the map, after which it is begun anew."""
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
        self._motion = MotionModel()
        self._report: DegeneracyReport | None = None
        self._begin_map()
        self._drift = Drift(self.config.registration.min_sigma)

    def _begin_map(self) -> None:
        config = self.config.map
        self._map = VoxelMap(config.voxel_size, config.radius, config.max_cells)
        self._misfits = 0

    def reconfigure(self, config: OdometryConfig) -> None:
        """Go on with other values of the live parameters; the map stays as it is."""
        self.config = config

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
            Time of the pose [s]. Where it does not advance, the scans are taken as evenly spaced.
        prior : (4, 4) array, optional
            Predicted ``T_odom_lidar`` from wheels, IMU or any other odometry; instead of constant
            velocity.

        Returns
        -------
        Frame

        Raises
        ------
        ValueError
            If an array has the wrong shape or type, the stamp is not finite, or the prior is not
            a rigid transform.
        """
        began = time.perf_counter()
        cloud, offsets = _check_scan(points, times, stamp)
        guess = None if prior is None else check_transform(prior, 'prior')
        middle = middle_of_sweep(offsets)
        predicted, twist = self._motion.predict(stamp + middle, middle, guess)
        scan = self._preprocess(cloud, offsets, middle, twist)
        prepared = time.perf_counter()
        expected = self._expected(predicted, stamp + middle, guess is not None)
        match = self._register(scan, predicted, expected)
        registered = time.perf_counter()
        trouble = _trouble(match, self.config.registration.search_radius)
        pose = predicted if match is None or trouble else match.transform
        self._misfits = self._misfits + 1 if trouble and len(scan.keypoints) else 0
        if self._misfits >= PATIENCE:
            self._begin_map()
            trouble += '; map begun anew at the predicted pose'
        if not trouble or not len(self._map):
            self._map.insert(scan.surface, pose)
        mapped = time.perf_counter()
        timings = {
            'preprocess': prepared - began,
            'register': registered - prepared,
            'map': mapped - registered,
            'total': mapped - began,
        }
        return self._finish(stamp, middle, pose, match, trouble, expected, scan, timings)

    def _preprocess(
        self, points: Array, times: Array | None, middle: float, twist: Array
    ) -> Scan:
        config = self.config.preprocess
        most = POINTS_PER_KEYPOINT * config.max_keypoints if len(self._map) else np.inf
        return prepare(points, times, middle, twist, config, most)

    def _expected(self, predicted: Array, time: float, given: bool) -> Array:
        """Covariance (6, 6) of the predicted motion, a `given` one or constant velocity."""
        if self._motion.pose is None:
            return np.zeros((6, 6))
        back = inverse(predicted) @ self._motion.pose
        if given:
            return self._drift.given(log_se3(back))
        return self._drift.guess(adjoint(back), self._motion.elapsed(time))

    def _register(
        self, scan: Scan, predicted: Array, expected: Array
    ) -> RegistrationResult | None:
        if not len(self._map):
            return None
        return register(
            scan.keypoints, self._map, predicted, self.config.registration,
            guess_covariance=expected, previous=self._report)

    def _finish(
        self, stamp: float, middle: float, pose: Array, match: RegistrationResult | None,
        trouble: str, expected: Array, scan: Scan, timings: dict[str, float],
    ) -> Frame:
        """Update motion and covariance with the pose in the middle of the sweep."""
        config = self.config.registration
        elapsed = self._motion.elapsed(stamp + middle)
        twist_covariance = np.eye(6) * config.max_sigma**2
        if match is not None and self._motion.pose is not None:
            # The error so far, seen from the new pose, plus that of this motion.
            self._drift.add(
                adjoint(inverse(pose) @ self._motion.pose),
                expected if trouble else match.covariance,
                np.eye(6) if trouble else match.guess_share,
                elapsed, config.min_sigma, config.max_sigma)
            twist_covariance = to_ros_order(self._drift.step, np.eye(3)) / elapsed**2
        self._report = None if match is None or trouble else match.degeneracy
        if match is not None or len(self._map):
            self._motion.correct(stamp + middle, pose)
        twist = self._motion.twist
        at_stamp = pose @ exp_se3(-middle * twist)
        reason = 'no points within range yet' if not len(self._map) else ''
        return Frame(
            stamp=stamp,
            pose=at_stamp,
            covariance=to_ros_order(self._drift.pose, at_stamp[:3, :3]),
            twist=np.concatenate([twist[3:], twist[:3]]),
            twist_covariance=bounded(twist_covariance, config.min_sigma, config.max_sigma),
            registration=match,
            degeneracy=self._report,
            status='first' if match is None else 'coasting' if trouble else 'tracking',
            reason=reason if match is None else trouble,
            num_points=scan.num_points,
            num_keypoints=len(scan.keypoints),
            timings=timings,
        )

    def map_points(self) -> NDArray[np.float32]:
        """Means of the voxels of the local map (M, 3), odom frame [m]."""
        return self._map.means().astype(np.float32)


def _trouble(match: RegistrationResult | None, search_radius: float) -> str:
    """Why a match cannot be believed, empty where it can."""
    if match is None or match.failure_reason:
        return '' if match is None else match.failure_reason
    if match.rmse > MAX_RMSE * search_radius:
        return f'the scan does not fit the map: RMSE {match.rmse:.2f} m'
    return ''


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
