# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mitigations: what a step of the registration does where directions are weak.

Four change how a step is solved or damped: ``dcreg``, ``truncated_cg``, ``clamped`` and
``tikhonov``. Where the gradient vanishes it still does, so of these only cutting the conjugate
gradients short, time and again, can keep a registration from sliding. ``remap``, ``tsvd`` and
``xicp`` take the weak motions out of the step; ``prior`` holds them to a prediction.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.degeneracy.report import DegeneracyReport

Array = NDArray[np.float64]


class SolverSettings(NamedTuple):
    """The numbers of all mitigations; see ``RegistrationConfig`` for what each means."""

    tolerance: float
    max_iterations: int
    truncated_iterations: int
    prior_weight: float
    tikhonov_weight: float
    xicp_partial: str


class System(NamedTuple):
    """``hessian @ delta = rhs`` with all there is to know about it.

    Attributes
    ----------
    hessian : (6, 6) float array
        Rotation [rad] before translation [m], body frame.
    rhs : (6,) float array
        Negative gradient.
    report : DegeneracyReport
        Of the Hessian.
    deviation : (6,) float array
        Step from the present to the predicted pose.
    settings : SolverSettings
        Of the mitigation.
    belief : (6, 6) float array or None
        Information of the prediction on the scale of the Hessian. None: that which makes weak
        motions just strong.
    """

    hessian: Array
    rhs: Array
    report: DegeneracyReport
    deviation: Array
    settings: SolverSettings
    belief: Array | None = None


Solution = tuple[Array, int]
"""A step (6,), not finite where the system broke down, and its conjugate-gradient iterations."""


def none(system: System) -> Solution:
    """Gauss-Newton, as if nothing were weak."""
    return gauss_newton(system.hessian, system.rhs), 0


def dcreg(system: System) -> Solution:
    """The paper's: conjugate gradients on the plain system, preconditioned by clamped blocks."""
    return preconditioned_cg(
        system.hessian, system.rhs, system.report.preconditioner, system.settings.tolerance,
        system.settings.max_iterations)


def truncated_cg(system: System) -> Solution:
    """The same stopped early, before the iterations reach the weak directions."""
    most = min(system.settings.max_iterations, system.settings.truncated_iterations)
    return preconditioned_cg(
        system.hessian, system.rhs, system.report.preconditioner, system.settings.tolerance, most)


def clamped(system: System) -> Solution:
    """Gauss-Newton with the ill-conditioned Schur eigenvalues raised to what the paper clamps."""
    raised = system.hessian.copy()
    report = system.report
    for i in np.flatnonzero(report.ill_conditioned):
        block = slice(0, 3) if i < 3 else slice(3, 6)
        mode = report.directions[i]
        inverse = mode @ report.preconditioner[block, block] @ mode
        if inverse > 0.0:
            raised[block, block] += (1.0 / inverse - report.eigenvalues[i]) * np.outer(mode, mode)
    return gauss_newton(raised, system.rhs), 0


def tikhonov(system: System) -> Solution:
    """Gauss-Newton with a multiple of the identity added where anything is weak."""
    if not len(system.report.weak_twists):
        return none(system)
    damped = system.hessian + system.settings.tikhonov_weight * np.eye(6)
    return gauss_newton(damped, system.rhs), 0


def remap(system: System) -> Solution:
    """Solution remapping (Zhang et al., ICRA 2016): the weak part of the step is taken out."""
    step = gauss_newton(system.hessian, system.rhs)
    twists = system.report.weak_twists
    if not len(twists):
        return step, 0
    if not np.isfinite(step).all():
        step = least_squares(system.hessian, system.rhs)
    # Measured in the anchor, the strong part is what stands square to the weak motions.
    images = system.report.anchor @ twists.T
    return step - twists.T @ np.linalg.solve(twists @ images, images.T @ step), 0


def tsvd(system: System) -> Solution:
    """Truncated SVD: the system solved within the strong motions alone.

    The same step as :func:`remap`, but without ever dividing by what is close to zero.
    """
    count = len(system.report.weak_twists)
    if not count:
        return none(system)
    strong = np.linalg.eigh(system.report.anchor)[1][:, :6 - count]
    inner = gauss_newton(strong.T @ system.hessian @ strong, strong.T @ system.rhs)
    return strong @ inner, 0


