# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a scan is found in the map: from its prediction, and where that may be wrong, elsewhere."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.config import RegistrationConfig
from dcreg_ros.degeneracy.report import DegeneracyReport
from dcreg_ros.geometry.se3 import local, retract
from dcreg_ros.odometry.belief import fit_of, is_doubtful, misfit, score_of, stray_of
from dcreg_ros.odometry.forecast import Forecast
from dcreg_ros.odometry.fusion import fuse
from dcreg_ros.odometry.search import search
from dcreg_ros.registration.covariance import PoseUncertainty, bounded
from dcreg_ros.registration.register import register
from dcreg_ros.registration.result import RegistrationResult
from dcreg_ros.voxels.map import VoxelMap

Array = NDArray[np.float64]

FOUND = np.diag(np.repeat([0.05, 0.15], 3) ** 2)
"""Covariance of a place that the search has found [rad^2, m^2]."""
REFINED = np.diag(np.repeat([0.02, 0.08], 3) ** 2)
"""The same once some of the points were registered there."""
NEAR = np.diag(np.repeat([0.001, 0.001], 3) ** 2)
"""The same of a prediction that is tried once more with a loss as narrow as it gets: where little
is seen, what lies farther off draws it elsewhere."""
FINALISTS = 2
"""How many of the places found are compared with all points."""
ROUNDS = 4
"""How often such a registration is repeated while it gets better."""
SOME_POINTS = 600
"""Points with which the places found are compared."""
REACH = 1.0
"""How far around prediction and last pose a scan is searched [m], beside three standard deviations
of the prediction."""
TURNED = 0.05
"""Turn [rad] that is predicted and may not have happened: what is carried by hand or walks swings
back and forth. So far off a registration may end elsewhere."""
BETTER = 0.05
"""Share of the points by which a place found has to fit better than the prediction's match, if
that came to rest."""
FITS_PERFECTLY = 0.96
"""Share of the points on surfaces from which nothing else is tried."""
FITS_MODEL = 0.9
"""Share of the points on surfaces from which covariances hold that take all to be on surfaces."""
BETTER_FREE, SURPRISING = 0.03, 0.02
"""Share of the points by which this has to fit better, and how much more for every factor e of
the squared surprise."""


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


def locate(
    voxels: VoxelMap, keypoints: Array, forecast: Forecast, config: RegistrationConfig,
    previous: DegeneracyReport | None = None,
) -> Fix:
    """Find a scan in a map.

    Parameters
    ----------
    voxels : VoxelMap
    keypoints : (N, 3) float64 array
        LiDAR frame [m].
    forecast : Forecast
        Where it is expected.
    config : RegistrationConfig
    previous : DegeneracyReport, optional
        Of the scan before.
    """
    if not len(voxels):
        return Fix(None)
    match = _match(
        voxels, keypoints, forecast.pose, forecast.covariance, config, previous)
    if len(keypoints) and fit_of(match) < FITS_PERFECTLY:
        match = _unturned(voxels, keypoints, forecast, config, match)
    found = match
    if len(keypoints) and is_doubtful(match, forecast.pose, forecast.covariance):
        found = _search(voxels, keypoints, forecast, config, match)
    elif config.mitigation == 'prior' and fit_of(match) >= FITS_MODEL:
        found = match = fuse(match, forecast.pose, forecast.covariance, forecast.told, config)
    return Fix(found, misfit(found), found is not match)


def _unturned(
    voxels: VoxelMap, keypoints: Array, forecast: Forecast, config: RegistrationConfig,
    match: RegistrationResult,
) -> RegistrationResult:
    """Return the match from where the scan would be had it not turned on, if that is better."""
    assert forecast.last is not None  # there is a map
    if np.linalg.norm(local(forecast.last, forecast.pose)[:3]) < TURNED:
        return match
    guess = _not_turned(forecast)
    least = score_of(match) - stray_of(match, forecast.pose) + BETTER
    for some in (_some_of(keypoints), keypoints):
        trial = register(some, voxels, guess, config, guess_covariance=forecast.covariance)
        if score_of(trial) - stray_of(trial, guess) < least:
            return match
    return trial


def _not_turned(forecast: Forecast) -> Array:
    """Return the predicted pose (4, 4), turned as the last one that was found."""
    assert forecast.last is not None
    pose = forecast.pose.copy()
    pose[:3, :3] = forecast.last[:3, :3]
    return pose


