# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is known about the directions of one registration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

AXES = ('roll', 'pitch', 'yaw', 'x', 'y', 'z')
"""Order of every six-vector of a report: rotations before translations, body (source) frame."""


@dataclass(frozen=True)
class DegeneracyReport:
    """Which directions the geometry constrains, named after the body axes.

    Attributes
    ----------
    mask : (6,) bool array
        True where a direction is weak, in the order of :data:`AXES`.
    eigenvalues : (6,) float array
        Schur eigenvalues [1/rad^2, 1/m^2], that of the mode matched to each axis.
    conditions : (6,) float array
        Largest eigenvalue of the block over the own one; ``inf`` where there is no information.
    condition_rotation, condition_translation : float
        Condition number of either Schur complement.
    condition_full : float
        Condition number of the whole Hessian (mixes units; for comparison with the literature).
    directions : (6, 3) float array
        Unit mode matched to each axis, its component along that axis positive; body frame.
    contributions : (6, 3) float array
        Squared components of each mode: the share of roll, pitch, yaw (or x, y, z); rows sum to 1.
    angles : (6,) float array
        Angle between each mode and its axis [rad].
    preconditioner : (6, 6) float array
        Block-diagonal approximation of the inverse Hessian with the weak eigenvalues clamped.
    """

    mask: NDArray[np.bool_]
    eigenvalues: NDArray[np.float64]
    conditions: NDArray[np.float64]
    condition_rotation: float
    condition_translation: float
    condition_full: float
    directions: NDArray[np.float64]
    contributions: NDArray[np.float64]
    angles: NDArray[np.float64]
    preconditioner: NDArray[np.float64]

    @property
    def weak_axes(self) -> tuple[str, ...]:
        """Names of the weak directions, e.g. ``('x',)``."""
        return tuple(name for name, weak in zip(AXES, self.mask, strict=True) if weak)


def check_hessian(hessian: ArrayLike) -> NDArray[np.float64]:
    """Return `hessian` as a symmetric (6, 6) float64 array.

    Raises
    ------
    ValueError
        If it is not 6x6, finite and symmetric.
    """
    out = np.array(hessian, dtype=np.float64)
    if out.shape != (6, 6):
        raise ValueError(f'hessian should have shape (6, 6), not {out.shape}')
    if not np.isfinite(out).all():
        raise ValueError('hessian has values that are not finite')
    if not np.allclose(out, out.T, rtol=1e-6, atol=1e-9 * np.abs(out).max()):
        raise ValueError('hessian should be symmetric')
    return 0.5 * (out + out.T)
