# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From normal equations and a report to a step, by any mitigation (paper, section VI)."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcreg_ros.config import RegistrationConfig
from dcreg_ros.degeneracy.mitigations import SOLVERS, SolverSettings, System, least_squares
from dcreg_ros.degeneracy.report import DegeneracyReport, check_number, check_symmetric

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """A solution of ``hessian @ delta = rhs``.

    Attributes
    ----------
    delta : (6,) float array
        Rotation [rad] before translation [m], body frame.
    iterations : int
        Conjugate-gradient iterations; 0 for a direct solution.
    relative_residual : float
        ``|rhs - hessian @ delta| / max(1, |rhs|)``; what a mitigation does on purpose included.
    converged : bool
        Whether that is within the tolerance.
    used_fallback : bool
        Whether the intended solver broke down and the minimum-norm least-squares step stands in.
    """

    delta: Vector
    iterations: int
    relative_residual: float
    converged: bool
    used_fallback: bool


def solve_step(
    hessian: ArrayLike,
    rhs: ArrayLike,
    report: DegeneracyReport,
    mitigation: str = 'dcreg',
    tolerance: float = RegistrationConfig.solver_tolerance,
    max_iterations: int = RegistrationConfig.solver_max_iterations,
    deviation: ArrayLike | None = None,
    prior_weight: float = RegistrationConfig.prior_weight,
    tikhonov_weight: float = RegistrationConfig.tikhonov_weight,
    truncated_iterations: int = RegistrationConfig.truncated_iterations,
) -> Step:
    """Solve ``hessian @ delta = rhs`` for one step of the registration.

    Parameters
    ----------
    hessian : (6, 6) array
        Rotation [rad] before translation [m]; symmetric.
    rhs : (6,) array
        Negative gradient.
    report : DegeneracyReport
        Of `hessian`.
    mitigation : str
        One of :data:`dcreg_ros.degeneracy.mitigations.SOLVERS`: ``none`` is the Gauss-Newton step,
        ``dcreg`` the paper's; what the others do is said there.
    tolerance : float
        On the residual relative to ``max(1, |rhs|)``.
    max_iterations : int
        Most conjugate-gradient iterations.
    deviation : (6,) array, optional
        For ``prior``: step from the present to the predicted pose; zero by default, so that the
        weak motions stay where they are.
    prior_weight : float
        For ``prior``: how many times more the prediction counts than the geometry would where a
        motion is just strong; 0 is ``none``.
    tikhonov_weight : float
        For ``tikhonov``: what is added to the diagonal; 0 is ``none``.
    truncated_iterations : int
        For ``truncated_cg``: after how many iterations it stops.

    Returns
    -------
    Step

    Raises
    ------
    ValueError
        If a shape is wrong, a value not finite, or `mitigation` unknown.

    References
    ----------
    DCReg, arXiv 2509.06285, section VI.
    """
    matrix = check_symmetric(hessian, 'hessian')
    vector = np.array(rhs, dtype=np.float64)
    if vector.shape != (6,):
        raise ValueError(f'rhs should have shape (6,), not {vector.shape}')
    if not np.isfinite(vector).all():
        raise ValueError('rhs has values that are not finite')
    if mitigation not in SOLVERS:
        raise ValueError(f'mitigation = {mitigation!r} is not one of {", ".join(SOLVERS)}')
    towards = np.zeros(6) if deviation is None else np.array(deviation, dtype=np.float64)
    if towards.shape != (6,) or not np.isfinite(towards).all():
        raise ValueError('deviation should be six finite numbers')
    if not isinstance(report, DegeneracyReport):
        raise ValueError(f'report should be a DegeneracyReport, not {type(report).__name__}')
    settings = SolverSettings(
        check_number(tolerance, 'tolerance', 0.0),
        int(check_number(max_iterations, 'max_iterations', 1.0)),
        int(check_number(truncated_iterations, 'truncated_iterations', 1.0)),
        check_number(prior_weight, 'prior_weight', 0.0),
        check_number(tikhonov_weight, 'tikhonov_weight', 0.0),
        RegistrationConfig.xicp_partial)
    return step_of(
        System(matrix, vector, report, towards, settings), mitigation)


def step_of(system: System, mitigation: str) -> Step:
    """Solve a system already known to be valid; see :func:`solve_step`."""
    delta, iterations = SOLVERS[mitigation](system)
    left = system.rhs - system.hessian @ delta
    used_fallback = not math.isfinite(left @ left)
    if used_fallback:
        delta = least_squares(system.hessian, system.rhs)
        left = system.rhs - system.hessian @ delta
    residual = math.sqrt(left @ left) / max(1.0, math.sqrt(system.rhs @ system.rhs))
    return Step(delta, iterations, residual, residual <= system.settings.tolerance, used_fallback)
