# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One map, and where the LiDAR is in it."""

import copy
import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.config import OdometryConfig
from dcreg_ros.degeneracy.report import DegeneracyReport
from dcreg_ros.geometry.se3 import adjoint, inverse, local, log_se3, retract
from dcreg_ros.odometry.belief import FITS_WELL, fit_of, is_doubtful, misfit, score_of, stray_of
from dcreg_ros.odometry.drift import Drift
from dcreg_ros.odometry.motion import MotionModel
from dcreg_ros.odometry.search import search
from dcreg_ros.registration.covariance import bounded
from dcreg_ros.registration.register import register
from dcreg_ros.registration.result import RegistrationResult
from dcreg_ros.voxels.map import VoxelMap

Array = NDArray[np.float64]

FOUND = np.diag(np.repeat([0.05, 0.15], 3) ** 2)
"""Covariance of a place that the search has found [rad^2, m^2]."""
REFINED = np.diag(np.repeat([0.02, 0.08], 3) ** 2)
"""The same once some of the points were registered there."""
ROUNDS = 4
"""How often such a registration is repeated while it gets better."""
SOME_POINTS = 600
"""Points with which the places found are compared."""
REACH = 1.0
"""How far around prediction and last pose a scan is searched [m], beside three standard deviations
of the prediction."""
BETTER = 0.05
"""Share of the points by which a place found has to fit better than the prediction's match."""


@dataclass(frozen=True)
class Forecast:
    """Where a scan is expected.

    Attributes
    ----------
    time : float
        Of the scan [s].
    elapsed : float
        Since the last pose that was found [s].
    pose : (4, 4) float array
        ``T_odom_lidar`` [m].
    twist : (6,) float array
        ``[w, v]`` in the LiDAR frame [rad/s, m/s].
    covariance : (6, 6) float array
        Of the motion since the last pose that was found, body frame [rad^2, m^2].
    """

    time: float
    elapsed: float
    pose: Array
    twist: Array
    covariance: Array


@dataclass(frozen=True)
class Fix:
    """What became of a scan.

    Attributes
    ----------
    match : RegistrationResult or None
        None where there is no map yet.
    trouble : str
        Why `match` is not believed; empty where it is.
    searched : bool
        Whether it was found by a search, not from the prediction.
    """

    match: RegistrationResult | None
    trouble: str = ''
    searched: bool = False


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
            return Forecast(time, elapsed, pose, twist, np.zeros((6, 6)))
        back = inverse(pose) @ self.motion.pose
        if prior is not None:
            covariance = self.drift.given(log_se3(back))
        else:
            covariance = self.drift.guess(adjoint(back), elapsed)
        return Forecast(time, elapsed, pose, twist, covariance)

    def locate(self, keypoints: Array, forecast: Forecast) -> Fix:
        """Find a scan in the map: from the prediction, and where that may be wrong by a search.

        Parameters
        ----------
        keypoints : (N, 3) float64 array
            LiDAR frame [m].
        forecast : Forecast
            Where it is expected.
        """
        if not len(self.map):
            return Fix(None)
        match = register(
            keypoints, self.map, forecast.pose, self.config.registration,
            guess_covariance=forecast.covariance, previous=self.report,
            doubt=self.drift.doubt(forecast.elapsed))
        searched = False
        if len(keypoints) and is_doubtful(match, forecast.pose, forecast.covariance):
            found = self._search(keypoints, forecast, match)
            searched = found is not match
            match = found
        return Fix(match, misfit(match), searched)

    def _search(
        self, keypoints: Array, forecast: Forecast, match: RegistrationResult
    ) -> RegistrationResult:
        """Return the best match of all that can be found, `match` itself where none is better."""
        assert self.motion.pose is not None  # there is a map
        config = self.config.registration
        sigma = math.sqrt(np.linalg.norm(forecast.covariance[3:, 3:], 2))
        some = np.ascontiguousarray(keypoints[:: -(-len(keypoints) // SOME_POINTS)])
        # The longer nothing was found, the less the prediction tells.
        share = 1.0 / (1 + self.missed)
        best = match
        highest = score_of(match) - share * stray_of(match, forecast.pose) + BETTER
        for guess in (forecast.pose, self.motion.pose):
            for place in search(self.map, keypoints, guess, REACH + 3.0 * sigma):
                trial = register(some, self.map, place, config, guess_covariance=FOUND)
                score = score_of(trial) - share * stray_of(trial, forecast.pose)
                if score > highest:
                    best, highest = trial, score
            if fit_of(best) >= FITS_WELL:
                break
        if best is match:
            return match
        guess, refined = _weakly_at(forecast.pose, best), None
        for _ in range(ROUNDS):  # matches with a wide loss are better found from a better place
            trial = register(
                keypoints, self.map, guess, config, guess_covariance=REFINED)
            if refined is not None and score_of(trial) <= score_of(refined):
                break
            refined, guess = trial, _weakly_at(forecast.pose, trial)
        assert refined is not None  # ROUNDS is at least 1
        # What the map does not tell is still known from the prediction alone.
        left = refined.guess_share @ forecast.covariance @ refined.guess_share.T
        return dataclasses.replace(
            refined, covariance=bounded(
                refined.covariance + left, config.min_sigma, config.max_sigma))

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


def _weakly_at(predicted: Array, match: RegistrationResult) -> Array:
    """Pose of a match with its weak motions, of which it knows nothing, as predicted."""
    if match.degeneracy is None or not len(match.degeneracy.weak_twists):
        return match.transform
    basis = np.linalg.qr(match.degeneracy.weak_twists.T)[0]
    off = local(match.transform, predicted)
    return np.asarray(retract(match.transform, basis @ (basis.T @ off)))
