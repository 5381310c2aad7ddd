# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The motions that are really free: the weak subspace of the whole Hessian, not of its blocks.

A motion ``z`` is weak where its information ``z^T H z`` stays below a reference ``z^T M z``. The
modes of ``H z = mu M z`` with ``mu < 1`` span the weak motions whatever the units of rotation and
translation, and are conjugate to the strong ones: what is done to them leaves the others alone.
"""

import numpy as np
from numba import njit

TIE = 1e-6
"""Shares closer than this are equal, so that rounding does not rename a motion."""
VAIN = 0.98
"""Most of the information of a weak motion that is put down to noise."""
LEAST = 1e-12
"""Least information of a weak motion, that of a strong one being 1: nothing is divided by 0."""


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
def joint_weak_motions(hessian, reference, noise, units):
    """Weak twists (k, 6), the information (6, 6) that makes them strong, their names (6,).

    In the order of the axes they are named after, one each; a unit of each axis, of `units` (6,)
    [rad, m], weighs the same. Then two matrices (6, 6) that act on a gradient: one leaves what the
    weak motions feel of it, the other what of that is due to `noise` (6, 6), information that is
    none.
    """
    lower = np.linalg.cholesky(reference)
    inverse = np.linalg.inv(lower)
    scaled = inverse @ hessian @ inverse.T
    values, vectors = np.linalg.eigh(0.5 * (scaled + scaled.T))
    count = 0
    while count < 6 and values[count] < 1.0:
        count += 1
    if count == 0:
        nothing = np.zeros((6, 6))
        return np.empty((0, 6)), nothing, np.zeros(6, np.bool_), nothing, nothing
    weak = np.ascontiguousarray(vectors[:, :count])
    images = lower @ weak
    motions = np.ascontiguousarray(inverse.T) @ weak
    twists, mask = _nearest_to_axes(motions, units)
    transposed = np.ascontiguousarray(motions.T)
    projector = images @ transposed
    vain = _noise_share(values[:count], transposed @ noise @ motions)
    return (
        twists, images @ np.ascontiguousarray(images.T), mask, projector,
        images @ vain @ transposed)


@njit(cache=True, nogil=True)
def _noise_share(values, noise):
    """Share (k, k) of the information `values` (k,) of weak motions that `noise` (k, k) explains.

    Between nothing and nearly all of it: where the guess is worth less still, noise will do.
    """
    roots = np.sqrt(np.maximum(values, LEAST))
    shares, vectors = np.linalg.eigh(noise / roots.reshape((-1, 1)) / roots)
    clipped = (vectors * np.minimum(np.maximum(shares, 0.0), VAIN)) @ np.ascontiguousarray(
        vectors.T)
    return clipped * roots.reshape((-1, 1)) / roots


@njit(cache=True, nogil=True)
def _nearest_to_axes(motions, units):
    """Twists (k, 6) that span `motions` (6, k) and differ least from body axes; those axes."""
    scales = units.reshape((6, 1))
    basis = np.ascontiguousarray(np.linalg.qr(motions / scales)[0])
    mask = name_subspace(basis)
    rows = np.ascontiguousarray(basis[mask])
    twists = np.ascontiguousarray(((basis @ turn_to_identity(rows)) * scales).T)
    for k in range(twists.shape[0]):
        _normalize(twists[k], units)
    return twists, mask


@njit(cache=True, nogil=True)
def name_subspace(basis):
    """The axes (n,) a subspace with orthonormal `basis` (n, k) mostly lies along, k of them.

    Each is the one most of what the axes before it leave of the subspace lies along.
    """
    rest = basis @ np.ascontiguousarray(basis.T)
    mask = np.zeros(basis.shape[0], np.bool_)
    for _ in range(basis.shape[1]):
        best = -1
        for i in range(mask.shape[0]):
            if not mask[i] and (best < 0 or rest[i, i] > rest[best, best] + TIE):
                best = i
        mask[best] = True
        if rest[best, best] > TIE:
            rest = rest - np.outer(rest[:, best], rest[best]) / rest[best, best]
    return mask


@njit(cache=True, nogil=True)
def turn_to_identity(square):
    """Rotation or reflection (k, k) that brings `square` @ it nearest to the identity."""
    u, _, vt = np.linalg.svd(square)
    return np.ascontiguousarray(vt.T) @ np.ascontiguousarray(u.T)


@njit(cache=True, nogil=True)
def stable_basis(modes, mask):
    """The rows of `modes` (3, 3) in `mask` (3,), turned among themselves towards their axes.

    Where eigenvalues repeat, single vectors are arbitrary and jump from scan to scan; these do
    not.
    """
    rows = np.ascontiguousarray(modes[mask])
    if rows.shape[0] < 2:
        return rows
    square = np.ascontiguousarray(rows.T)[mask]
    return np.ascontiguousarray(turn_to_identity(square).T) @ rows


@njit(cache=True, nogil=True)
def _normalize(twist, units):
    """Scale to 1 rad or 1 m, whichever weighs more, its largest component positive."""
    shares = (twist / units) ** 2
    part = twist[:3] if shares[:3].sum() >= shares[3:].sum() else twist[3:]
    scale = np.sqrt(part @ part)
    largest = part[np.argmax(np.abs(part))]
    twist /= scale if largest > 0.0 else -scale
