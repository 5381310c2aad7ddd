# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One map, and where the LiDAR is in it."""

import copy

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.config import OdometryConfig
from dcreg_ros.degeneracy.report import DegeneracyReport
from dcreg_ros.geometry.se3 import adjoint, inverse, local, log_se3
from dcreg_ros.odometry.drift import Drift
from dcreg_ros.odometry.locate import Fix, Forecast, locate
from dcreg_ros.odometry.motion import MotionModel
from dcreg_ros.voxels.map import VoxelMap

Array = NDArray[np.float64]


class Track:
    """Follows the LiDAR in one map.

    Attributes
    ----------
    config : OdometryConfig
    map : VoxelMap
    motion : MotionModel
    drift : Drift
        As of the last pose that was found.
    report : DegeneracyReport or None
        Of the last scan, where it was found.
    missed : int
        Scans in a row that were not found.
    """

    def __init__(self, config: OdometryConfig) -> None:
        self.config = config
        self.map = VoxelMap(
            config.map.voxel_size, config.map.radius, config.map.max_cells)
        self.motion = MotionModel()
        self.drift = Drift(config.registration.min_sigma)
        self.report: DegeneracyReport | None = None
        self.missed = 0

    def forecast(self, time: float, offset: float = 0.0, prior: Array | None = None) -> Forecast:
        """Foresee a scan, see :meth:`MotionModel.predict`."""
        pose, twist = self.motion.predict(time, offset, prior)
        elapsed = self.motion.elapsed(time)
        if self.motion.pose is None:
            return Forecast(time, elapsed, pose, twist, np.zeros((6, 6)), None, self.missed)
        back = inverse(pose) @ self.motion.pose
        if prior is not None:
            covariance = self.drift.given(log_se3(back))
        else:
            covariance = self.drift.guess(adjoint(back), elapsed)
        return Forecast(
            time, elapsed, pose, twist, covariance, self.motion.pose, self.missed,
            prior is not None)

    def locate(self, keypoints: Array, forecast: Forecast) -> Fix:
        """Find a scan in the map, see :func:`~dcreg_ros.odometry.locate.locate`."""
        return locate(self.map, keypoints, forecast, self.config.registration, self.report)

    def take(self, points: Array, fix: Fix, forecast: Forecast) -> Array:
        """Add a scan that is believed to the map and return its pose (4, 4).

        Parameters
        ----------
        points : (N, 3) float64 array
            LiDAR frame [m].
        fix, forecast : Fix, Forecast
            Of the scan.
        """
        config = self.config.registration
        pose = forecast.pose if fix.match is None else fix.match.transform
        self.map.insert(points, pose)
        gain = None
        if fix.match is not None and self.motion.pose is not None:
            # The error so far, seen from the new pose, plus that of this motion.
            self.drift.add(
                adjoint(inverse(pose) @ self.motion.pose), fix.match.covariance,
                fix.match.guess_share, forecast.elapsed, config.min_sigma, config.max_sigma)
            if self.motion.twist.any() and fix.match.degeneracy is not None:
                foreseen = self.motion.predict(forecast.time, 0.0, None)[0]
                known = np.logical_not(fix.match.degeneracy.mask.reshape(2, 3).any(axis=1))
                self.drift.learn(local(foreseen, pose), forecast.elapsed, known)
            gain = self.drift.velocity_gain(forecast.elapsed)
        if len(self.map):
            self.motion.correct(forecast.time, pose, gain)
        self.report = None if fix.match is None else fix.match.degeneracy
        self.missed = 0
        return pose

    def miss(self, forecast: Forecast) -> Drift:
        """Go on without the scan; returns how certain the predicted pose is."""
        config = self.config.registration
        drift = copy.copy(self.drift)
        if self.motion.pose is not None:
            drift.add(
                adjoint(inverse(forecast.pose) @ self.motion.pose), forecast.covariance,
                np.eye(6), forecast.elapsed, config.min_sigma, config.max_sigma)
        self.motion.miss(forecast.time)
        self.report = None
        self.missed += 1
        return drift

    def branch(self, points: Array, forecast: Forecast, drift: Drift) -> 'Track':
        """Begin another map with a scan, at its predicted pose."""
        track = Track(self.config)
        track.drift = copy.copy(drift)
        track.motion = self.motion.moved_on(forecast.time, forecast.pose)
        track.map.insert(points, forecast.pose)
        return track
