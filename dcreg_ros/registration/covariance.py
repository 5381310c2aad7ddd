# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Covariance of a registration, finite in every direction."""

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.degeneracy.schur import ZERO
from dcreg_ros.registration.linearize import NormalEquations

Matrix = NDArray[np.float64]


MIN_RESIDUAL = 1e-3
"""Least standard deviation of a residual [m]: a perfect fit is a coincidence, not knowledge."""


def residual_variance(equations: NormalEquations) -> float:
    """Variance of one weighted residual [m^2], six of them spent on the pose."""
    spent = 6.0 * equations.weight / max(equations.num_matches, 1)
    variance = equations.error2 / max(equations.weight - spent, 1e-9)
    return max(variance, MIN_RESIDUAL**2)


def registration_covariance(
    hessian: Matrix, variance: float, min_sigma: float, max_sigma: float
) -> Matrix:
    """Covariance ``s^2 H^-1`` of ``[rotation, translation]`` in the body frame.

    Parameters
    ----------
    hessian : (6, 6) float array
        Positive semidefinite [1/rad^2, 1/m^2].
    variance : float
        ``s^2``, of one weighted residual [m^2].
    min_sigma, max_sigma : float
        Bounds of the standard deviation of every direction [m, rad].

    Returns
    -------
    (6, 6) float array
        Symmetric, eigenvalues within the squared bounds [rad^2, rad m, m^2].
    """
    values, vectors = np.linalg.eigh(hessian)
    least = max(variance / max_sigma**2, ZERO * values[-1])
    variances = np.where(values > least, variance / np.maximum(values, least), max_sigma**2)
    variances = np.clip(variances, min_sigma**2, max_sigma**2)
    covariance = (vectors * variances) @ vectors.T
    return 0.5 * (covariance + covariance.T)


def bounded(covariance: Matrix, min_sigma: float, max_sigma: float) -> Matrix:
    """Symmetric (6, 6) covariance with the standard deviation of every direction within bounds."""
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
        x y z rotX rotY rotZ about the axes of that frame (REP-103).
    """
    turn = np.zeros((6, 6))
    turn[:3, 3:] = rotation
    turn[3:, :3] = rotation
    return turn @ covariance @ turn.T
