# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far an estimated trajectory is from the true one.

The definitions are those of evo (``evo_ape``, ``evo_rpe``), so that figures can be compared:
the error of a pose is ``E = T_truth^-1 T_estimate``, its translation the length of the last column
and its rotation the angle of the rotation part.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcreg_ros.evaluation.trajectory import Trajectory, align, associate


@dataclass(frozen=True)
class TrajectoryError:
    """Errors of many poses, or of many pairs of poses.

    Attributes
    ----------
    stamps : (N,) float array
        Time of the pose, or of the later pose of the pair [s].
    translation : (N,) float array
        Length of the translation error [m].
    rotation : (N,) float array
        Angle of the rotation error [rad].
    """

    stamps: NDArray[np.float64]
    translation: NDArray[np.float64]
    rotation: NDArray[np.float64]

    @property
    def rmse(self) -> float:
        """Root mean square of the translation errors [m]; what is called *the* ATE."""
        return float(np.sqrt(np.mean(self.translation**2)))

    @property
    def rotation_rmse(self) -> float:
        """Root mean square of the rotation errors [rad]."""
        return float(np.sqrt(np.mean(self.rotation**2)))


def ate(
    estimate: Trajectory,
    truth: Trajectory,
    alignment: str = 'umeyama',
    tolerance: float = 0.01,
) -> TrajectoryError:
    """Absolute error of each pose after alignment.

    Parameters
    ----------
    estimate, truth : Trajectory
        In any two worlds, of any lengths.
    alignment : str
        See :func:`dcreg_ros.evaluation.trajectory.align`.
    tolerance : float
        See :func:`dcreg_ros.evaluation.trajectory.associate`.

    Returns
    -------
    TrajectoryError
        Of the estimate's poses that have a truth; ``.rmse`` is the ATE.

    Raises
    ------
    ValueError
        If no stamps agree or the alignment is unknown.
    """
    estimate, truth = associate(estimate, truth, tolerance)
    estimate = align(estimate, truth, alignment)
    return _errors(estimate.stamps, truth.poses, estimate.poses)


def rpe(
    estimate: Trajectory,
    truth: Trajectory,
    delta: float = 1.0,
    unit: str = 'm',
    pairs_from_truth: bool = False,
    tolerance: float = 0.01,
) -> TrajectoryError:
    """Error of the motion between poses a delta apart, consecutive pairs.

    Parameters
    ----------
    estimate, truth : Trajectory
        In any two worlds, of any lengths.
    delta : float
        Path length [m] or number of frames between the poses of a pair.
    unit : str
        ``m`` or ``frames``.
    pairs_from_truth : bool
        Whose path counts metres. An estimate that stands still makes no pairs of its own.
    tolerance : float
        See :func:`dcreg_ros.evaluation.trajectory.associate`.

    Returns
    -------
    TrajectoryError
        One per pair; empty where the path is shorter than two deltas (as in evo, the stretch
        before the first full delta makes no pair).

    Raises
    ------
    ValueError
        If no stamps agree, or delta or unit make no sense.
    """
    if unit not in ('m', 'frames') or delta <= 0 or (unit == 'frames' and delta != int(delta)):
        raise ValueError(f'delta {delta:g} {unit} should be positive metres or whole frames')
    estimate, truth = associate(estimate, truth, tolerance)
    if unit == 'frames':
        ends = np.arange(0, len(estimate), int(delta))
    else:
        ends = _every(delta, (truth if pairs_from_truth else estimate).positions)
    start, stop = ends[:-1], ends[1:]
    true_motion = np.linalg.inv(truth.poses[start]) @ truth.poses[stop]
    motion = np.linalg.inv(estimate.poses[start]) @ estimate.poses[stop]
    return _errors(estimate.stamps[stop], true_motion, motion)


def error_in_axes(
    estimate: Trajectory,
    truth: Trajectory,
    directions: ArrayLike,
    frame: str = 'body',
    alignment: str = 'first_pose',
    tolerance: float = 0.01,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Split the position error into its parts along given directions and the rest.

    Parameters
    ----------
    estimate, truth : Trajectory
        In any two worlds, of any lengths.
    directions : (K, 3) or (3,) array-like
        Weak directions; need not be of unit length or orthogonal.
    frame : str
        ``body``: they turn with the true sensor; ``world``: they stand in the truth's world.
    alignment, tolerance : str, float
        See :func:`ate`.

    Returns
    -------
    along : (N, K) float array
        Signed position error along each direction [m], positive where the estimate is ahead.
    across : (N,) float array
        Length of the error outside the span of the directions [m].
    """
    if frame not in ('body', 'world'):
        raise ValueError(f'frame {frame!r} should be body or world')
    directions = np.atleast_2d(np.asarray(directions, dtype=float))
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    if directions.shape[1] != 3 or not np.all(lengths > 0.0):
        raise ValueError('directions should be (K, 3), none of them zero')
    units = directions / lengths
    estimate, truth = associate(estimate, truth, tolerance)
    error = align(estimate, truth, alignment).positions - truth.positions
    if frame == 'body':
        error = np.einsum('nji,nj->ni', truth.poses[:, :3, :3], error)
    rest = np.eye(3) - np.linalg.pinv(units) @ units
    return error @ units.T, np.linalg.norm(error @ rest, axis=1)


def _every(delta: float, positions: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the indices at which `delta` metres have been travelled since the one before."""
    ends, travelled = [], 0.0
    for index, step in enumerate(np.linalg.norm(np.diff(positions, axis=0), axis=1), start=1):
        travelled += step
        if travelled >= delta:
            ends.append(index)
            travelled = 0.0
    return np.array(ends, dtype=np.intp)


def _errors(
    stamps: NDArray[np.float64], truth: NDArray[np.float64], estimate: NDArray[np.float64]
) -> TrajectoryError:
    error = np.linalg.inv(truth) @ estimate
    rotation = error[:, :3, :3]
    skew = rotation - np.swapaxes(rotation, 1, 2)
    sine = 0.5 * np.linalg.norm(
        np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=1), axis=1
    )
    cosine = 0.5 * (np.trace(rotation, axis1=1, axis2=2) - 1.0)
    # atan2 stays exact near 0 and 180 degrees, where the arc cosine does not.
    return TrajectoryError(
        stamps, np.linalg.norm(error[:, :3, 3], axis=1), np.arctan2(sine, cosine)
    )
