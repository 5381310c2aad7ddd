# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mitigation: from normal equations and a report to a step (paper, section VI)."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from dcreg_ros.degeneracy.report import DegeneracyReport, check_hessian

Vector = NDArray[np.float64]

MITIGATIONS = ('none', 'dcreg', 'prior')


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
        ``|rhs - hessian @ delta| / max(1, |rhs|)``; what ``prior`` does on purpose included.
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
    tolerance: float = 1e-6,
    max_iterations: int = 10,
    deviation: ArrayLike | None = None,
    prior_weight: float = 100.0,
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
    mitigation : {'dcreg', 'none', 'prior'}
        ``none`` is the Gauss-Newton step; ``dcreg`` runs conjugate gradients from zero with the
        preconditioner of `report` on the unmodified system; ``prior`` is the maximum a posteriori
        with a predicted pose that speaks in the weak motions of `report` alone.
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
    matrix = check_hessian(hessian)
    vector = np.array(rhs, dtype=np.float64)
    if vector.shape != (6,):
        raise ValueError(f'rhs should have shape (6,), not {vector.shape}')
    if not np.isfinite(vector).all():
        raise ValueError('rhs has values that are not finite')
    if mitigation not in MITIGATIONS:
        raise ValueError(f'mitigation = {mitigation!r} is not one of {", ".join(MITIGATIONS)}')
    towards = np.zeros(6) if deviation is None else np.array(deviation, dtype=np.float64)
    if towards.shape != (6,) or not np.isfinite(towards).all():
        raise ValueError('deviation should be six finite numbers')
    return step_of(
        matrix, vector, report, mitigation, float(tolerance), int(max_iterations), towards,
        float(prior_weight))


def step_of(
    hessian: Vector,
    rhs: Vector,
    report: DegeneracyReport,
    mitigation: str,
    tolerance: float,
    max_iterations: int,
    deviation: Vector,
    prior_weight: float,
) -> Step:
    """Solve a system already known to be valid; see :func:`solve_step`."""
    iterations = 0
    if mitigation == 'dcreg':
        delta, iterations = preconditioned_cg(
            hessian, rhs, report.preconditioner, tolerance, max_iterations)
    elif mitigation == 'prior' and prior_weight > 0.0 and len(report.weak_twists):
        weight = prior_weight * report.anchor
        delta = _gauss_newton(hessian + weight, rhs + weight @ deviation)
    else:
        delta = _gauss_newton(hessian, rhs)
    used_fallback = not np.isfinite(delta).all()
    if used_fallback:
        delta = np.linalg.lstsq(hessian, rhs, rcond=None)[0]
    residual = float(np.linalg.norm(rhs - hessian @ delta) / max(1.0, float(np.linalg.norm(rhs))))
    return Step(delta, iterations, residual, residual <= tolerance, used_fallback)


def _gauss_newton(hessian: Vector, rhs: Vector) -> Vector:
    """Plain solution, or NaN where the system is singular."""
    try:
        return np.asarray(np.linalg.solve(hessian, rhs), dtype=np.float64)
    except np.linalg.LinAlgError:
        return np.full(6, np.nan)


@njit(cache=True, nogil=True)
def preconditioned_cg(hessian, rhs, preconditioner, tolerance, max_iterations):
    """Step (6,) and iterations of conjugate gradients from zero on ``hessian @ delta = rhs``."""
    delta = np.zeros(6)
    residual = rhs.copy()
    limit = tolerance * max(1.0, np.linalg.norm(rhs))
    z = preconditioner @ residual
    direction = z.copy()
    rho = residual @ z
    iterations = 0
    while iterations < max_iterations and np.linalg.norm(residual) > limit:
        product = hessian @ direction
        curvature = direction @ product
        if curvature <= 0.0 or rho <= 0.0:
            break  # nothing more to gain: the rest of the residual is outside the range
        alpha = rho / curvature
        delta += alpha * direction
        residual -= alpha * product
        z = preconditioner @ residual
        rho_next = residual @ z
        direction = z + (rho_next / rho) * direction
        rho = rho_next
        iterations += 1
    return delta, iterations
