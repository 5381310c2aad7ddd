# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Iterated point-to-plane registration: match, linearise, analyse, solve, move, until it rests."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcreg_ros.config import RegistrationConfig
from dcreg_ros.degeneracy.analysis import report_of
from dcreg_ros.degeneracy.detections import (
    NEEDS_MATCHES,
    PHYSICAL,
    Evidence,
    reference_of,
    tolerances,
)
from dcreg_ros.degeneracy.localizability import localizability
from dcreg_ros.degeneracy.mitigations import SolverSettings, System
from dcreg_ros.degeneracy.report import DegeneracyReport
from dcreg_ros.degeneracy.solve import step_of
from dcreg_ros.geometry.se3 import check_transform, local, retract
from dcreg_ros.registration.cluster_sums import sums_of
from dcreg_ros.registration.covariance import (
    PoseUncertainty,
    check_covariance,
    guess_weight,
    registration_covariance,
    residual_variance,
    scan_variance,
)
from dcreg_ros.registration.jacobians import counted, distances, jacobians
from dcreg_ros.registration.linearize import NormalEquations
from dcreg_ros.registration.lone_face import lone_faces
from dcreg_ros.registration.map_plane import MapPlaneMatcher
from dcreg_ros.registration.points import finite_points
from dcreg_ros.registration.query_plane import NEIGHBORS, QueryPlaneMatcher
from dcreg_ros.registration.result import Iteration, RegistrationResult
from dcreg_ros.voxels.hashing import CELL_LIMIT
from dcreg_ros.voxels.map import VoxelMap

MIN_MATCHES = 10
"""Fewer matches than this cannot tell six unknowns from noise (the paper's implementation)."""
ON_SURFACE = 0.1
"""Distance [m] from a plane within which a point is on it: noise, bent surfaces, wide cells."""
STEADY = 1.5
"""How many times more precise a motion that was weak in the last iteration must be to be known."""

_NO_ROWS = np.empty((0, 6))

Matcher = QueryPlaneMatcher | MapPlaneMatcher


def register(
    source: ArrayLike,
    target: ArrayLike | VoxelMap,
    initial_guess: ArrayLike | None = None,
    config: RegistrationConfig | None = None,
    previous: DegeneracyReport | None = None,
    guess_covariance: ArrayLike | None = None,
) -> RegistrationResult:
    """Align `source` to `target` by point-to-plane ICP.

    Parameters
    ----------
    source : (N, 3) array
        Points in the source frame, seen from its origin [m]; rows that are not finite are left
        out.
    target : (M, 3) array or VoxelMap
        Points in the target frame [m], or for "map_plane" a map of them. Points given for
        "map_plane" are put into a map with voxels half the `search_radius` wide.
    initial_guess : (4, 4) array, optional
        ``T_target_source`` to start from, and the prediction that mitigation "prior" holds on to;
        identity by default.
    config : RegistrationConfig, optional
        The paper's values by default.
    previous : DegeneracyReport, optional
        Of the scan before, for `hysteresis`: nothing is remembered between two calls.
    guess_covariance : (6, 6) array, optional
        Of `initial_guess`, ``[rotation, translation]`` in its body frame [rad^2, m^2]: what weak
        motions held to the guess are worth. Nothing is known of them where it is missing.

    Returns
    -------
    RegistrationResult
        With `failure_reason` set where there were too few points or matches.

    Raises
    ------
    ValueError
        If an array has the wrong shape or type, the guess is not a rigid transform, or its
        covariance is none.

    References
    ----------
    DCReg, arXiv 2509.06285, section III.
    """
    config = RegistrationConfig() if config is None else config
    if not isinstance(config, RegistrationConfig):
        raise ValueError(f'config should be a RegistrationConfig, not {type(config).__name__}')
    guess = check_transform(np.eye(4) if initial_guess is None else initial_guess, 'initial_guess')
    known = None
    if guess_covariance is not None:
        known = check_covariance(guess_covariance, 'guess_covariance')
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
            return iterate(matcher, len(points), guess, config, previous, known)
        voxels = VoxelMap(0.5 * config.search_radius)
        voxels.insert(target_points, np.eye(4), rays=False)
        if not len(voxels):
            end = CELL_LIMIT * voxels.cell_size
            reason = f'no target point within {end:.0f} m of the origin, where maps end'
            return _failure(reason, guess, [], config)
    return iterate(
        MapPlaneMatcher(points, voxels, config, known),
        len(points), guess, config, previous, known)


def iterate(
    matcher: Matcher, num_points: int, guess: NDArray[np.float64], config: RegistrationConfig,
    previous: DegeneracyReport | None = None,
    guess_covariance: NDArray[np.float64] | None = None,
) -> RegistrationResult:
    """Run the iteration of :func:`register` on any association."""
    settings = SolverSettings(
        config.solver_tolerance, config.solver_max_iterations, config.truncated_iterations,
        config.prior_weight, config.tikhonov_weight, config.xicp_partial)
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
        deviation = local(transform, guess)
        last = history[-1].degeneracy if history and config.detection in PHYSICAL else None
        report = _analyze(
            matcher, transform, equations, config, previous, last, deviation, guess_covariance)
        system = System(
            equations.hessian, equations.rhs, report, deviation, settings,
            _belief(report, equations, guess_covariance))
        delta = step_of(system, config.mitigation).delta
        rmse = float(np.sqrt(equations.residual2 / equations.num_matches))
        history.append(Iteration(equations.num_matches, rmse, report, delta))
        linearized, transform = transform, retract(transform, delta)
        converged = bool(matcher.settled
                         and np.linalg.norm(delta[:3]) < config.rotation_tolerance
                         and np.linalg.norm(delta[3:]) < config.translation_tolerance)
    assert equations is not None  # max_iterations is at least 1
    found = report
    if last is not None and len(last.weak_twists):
        # What keeps the iteration steady says nothing of the geometry.
        found = _analyze(
            matcher, linearized, equations, config, previous, None, deviation, guess_covariance)
    weight = guess_weight(report, config, _belief(report, equations, guess_covariance))
    firm = 6 - len(report.weak_twists) if weight.any() else 6  # weak ones follow the guess
    errors, trusted = registration_covariance(
        equations, sums_of(matcher, transform, equations.hessian + weight, firm), weight,
        report if config.mitigation == 'prior' and config.prior_weight > 0.0 else None,
        guess_covariance, config.min_sigma, config.max_sigma)
    return _success(
        transform, converged, history, equations, found, errors, trusted, num_points,
        _num_matched(matcher, equations), _on_surfaces(matcher, transform))


