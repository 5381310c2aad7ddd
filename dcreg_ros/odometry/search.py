# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where in the map a scan was taken, when the prediction does not tell.

Every turn about the upright axis of the LiDAR and every place around a guess is scored by how
many points fall on map cells that have been seen (correlative scan matching: Olson, ICRA 2009).
The scores of one turn differ by a shift of the same cells, so that a look-up costs a nanosecond.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.geometry.se3 import retract
from dcreg_ros.voxels.hashing import CELL_LIMIT, unpack
from dcreg_ros.voxels.map import VoxelMap

Array = NDArray[np.float64]

TURNS = 72
"""Turns that are tried, all around: steps of 5 degrees, less than two cells at 20 cells off."""
RANGE = 60
"""Cells around the LiDAR in which its points are used."""
HEIGHT = 20
"""The same up and down."""
MAX_REACH = 16
"""Cells to either side of a guess that are tried at most."""
POINTS = 300
"""Points of the scan that are used at most."""
HIT = 2
"""Score of a point in a cell that has been seen; beside one it is 1."""
STRAY = 0.03
"""What a place far from the guess has to have in its favour, as a share of the points, for every
factor e of its distance."""
STRAY_TURN, STRAY_WAY = math.radians(20.0), 0.5
"""What counts as far, turn [rad] and way [m]."""
PEAKS = 6
"""Turns that are looked at closely."""
CANDIDATES = 3
"""Most places that are returned."""
WORTH_A_TRY = 0.5
"""Least score of these, as a share of the best."""
CLOSER = ((math.radians(10.0), 1.0), (math.radians(5.0), 1.0), (math.radians(2.5), 0.5))
"""Steps of turn [rad] and way [cells] by which a place is improved, one after the other."""
SWEEPS = 4
"""Times that each step is tried in all six directions."""


def search(voxels: VoxelMap, points: Array, guess: Array, reach: float) -> Array:
    """Find the places in a map that look most like a scan.

    Parameters
    ----------
    voxels : VoxelMap
        The map.
    points : (N, 3) float64 array
        Of the scan, finite, LiDAR frame [m].
    guess : (4, 4) float64 array
        ``T_map_lidar`` around which places are tried, in the plane z of the map [m].
    reach : float
        How far away from it [m]; no farther than `MAX_REACH` cells.

    Returns
    -------
    (K, 4, 4) float64 array
        ``T_map_lidar``, the most likely first; none where nothing of the map is near. Right to
        about a cell and 5 degrees.
    """
    cell = voxels.cell_size
    near = points[np.linalg.norm(points, axis=1) < RANGE * cell]
    if not len(near) or np.abs(guess[:3, 3]).max() > cell * CELL_LIMIT:
        return np.empty((0, 4, 4))
    near = near[np.linspace(0, len(near) - 1, min(POINTS, len(near))).astype(np.int64)]
    span = min(math.ceil(reach / cell), MAX_REACH)
    half = np.array([RANGE + span, RANGE + span, HEIGHT]) + 2
    center = np.floor(guess[:3, 3] / cell).astype(np.int64)
    seen = _seen(voxels.cells.key, len(voxels), center - half, 2 * half + 1)
    turned = guess @ _turns()
    shifts = np.arange(-span, span + 1)
    ways = cell * shifts.astype(np.float64)
    scores = _scores(seen, near, turned, 1.0 / cell, center - half, shifts, _strays(ways))
    places, scores = _peaks(scores, turned, ways)
    for k in range(len(places)):
        places[k], gain = _closer(seen, near, places[k], cell, center - half, np.array(CLOSER))
        scores[k] += gain
    order = np.argsort(-scores, kind='stable')
    worth = scores[order] >= WORTH_A_TRY * scores.max(initial=0.0)
    return np.ascontiguousarray(places[order[worth]][:CANDIDATES])


def _turns() -> Array:
    """All turns about z (TURNS, 4, 4), none first."""
    angles = np.arange(TURNS) * (2.0 * np.pi / TURNS)
    out = np.tile(np.eye(4), (TURNS, 1, 1))
    out[:, 0, 0] = out[:, 1, 1] = np.cos(angles)
    out[:, 1, 0] = np.sin(angles)
    out[:, 0, 1] = -out[:, 1, 0]
    return out


def _strays(shifts: Array) -> Array:
    """What each turn and place (TURNS, S, S) has to make up for, as a share of the points."""
    steps = np.arange(TURNS)
    turns = np.minimum(steps, TURNS - steps) * (2.0 * np.pi / TURNS / STRAY_TURN)
    ways = (shifts / STRAY_WAY) ** 2
    return np.asarray(STRAY * np.log(1.0 + (turns**2)[:, None, None] + ways[:, None] + ways))


