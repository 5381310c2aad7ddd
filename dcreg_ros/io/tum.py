# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trajectories in the TUM format: ``stamp tx ty tz qx qy qz qw`` per line."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation


def write_tum(path: str | Path, stamps: ArrayLike, poses: ArrayLike) -> None:
    """Write poses: stamps to nanoseconds, the rest so that it reads back as the same doubles.

    Parameters
    ----------
    path : str or Path
        File to write.
    stamps : (N,) float array
        Seconds.
    poses : (N, 4, 4) float array
        Rigid transforms [m].

    Raises
    ------
    ValueError
        If the shapes are others or a value is not finite.
    """
    stamps = np.asarray(stamps, dtype=np.float64)
    poses = np.asarray(poses, dtype=np.float64)
    if poses.size == 0:
        poses = poses.reshape(0, 4, 4)
    if stamps.ndim != 1 or poses.shape != (len(stamps), 4, 4):
        raise ValueError(
            f'stamps and poses should be of shape (N,) and (N, 4, 4), not {stamps.shape} and '
            f'{poses.shape}'
        )
    if not (np.isfinite(stamps).all() and np.isfinite(poses).all()):
        raise ValueError('stamps or poses are not finite')
    quaternions = np.empty((0, 4))
    if len(poses):
        quaternions = Rotation.from_matrix(poses[:, :3, :3]).as_quat()
        quaternions = np.where(quaternions[:, 3:] < 0.0, -quaternions, quaternions)
    rows = np.column_stack([stamps, poses[:, :3, 3], quaternions])
    with open(path, 'w', encoding='utf-8') as file:
        for stamp, *pose in rows.tolist():
            file.write(' '.join([f'{stamp:.9f}', *map(repr, pose)]) + '\n')


def read_tum(path: str | Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read poses; lines beginning with ``#`` are comments.

    Parameters
    ----------
    path : str or Path
        File to read.

    Returns
    -------
    stamps : (N,) float64 array
        Seconds.
    poses : (N, 4, 4) float64 array
        Rigid transforms [m].

    Raises
    ------
    ValueError
        If a line has not eight numbers, or no quaternion; the text names the file.
    OSError
        If the file cannot be opened.
    """
    with open(path, encoding='utf-8') as file:
        lines = [line for line in file if line.strip() and not line.lstrip().startswith('#')]
    if not lines:
        return np.empty(0), np.empty((0, 4, 4))
    try:
        rows = np.loadtxt(lines, ndmin=2)
        if rows.shape[1] != 8:
            raise ValueError(f'{rows.shape[1]} numbers per line, expected 8')
        rotations = Rotation.from_quat(rows[:, 4:]).as_matrix()
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    poses = np.tile(np.eye(4), (len(rows), 1, 1))
    poses[:, :3, :3] = rotations
    poses[:, :3, 3] = rows[:, 1:4]
    return rows[:, 0], poses
