# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is known about the directions of one registration."""

import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcreg_ros.degeneracy.localizability import Localizability
from dcreg_ros.degeneracy.twists import describe_twist

AXES = ('roll', 'pitch', 'yaw', 'x', 'y', 'z')
"""Order of every six-vector of a report: rotations before translations, body (source) frame."""


@dataclass(frozen=True)
class DegeneracyReport:
    """Which directions the geometry constrains, named after the body axes.

    Attributes
    ----------
    mask : (6,) bool array
        True where a direction is weak by the detection in use, in the order of :data:`AXES`.
    ill_conditioned : (6,) bool array
        True where it is weak by the paper's test, its condition above the threshold. A direction
        can be ill conditioned and still known well: a thousand points on the walls do not make
        ten on a door frame worthless.
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
    weak_rotation, weak_translation : (k, 3) float arrays
        Orthonormal bases of the weak modes of either Schur complement, body frame: of all bases
        of the subspace that nearest to the body axes, which changes little from scan to scan.
    weak_twists : (k, 6) float array
        The motions that are really free, ``[w, v]`` each: a Schur complement counts a direction
        that the other block can compensate as weak, so there may be fewer of these than of weak
        axes. Rotations turn by 1 rad, translations move by 1 m; body frame. As of the bases, that
        nearest to the body axes is taken.
    anchor : (6, 6) float array
        Information that makes the free motions just strong enough, and leaves all others alone.
    projector : (6, 6) float array
        Leaves of a gradient what the free motions feel.
    noise_share : (6, 6) float array
        Leaves of a gradient that part of this which is due to the noise of the normals: it pulls
        the free motions to where the map was made from, and says nothing.
    localizability : Localizability or None
        What X-ICP finds in the matches, for detection "localizability" and mitigation "xicp".
    """

    mask: NDArray[np.bool_]
    ill_conditioned: NDArray[np.bool_]
    eigenvalues: NDArray[np.float64]
    conditions: NDArray[np.float64]
    condition_rotation: float
    condition_translation: float
    condition_full: float
    directions: NDArray[np.float64]
    contributions: NDArray[np.float64]
    angles: NDArray[np.float64]
    preconditioner: NDArray[np.float64]
    weak_rotation: NDArray[np.float64]
    weak_translation: NDArray[np.float64]
    weak_twists: NDArray[np.float64]
    anchor: NDArray[np.float64]
    projector: NDArray[np.float64]
    noise_share: NDArray[np.float64]
    localizability: Localizability | None = None

    @property
    def weak_axes(self) -> tuple[str, ...]:
        """Names of the weak directions, e.g. ``('x',)``."""
        return names_of(self.mask)

    @property
    def weak_names(self) -> tuple[str, ...]:
        """The free motions in words, e.g. ``('translation along (1, 0, 0)',)``."""
        return tuple(describe_twist(twist) for twist in self.weak_twists)


def names_of(mask: NDArray[np.bool_]) -> tuple[str, ...]:
    """Names of the axes where `mask` (6,) is true."""
    return tuple(name for name, marked in zip(AXES, mask, strict=True) if marked)


def check_symmetric(matrix: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return `matrix` as a symmetric (6, 6) float64 array.

    Raises
    ------
    ValueError
        If it is not 6x6, finite and symmetric; the text says `name`.
    """
    kind = np.asarray(matrix).dtype
    if kind.kind not in 'fiu':
        raise ValueError(f'{name} should hold real numbers, not {kind}')
    out = np.array(matrix, dtype=np.float64)
    if out.shape != (6, 6):
        raise ValueError(f'{name} should have shape (6, 6), not {out.shape}')
    if not np.isfinite(out).all():
        raise ValueError(f'{name} has values that are not finite')
    if not np.allclose(out, out.T, rtol=1e-6, atol=1e-9 * np.abs(out).max()):
        raise ValueError(f'{name} should be symmetric')
    return 0.5 * (out + out.T)


def check_number(value: Any, name: str, low: float) -> float:
    """Return `value` as a float.

    Raises
    ------
    ValueError
        If it is not a finite number of at least `low`.
    """
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not np.isfinite(float(value)) or float(value) < low:
        raise ValueError(f'{name} = {value!r} should be a finite number of at least {low:g}')
    return float(value)
