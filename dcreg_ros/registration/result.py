# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What one registration returns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.degeneracy.report import DegeneracyReport
from dcreg_ros.registration.covariance import PoseUncertainty


@dataclass(frozen=True)
class Iteration:
    """One iteration, as it was before its step was taken.

    Attributes
    ----------
    num_matches : int
        Matches with a positive weight.
    rmse : float
        Root mean square of the point-to-plane distances [m].
    degeneracy : DegeneracyReport
        Of this iteration's Hessian.
    delta : (6,) float array
        The step taken, rotation [rad] before translation [m], body frame.
    """

    num_matches: int
    rmse: float
    degeneracy: DegeneracyReport
    delta: NDArray[np.float64]


@dataclass(frozen=True)
class RegistrationResult:
    """An alignment of a source cloud to a target.

    Attributes
    ----------
    transform : (4, 4) float array
        ``T_target_source`` [m]; the initial guess where nothing could be matched.
    converged : bool
        Whether the step fell below the tolerances.
    iterations : int
        Iterations done.
    rmse : float
        Root mean square point-to-plane distance of the last iteration [m], ``inf`` without any.
    fitness : float
        Share of the source points that have a match.
    num_matches : int
        Matches of the last iteration; a point on a pole has two.
    failure_reason : str
        Empty, or why there is no usable transform.
    hessian : (6, 6) float array
        Of the last iteration, rotation before translation, body frame; zeros where it failed.
    covariance : (6, 6) float array
        Of ``[rotation, translation]`` in the body frame [rad^2, m^2]. In a drive weak motions have
        the variance of the motion since the last scan.
    degeneracy : DegeneracyReport or None
        Of `hessian`: what the geometry leaves open; None where the registration failed before
        there was one. What was held is in :attr:`held`.
    history : tuple of Iteration
        One entry per iteration.
    errors : PoseUncertainty
        What `covariance` is made of.
    trusted : PoseUncertainty
        The same as if what noise tells of weak motions were knowledge, by which a prediction is
        weighed (`odometry/fusion.py`).
    near_surface, on_surface : float
        Share of the source points that have a surface of the target within the search radius, and
        share that lie on it, within :data:`~dcreg_ros.registration.register.ON_SURFACE`. Their
        ratio tells whether a source is where it was matched, whatever the loss made of it.
    """

    transform: NDArray[np.float64]
    converged: bool
    iterations: int
    rmse: float
    fitness: float
    num_matches: int
    failure_reason: str
    hessian: NDArray[np.float64]
    covariance: NDArray[np.float64]
    degeneracy: DegeneracyReport | None
    history: tuple[Iteration, ...]
    errors: PoseUncertainty
    trusted: PoseUncertainty
    near_surface: float = 0.0
    on_surface: float = 0.0

    @property
    def held(self) -> DegeneracyReport | None:
        """What was weak in the last step: `degeneracy`, and what was held to come to rest."""
        return self.history[-1].degeneracy if self.history else None
