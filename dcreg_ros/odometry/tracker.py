# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the LiDAR is while all goes well, and what becomes of scans that do not fit the map."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.config import OdometryConfig
from dcreg_ros.degeneracy.report import DegeneracyReport
from dcreg_ros.geometry.se3 import local
from dcreg_ros.odometry.drift import Drift
from dcreg_ros.odometry.forecast import Forecast
from dcreg_ros.odometry.locate import Fix
from dcreg_ros.odometry.motion import MAX_EXTRAPOLATION
from dcreg_ros.odometry.track import Track
from dcreg_ros.registration.result import RegistrationResult

Array = NDArray[np.float64]

PATIENCE = 3
"""Scans in a row that fit another map, and not the one in use, after which the other is used."""
CHANGED = 'the last scans fit no place of the map but another map, which is used from now on'


@dataclass(frozen=True)
class Outcome:
    """What is known after a scan.

    Attributes
    ----------
    pose : (4, 4) float array
        ``T_odom_lidar`` [m]; the predicted one where there is trouble.
    twist : (6,) float array
        ``[w, v]`` in the LiDAR frame [rad/s, m/s].
    drift : Drift
        How well both are known.
    match : RegistrationResult or None
        None where there was no map yet.
    report : DegeneracyReport or None
        Of the match, where it is believed.
    trouble : str
        Why it is not believed, else empty.
    recovery : str
        How the LiDAR was found where the prediction did not lead to it, else empty.
    """

    pose: Array
    twist: Array
    drift: Drift
    match: RegistrationResult | None
    report: DegeneracyReport | None
    trouble: str
    recovery: str


class Tracker:
    """Follows the LiDAR in a map, and in another one when it does not fit that any more.

    Broken scans fit neither the map nor one another, those of a new place fit one another. So the
    first scan that does not fit begins a map of its own, and this takes over when the next few
    have been found in it and not in the map of before. That is then the other one, in case the
    LiDAR is brought back.
    """

    def __init__(self, config: OdometryConfig) -> None:
        self.track = Track(config)
        self._other: Track | None = None
        self._followed = 0

    def reconfigure(self, config: OdometryConfig) -> None:
        """Go on with other values of the live parameters."""
        self.track.config = config
        if self._other is not None:
            self._other.config = config

    def update(self, points: Array, keypoints: Array, fix: Fix, forecast: Forecast) -> Outcome:
        """Take the next scan.

        Parameters
        ----------
        points, keypoints : (N, 3), (K, 3) float64 arrays
            All points for the map, and those that are registered, LiDAR frame [m].
        fix, forecast : Fix, Forecast
            Of this scan by `track`.
        """
        if not fix.trouble:
            self._followed = 0
            return _taken(self.track, points, fix, forecast, _recovery(self.track, fix, forecast))
        drift = self.track.miss(forecast)
        if len(keypoints):
            changed = self._try_other(points, keypoints, forecast, drift)
            if changed is not None:
                return changed
        known = forecast.elapsed <= MAX_EXTRAPOLATION
        return Outcome(
            forecast.pose, forecast.twist if known else np.zeros(6), drift, fix.match, None,
            fix.trouble, '')

    def _try_other(
        self, points: Array, keypoints: Array, forecast: Forecast, drift: Drift
    ) -> Outcome | None:
        """Find a scan in the other map, or begin that with it; the outcome where it takes over."""
        if self._other is not None:
            foreseen = self._other.forecast(forecast.time)
            fix = self._other.locate(keypoints, foreseen)
            if not fix.trouble:
                self._followed += 1
                outcome = _taken(self._other, points, fix, foreseen, CHANGED)
                if self._followed < PATIENCE:
                    return None
                self.track, self._other, self._followed = self._other, self.track, 0
                return outcome
        self._followed = 0
        self._other = self.track.branch(points, forecast, drift)
        return None


def _taken(track: Track, points: Array, fix: Fix, forecast: Forecast, recovery: str) -> Outcome:
    pose, match = track.take(points, fix, forecast)
    return Outcome(
        pose, track.motion.twist, track.drift, match, track.report, '',
        recovery)


def _recovery(track: Track, fix: Fix, forecast: Forecast) -> str:
    """Say how a scan was found again or elsewhere than predicted; empty where neither."""
    said = []
    if track.missed:
        scans = '1 scan' if track.missed == 1 else f'{track.missed} scans'
        said.append(f'found again after {scans}, {forecast.elapsed:.1f} s')
    if fix.searched and fix.match is not None:
        off = local(forecast.pose, fix.match.transform)
        turn, way = np.degrees(np.linalg.norm(off[:3])), np.linalg.norm(off[3:])
        said.append(f'found {turn:.0f} deg and {way:.2f} m from the prediction')
    return ', '.join(said)
