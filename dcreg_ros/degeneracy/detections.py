# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Detections: each is the information that a motion must exceed to count as known.

With such a reference ``M``, a motion ``z`` is weak where ``z^T H z < z^T M z``
(:mod:`dcreg_ros.degeneracy.joint`), so a test of eigenvalues, of standard deviations or of matches
one by one differs in ``M`` only.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.config import RegistrationConfig
from dcreg_ros.degeneracy.localizability import Localizability
from dcreg_ros.degeneracy.observability import confidence

Matrix = NDArray[np.float64]

SURPRISE = 3.0
"""Standard deviations of the prediction that a motion may differ from it unsuspected."""

PHYSICAL = ('schur_physical', 'probabilistic')
"""Detections in metres and radians, which are not of a paper that says how to apply them."""

NEEDS_MATCHES = ('localizability', 'observability')
"""Detections that look at every match, not at their sum."""


class Evidence(NamedTuple):
    """What a detection may look at.

    Attributes
    ----------
    hessian : (6, 6) float array
        Rotation [rad] before translation [m], body frame.
    noise : (6, 6) float array
        What the uncertainty of the normals alone adds to the information of the matches.
    variance : float
        That single matches had if they said as much together and were independent [m^2].
    rows : (M, 6) float array
        ``[p x n, n]`` of every match, body frame; empty unless in :data:`NEEDS_MATCHES`.
    localizability : Localizability or None
        Where it is needed.
    deviation : (6,) float array
        Step from the present to the predicted pose [rad, m].
    surprise2 : float
        Square of that step in standard deviations of the prediction, 0 where they are not known.
    """

    hessian: Matrix
    noise: Matrix
    variance: float
    rows: Matrix
    localizability: Localizability | None
    deviation: Matrix = np.zeros(6)
    surprise2: float = 0.0


def reference_of(evidence: Evidence, config: RegistrationConfig) -> Matrix | None:
    """Information (6, 6) a motion must exceed by ``config.detection``; None for the paper's."""
    return REFERENCES[config.detection](evidence, config)


def tolerances(config: RegistrationConfig) -> NDArray[np.float64]:
    """Standard deviation (6,) of each axis above which it is weak by those in :data:`PHYSICAL`."""
    return np.repeat([config.sigma_rotation, config.sigma_translation], 3)


def _schur(evidence: Evidence, config: RegistrationConfig) -> None:
    """DCReg: by the condition numbers of the Schur complements, which the report knows."""


def _schur_physical(evidence: Evidence, config: RegistrationConfig) -> Matrix:
    """By the standard deviation against tolerances in radians and metres."""
    return physical_reference(
        evidence.noise, 0.0, evidence.variance, config.sigma_rotation, config.sigma_translation)


def _probabilistic(evidence: Evidence, config: RegistrationConfig) -> Matrix:
    """By that, and by what the noise of the normals explains.

    The more a motion surprises, the better must it be constrained to be believed.
    """
    reference = physical_reference(
        evidence.noise, config.noise_factor, evidence.variance, config.sigma_rotation,
        config.sigma_translation)
    felt = reference @ evidence.deviation
    along = float(evidence.deviation @ felt)
    if not along > 0.0:
        return reference
    doubt = evidence.surprise2 / SURPRISE**2
    return reference + doubt / along * np.outer(felt, felt)


def _full_eigenvalue(evidence: Evidence, config: RegistrationConfig) -> Matrix:
    """Zhang et al. (ICRA 2016): eigenvalues of the whole Hessian, in mixed units."""
    return config.eigenvalue_threshold * np.eye(6)


def _full_condition(evidence: Evidence, config: RegistrationConfig) -> Matrix:
    """Largest over own eigenvalue of the whole Hessian, in mixed units."""
    largest = float(np.linalg.eigvalsh(evidence.hessian)[-1])
    return max(largest / config.condition_threshold, np.finfo(float).tiny) * np.eye(6)


def _localizability(evidence: Evidence, config: RegistrationConfig) -> Matrix:
    """X-ICP: by how many matches constrain each mode of either diagonal block."""
    found = evidence.localizability
    assert found is not None
    return marked_reference(evidence.hessian, found.modes, ~found.full)


def _observability(evidence: Evidence, config: RegistrationConfig) -> Matrix:
    """SuperLoc: by the share of matches that say most about each axis."""
    weak = confidence(evidence.rows) < config.observability_threshold
    return marked_reference(evidence.hessian, np.eye(6), weak)


REFERENCES: dict[str, Callable[[Evidence, RegistrationConfig], Matrix | None]] = {
    'schur': _schur,
    'schur_physical': _schur_physical,
    'probabilistic': _probabilistic,
    'full_eigenvalue': _full_eigenvalue,
    'full_condition': _full_condition,
    'localizability': _localizability,
    'observability': _observability,
}


@njit(cache=True, nogil=True)
def physical_reference(noise, noise_factor, variance, sigma_rotation, sigma_translation):
    """Reference (6, 6) of a test in physical units.

    A motion is known where the geometry constrains it better than to the tolerances [rad, m] with
    residuals of this `variance` [m^2], and says several times more about it than what `noise`
    (6, 6), the uncertainty of the normals, would say alone (Hatleskog and Alexis, arXiv
    2410.10784).
    """
    out = noise_factor * noise
    for i in range(3):
        out[i, i] += variance / sigma_rotation**2
        out[3 + i, 3 + i] += variance / sigma_translation**2
    return out


def marked_reference(hessian: Matrix, modes: Matrix, weak: NDArray[np.bool_]) -> Matrix:
    """Reference (6, 6) that calls those `modes` (6, 6, orthonormal rows) weak which `weak` marks.

    The weak motions are then those that move the marked modes while all else gives way: what must
    be held so that the marked modes stand still, and no more.
    """
    scales = np.empty(6)
    for block in (slice(0, 3), slice(3, 6)):
        scales[block] = max(float(np.linalg.eigvalsh(hessian[block, block])[-1]), 1e-12)
    # Twice the largest information of a block exceeds that of any direction in it; a sliver of it
    # exceeds none but keeps the matrix invertible.
    return (modes.T * (np.where(weak, 2.0, 1e-9) * scales)) @ modes
