# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a raw scan to points at one instant: finite, within range, deskewed."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.geometry.se3 import exp_se3

KNOTS = 128
"""Poses computed along a sweep; linear in between: at 3 rad/s within 0.1 mm at 100 m."""


def undistort(
    points: NDArray[np.float64],
    times: NDArray[np.float64] | None,
    reference: float,
    twist: NDArray[np.float64],
    min_range: float,
    max_range: float,
) -> NDArray[np.float64]:
    """Keep the usable points of a scan and move each to where it would be seen at one instant.

    Parameters
    ----------
    points : (N, 3) float64 array
        Each in the LiDAR frame at its own time [m]; may hold NaN or infinities.
    times : (N,) float64 array or None
        Seconds relative to the stamp; None for a scan taken at one instant.
    reference : float
        The instant, on the clock of `times` [s].
    twist : (6,) float array
        Motion of the LiDAR, ``[w, v]`` in its own frame [rad/s, m/s].
    min_range, max_range : float
        Points outside this distance, ends included, are left out [m].

    Returns
    -------
    (K, 3) float64 array
        In the LiDAR frame at `reference`. Points whose time is not finite are left out.
    """
    if times is None or not np.any(twist):
        return _within_range(points, min_range, max_range)
    finite = times[np.isfinite(times)]
    if not len(finite):
        return np.empty((0, 3))
    start, end = float(finite.min()), float(finite.max())
    knots = _knots(twist, np.linspace(start - reference, end - reference, KNOTS + 1))
    return _undistort(points, times, knots, start, end, min_range, max_range)


def middle_of_sweep(times: NDArray[np.float64] | None) -> float:
    """Middle of the span of per-point times [s]; 0 where there are none.

    A scan is registered as of its middle: there an error of the velocity bends both halves of the
    deskewed scan in opposite ways, whereas at either end it would shift the pose, and with it the
    next velocity, in oscillation without end.
    """
    finite = times[np.isfinite(times)] if times is not None else np.empty(0)
    return 0.5 * float(finite.min() + finite.max()) if len(finite) else 0.0


@njit(cache=True, nogil=True)
def _knots(twist, times):
    """Poses (K, 3, 4) of a LiDAR with constant twist at `times` (K,)."""
    out = np.empty((times.shape[0], 3, 4))
    for k in range(times.shape[0]):
        out[k] = exp_se3(twist * times[k])[:3]
    return out


@njit(cache=True, nogil=True)
def _within_range(points, min_range, max_range):
    """Rows of `points` (N, 3) that are finite and within range."""
    out = np.empty_like(points)
    count = 0
    for i in range(points.shape[0]):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        distance = math.sqrt(x * x + y * y + z * z)
        if min_range <= distance <= max_range:  # false for NaN (REP-117)
            out[count, 0], out[count, 1], out[count, 2] = x, y, z
            count += 1
    return out[:count]


@njit(cache=True, nogil=True)
def _undistort(points, times, knots, start, end, min_range, max_range):
    """Deskewed rows; `knots` (KNOTS + 1, 3, 4) are poses at even times from `start` to `end`."""
    out = np.empty_like(points)
    count = 0
    scale = (knots.shape[0] - 1) / max(end - start, 1e-9)
    for i in range(points.shape[0]):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        distance = math.sqrt(x * x + y * y + z * z)
        if not (min_range <= distance <= max_range and start <= times[i] <= end):
            continue
        place = (times[i] - start) * scale
        k = min(int(place), knots.shape[0] - 2)
        b = place - k
        a = 1.0 - b
        low, high = knots[k], knots[k + 1]
        for axis in range(3):
            out[count, axis] = (
                (a * low[axis, 0] + b * high[axis, 0]) * x
                + (a * low[axis, 1] + b * high[axis, 1]) * y
                + (a * low[axis, 2] + b * high[axis, 2]) * z
                + (a * low[axis, 3] + b * high[axis, 3])
            )
        count += 1
    return out[:count]
