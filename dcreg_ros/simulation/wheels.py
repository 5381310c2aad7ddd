# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the wheels of a robot say about a drive: in the plane, a little too far, with noise."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.geometry.se3 import exp_se3
from dcreg_ros.simulation.trajectory import Trajectory

RATE = 50.0
"""Measurements per second."""
SCALE = 1.03
"""Distance measured for each metre driven: the tyres are smaller than the software believes."""
DISTANCE_NOISE, HEADING_NOISE = 0.005, 0.002
"""Standard deviations of distance [m] and heading [rad] after one metre, growing with its root."""


@dataclass(frozen=True)
class Wheels:
    """Odometry of wheels.

    Attributes
    ----------
    stamps : (K,) float array
        Time of each pose [s].
    poses : (K, 4, 4) float array
        Of the LiDAR, in the plane and the frame of the first pose [m].
    twists : (K, 6) float array
        As the wheels measure it, LiDAR frame, angular [rad/s] before linear [m/s].
    """

    stamps: NDArray[np.float64]
    poses: NDArray[np.float64]
    twists: NDArray[np.float64]


def wheel_odometry(trajectory: Trajectory, start: float, end: float, seed: int = 0) -> Wheels:
    """Measure a drive with wheels under the LiDAR.

    Parameters
    ----------
    trajectory : Trajectory
        The drive; what it moves sidewards, up or in roll and pitch the wheels do not see.
    start, end : float
        First stamp, and the least that the last one has to be [s].
    seed : int
        Of the noise.
    """
    count = math.ceil((end - start) * RATE) + 1
    stamps = np.round(start + np.arange(count) / RATE, 9)
    between = trajectory.twists(0.5 * (stamps[1:] + stamps[:-1]))
    distances = between[:, 3] / RATE
    # Wheels at rest are quiet.
    noise = np.random.default_rng([seed, 0, 1]).standard_normal((count - 1, 2))
    noise *= np.sqrt(np.abs(distances))[:, None]
    motions = np.zeros((count - 1, 6))
    motions[:, 2] = between[:, 2] / RATE + HEADING_NOISE * noise[:, 0]
    motions[:, 3] = SCALE * distances + DISTANCE_NOISE * noise[:, 1]
    poses = np.tile(np.eye(4), (count, 1, 1))
    for k, motion in enumerate(motions):
        poses[k + 1] = poses[k] @ exp_se3(motion)
    twists = np.vstack([motions[:1], motions]) * RATE
    return Wheels(stamps, poses, twists)
