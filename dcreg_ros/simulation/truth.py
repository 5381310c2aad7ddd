# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which directions a scene leaves open, from its exact surfaces.

With exact points and normals the information matrix carries no noise, so a direction it knows
nothing of is truly free. Between free and firm lies a question of measure, answered here by the
standard deviation a registration could reach: information is negligible where that exceeds a
tolerance in metres or radians.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcreg_ros.simulation.raycast import CYLINDER, TUBE
from dcreg_ros.simulation.scene import Scene

_MOST = 1e4
"""Standard deviations, in tolerances, above which there is no difference; keeps sums exact."""
_ROUNDING = 1e-6
"""Most distance of a point from the surface that it is on [m]."""


@dataclass(frozen=True)
class Tolerance:
    """When a direction counts as weak.

    Attributes
    ----------
    range_sigma : float
        Standard deviation of one point-to-plane distance [m].
    effective_points : float
        Independent distances that a scan is worth. Returns come in thousands, but neighbours share
        their surface and their voxel, and a keypoint or two on a far wall decide nothing. The
        information of a scan is scaled down to this many points, so that the truth about a scene
        does not change with the resolution of the LiDAR. A direction seen by fewer than
        ``(range_sigma / translation)^2 / effective_points`` (8e-4) of all points is then weak.
    translation : float
        Standard deviation above which a translation is weak [m].
    rotation : float
        The same for a rotation [rad].
    """

    range_sigma: float = 0.02
    effective_points: float = 200.0
    translation: float = 0.05
    rotation: float = 0.01


SLIM = Tolerance.translation
"""Radius [m] up to which a pole tells both ways across its axis where it stands."""


@dataclass(frozen=True)
class WeakDirections:
    """The truth about one scan, in the LiDAR frame.

    A Schur complement marginalises: it asks what is known of a translation while all rotations are
    free, and the other way round. One free motion that turns *and* shifts (the turn about the
    centre line of a round tunnel, for a sensor off that line) then shows in both blocks. `mask`
    counts motions, one axis for each; `schur_mask` has what a test of each block should find.

    Attributes
    ----------
    mask : (6,) bool array
        As many axes (roll, pitch, yaw, x, y, z) as there are weak motions: those that tell the
        weak motions apart best.
    twists : (k, 6) float array
        Orthonormal basis of all weak motions, rotation [rad] before translation [m].
    sigmas : (6,) float array
        Standard deviation of each joint mode over the tolerance, largest first, at most 1e4; weak
        above 1.
    schur_mask : (6,) bool array
        The same axes for the rotation block and for the translation block, each on its own.
    """

    mask: NDArray[np.bool_]
    twists: NDArray[np.float64]
    sigmas: NDArray[np.float64]
    schur_mask: NDArray[np.bool_]


def exact_hessian(points: ArrayLike, normals: ArrayLike) -> NDArray[np.float64]:
    """Return the point-to-plane information of exact surfaces.

    Parameters
    ----------
    points, normals : (N, 3) array_like
        Points [m] and unit normals, LiDAR frame.

    Returns
    -------
    (6, 6) float array
        ``sum J^T J`` with ``J = [p x n, n]``, rotation [m^2/rad^2] before translation, body frame.

    Raises
    ------
    ValueError
        If the shapes are not (N, 3) and equal.
    """
    points, normals = np.asarray(points, dtype=float), np.asarray(normals, dtype=float)
    if points.ndim != 2 or points.shape[1] != 3 or points.shape != normals.shape:
        raise ValueError(
            f'points {points.shape} and normals {normals.shape} should both be (N, 3)'
        )
    jacobian = np.hstack([np.cross(points, normals), normals])
    return jacobian.T @ jacobian