def _num_matched(matcher: Matcher, equations: NormalEquations) -> int:
    """How many points have a match; one on a pole has two."""
    if isinstance(matcher, QueryPlaneMatcher):
        return equations.num_matches
    return int(np.count_nonzero((matcher._slope.reshape(2, -1) > 0.0).any(axis=0)))


def _on_surfaces(matcher: Matcher, transform: NDArray[np.float64]) -> tuple[int, int]:
    """How many points have a surface near them, and how many of these are on it."""
    if isinstance(matcher, QueryPlaneMatcher):
        residuals = counted(matcher, transform).residuals
    else:
        rows = np.flatnonzero(matcher._usable[:len(matcher._source)])
        places = matcher._source[rows] @ transform[:3, :3].T + transform[:3, 3]
        residuals = distances(matcher, rows, places)
    return len(residuals), int(np.count_nonzero(np.abs(residuals) < ON_SURFACE))


def _belief(
    report: DegeneracyReport, equations: NormalEquations,
    guess_covariance: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Information (6, 6) of the guess on the scale of the Hessian; unknown, it is just enough."""
    if guess_covariance is None:
        return report.anchor
    return np.asarray(residual_variance(equations) * np.linalg.inv(guess_covariance))


def _analyze(
    matcher: Matcher, transform: NDArray[np.float64], equations: NormalEquations,
    config: RegistrationConfig, previous: DegeneracyReport | None, last: DegeneracyReport | None,
    deviation: NDArray[np.float64], guess_covariance: NDArray[np.float64] | None,
) -> DegeneracyReport:
    """Judge the directions by the detection in use.

    `previous` is of the scan before, `last` of the iteration before.
    """
    rows, found = _NO_ROWS, None
    if config.detection in NEEDS_MATCHES or config.mitigation == 'xicp':
        rows, residuals = jacobians(matcher, transform)
        found = localizability(
            rows, residuals, config.xicp_insufficient, config.xicp_enough, config.xicp_high)
    variance = scan_variance(equations)
    surprise2 = 0.0
    if guess_covariance is not None:
        surprise2 = float(deviation @ np.linalg.solve(guess_covariance, deviation))
    evidence = Evidence(
        equations.hessian, equations.noise, variance, rows, found, deviation, surprise2)
    reference = reference_of(evidence, config)
    if reference is not None and previous is not None:
        # Added time and again, this settles where the square of the hysteresis is demanded.
        reference = reference + (1.0 - config.hysteresis**-2) * previous.anchor
    if reference is not None and last is not None:
        # Held and let go in turn, a motion on the border would never come to rest.
        reference = reference + (1.0 - STEADY**-2) * last.anchor
    if config.detection == 'probabilistic' and isinstance(matcher, MapPlaneMatcher):
        assert reference is not None
        reference = reference + lone_faces(matcher, transform, equations.information, reference)
    return report_of(
        equations.hessian, config.condition_threshold, config.kappa_target, reference, found,
        equations.information if config.detection in PHYSICAL else None,
        config.noise_factor * equations.noise if config.detection == 'probabilistic' else None,
        tolerances(config) if config.detection in PHYSICAL else None)


def _success(
    transform: NDArray[np.float64], converged: bool, history: list[Iteration],
    equations: NormalEquations, found: DegeneracyReport, errors: PoseUncertainty,
    trusted: PoseUncertainty, num_points: int, num_matched: int, surfaces: tuple[int, int],
) -> RegistrationResult:
    last = history[-1]
    near, on = surfaces
    return RegistrationResult(
        transform=transform,
        converged=converged,
        iterations=len(history),
        rmse=last.rmse,
        fitness=num_matched / num_points,
        num_matches=last.num_matches,
        failure_reason='',
        hessian=equations.hessian,
        covariance=errors.covariance,
        degeneracy=found,
        history=tuple(history),
        near_surface=near / num_points,
        on_surface=on / num_points,
        errors=errors,
        trusted=trusted,
    )


def _failure(
    reason: str, transform: NDArray[np.float64], history: list[Iteration],
    config: RegistrationConfig,
) -> RegistrationResult:
    degeneracy: DegeneracyReport | None = history[-1].degeneracy if history else None
    nothing = np.eye(6) * config.max_sigma**2
    unknown = PoseUncertainty(nothing, np.zeros((6, 6)), nothing)
    return RegistrationResult(
        transform=transform,
        converged=False,
        iterations=len(history),
        rmse=float('inf'),
        fitness=0.0,
        num_matches=0,
        failure_reason=reason,
        hessian=np.zeros((6, 6)),
        covariance=nothing,
        degeneracy=degeneracy,
        history=tuple(history),
        errors=unknown,
        trusted=unknown,
    )
