# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The motions that are really free: the weak subspace of the whole Hessian, not of its blocks.

A motion ``z`` is weak where its information ``z^T H z`` stays below a reference ``z^T M z``. The
modes of ``H z = mu M z`` with ``mu < 1`` span the weak motions whatever the units of rotation and
translation, and are conjugate to the strong ones: what is done to them leaves the others alone.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@njit(cache=True, nogil=True)
def relative_reference(values, threshold):
    """Reference (6, 6) of the paper's test: the largest of a block over the threshold."""
    out = np.eye(6)
    for start in (0, 3):
        largest = values[start:start + 3].max()
        for i in range(start, start + 3):
            out[i, i] = largest / threshold if largest > 0.0 else 1.0
    return out


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


@njit(cache=True, nogil=True)
def joint_weak_motions(hessian, reference):
    """Weak twists (k, 6), weakest first, and the information (6, 6) that makes them strong."""
    lower = np.linalg.cholesky(reference)
    inverse = np.linalg.inv(lower)
    scaled = inverse @ hessian @ inverse.T
    values, vectors = np.linalg.eigh(0.5 * (scaled + scaled.T))
    count = 0
    while count < 6 and values[count] < 1.0:
        count += 1
    weak = np.ascontiguousarray(vectors[:, :count])
    twists = np.ascontiguousarray((np.ascontiguousarray(inverse.T) @ weak).T)
    images = lower @ weak
    for k in range(count):
        _normalize(twists[k], reference)
    return twists, images @ np.ascontiguousarray(images.T)


@njit(cache=True, nogil=True)
def _normalize(twist, reference):
    """Scale to 1 rad or 1 m, whichever weighs more, its largest component positive."""
    rotation, translation = twist[:3], twist[3:]
    turning = rotation @ np.ascontiguousarray(reference[:3, :3]) @ rotation
    moving = translation @ np.ascontiguousarray(reference[3:, 3:]) @ translation
    part = rotation if turning >= moving else translation
    scale = np.sqrt(part @ part)
    largest = part[np.argmax(np.abs(part))]
    twist /= scale if largest > 0.0 else -scale


def name_motions(twists: Matrix, reference: Matrix) -> NDArray[np.bool_]:
    """Name each weak motion after one body axis.

    Parameters
    ----------
    twists : (k, 6) float array
        As :func:`joint_weak_motions` gives them.
    reference : (6, 6) float array
        In which rotations and translations compare.

    Returns
    -------
    (6,) bool array
        As many axes as motions, those most of the subspace lies along.
    """
    mask = np.zeros(6, dtype=np.bool_)
    if len(twists):
        scaled = twists * np.sqrt(np.diag(reference))
        basis = np.linalg.qr(scaled.T)[0]
        shares = (basis**2).sum(axis=1)
        mask[np.argsort(-shares, kind='stable')[: len(twists)]] = True
    return mask
