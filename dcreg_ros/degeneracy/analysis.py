# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a Hessian to a report: detect the weak directions, name them, build the preconditioner."""

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from dcreg_ros.degeneracy.characterize import match_axes
from dcreg_ros.degeneracy.joint import joint_weak_motions, relative_reference, stable_basis
from dcreg_ros.degeneracy.localizability import Localizability
from dcreg_ros.degeneracy.report import DegeneracyReport, check_number, check_symmetric
from dcreg_ros.degeneracy.schur import ZERO, schur_modes

Matrix = NDArray[np.float64]

_NO_REFERENCE, _NO_NOISE, _NO_UNITS = np.eye(6), np.zeros((6, 6)), np.zeros(6)


def analyze_degeneracy(
    hessian: ArrayLike, condition_threshold: float = 10.0, kappa_target: float = 10.0
) -> DegeneracyReport:
    """Find the directions that a registration does not constrain, and name them.

    Parameters
    ----------
    hessian : (6, 6) array
        ``J^T J``, rotation [rad] before translation [m], body frame; symmetric.
    condition_threshold : float
        A direction is weak where the largest eigenvalue of its Schur complement is more than this
        many times its own.
    kappa_target : float
        Condition number to which the preconditioner clamps weak directions.

    Returns
    -------
    DegeneracyReport
        In the order roll, pitch, yaw, x, y, z.

    Raises
    ------
    ValueError
        If `hessian` is not 6x6, finite and symmetric, or a threshold is below 1.

    References
    ----------
    DCReg, arXiv 2509.06285, sections IV (detection), V (characterisation), VI (preconditioner).
    """
    checked = check_symmetric(hessian, 'hessian')
    return report_of(
        checked,
        check_number(condition_threshold, 'condition_threshold', 1.0),
        check_number(kappa_target, 'kappa_target', 1.0))


def report_of(
    hessian: Matrix, threshold: float, kappa: float, reference: Matrix | None = None,
    localizability: Localizability | None = None, information: Matrix | None = None,
    noise: Matrix | None = None, units: NDArray[np.float64] | None = None,
) -> DegeneracyReport:
    """Build the report of a Hessian already known to be valid; see :func:`analyze_degeneracy`.

    Parameters
    ----------
    hessian : (6, 6) float array
        Symmetric.
    threshold, kappa : float
        Condition numbers: above which a direction is weak, and what the preconditioner gives it.
    reference : (6, 6) float array, optional
        Information that a motion must exceed to count as known, of one of
        :mod:`dcreg_ros.degeneracy.detections`. None: the test of the paper.
    localizability : Localizability, optional
        Goes into the report, for mitigation "xicp".
    information : (6, 6) float array, optional
        What is held against the reference; `hessian` by default.
    noise : (6, 6) float array, optional
        What of that only seems to be information.
    units : (6,) float array, optional
        What weighs the same along each axis [rad, m] where motions are named; by default what the
        reference would just make known.

    Returns
    -------
    DegeneracyReport
    """
    published = reference is None
    fields = _analyze(
        hessian, threshold, kappa, _NO_REFERENCE if reference is None else reference,
        hessian if information is None else information,
        _NO_NOISE if noise is None else noise, _NO_UNITS if units is None else units, published)
    return DegeneracyReport(*(*fields, localizability))


@njit(cache=True, nogil=True)
def _analyze(hessian, threshold, kappa, reference, information, noise, units, published):
    """The fields of a report, in their order."""
    values, modes, conditions, angles, preconditioner = _characterize(hessian, threshold, kappa)
    ill_conditioned = conditions > threshold
    metric = relative_reference(values, threshold) if published else reference
    if not units.any():
        units = 1.0 / np.sqrt(np.diag(metric))
    twists, anchor, named, projector, vain = joint_weak_motions(
        information, metric, noise, units)
    mask = ill_conditioned.copy() if published else named
    spectrum = np.linalg.eigvalsh(hessian)
    singular = spectrum[0] <= ZERO * spectrum[5]
    full = np.inf if singular else spectrum[5] / spectrum[0]
    return (
        mask, ill_conditioned, values, conditions, conditions[:3].max(), conditions[3:].max(),
        full, modes, modes**2, angles, preconditioner, stable_basis(modes[:3], mask[:3]),
        stable_basis(modes[3:], mask[3:]), twists, anchor, projector, vain)


@njit(cache=True, nogil=True)
def _characterize(hessian, threshold, kappa):
    """Schur values, modes, conditions and angles by axis, and the preconditioner."""
    values, modes = np.empty(6), np.empty((6, 3))
    conditions, angles = np.empty(6), np.empty(6)
    preconditioner = np.zeros((6, 6))
    for start in (0, 3):
        block_values, vectors = schur_modes(hessian, start)
        matched, rows = match_axes(block_values, vectors)
        largest = block_values[2]
        for axis in range(3):
            i = start + axis
            values[i] = matched[axis]
            modes[i] = rows[axis]
            conditions[i] = largest / matched[axis] if matched[axis] > 0.0 else np.inf
            angles[i] = np.arccos(min(1.0, rows[axis, axis]))
            # A block without any information is left out: its step stays zero.
            if largest > 0.0:
                kept = matched[axis] if conditions[i] <= threshold else largest / kappa
                preconditioner[start:start + 3, start:start + 3] += (
                    np.outer(rows[axis], rows[axis]) / kept)
    return values, modes, conditions, angles, preconditioner
