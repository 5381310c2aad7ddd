# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Detection: how much the geometry says about each direction (paper, section IV)."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.degeneracy.report import check_symmetric

Matrix = NDArray[np.float64]

ZERO = 1e-12
"""Share of a block's largest eigenvalue below which rounding, not geometry, speaks."""


def schur_complements(hessian: Matrix) -> tuple[Matrix, Matrix]:
    """Information about rotation with translation free, and the other way round.

    Parameters
    ----------
    hessian : (6, 6) float array
        ``J^T J`` of the point-to-plane error, rotation [rad] before translation [m], body frame.

    Returns
    -------
    rotation, translation : (3, 3) float arrays
        ``S_R = H_RR - H_Rt H_tt^+ H_tR`` [1/rad^2] and its counterpart [1/m^2]. Singular blocks
        are inverted on their range, so a single plane leaves x, y and yaw without information.

    Raises
    ------
    ValueError
        If `hessian` is not 6x6, finite and symmetric.

    References
    ----------
    DCReg, arXiv 2509.06285, section IV (Schur complements of the Hessian).
    """
    checked = check_symmetric(hessian, 'hessian')
    return schur_complement(checked, 0), schur_complement(checked, 3)


@njit(cache=True, nogil=True)
def schur_complement(hessian, start):
    """(3, 3) complement of the block of `hessian` at `start`: 0 rotation, 3 translation."""
    other = 3 - start
    own = np.ascontiguousarray(hessian[start:start + 3, start:start + 3])
    coupling = np.ascontiguousarray(hessian[start:start + 3, other:other + 3])
    eliminated = np.ascontiguousarray(hessian[other:other + 3, other:other + 3])
    values, vectors = np.linalg.eigh(eliminated)
    projected = coupling @ vectors
    out = own.copy()
    for k in range(3):
        if values[k] > ZERO * values[2]:
            for i in range(3):
                for j in range(3):
                    out[i, j] -= projected[i, k] * projected[j, k] / values[k]
    return 0.5 * (out + out.T)


@njit(cache=True, nogil=True)
def schur_modes(hessian, start):
    """Eigenvalues (3,) ascending and modes (3, 3, in columns) of one complement.

    What cancellation leaves of a direction without information is set to zero, measured against
    the block before the other one was eliminated.
    """
    values, vectors = np.linalg.eigh(schur_complement(hessian, start))
    own = np.ascontiguousarray(hessian[start:start + 3, start:start + 3])
    floor = ZERO * np.linalg.eigvalsh(own)[2]
    for i in range(3):
        if values[i] <= floor:
            values[i] = 0.0
    return values, vectors
