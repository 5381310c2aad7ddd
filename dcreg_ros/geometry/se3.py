# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rigid motions: 4x4 transforms, rotation vectors, adjoints. Angles in radians, metres.

Perturbations are on the right: ``R <- R Exp(w)``, ``t <- t + R v``, ``delta = [w, v]``.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

Matrix = NDArray[np.float64]


@njit(cache=True, nogil=True)
def skew(v):
    """(3, 3) matrix with ``skew(v) @ u == v x u``."""
    out = np.zeros((3, 3))
    out[0, 1], out[0, 2] = -v[2], v[1]
    out[1, 0], out[1, 2] = v[2], -v[0]
    out[2, 0], out[2, 1] = -v[1], v[0]
    return out


@njit(cache=True, nogil=True)
def exp_so3(w):
    """(3, 3) rotation of the rotation vector `w` (3,) [rad], by Rodrigues' formula."""
    angle2 = w[0] * w[0] + w[1] * w[1] + w[2] * w[2]
    if angle2 < 1e-16:
        a, b = 1.0 - angle2 / 6.0, 0.5 - angle2 / 24.0
    else:
        angle = math.sqrt(angle2)
        half = math.sin(0.5 * angle)
        a, b = math.sin(angle) / angle, 2.0 * half * half / angle2
    k = skew(w)
    return np.eye(3) + a * k + b * (k @ k)


@njit(cache=True, nogil=True)
def log_so3(rotation):
    """(3,) rotation vector [rad] of a (3, 3) rotation, angle in [0, pi]."""
    r = rotation
    q = np.empty(4)
    # The quaternion component largest in magnitude is computed first, so no root is of a small
    # number and half turns are exact.
    trace = r[0, 0] + r[1, 1] + r[2, 2]
    if trace >= r[0, 0] and trace >= r[1, 1] and trace >= r[2, 2]:
        q[3] = 1.0 + trace
        q[0], q[1], q[2] = r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]
    else:
        i = 0
        if r[1, 1] > r[i, i]:
            i = 1
        if r[2, 2] > r[i, i]:
            i = 2
        j, k = (i + 1) % 3, (i + 2) % 3
        q[i] = 1.0 - trace + 2.0 * r[i, i]
        q[j] = r[j, i] + r[i, j]
        q[k] = r[k, i] + r[i, k]
        q[3] = r[k, j] - r[j, k]
    q /= math.sqrt(q[0] ** 2 + q[1] ** 2 + q[2] ** 2 + q[3] ** 2)
    if q[3] < 0.0:
        q = -q
    sine = math.sqrt(q[0] ** 2 + q[1] ** 2 + q[2] ** 2)
    if sine < 1e-12:
        return 2.0 * q[:3]
    return q[:3] * (2.0 * math.atan2(sine, q[3]) / sine)


@njit(cache=True, nogil=True)
def retract(transform, delta):
    """(4, 4) transform moved by ``delta = [w, v]`` in its body frame, kept orthonormal."""
    out = transform.copy()
    rotation = transform[:3, :3].copy()
    out[:3, :3] = orthonormal(rotation @ exp_so3(delta[:3]))
    out[:3, 3] += rotation @ delta[3:]
    return out


@njit(cache=True, nogil=True)
def local(transform, other):
    """(6,) step ``delta`` with ``retract(transform, delta) == other``."""
    rotation = np.ascontiguousarray(transform[:3, :3].T)
    out = np.empty(6)
    out[:3] = log_so3(rotation @ np.ascontiguousarray(other[:3, :3]))
    out[3:] = rotation @ (other[:3, 3] - transform[:3, 3])
    return out


@njit(cache=True, nogil=True)
def orthonormal(rotation):
    """(3, 3) rotation nearest to a nearly orthonormal matrix (two Newton steps)."""
    r = rotation
    for _ in range(2):
        r = 1.5 * r - 0.5 * (r @ np.ascontiguousarray(r.T) @ r)
    return r


