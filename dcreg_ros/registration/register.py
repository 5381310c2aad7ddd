# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Iterated point-to-plane registration: match, linearise, analyse, solve, move, until it rests."""

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcreg_ros.config import RegistrationConfig
from dcreg_ros.degeneracy.analysis import report_of
from dcreg_ros.degeneracy.joint import physical_reference
from dcreg_ros.degeneracy.report import DegeneracyReport
from dcreg_ros.degeneracy.solve import step_of
from dcreg_ros.geometry.se3 import check_transform, local, retract
from dcreg_ros.registration.covariance import registration_covariance, residual_variance
from dcreg_ros.registration.linearize import NormalEquations
from dcreg_ros.registration.map_plane import MapPlaneMatcher
from dcreg_ros.registration.points import finite_points
from dcreg_ros.registration.query_plane import NEIGHBORS, QueryPlaneMatcher
from dcreg_ros.registration.result import Iteration, RegistrationResult
from dcreg_ros.voxels.map import VoxelMap

MIN_MATCHES = 10
"""Fewer matches than this cannot tell six unknowns from noise (the paper's implementation)."""


class Matcher(Protocol):
    """What the iteration needs of an association."""

    def linearize(self, transform: NDArray[np.float64]) -> NormalEquations:
        """Match at `transform` (4, 4) and sum the normal equations."""


def register(
    source: ArrayLike,
    target: ArrayLike | VoxelMap,
    initial_guess: ArrayLike | None = None,
    config: RegistrationConfig | None = None,
) -> RegistrationResult:
    """Align `source` to `target` by point-to-plane ICP.

    Parameters
    ----------
    source : (N, 3) array
        Points in the source frame [m]; rows that are not finite are left out.
    target : (M, 3) array or VoxelMap
        Points in the target frame [m], or for "map_plane" a map of them. Points given for
        "map_plane" are put into a map with voxels half the `search_radius` wide.
    initial_guess : (4, 4) array, optional
        ``T_target_source`` to start from, and the prediction that mitigation "prior" holds on to;
        identity by default.
    config : RegistrationConfig, optional
        The paper's values by default.

    Returns
    -------
    RegistrationResult
        With `failure_reason` set where there were too few points or matches.

    Raises
    ------
    ValueError
        If an array has the wrong shape or type, or the guess is not a rigid transform.

    References
    ----------
    DCReg, arXiv 2509.06285, section III.
    """
    config = RegistrationConfig() if config is None else config
    guess = check_transform(np.eye(4) if initial_guess is None else initial_guess, 'initial_guess')
    points = finite_points(source, 'source')
    if isinstance(target, VoxelMap):
        if config.association != 'map_plane':
            raise ValueError('a VoxelMap as target needs association="map_plane"')
        voxels = target
    else:
        target_points = finite_points(target, 'target')
        if len(target_points) < NEIGHBORS:
            reason = f'target has {len(target_points)} finite points, {NEIGHBORS} are needed'
            return _failure(reason, guess, [], config)
        if config.association == 'query_plane':
            matcher = QueryPlaneMatcher(points, target_points, config)
            return iterate(matcher, len(points), guess, config)
        voxels = VoxelMap(0.5 * config.search_radius)
        voxels.insert(target_points, np.zeros(3))
    return iterate(MapPlaneMatcher(points, voxels, config), len(points), guess, config)


def iterate(
    matcher: Matcher, num_points: int, guess: NDArray[np.float64], config: RegistrationConfig
) -> RegistrationResult:
    """Run the iteration of :func:`register` on any association."""
    transform = guess
    history: list[Iteration] = []
    equations: NormalEquations | None = None
    converged = False
    while not converged and len(history) < config.max_iterations:
        equations = matcher.linearize(transform)
        if equations.num_matches < MIN_MATCHES:
            reason = (f'{equations.num_matches} matches among {num_points} points, '
                      f'{MIN_MATCHES} are needed')
            return _failure(reason, transform, history, config)
        report = report_of(
            equations.hessian, config.condition_threshold, config.kappa_target,
            _reference(equations, config))
        delta = step_of(
            equations.hessian, equations.rhs, report, config.mitigation,
            config.solver_tolerance, config.solver_max_iterations,
            local(transform, guess), config.prior_weight).delta
        rmse = float(np.sqrt(equations.residual2 / equations.num_matches))
        history.append(Iteration(equations.num_matches, rmse, report, delta))
        transform = retract(transform, delta)
        converged = bool(np.linalg.norm(delta[:3]) < config.rotation_tolerance
                         and np.linalg.norm(delta[3:]) < config.translation_tolerance)
    assert equations is not None  # max_iterations is at least 1
    return _success(transform, converged, history, equations, num_points, config)


def _reference(
    equations: NormalEquations, config: RegistrationConfig
) -> NDArray[np.float64] | None:
    """Information a motion must exceed, or None for the test of the paper."""
    if config.detection == 'schur':
        return None
    noise_factor = config.noise_factor if config.detection == 'probabilistic' else 0.0
    return physical_reference(
        equations.noise, noise_factor, residual_variance(equations), config.sigma_rotation,
        config.sigma_translation)


def _success(
    transform: NDArray[np.float64], converged: bool, history: list[Iteration],
    equations: NormalEquations, num_points: int, config: RegistrationConfig,
) -> RegistrationResult:
    last = history[-1]
    return RegistrationResult(
        transform=transform,
        converged=converged,
        iterations=len(history),
        rmse=last.rmse,
        fitness=last.num_matches / num_points,
        num_matches=last.num_matches,
        failure_reason='',
        hessian=equations.hessian,
        covariance=registration_covariance(
            equations.hessian, residual_variance(equations), config.min_sigma, config.max_sigma),
        degeneracy=last.degeneracy,
        history=tuple(history),
    )


def _failure(
    reason: str, transform: NDArray[np.float64], history: list[Iteration],
    config: RegistrationConfig,
) -> RegistrationResult:
    degeneracy: DegeneracyReport | None = history[-1].degeneracy if history else None
    return RegistrationResult(
        transform=transform,
        converged=False,
        iterations=len(history),
        rmse=float('inf'),
        fitness=0.0,
        num_matches=0,
        failure_reason=reason,
        hessian=np.zeros((6, 6)),
        covariance=np.eye(6) * config.max_sigma**2,
        degeneracy=degeneracy,
        history=tuple(history),
    )
