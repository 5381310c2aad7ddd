# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Smooth motions that are known at every instant."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

KNOT_PERIOD = 0.1
"""Time between the knots of a sampled motion [s]."""


@dataclass(frozen=True)
class Trajectory:
    """A twice differentiable motion of the LiDAR that starts and ends at rest.

    Attributes
    ----------
    spline : CubicSpline
        Position [m] and ZYX Euler angles roll, pitch, yaw [rad], (6,), from time 0 on; ends
        clamped to zero velocity, yaw not wrapped.
    start : float
        Time at which it begins [s]. Before and after the motion the LiDAR stands still.
    """

    spline: CubicSpline
    start: float = 0.0

    @property
    def duration(self) -> float:
        """Time from standstill to standstill [s]."""
        return float(self.spline.x[-1])

    def poses(self, times: ArrayLike) -> NDArray[np.float64]:
        """Return ``T_world_lidar`` (N, 4, 4) [m] at `times` (N,) [s]."""
        state = self.spline(self._local(times))
        poses = np.tile(np.eye(4), (len(state), 1, 1))
        poses[:, :3, :3] = Rotation.from_euler('ZYX', state[:, :2:-1]).as_matrix()
        poses[:, :3, 3] = state[:, :3]
        return poses

    def twists(self, times: ArrayLike) -> NDArray[np.float64]:
        """Return the velocity (N, 6) in the LiDAR frame, angular [rad/s] before linear [m/s]."""
        local = self._local(times)
        rates = self.spline(local, 1)
        roll, pitch = self.spline(local)[:, 3:5].T
        turn_roll, turn_pitch, turn_yaw = rates[:, 3:].T
        angular = np.column_stack(
            [
                turn_roll - turn_yaw * np.sin(pitch),
                turn_pitch * np.cos(roll) + turn_yaw * np.cos(pitch) * np.sin(roll),
                turn_yaw * np.cos(pitch) * np.cos(roll) - turn_pitch * np.sin(roll),
            ]
        )
        rotations = self.poses(times)[:, :3, :3]
        linear = np.einsum('nji,nj->ni', rotations, rates[:, :3])
        return np.hstack([angular, linear])

    def starting(self, start: float) -> 'Trajectory':
        """Return the same motion begun at another time [s]."""
        return replace(self, start=float(start))

    def _local(self, times: ArrayLike) -> NDArray[np.float64]:
        elapsed = np.atleast_1d(np.asarray(times, dtype=float)) - self.start
        return np.clip(elapsed, 0.0, self.duration)


def through(times: ArrayLike, positions: ArrayLike, angles: ArrayLike) -> Trajectory:
    """Return the motion through given poses.

    Parameters
    ----------
    times : (K,) array_like
        Increasing, the first is 0 [s]; K of at least 2.
    positions : (K, 3) array_like
        World frame [m].
    angles : (K, 3) array_like
        Roll, pitch, yaw [rad]; pitch well within +-pi/2. Jumps of 2 pi are undone.

    Raises
    ------
    ValueError
        If the shapes disagree or the times do not increase from 0.
    """
    times = np.asarray(times, dtype=float)
    positions, angles = np.asarray(positions, dtype=float), np.asarray(angles, dtype=float)
    count = len(times)
    if positions.shape != (count, 3) or angles.shape != (count, 3):
        raise ValueError(
            f'positions {positions.shape} and angles {angles.shape} should both be ({count}, 3)'
        )
    if count < 2 or times[0] != 0.0 or not np.all(np.diff(times) > 0.0):
        raise ValueError('times of a trajectory should increase from 0')
    states = np.hstack([positions, np.unwrap(angles, axis=0)])
    return Trajectory(CubicSpline(times, states, bc_type='clamped'))


def drive(
    length: float,
    start: ArrayLike = (0.0, 0.0, 1.0),
    *,
    speed: float = 1.5,
    ramp: float = 2.0,
    heading: float = 0.0,
    weave: float = 0.1,
    wavelength: float = 10.0,
    sway: float = 0.005,
) -> Trajectory:
    """Return a drive straight ahead, as straight as a vehicle drives.

    Parameters
    ----------
    length : float
        Distance along the heading [m].
    start : (3,) array_like
        Where it begins, world frame [m].
    speed : float
        Cruising speed [m/s].
    ramp : float
        Time to gain and to lose that speed [s].
    heading : float
        Yaw of the drive [rad].
    weave, wavelength : float
        Amplitude of the lateral motion [m] and distance after which it repeats [m]; the vehicle
        turns with it.
    sway : float
        Amplitude of roll and pitch [rad].
    """
    times, travelled = _progress(length, speed, ramp)
    fade = np.sin(np.pi * travelled / length) ** 2
    aside = weave * fade * np.sin(2.0 * np.pi * travelled / wavelength)
    slope = np.gradient(aside, travelled, edge_order=2)
    c, s = math.cos(heading), math.sin(heading)
    positions = np.asarray(start, dtype=float) + np.column_stack(
        [c * travelled - s * aside, s * travelled + c * aside, np.zeros_like(aside)]
    )
    angles = np.column_stack(
        [
            sway * fade * np.sin(2.9 * travelled),
            sway * fade * np.sin(2.3 * travelled + 1.0),
            heading + np.arctan(slope),
        ]
    )
    return through(times, positions, angles)


def tour(
    corners: ArrayLike, *, speed: float = 1.0, ramp: float = 2.0, closed: bool = True
) -> Trajectory:
    """Return a drive through points, looking ahead.

    Parameters
    ----------
    corners : (K, 3) array_like
        Points of a smooth curve, world frame [m]; K of at least 3.
    speed, ramp : float
        As in :func:`drive`.
    closed : bool
        Whether it comes back to the first point: one lap, all the yaw.
    """
    corners = np.asarray(corners, dtype=float)
    if closed:
        corners = np.vstack([corners, corners[:1]])
    chords = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    knots = np.concatenate([[0.0], np.cumsum(np.sqrt(chords))])
    curve = CubicSpline(knots, corners, bc_type='periodic' if closed else 'natural')

    parameter = np.linspace(0.0, knots[-1], 20_001)
    steps = np.linalg.norm(np.diff(curve(parameter), axis=0), axis=1)
    lengths = np.concatenate([[0.0], np.cumsum(steps)])
    times, travelled = _progress(lengths[-1], speed, ramp)
    where = np.interp(travelled, lengths, parameter)
    tangent = curve(where, 1)
    yaw = np.arctan2(tangent[:, 1], tangent[:, 0])
    angles = np.column_stack([np.zeros_like(yaw), np.zeros_like(yaw), yaw])
    return through(times, curve(where), angles)


def _progress(
    length: float, speed: float, ramp: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times (K,) [s] and distances (K,) [m] from rest to rest with gentle ends.

    Speed follows the smoothstep ``3 u^2 - 2 u^3`` while it changes.
    """
    if not (length > 0.0 and speed > 0.0 and ramp > 0.0):
        raise ValueError(
            f'length {length} m, speed {speed} m/s and ramp {ramp} s of a drive should be positive'
        )
    speed = min(speed, length / ramp)
    total = length / speed + ramp
    times = np.linspace(0.0, total, max(3, math.ceil(total / KNOT_PERIOD) + 1))

    def gained(elapsed: NDArray[np.float64]) -> NDArray[np.float64]:
        u = np.clip(elapsed / ramp, 0.0, 1.0)
        return speed * (ramp * (u**3 - u**4 / 2) + np.maximum(elapsed - ramp, 0.0))

    first_half = gained(times)
    second_half = length - gained(total - times)
    return times, np.where(times <= total / 2, first_half, second_half)
