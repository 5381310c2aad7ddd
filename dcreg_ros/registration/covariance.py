# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Covariance of a registration that counts what its residuals share, finite in every direction.

A robust least-squares estimate ``sum psi(r) J^T = 0`` scatters as ``A^-1 M A^-1`` (Huber, 1967;
White, 1980): `A` is how the gradient answers to a motion, `M` the scatter of the gradient. Three
things make that larger than ``s^2 H^-1``:

* `A` is less than `H`: the loss bends (``psi' < f^2``), and what the noise of the normals adds to
  `H` vanishes as matches change (errors in variables);
* `M` has the products of matches that share map cells and planes (cluster-robust covariance: Liang
  and Zeger, 1986), with what blocks that a motion hangs on leave no residual of
  (:mod:`~dcreg_ros.registration.cluster_sums`);
* weak motions, held to a prediction, have the variance of that prediction.

What noise tells of weak motions is nothing to rely on, so errors are those without it. What drives
show, though, is that a prediction does best if it counts as if that were knowledge, but single
blocks count for little: it is trusted so in the end.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from dcreg_ros.config import RegistrationConfig
from dcreg_ros.degeneracy.mitigations import weak_part
from dcreg_ros.degeneracy.report import DegeneracyReport, check_symmetric
from dcreg_ros.degeneracy.schur import ZERO
from dcreg_ros.registration.cluster_sums import ClusterSums
from dcreg_ros.registration.linearize import NormalEquations

Matrix = NDArray[np.float64]

SENSOR_SIGMA, INDEPENDENT = 0.02, 800.0
"""Least noise [m] and most matches that a scan is judged by when motions are called weak."""
MIN_RESIDUAL = 1e-3
"""Least standard deviation of a residual [m]: a perfect fit is a coincidence, not knowledge."""
LEAST_ANSWER = 0.1
"""Least share of the Hessian that the gradient is taken to answer with."""
LEAST_SCATTER = 0.5
"""Least scatter in units of that of independent matches: sums of few blocks vanish by chance. Half
of it, since what the loss bends is not counted there."""
HELD = 1e6
"""Weight that stands for a motion taken out of the step, which keeps the error of the guess."""
_KEEPS_GUESS = ('remap', 'tsvd', 'xicp')


class PoseUncertainty(NamedTuple):
    """Covariance of a registration, and how much of it the guess is to blame for.

    Attributes
    ----------
    own : (6, 6) float array
        Of what the matches are to blame for, ``[rotation, translation]`` in the body frame
        [rad^2, rad m, m^2].
    guess_share : (6, 6) float array
        The error of the guess, times this, is in the result: of weak motions all where a
        mitigation holds them to it, of others nothing.
    covariance : (6, 6) float array
        Of both, within bounds.
    """

    own: Matrix
    guess_share: Matrix
    covariance: Matrix


def check_covariance(covariance: ArrayLike, name: str) -> Matrix:
    """Return a (6, 6) covariance that can be inverted: what has no variance gets next to none.

    Raises
    ------
    ValueError
        If it is no covariance; the text says `name`.
    """
    out = check_symmetric(covariance, name)
    values, vectors = np.linalg.eigh(out)
    least = max(ZERO * values[-1], np.finfo(float).tiny ** 0.25)
    if values[0] < -least:
        raise ValueError(f'{name} has a negative variance')
    if values[0] < least:
        out = (vectors * np.maximum(values, least)) @ vectors.T
    return out


def residual_variance(equations: NormalEquations) -> float:
    """Variance of one weighted residual [m^2], six of them spent on the pose."""
    spent = 6.0 * equations.weight / max(equations.num_matches, 1)
    variance = equations.error2 / max(equations.weight - spent, 1e-9)
    return max(variance, MIN_RESIDUAL**2)


def scan_variance(equations: NormalEquations) -> float:
    """Variance [m^2] that single matches had if they said as much together, and were independent.

    Neighbours share surfaces and map cells: a scan is worth INDEPENDENT matches at most. Nor is a
    sensor better than its usual noise because many of its points lie on one floor.
    """
    return max(residual_variance(equations), SENSOR_SIGMA**2) * max(
        1.0, equations.worth / INDEPENDENT)


def guess_weight(
    report: DegeneracyReport, config: RegistrationConfig, belief: Matrix
) -> Matrix:
    """Information (6, 6) with which a mitigation holds weak motions to the guess.

    `belief` (6, 6) is that of the guess on the scale of the Hessian.
    """
    if config.mitigation == 'prior':
        return config.prior_weight * weak_part(report, belief)
    return HELD * report.anchor if config.mitigation in _KEEPS_GUESS else np.zeros((6, 6))


def registration_covariance(
    equations: NormalEquations,
    sums: ClusterSums,
    weight: Matrix,
    holding: DegeneracyReport | None,
    guess_covariance: Matrix | None,
    min_sigma: float,
    max_sigma: float,
) -> tuple[PoseUncertainty, PoseUncertainty]:
    """Covariance of a registration, see above.

    Parameters
    ----------
    equations : NormalEquations
        Of the last iteration.
    sums : ClusterSums
        Of the same matches.
    weight : (6, 6) float array
        Information of the guess in the solution, on the scale of the Hessian.
    holding : DegeneracyReport or None
        By which weak motions are held to the guess and what noise tells of them is taken out, as
        mitigation "prior" does.
    guess_covariance : (6, 6) float array or None
        Of the guess, body frame. None: nothing is known, `max_sigma` in every direction.
    min_sigma, max_sigma : float
        Bounds of the standard deviation of every direction [m, rad].

    Returns
    -------
    errors : PoseUncertainty
        Symmetric, eigenvalues of `covariance` within the squared bounds.
    trusted : PoseUncertainty
        As if what noise tells of weak motions were knowledge, with the cautious scatter.
    """
    guess = np.eye(6) * max_sigma**2 if guess_covariance is None else guess_covariance
    guess = np.ascontiguousarray(guess)
    variance = residual_variance(equations)
    # What nobody knows is as uncertain as it may be, and no inverse is singular.
    unknown = np.eye(6) * (variance / max_sigma**2)
    answer = _answer(equations, sums, LEAST_ANSWER)
    meat, cautious = _meats(equations, sums)
    trusted = PoseUncertainty(*_uncertainty(
        answer, cautious + variance * unknown, weight, unknown, guess, min_sigma, max_sigma))
    if holding is not None and len(holding.weak_twists):
        told = np.eye(6) - holding.noise_share
        firm = (np.eye(6) - holding.projector).T
        uncut = _answer(equations, sums, 0.0)
        answer = firm.T @ answer @ firm + _heard(holding, equations.hessian, told, uncut)
        meat = told @ meat @ told.T
    errors = PoseUncertainty(*_uncertainty(
        answer, meat + variance * unknown, weight, unknown, guess, min_sigma, max_sigma))
    return errors, trusted


def _heard(holding: DegeneracyReport, hessian: Matrix, told: Matrix, answer: Matrix) -> Matrix:
    """How the gradient answers to weak motions (6, 6) once it is `told` (6, 6) of noise no more.

    That takes some of what is in it, of which `answer` (6, 6) is the part that answers.
    """
    twists = holding.weak_twists.T
    values, modes = np.linalg.eigh(twists.T @ hessian @ twists)
    roots = np.sqrt(np.maximum(values, ZERO * max(float(values[-1]), ZERO)))
    out_of, into = twists @ (modes / roots), (modes * roots).T
    shares, kept = np.linalg.eigh(out_of.T @ (told @ hessian) @ out_of)
    root = (kept * np.sqrt(np.clip(shares, 0.0, 1.0))) @ kept.T
    rows = root @ into @ np.linalg.pinv(twists) @ holding.projector.T
    return np.ascontiguousarray(rows.T @ (out_of.T @ answer @ out_of) @ rows)


@njit(cache=True, nogil=True)
def _meats(equations, sums):
    """How the gradient scatters (6, 6), and the same with caution."""
    missing = max(MIN_RESIDUAL**2 - equations.error2 / max(equations.weight, 1e-9), 0.0)
    assumed = missing * equations.hessian
    meat = _clipped(sums.meat, LEAST_SCATTER * sums.alone, 1.0, np.inf)
    return meat + assumed, sums.cautious + assumed


@njit(cache=True, nogil=True)
def _uncertainty(answer, meat, weight, unknown, guess, min_sigma, max_sigma):
    """Fields of :class:`PoseUncertainty`; `guess` (6, 6) is the covariance of the guess."""
    inverse = np.linalg.inv(answer + weight + unknown)
    share = inverse @ weight
    own = inverse @ meat @ inverse
    return own, share, _bounded(own + share @ guess @ share.T, min_sigma, max_sigma)


@njit(cache=True, nogil=True)
def _answer(equations, sums, least):
    """How the gradient answers to a motion (6, 6), between `least` and 1 of the Hessian."""
    scale = max(np.trace(sums.bread) / max(np.trace(equations.information), 1e-300), 0.0)
    return _clipped(sums.bread - scale * equations.noise, equations.hessian, least, 1.0)


@njit(cache=True, nogil=True)
def _clipped(matrix, reference, least, most):
    """Symmetric `matrix` (6, 6), in every direction between two multiples of the `reference`."""
    units = np.sqrt(np.maximum(np.diag(reference), 1e-300))
    values, modes = np.linalg.eigh(reference / np.outer(units, units))
    known = values > ZERO * values[-1]
    roots, kept = np.sqrt(values[known]), modes[:, known]
    into = units.reshape(6, 1) * kept * roots
    out_of = kept / (units.reshape(6, 1) * roots)
    shares, vectors = np.linalg.eigh(out_of.T @ matrix @ out_of)
    basis = into @ vectors
    return (basis * np.clip(shares, least, most)) @ basis.T


def bounded(covariance: Matrix, min_sigma: float, max_sigma: float) -> Matrix:
    """Symmetric (6, 6) covariance with the standard deviation of every direction within bounds."""
    return np.asarray(_bounded(np.ascontiguousarray(covariance), min_sigma, max_sigma))


@njit(cache=True, nogil=True)
def _bounded(covariance, min_sigma, max_sigma):
    values, vectors = np.linalg.eigh(0.5 * (covariance + covariance.T))
    clipped = (vectors * np.clip(values, min_sigma**2, max_sigma**2)) @ vectors.T
    return 0.5 * (clipped + clipped.T)


def to_ros_order(covariance: Matrix, rotation: Matrix) -> Matrix:
    """Bring a covariance from ``[rotation, translation]`` to the order of ROS.

    Parameters
    ----------
    covariance : (6, 6) float array
        Of a right perturbation, body frame.
    rotation : (3, 3) float array
        From the body to the frame of the result; identity to stay in the body frame.

    Returns
    -------
    (6, 6) float array
        x y z rotX rotY rotZ about the axes of that frame (REP-103), symmetric to the last bit.
    """
    turn = np.zeros((6, 6))
    turn[:3, 3:] = rotation
    turn[3:, :3] = rotation
    turned = turn @ covariance @ turn.T
    return 0.5 * (turned + turned.T)