def _some_of(keypoints: Array) -> Array:
    return np.ascontiguousarray(keypoints[:: -(-len(keypoints) // SOME_POINTS)])


def _match(
    voxels: VoxelMap, points: Array, guess: Array, covariance: Array, config: RegistrationConfig,
    previous: DegeneracyReport | None = None,
) -> RegistrationResult:
    """Register with weak motions held to the guess, unless letting go of them fits much better.

    Where the geometry is blind, all places along a weak motion look the same. If another place
    does look better, the matches around the guess were too poor to tell.
    """
    match = register(
        points, voxels, guess, config, guess_covariance=covariance, previous=previous)
    report = match.held
    if (config.mitigation != 'prior' or report is None or not len(report.weak_twists)
            or fit_of(match) >= FITS_PERFECTLY):
        return match
    free = dataclasses.replace(config, mitigation='none')
    least = score_of(match) - SURPRISING * _log_surprise(match, guess, covariance) + BETTER_FREE
    for some in (_some_of(points), points):
        trial = register(some, voxels, guess, free, guess_covariance=covariance)
        if score_of(trial) - SURPRISING * _log_surprise(trial, guess, covariance) < least:
            return match
    return trial if trial.converged else match


def _log_surprise(match: RegistrationResult, guess: Array, covariance: Array) -> float:
    off = local(guess, match.transform)
    return float(np.log1p(off @ np.linalg.solve(covariance, off)))


def _search(
    voxels: VoxelMap, keypoints: Array, forecast: Forecast, config: RegistrationConfig,
    match: RegistrationResult,
) -> RegistrationResult:
    """Return the best match of all that can be found, `match` itself where none is better."""
    assert forecast.last is not None  # there is a map
    sigma = math.sqrt(np.linalg.norm(forecast.covariance[3:, 3:], 2))
    some = _some_of(keypoints)
    # The longer nothing was found, the less the prediction tells.
    share = 1.0 / (1 + forecast.missed)

    def merit(trial: RegistrationResult) -> float:
        return score_of(trial) - share * stray_of(trial, forecast.pose)

    trials = [
        _match(voxels, some, place, FOUND, config)
        for guess in (forecast.pose, forecast.last)
        for place in search(voxels, keypoints, guess, REACH + 3.0 * sigma)]
    trials += [
        _match(voxels, some, guess, NEAR, config)
        for guess in (forecast.pose, _not_turned(forecast))]
    least = merit(match) + (BETTER if match.converged else 0.0)
    better = [trial for trial in trials if merit(trial) > least]
    if not better:
        return match
    better.sort(key=merit, reverse=True)
    refined = max((
        _refine(voxels, keypoints, place, how) for trial in better[:FINALISTS]
        for place, how in _ways(trial, forecast.pose, config)), key=merit)
    # What the map does not tell is still known from the prediction alone.
    errors, trusted = (
        _with(of, forecast.covariance, config) for of in (refined.errors, refined.trusted))
    return dataclasses.replace(
        refined, covariance=errors.covariance, errors=errors, trusted=trusted)


def _with(
    known: PoseUncertainty, prediction: Array, config: RegistrationConfig
) -> PoseUncertainty:
    """Add what is left of the covariance of a `prediction` in what is `known`."""
    left = known.guess_share @ prediction @ known.guess_share.T
    return known._replace(
        covariance=bounded(known.covariance + left, config.min_sigma, config.max_sigma))


def _ways(
    trial: RegistrationResult, predicted: Array, config: RegistrationConfig
) -> list[tuple[Array, RegistrationConfig]]:
    """From where and how a place that was found is registered with all points.

    In its weak motions the prediction may know more than the search, or the search was right.
    """
    ways = [(trial.transform, config)]
    if trial.held is not None and len(trial.held.weak_twists):
        ways.insert(0, (_weakly_at(predicted, trial, trial.held.weak_twists), config))
    if config.mitigation != 'none':
        ways.append((trial.transform, dataclasses.replace(config, mitigation='none')))
    return ways


def _refine(
    voxels: VoxelMap, keypoints: Array, guess: Array, config: RegistrationConfig
) -> RegistrationResult:
    """Register again and again: matches with a wide loss are better found from a better place."""
    best = _match(voxels, keypoints, guess, REFINED, config)
    for _ in range(ROUNDS - 1):
        trial = _match(voxels, keypoints, best.transform, REFINED, config)
        if score_of(trial) <= score_of(best):
            break
        best = trial
    return best


def _weakly_at(predicted: Array, match: RegistrationResult, weak_twists: Array) -> Array:
    """Pose of a match with its weak motions, of which it knows nothing, as predicted."""
    basis = np.linalg.qr(weak_twists.T)[0]
    off = local(match.transform, predicted)
    return np.asarray(retract(match.transform, basis @ (basis.T @ off)))
