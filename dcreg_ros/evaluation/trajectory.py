# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses over time, and how two of them are brought together in time and space."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGNMENTS = ('umeyama', 'first_pose', 'none')


@dataclass(frozen=True)
class Trajectory:
    """Poses over time.

    Attributes
    ----------
    stamps : (N,) float array
        Time of each pose [s], increasing.
    poses : (N, 4, 4) float array
        ``T_world_sensor`` [m].
    """

    stamps: NDArray[np.float64]
    poses: NDArray[np.float64]

    def __post_init__(self) -> None:
        stamps = np.asarray(self.stamps, dtype=float)
        poses = np.asarray(self.poses, dtype=float).reshape(-1, 4, 4)
        if stamps.shape != (len(poses),):
            raise ValueError(f'stamps of shape {stamps.shape} do not fit {len(poses)} poses')
        if np.any(np.diff(stamps) < 0.0):
            raise ValueError('stamps should be increasing')
        if not (np.isfinite(stamps).all() and np.isfinite(poses).all()):
            raise ValueError('stamps and poses should be finite')
        object.__setattr__(self, 'stamps', stamps)
        object.__setattr__(self, 'poses', poses)

    def __len__(self) -> int:
        return len(self.stamps)

    @property
    def positions(self) -> NDArray[np.float64]:
        """(N, 3) positions of the sensor in the world [m]."""
        return self.poses[:, :3, 3]

    @property
    def path_length(self) -> float:
        """Distance travelled [m]."""
        return float(np.linalg.norm(np.diff(self.positions, axis=0), axis=1).sum())

    def moved(self, transform: NDArray[np.float64]) -> 'Trajectory':
        """Return the same trajectory in another world: ``transform @ pose`` for each pose."""
        return Trajectory(self.stamps, transform @ self.poses)

    def __getitem__(self, index: slice | NDArray[Any]) -> 'Trajectory':
        return Trajectory(self.stamps[index], self.poses[index])


def associate(
    estimate: Trajectory, truth: Trajectory, tolerance: float = 0.01
) -> tuple[Trajectory, Trajectory]:
    """Pick the poses of both that belong to the same time.

    Each pose of the estimate takes the truth nearest in time; no truth is taken twice.

    Parameters
    ----------
    estimate, truth : Trajectory
        In any two worlds.
    tolerance : float
        Largest distance in time of a pair [s].

    Returns
    -------
    estimate, truth : Trajectory
        Of equal length, pose by pose.

    Raises
    ------
    ValueError
        If there is no pair.
    """
    if len(estimate) == 0 or len(truth) == 0:
        raise ValueError('an empty trajectory cannot be compared')
    right = np.clip(np.searchsorted(truth.stamps, estimate.stamps), 1, max(1, len(truth) - 1))
    candidates = np.stack([right - 1, np.minimum(right, len(truth) - 1)])
    gaps = np.abs(truth.stamps[candidates] - estimate.stamps)
    nearest = candidates[gaps.argmin(axis=0), np.arange(len(estimate))]
    order = np.argsort(gaps.min(axis=0), kind='stable')  # the best pair first keeps a truth
    order = order[gaps.min(axis=0)[order] <= tolerance]
    _, first = np.unique(nearest[order], return_index=True)
    chosen = np.sort(order[first])
    if len(chosen) == 0:
        raise ValueError(
            f'no stamps of estimate ({estimate.stamps[0]:.3f} .. {estimate.stamps[-1]:.3f} s) and '
            f'truth ({truth.stamps[0]:.3f} .. {truth.stamps[-1]:.3f} s) within {tolerance} s'
        )
    return estimate[chosen], truth[nearest[chosen]]


def align(estimate: Trajectory, truth: Trajectory, method: str = 'umeyama') -> Trajectory:
    """Move an estimate into the world of the truth.

    Parameters
    ----------
    estimate, truth : Trajectory
        Pose by pose, see :func:`associate`.
    method : str
        ``umeyama``: the rigid motion (no scale) with the least sum of squared distances;
        ``first_pose``: first poses coincide, so that errors are drift since the start;
        ``none``: as they are.

    Returns
    -------
    Trajectory
        `estimate` in the world of `truth`.
    """
    if method not in ALIGNMENTS:
        raise ValueError(f'alignment {method!r} is not one of {", ".join(ALIGNMENTS)}')
    if method == 'none':
        return estimate
    estimate = estimate.moved(truth.poses[0] @ np.linalg.inv(estimate.poses[0]))
    if method == 'first_pose':
        return estimate
    return estimate.moved(_rigid_fit(estimate.positions, truth.positions))


def _rigid_fit(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find ``T_target_source`` minimising the squared distances of (N, 3) points (Umeyama 1991).

    Points on a line, or in one place, leave turns free: then the smallest turn is taken.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    spread = (target - target_mean).T @ (source - source_mean)
    # Weak pull towards no turn at all, felt only where the points say nothing.
    spread += 1e-12 * (np.trace(np.abs(spread)) + 1e-12) * np.eye(3)
    left, _, right = np.linalg.svd(spread)
    sign = np.sign(np.linalg.det(left @ right))
    transform = np.eye(4)
    transform[:3, :3] = left @ np.diag([1.0, 1.0, sign]) @ right
    transform[:3, 3] = target_mean - transform[:3, :3] @ source_mean
    return transform
