# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of one run against the truth, split at the directions the scene leaves open."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sequences import PHASES, Sequence

from dcreg_ros.evaluation.trajectory import Trajectory, align
from dcreg_ros.evaluation.trajectory_error import ate
from dcreg_ros.geometry.se3 import adjoint, inverse, log_se3

SCALES = np.repeat([np.radians(0.3), 0.05], 3)
"""Rotation [rad] and translation [m] that count alike where an error twist is split."""


@dataclass(frozen=True)
class Accuracy:
    """Errors of a run [m, rad].

    Attributes
    ----------
    ate : float
        RMSE of the positions after the best rigid alignment [m].
    end : float
        Of the last position with the first poses made equal [m].
    end_weak : float
        Its part within the motions the scene leaves open [m].
    end_rotation : float
        Of the last orientation [rad].
    across, across_rotation : float
        Largest of any scan, outside the open motions [m], [rad].
    phase : float
        Share of the sweep at which the poses fit the truth best.
    """

    ate: float
    end: float
    end_weak: float
    end_rotation: float
    across: float
    across_rotation: float
    phase: float


def accuracy(
    poses: NDArray[np.float64], sequence: Sequence, phases: tuple[float, ...] = PHASES
) -> Accuracy:
    """Errors of poses (N, 4, 4), taken at that one of `phases` where they are least."""
    assert sequence.truth is not None
    estimate = Trajectory(sequence.stamps, poses)
    truths = [Trajectory(sequence.stamps, sequence.truth(phase)) for phase in phases]
    errors = [ate(estimate, truth).rmse for truth in truths]
    best = int(np.argmin(errors))
    truth = truths[best]
    aligned = align(estimate, truth, 'first_pose')
    twists = np.array([
        split(inverse(true) @ pose, true, sequence.weak)
        for true, pose in zip(truth.poses, aligned.poses, strict=True)
    ])
    weak, firm = twists[:, 0], twists[:, 1]
    whole = weak[-1] + firm[-1]
    return Accuracy(
        ate=errors[best],
        end=float(np.linalg.norm(aligned.positions[-1] - truth.positions[-1])),
        end_weak=float(np.linalg.norm(weak[-1, 3:])),
        end_rotation=float(np.linalg.norm(whole[:3])),
        across=float(np.linalg.norm(firm[:, 3:], axis=1).max()),
        across_rotation=float(np.linalg.norm(firm[:, :3], axis=1).max()),
        phase=phases[best],
    )


def split(
    error: NDArray[np.float64], pose: NDArray[np.float64], weak: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Part the twist of an error ``T_truth^-1 T_estimate`` into open and firm motions (6,), (6,).

    `weak` (K, 6) are twists of the world; seen from the LiDAR at `pose` a turn about the axis of
    a tunnel moves it sideways too, which a plain split by axes would count as an error.
    """
    twist = log_se3(error)
    if not len(weak):
        return np.zeros(6), twist
    basis = (adjoint(inverse(pose)) @ weak.T) / SCALES[:, None]
    share = np.linalg.lstsq(basis, twist / SCALES, rcond=None)[0]
    inside = SCALES * (basis @ share)
    return inside, twist - inside


def flagged(frames: list, weak: NDArray[np.float64]) -> float:
    """Share of scans after the first in which every axis of the open motions is flagged."""
    axes = np.any(np.abs(weak) > 0.5, axis=0)
    masks = [frame.degeneracy.mask for frame in frames if frame.degeneracy is not None]
    return float(np.mean([np.all(mask[axes]) for mask in masks])) if masks else float('nan')