def prior(system: System) -> Solution:
    """Maximum a posteriori with a predicted pose that speaks in the weak motions alone."""
    if not (system.settings.prior_weight > 0.0 and len(system.report.weak_twists)):
        return none(system)
    # What noise alone explains would hold the robot to where it was.
    told = np.eye(6) - system.report.noise_share
    hessian, rhs = told @ system.hessian, told @ system.rhs
    belief = system.report.anchor if system.belief is None else system.belief
    weight = system.settings.prior_weight * weak_part(system.report, belief)
    return gauss_newton(hessian + weight, rhs + weight @ system.deviation), 0


def weak_part(report: DegeneracyReport, information: Array) -> Array:
    """What `information` (6, 6) says about the weak motions alone."""
    return np.asarray(report.projector @ information @ report.projector.T)


def xicp(system: System) -> Solution:
    """X-ICP: modes that matches do not localize stand still, partial ones follow theirs.

    A report made from a Hessian alone knows no matches: its weak modes all stand still.
    """
    modes, low, high = _bounds(system)
    if np.isinf(low).all():
        return none(system)
    return box_constrained(system.hessian, system.rhs, modes, low, high), 0


SOLVERS: dict[str, Callable[[System], Solution]] = {
    'none': none,
    'dcreg': dcreg,
    'truncated_cg': truncated_cg,
    'clamped': clamped,
    'remap': remap,
    'tsvd': tsvd,
    'tikhonov': tikhonov,
    'xicp': xicp,
    'prior': prior,
}


def gauss_newton(hessian: Array, rhs: Array) -> Array:
    """Plain solution, or NaN where the system is singular."""
    try:
        return np.asarray(np.linalg.solve(hessian, rhs), dtype=np.float64)
    except np.linalg.LinAlgError:
        return np.full(len(rhs), np.nan)


def least_squares(hessian: Array, rhs: Array) -> Array:
    """Solution of minimum norm."""
    return np.asarray(np.linalg.lstsq(hessian, rhs, rcond=None)[0], dtype=np.float64)


def _bounds(system: System) -> tuple[Array, Array, Array]:
    """Orthonormal modes (6, 6, rows) and the least and largest step along each."""
    found = system.report.localizability
    if found is None:
        modes = np.zeros((6, 6))
        modes[:3, :3], modes[3:, 3:] = system.report.directions[:3], system.report.directions[3:]
        fixed = system.report.mask
        return modes, np.where(fixed, 0.0, -np.inf), np.where(fixed, 0.0, np.inf)
    low, high = found.steps, found.steps
    if system.settings.xicp_partial == 'inequality':
        low, high = -np.abs(found.steps), np.abs(found.steps)
    return found.modes, np.where(found.full, -np.inf, low), np.where(found.full, np.inf, high)


def box_constrained(hessian: Array, rhs: Array, modes: Array, low: Array, high: Array) -> Array:
    """Least-squares step (6,) with its components along `modes` (6, 6, rows) within bounds.

    Orthonormal modes make a box of the constraints; components with equal bounds are given.
    """
    step = np.where(low == high, low, 0.0)
    free = low != high
    if free.any():
        turned = modes @ hessian @ modes.T
        known = (modes @ rhs)[free] - turned[np.ix_(free, ~free)] @ step[~free]
        step[free] = _within(turned[np.ix_(free, free)], known, low[free], high[free])
    return np.asarray(modes.T @ step, dtype=np.float64)


def _within(hessian: Array, rhs: Array, low: Array, high: Array) -> Array:
    """Least-squares solution with every component within its bounds."""
    if np.isinf(low).all() and np.isinf(high).all():
        return least_squares(hessian, rhs)
    from scipy.optimize import lsq_linear  # half a second to load, only for "inequality"

    # The normal equations become a least-squares problem again, which is what can be bounded.
    values, vectors = np.linalg.eigh(hessian)
    root = np.sqrt(np.maximum(values, np.finfo(float).tiny))
    rows, wanted = root[:, None] * vectors.T, vectors.T @ rhs / root
    found = lsq_linear(rows, wanted, (low, high), method='bvls', max_iter=100)
    return np.asarray(found.x)


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