def _peaks(scores: Array, turned: Array, shifts: Array) -> tuple[Array, Array]:
    """Best places (K, 4, 4) of turns that are better than those beside them, and scores (K,)."""
    width = len(shifts)
    places = scores.reshape(len(scores), -1).argmax(axis=1)
    best = scores.reshape(len(scores), -1).max(axis=1)
    peaks = np.flatnonzero(
        (best >= np.roll(best, 1)) & (best > np.roll(best, -1)) & (best > 0.0))
    peaks = peaks[np.argsort(-best[peaks], kind='stable')][:PEAKS]
    out = turned[peaks].copy()
    out[:, 0, 3] += shifts[places[peaks] // width]
    out[:, 1, 3] += shifts[places[peaks] % width]
    return out, best[peaks]


@njit(cache=True, nogil=True)
def _seen(keys, size, origin, shape):
    """HIT for each cell of a box that was seen, 1 beside one, else 0 as in the outer layer."""
    out = np.zeros((shape[0], shape[1], shape[2]), np.uint8)
    for row in range(size):
        i, j, k = unpack(keys[row])
        i, j, k = i - origin[0], j - origin[1], k - origin[2]
        if 2 <= i < shape[0] - 2 and 2 <= j < shape[1] - 2 and 2 <= k < shape[2] - 2:
            for a in range(i - 1, i + 2):
                for b in range(j - 1, j + 2):
                    for c in range(k - 1, k + 2):
                        out[a, b, c] = max(out[a, b, c], np.uint8(1))
            out[i, j, k] = np.uint8(HIT)
    return out


@njit(cache=True, nogil=True)
def _scores(seen, points, turned, scale, origin, shifts, strays):
    """Share of the points (TURNS, S, S) that are on the map, less `strays`."""
    flat = seen.ravel()
    places = np.empty(points.shape[0], np.int64)
    out = np.empty_like(strays)
    full = 1.0 / (HIT * points.shape[0])
    for turn in range(turned.shape[0]):
        t = turned[turn]
        for n in range(points.shape[0]):
            x, y, z = points[n, 0], points[n, 1], points[n, 2]
            i = math.floor((t[0, 0] * x + t[0, 1] * y + t[0, 2] * z + t[0, 3]) * scale)
            j = math.floor((t[1, 0] * x + t[1, 1] * y + t[1, 2] * z + t[1, 3]) * scale)
            k = math.floor((t[2, 0] * x + t[2, 1] * y + t[2, 2] * z + t[2, 3]) * scale)
            k = min(max(k - origin[2], 0), seen.shape[2] - 1)
            places[n] = (
                (i - origin[0]) * seen.shape[1] + (j - origin[1])) * seen.shape[2] + k
        for a in range(shifts.shape[0]):
            for b in range(shifts.shape[0]):
                shift = (shifts[a] * seen.shape[1] + shifts[b]) * seen.shape[2]
                hits = 0
                for n in range(places.shape[0]):
                    hits += flat[places[n] + shift]
                out[turn, a, b] = hits * full - strays[turn, a, b]
    return out


@njit(cache=True, nogil=True)
def _closer(seen, points, pose, cell, origin, steps):
    """Pose (4, 4) after a climb by `steps` (S, 2), and the share of the points it gained."""
    pose = pose.copy()
    before = best = _hits(seen, points, pose, cell, origin)
    delta = np.zeros(6)
    for step in range(steps.shape[0]):
        for _ in range(SWEEPS):
            last = best
            for axis in range(12):
                size = steps[step, 0] if axis < 6 else steps[step, 1] * cell
                delta[axis // 2] = size if axis % 2 == 0 else -size
                trial = retract(pose, delta)
                delta[axis // 2] = 0.0
                hits = _hits(seen, points, trial, cell, origin)
                if hits > best:
                    best, pose = hits, trial
            if best == last:
                break
    return pose, (best - before) / (HIT * points.shape[0])


@njit(cache=True, nogil=True)
def _hits(seen, points, t, cell, origin):
    """Sum of `seen` over the cells of all points."""
    scale, hits = 1.0 / cell, 0
    for n in range(points.shape[0]):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        i = math.floor((t[0, 0] * x + t[0, 1] * y + t[0, 2] * z + t[0, 3]) * scale) - origin[0]
        j = math.floor((t[1, 0] * x + t[1, 1] * y + t[1, 2] * z + t[1, 3]) * scale) - origin[1]
        k = math.floor((t[2, 0] * x + t[2, 1] * y + t[2, 2] * z + t[2, 3]) * scale) - origin[2]
        if 0 <= i < seen.shape[0] and 0 <= j < seen.shape[1] and 0 <= k < seen.shape[2]:
            hits += seen[i, j, k]
    return hits