def scene_hessian(
    scene: Scene, pose: ArrayLike, points: ArrayLike, normals: ArrayLike
) -> NDArray[np.float64]:
    """Return the information of exact surfaces and of where slim poles stand.

    A pole tells more than its normals do. Moved aside by more than its radius, it is passed by the
    beams that hit it; so where that radius is within the tolerance, each point on it counts along
    the other direction across its axis, too. By normals alone it would hang on whether a beam hits
    the middle of a pole or its edge.

    Parameters
    ----------
    scene : Scene
        What is seen.
    pose : (4, 4) array_like
        ``T_world_lidar``.
    points, normals : (N, 3) array_like
        Exact points [m] and unit normals, LiDAR frame.

    Returns
    -------
    (6, 6) float array
        As :func:`exact_hessian`.

    Raises
    ------
    ValueError
        If the shapes are not (N, 3) and equal.
    """
    hessian = exact_hessian(points, normals)
    pose, points, normals = (np.asarray(part, dtype=float) for part in (pose, points, normals))
    world = points @ pose[:3, :3].T + pose[:3, 3]
    for thing in scene.primitives:
        radius, _, half = thing.size
        if thing.kind in (CYLINDER, TUBE) and radius <= SLIM:
            axis = thing.rotation[:, 2]
            offsets = world - thing.center
            along = offsets @ axis
            distances = np.linalg.norm(offsets - along[:, None] * axis, axis=1)
            on = (np.abs(distances - radius) < _ROUNDING) & (np.abs(along) <= half + _ROUNDING)
            hessian += exact_hessian(points[on], np.cross(axis @ pose[:3, :3], normals[on]))
    return hessian


def weak_directions(
    hessian: ArrayLike, num_points: int, tolerance: Tolerance | None = None
) -> WeakDirections:
    """Return which motions an exact Hessian leaves open.

    Parameters
    ----------
    hessian : (6, 6) array_like
        From :func:`scene_hessian` or :func:`exact_hessian`.
    num_points : int
        Points it was summed over.
    tolerance : Tolerance, optional
        What counts as negligible.

    Returns
    -------
    WeakDirections

    Raises
    ------
    ValueError
        If `hessian` is not a finite (6, 6) matrix.

    Notes
    -----
    Rotations and translations are made comparable by dividing each by its tolerance; the
    eigenvalues of the scaled information are then ``(tolerance / sigma)^2``, and weak below 1.
    """
    tolerance = tolerance or Tolerance()
    hessian = np.asarray(hessian, dtype=float)
    if hessian.shape != (6, 6) or not np.all(np.isfinite(hessian)):
        raise ValueError(f'hessian of shape {hessian.shape} should be (6, 6) and finite')
    units = np.repeat([tolerance.rotation, tolerance.translation], 3)
    worth = min(1.0, tolerance.effective_points / max(num_points, 1)) / tolerance.range_sigma**2
    information, modes = np.linalg.eigh(worth * units[:, None] * hessian * units)

    variance = 1.0 / np.maximum(information, 1.0 / _MOST**2)
    covariance = (modes * variance) @ modes.T
    weak = modes[:, information < 1.0]
    blocks = [_axes_of(_wide(covariance[part, part])) for part in (slice(3), slice(3, 6))]
    return WeakDirections(
        mask=_axes_of(weak),
        twists=np.linalg.qr(units[:, None] * weak)[0].T,
        sigmas=np.sqrt(variance),
        schur_mask=np.concatenate(blocks),
    )


def _wide(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the eigenvectors (3, k) of a scaled covariance beyond the tolerance."""
    variance, modes = np.linalg.eigh(covariance)
    return modes[:, variance > 1.0]


def _axes_of(basis: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the k axes (n,) that span most of an (n, k) basis: largest determinant of rows."""
    size, count = basis.shape
    mask = np.zeros(size, dtype=bool)
    if count:
        choices = [list(rows) for rows in combinations(range(size), count)]
        spans = [abs(np.linalg.det(basis[rows])) for rows in choices]
        mask[choices[int(np.argmax(spans))]] = True
    return mask
