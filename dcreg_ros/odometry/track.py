# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One map, and where the LiDAR is in it."""

import copy
import dataclasses

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.config import OdometryConfig
from dcreg_ros.degeneracy.report import DegeneracyReport
from dcreg_ros.geometry.se3 import adjoint, inverse, local, log_se3
from dcreg_ros.odometry.drift import Drift
from dcreg_ros.odometry.forecast import Forecast
from dcreg_ros.odometry.locate import Fix, locate
from dcreg_ros.odometry.motion import MotionModel
from dcreg_ros.odometry.motion_noise import MotionNoise
from dcreg_ros.registration.result import RegistrationResult
from dcreg_ros.voxels.map import VoxelMap

Array = NDArray[np.float64]


class Track:
    """Follows the LiDAR in one map.

    Attributes
    ----------
    config : OdometryConfig
    map : VoxelMap
    motion : MotionModel
    noise : MotionNoise
        Of what `motion` foresees.
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
        self.noise = MotionNoise()
        self.drift = Drift(config.registration.min_sigma, config.registration.max_sigma)
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
            covariance = self.noise.given(log_se3(back))
        else:
            covariance = self.noise.guess(adjoint(back), elapsed)
        return Forecast(
            time, elapsed, pose, twist, covariance, self.motion.pose, self.missed,
            prior is not None)

    def locate(self, keypoints: Array, forecast: Forecast) -> Fix:
        """Find a scan in the map, see :func:`~dcreg_ros.odometry.locate.locate`."""
        return locate(self.map, keypoints, forecast, self.config.registration, self.report)

    def take(
        self, points: Array, fix: Fix, forecast: Forecast
    ) -> tuple[Array, RegistrationResult | None]:
        """Add a scan that is believed to the map.

        Parameters
        ----------
        points : (N, 3) float64 array
            LiDAR frame [m].
        fix, forecast : Fix, Forecast
            Of the scan.

        Returns
        -------
        pose : (4, 4) float array
            ``T_odom_lidar`` [m].
        match : RegistrationResult or None
            That of `fix`, with the covariance it has by the drift: had the map and the pose before
            been exact.
        """
        match = fix.match
        pose = forecast.pose if match is None else match.transform
        renewed = self.map.insert(points, pose)
        gain = None
        if match is not None and self.motion.pose is not None:
            self.noise.found(match.trusted.covariance, forecast.elapsed)
            if self.motion.twist.any() and match.held is not None:
                foreseen = self.motion.predict(forecast.time, 0.0, None)[0]
                known = np.logical_not(match.held.mask.reshape(2, 3).any(axis=1))
                self.noise.learn(local(foreseen, pose), known)
            gain = self.noise.velocity_gain()
            self._foresee(self.drift, pose, forecast)
            self.drift.add(match.errors, renewed, gain)
            step = self.drift.step
            match = dataclasses.replace(
                match, covariance=step, errors=match.errors._replace(covariance=step))
        if len(self.map):
            self.motion.correct(forecast.time, pose, gain)
        self.report = None if match is None else match.degeneracy
        self.missed = 0
        return pose, match

    def _foresee(self, drift: Drift, pose: Array, forecast: Forecast) -> None:
        """Let `drift` go on from the last pose to this one (4, 4)."""
        assert self.motion.pose is not None
        told = None
        if forecast.told:
            told = log_se3(inverse(self.motion.pose) @ forecast.pose)
        drift.foresee(
            adjoint(inverse(pose) @ self.motion.pose), forecast.elapsed, self.noise.walk2, told)

    def miss(self, forecast: Forecast) -> Drift:
        """Go on without the scan; returns how certain the predicted pose is."""
        drift = copy.copy(self.drift)
        if self.motion.pose is not None:
            self._foresee(drift, forecast.pose, forecast)
            drift.coast()
        self.motion.miss(forecast.time)
        self.report = None
        self.missed += 1
        return drift

    def branch(self, points: Array, forecast: Forecast, drift: Drift) -> 'Track':
        """Begin another map with a scan, at its predicted pose."""
        track = Track(self.config)
        track.drift, track.noise = copy.copy(drift), copy.copy(self.noise)
        track.drift.begin_map()
        if self.motion.pose is not None:
            track.noise.found(forecast.covariance, forecast.elapsed)
        track.motion = self.motion.moved_on(forecast.time, forecast.pose)
        track.map.insert(points, forecast.pose)
        return track
