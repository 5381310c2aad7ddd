# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a raw scan to points at one instant: within range, deskewed, few for each purpose."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.config import PreprocessConfig
from dcreg_ros.geometry.se3 import exp_se3
from dcreg_ros.odometry.selection import select

KNOTS = 128
"""Poses computed along a sweep of 0.1 s: to first order from the nearest, at 3 rad/s within 0.1 mm
at 100 m."""
BLOCK = 256
"""Points that are brought near at once."""
SAMPLE = 1000
"""Points of a scan from which the spread of its ranges is taken."""
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Scan(NamedTuple):
    """What is used of a scan; points in the LiDAR frame at one instant [m].

    Attributes
    ----------
    num_points : int
        How many were usable.
    keypoints : (K, 3) float64 array
        Some of them, to register: one for each cell.
    surface : (M, 3) float64 array
        Some of them, for the map: as many on each piece of surface, however near it is.
    """

    num_points: int
    keypoints: NDArray[np.float64]
    surface: NDArray[np.float64]


def prepare(
    points: NDArray[np.float64],
    times: NDArray[np.float64] | None,
    reference: float,
    twist: NDArray[np.float64],
    config: PreprocessConfig,
    most: float = np.inf,
) -> Scan:
    """Thin a scan, and move what is left to where it would be seen at one instant.

    Parameters
    ----------
    points : (N, 3) float64 array
        Each in the LiDAR frame at its own time [m]; may hold NaN or infinities.
    times : (N,) float64 array or None
        Seconds relative to the stamp; None for a scan taken at one instant, as is one of which no
        time is finite. While the LiDAR moves, points whose time is not finite are not usable.
    reference : float
        The instant, on the clock of `times` [s].
    twist : (6,) float array
        Motion of the LiDAR, ``[w, v]`` in its own frame [rad/s, m/s].
    config : PreprocessConfig
    most : float
        About how many points to use; near ones are left out where there are more.

    Returns
    -------
    Scan
    """
    near = dense_range(points, config.min_range, config.max_range, most)
    if times is None or not config.deskew or not np.any(twist) or not np.isfinite(times).any():
        times = np.empty(0)
    start, end = _span(times)
    used, surface, its_times = _thin(
        points, times, start, end, config.min_range**2, config.max_range**2, near**2)
    if len(times):
        knots = _knots(twist, np.linspace(start - reference, end - reference, KNOTS + 1))
        _undistort(surface, its_times, knots, start, end, twist)
    rows = select(
        surface, config.voxel_size, config.min_keypoints, config.max_keypoints)
    return Scan(used, surface.take(rows, axis=0), surface)


def middle_of_sweep(times: NDArray[np.float64] | None) -> float:
    """Middle of the span of per-point times [s]; 0 where there are none.

    A scan is registered as of its middle: there an error of the velocity bends both halves of the
    deskewed scan in opposite ways, whereas at either end it would shift the pose, and with it the
    next velocity, in oscillation without end.
    """
    return 0.0 if times is None else 0.5 * sum(_span(times))


def dense_range(
    points: NDArray[np.float64], min_range: float, max_range: float, most: float
) -> float:
    """Range below which points are to be thinned for about `most` to be left.

    Of them a share ``(range / this)^2`` stays: what a LiDAR sees of a surface thins out with the
    square of the distance, so this leaves each piece of surface as many points as another.

    Parameters
    ----------
    points : (N, 3) float64 array
        May hold NaN or infinities [m].
    min_range, max_range : float
        Points outside are not counted [m].
    most : float

    Returns
    -------
    float
        [m]; 0 where there are no more than `most`.
    """
    step = len(points) // SAMPLE | 1  # odd, so that it goes through all beams
    squares = np.einsum('ni,ni->n', points[::step], points[::step])
    squares = np.sort(squares[(squares >= min_range**2) & (squares <= max_range**2)])
    if len(squares) * step <= most:
        return 0.0
    squares = np.maximum(squares, 1e-12)
    sums = np.cumsum(squares)
    # Were it the range of one of them: a share of those up to there, and all of those beyond.
    few_enough = sums / squares + np.arange(len(squares))[::-1] < most / step
    near = int(np.argmax(few_enough)) if few_enough.any() else len(squares)
    return float(np.sqrt(sums[near - 1] / (most / step - (len(squares) - near))))


def _span(times: NDArray[np.float64]) -> tuple[float, float]:
    """First and last of the times that are finite [s]; both 0 where none is."""
    if not len(times):
        return 0.0, 0.0
    start, end = float(times.min()), float(times.max())
    if np.isfinite(start) and np.isfinite(end):
        return start, end
    finite = times[np.isfinite(times)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)


@njit(cache=True, nogil=True)
def _thin(points, times, start, end, min2, max2, near2):
    """How many points are usable; even shares of them, and their times.

    Where `times` (N,) is empty any time will do.
    """
    n = points.shape[0]
    kept, their_times = np.empty((n, 3)), np.empty_like(times)
    block = np.empty((BLOCK, 3))
    used = count = 0
    for begin in range(0, n, BLOCK):
        size = min(BLOCK, n - begin)
        block[:size] = points[begin:begin + size]  # as fast as the memory is; what follows is not
        for m in range(size):
            i, x, y, z = begin + m, block[m, 0], block[m, 1], block[m, 2]
            range2 = x * x + y * y + z * z
            if not min2 <= range2 <= max2:  # true for NaN (REP-117)
                continue
            if times.shape[0] > 0:
                if not start <= times[i] <= end:
                    continue
                their_times[count] = times[i]
            used += 1
            # Written whether kept or not: a processor cannot guess which. A golden ratio further
            # for each point makes even shares of every part of the scan.
            kept[count, 0], kept[count, 1], kept[count, 2] = x, y, z
            share = np.int64(np.uint64(i) * GOLDEN >> np.uint64(40)) * 2.0**-24
            count += range2 >= near2 * share
    return used, kept[:count], their_times[:count]


@njit(cache=True, nogil=True)
def _knots(twist, times):
    """Poses (K, 3, 4) of a LiDAR with constant twist at `times` (K,)."""
    out = np.empty((times.shape[0], 3, 4))
    for k in range(times.shape[0]):
        out[k] = exp_se3(twist * times[k])[:3]
    return out


@njit(cache=True, nogil=True)
def _undistort(points, times, knots, start, end, twist):
    """Move `points` (N, 3) to the reference; `knots` (K, 3, 4) run from `start` to `end`.

    By the nearest knot, and from there by ``w x p + v`` times the seconds that are left.
    """
    step = max(end - start, 1e-9) / (knots.shape[0] - 1)
    for n in range(points.shape[0]):
        px, py, pz = points[n, 0], points[n, 1], points[n, 2]
        place = (times[n] - start) / step
        k = int(place + 0.5)
        m, dt = knots[k], (place - k) * step
        x = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
        y = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
        z = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
        points[n, 0] = x + dt * (twist[1] * z - twist[2] * y + twist[3])
        points[n, 1] = y + dt * (twist[2] * x - twist[0] * z + twist[4])
        points[n, 2] = z + dt * (twist[0] * y - twist[1] * x + twist[5])