@njit(cache=True, nogil=True)
def left_jacobian(w):
    """(3, 3) matrix ``V`` of SE(3): the translation of ``Exp([w, v])`` is ``V v``."""
    angle2 = w[0] * w[0] + w[1] * w[1] + w[2] * w[2]
    k = skew(w)
    if angle2 < 1e-8:
        return np.eye(3) + 0.5 * k + (k @ k) / 6.0
    angle = math.sqrt(angle2)
    half = math.sin(0.5 * angle)
    return (
        np.eye(3)
        + (2.0 * half * half / angle2) * k
        + ((angle - math.sin(angle)) / (angle2 * angle)) * (k @ k)
    )


@njit(cache=True, nogil=True)
def exp_se3(twist):
    """(4, 4) transform of a twist ``[w, v]`` (6,) held for one unit of time."""
    out = np.eye(4)
    out[:3, :3] = exp_so3(twist[:3])
    out[:3, 3] = left_jacobian(twist[:3]) @ np.ascontiguousarray(twist[3:])
    return out


@njit(cache=True, nogil=True)
def log_se3(transform):
    """(6,) twist ``[w, v]`` with ``exp_se3(twist) == transform``."""
    out = np.empty(6)
    out[:3] = log_so3(transform[:3, :3])
    out[3:] = np.linalg.solve(left_jacobian(out[:3]), np.ascontiguousarray(transform[:3, 3]))
    return out


@njit(cache=True, nogil=True)
def inverse(transform):
    """(4, 4) inverse of a rigid transform."""
    out = np.eye(4)
    rotation = np.ascontiguousarray(transform[:3, :3].T)
    out[:3, :3] = rotation
    out[:3, 3] = -rotation @ np.ascontiguousarray(transform[:3, 3])
    return out


@njit(cache=True, nogil=True)
def adjoint(transform):
    """(6, 6) matrix that takes a body twist ``[w, v]`` in the source frame to the target frame."""
    rotation = np.ascontiguousarray(transform[:3, :3])
    out = np.zeros((6, 6))
    out[:3, :3] = rotation
    out[3:, 3:] = rotation
    out[3:, :3] = skew(transform[:3, 3]) @ rotation
    return out


def check_transform(transform: ArrayLike, name: str) -> Matrix:
    """Return `transform` as a (4, 4) float64 array.

    Raises
    ------
    ValueError
        If it is not a finite rigid transform; the text says `name`.
    """
    if np.asarray(transform).dtype.kind not in 'fiu':
        raise ValueError(f'{name} should hold real numbers, not {np.asarray(transform).dtype}')
    out = np.array(transform, dtype=np.float64, order='C')
    if out.shape != (4, 4):
        raise ValueError(f'{name} should have shape (4, 4), not {out.shape}')
    if not np.isfinite(out).all():
        raise ValueError(f'{name} has values that are not finite')
    skewed, mirrored, last = _flaws(out)
    if skewed > 1e-3 or mirrored or last > 1e-5:
        raise ValueError(f'{name} is not a rigid transform (rotation and last row 0 0 0 1)')
    if skewed > 1e-12:
        # Matrices typed or read with a few digits are common; the ICP needs a proper rotation.
        u, _, vt = np.linalg.svd(out[:3, :3])
        out[:3, :3] = u @ vt
    return out


@njit(cache=True, nogil=True)
def _flaws(transform):
    """How far a (4, 4) matrix is from a rotation, whether it mirrors, and its last row is off."""
    r = transform
    skewed = last = 0.0
    for i in range(4):
        last = max(last, abs(r[3, i] - (1.0 if i == 3 else 0.0)))
    for i in range(3):
        for j in range(3):
            product = r[i, 0] * r[j, 0] + r[i, 1] * r[j, 1] + r[i, 2] * r[j, 2]
            skewed = max(skewed, abs(product - (1.0 if i == j else 0.0)))
    determinant = (
        r[0, 0] * (r[1, 1] * r[2, 2] - r[1, 2] * r[2, 1])
        - r[0, 1] * (r[1, 0] * r[2, 2] - r[1, 2] * r[2, 0])
        + r[0, 2] * (r[1, 0] * r[2, 1] - r[1, 1] * r[2, 0]))
    return skewed, determinant < 0.0, last
