# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The published registration written slowly with numpy and scipy, to hold the fast one against."""

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation


def pose(x=0.0, y=0.0, z=0.0, roll=0.0, pitch=0.0, yaw=0.0):
    """Transform (4, 4) from metres and degrees, ZYX."""
    out = np.eye(4)
    out[:3, :3] = Rotation.from_euler('ZYX', [yaw, pitch, roll], degrees=True).as_matrix()
    out[:3, 3] = x, y, z
    return out


def apply(transform, points):
    """Points (N, 3) moved by a transform (4, 4)."""
    return points @ transform[:3, :3].T + transform[:3, 3]


def errors(transform):
    """Translation [m] and rotation [deg] away from identity."""
    angle = Rotation.from_matrix(transform[:3, :3]).magnitude()
    return np.linalg.norm(transform[:3, 3]), np.rad2deg(angle)


def linearize(source, target, tree, transform, radius=1.0, tolerance=0.2):
    """Hessian (6, 6), right-hand side (6,), matches and RMSE of the query-plane association."""
    rotation = transform[:3, :3]
    moved = source @ rotation.T + transform[:3, 3]
    distances, rows = tree.query(moved, 5)
    hessian, rhs, residuals = np.zeros((6, 6)), np.zeros(6), []
    for k in np.flatnonzero(distances[:, 4] < radius):
        near = target[rows[k]]
        a = np.linalg.lstsq(near, -np.ones(5), rcond=None)[0]
        normal, offset = a / np.linalg.norm(a), 1.0 / np.linalg.norm(a)
        if np.any(np.abs(near @ normal + offset) >= tolerance):
            continue
        r = normal @ moved[k] + offset
        s = max(0.0, 1.0 - 0.9 * abs(r))
        if s <= 0.1:
            continue
        body = rotation.T @ normal
        jacobian = np.r_[np.cross(source[k], body), body]
        slope = s - 0.9 * abs(r)
        hessian += slope**2 * np.outer(jacobian, jacobian)
        rhs -= slope * s * r * jacobian
        residuals.append(r)
    return hessian, rhs, len(residuals), np.sqrt(np.mean(np.square(residuals)))


def register(source, target, transform, max_iterations=30):
    """Gauss-Newton to convergence; returns the transform and (matches, RMSE, H) per iteration."""
    tree = cKDTree(target)
    history = []
    for _ in range(max_iterations):
        hessian, rhs, matches, rmse = linearize(source, target, tree, transform)
        history.append((matches, rmse, hessian))
        delta = np.linalg.solve(hessian, rhs)
        transform = transform.copy()
        transform[:3, 3] += transform[:3, :3] @ delta[3:]
        transform[:3, :3] = transform[:3, :3] @ Rotation.from_rotvec(delta[:3]).as_matrix()
        if np.linalg.norm(delta[:3]) < 1e-5 and np.linalg.norm(delta[3:]) < 1e-3:
            break
    return transform, history


def schur_spectra(hessian):
    """Eigenvalues of both Schur complements through explicit block inverses."""
    inverse = np.linalg.inv(hessian)
    return (np.sort(1.0 / np.linalg.eigvalsh(inverse[:3, :3])),
            np.sort(1.0 / np.linalg.eigvalsh(inverse[3:, 3:])))


def sparse_cylinder(seed=0):
    """Cylinder, radius 5 m and height 20 m, in sparse and exactly collinear columns."""
    rng = np.random.default_rng(seed)
    columns = np.repeat(np.linspace(0.0, 2.0 * np.pi, 60, endpoint=False), 80)
    heights = np.tile(np.linspace(-10.0, 10.0, 80), 60)
    wall = np.c_[5.0 * np.cos(columns) + 0.3, 5.0 * np.sin(columns) + 0.2, heights]
    angle, radius = rng.uniform(0.0, 2.0 * np.pi, 900), 5.0 * np.sqrt(rng.uniform(0.0, 1.0, 900))
    base = np.c_[radius * np.cos(angle) + 0.3, radius * np.sin(angle) + 0.2, np.full(900, -10.0)]
    return np.concatenate([wall, base]).astype(np.float32).astype(np.float64)
