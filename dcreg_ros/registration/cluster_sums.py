# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the residuals of one registration say about the scatter of its gradient, in one pass.

Matches in one block of a surface share map cells and planes, so they err together; how much, their
sum tells. A block that a motion hangs on is fitted by that motion, and its sum vanishes: it is
taken for what it would be had the block been left out, and where there is no other block, for that
of independent residuals. A few blocks tell little of their own scatter, most often too little of
it: what each adds counts for more, the larger its share of all.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.degeneracy.schur import ZERO
from dcreg_ros.registration.jacobians import counted
from dcreg_ros.registration.map_plane import MapPlaneMatcher
from dcreg_ros.registration.query_plane import WEIGHT_SLOPE, QueryPlaneMatcher
from dcreg_ros.voxels.hashing import find, insert_key, make_table, pack

Matrix = NDArray[np.float64]

BLOCK = 1.0
"""Edge of the blocks [m]: as far as planes of the map reach. Across a surface blocks have no end,
or noise would part the points of a wall at the border of two; nor have they upwards, where a trunk
errs as one."""
SIDES = 6
"""Ways a surface can face: along or against the axis of the map nearest to its normal."""
LEVERAGE = 0.95
"""Most of what is known of a motion that a single block is taken to tell."""
LARGEST_SHARE = 0.8
"""Most of the scatter in a direction that a single block is taken to be."""
SMALL = 0.05
"""Leverage below which a series will do."""


class ClusterSums(NamedTuple):
    """Sums over matches with robust gradient ``psi = f e``.

    Attributes
    ----------
    bread : (6, 6) float array
        ``sum psi' J^T J``: how the gradient really answers to a motion (`hessian` holds ``f^2``).
    meat : (6, 6) float array
        Scatter of the gradient: over blocks ``sum g g^T`` of ``g = (1 - H_b H^-1)^-1 sum psi J^T``
        with the part ``H_b`` of the block in the Hessian (the jackknife, CR3, of Bell and
        McCaffrey, 2002), and of ``sum psi^2 J^T J`` by the leverage of the block. Each ``g g^T``
        is divided by ``1 - g^T meat^-1 g``, the share of the others in the scatter along it.
    """

    bread: Matrix
    meat: Matrix


def sums_of(
    matcher: QueryPlaneMatcher | MapPlaneMatcher, transform: Matrix, held: Matrix
) -> ClusterSums:
    """Sums over the matches that `matcher` found last, with residuals as of `transform` (4, 4).

    `held` (6, 6) is the Hessian, with what a guess adds to it.
    """
    rows, matches, places, normals, residuals = counted(matcher, transform)
    if isinstance(matcher, MapPlaneMatcher):
        weights = slopes = matcher._slope[matches]
        scale2 = matcher._scale2[matches]
        inlying = scale2 / (scale2 + residuals**2)
        curvatures = slopes**2 * (4.0 * inlying - 3.0)
    else:
        weights = 1.0 - WEIGHT_SLOPE * np.abs(residuals)
        slopes = 2.0 * weights - 1.0
        curvatures = slopes**2 - 2.0 * (1.0 - weights) * weights
    return cluster_sums(
        matcher._source[rows], places, normals, transform, weights * residuals, slopes,
        curvatures, held)


def cluster_sums(
    points: Matrix, places: Matrix, normals: Matrix, transform: Matrix, errors: Matrix,
    slopes: Matrix, curvatures: Matrix, held: Matrix,
) -> ClusterSums:
    """Sum matches, alone and in blocks.

    Parameters
    ----------
    points : (M, 3) float64 array
        Source frame [m].
    places : (M, 3) float64 array
        What decides the block of each, target frame [m].
    normals : (M, 3) float64 array
        Unit, target frame, of either sign.
    transform : (4, 4) float64 array
        ``T_target_source``.
    errors, slopes, curvatures : (M,) float64 arrays
        Weighted error ``e`` [m], its derivative ``f``, and that of ``f e``.
    held : (6, 6) float64 array
        The Hessian, with what a guess adds to it.

    Returns
    -------
    ClusterSums
    """
    return ClusterSums(*_cluster_sums(
        points, places, normals, transform, errors, slopes, curvatures, held,
        make_table(2 * len(points))))


@njit(cache=True, nogil=True)
def _cluster_sums(
    points, places, normals, transform, errors, slopes, curvatures, held, table
):
    """Fields of :class:`ClusterSums`; `table` is empty, with room for each match."""
    n = points.shape[0]
    pulls, parts, alone = np.zeros((n, 6)), np.zeros((n, 6, 6)), np.zeros((n, 6, 6))
    clusters = 0
    bread, row = np.zeros((6, 6)), np.empty(6)
    for i in range(n):
        sign, side = _side(normals[i], places[i], transform)
        _jacobian(points[i], normals[i], transform, sign, row)
        key = _block_of(places[i], side)
        cluster = find(table, key)
        if cluster < 0:
            cluster = clusters
            insert_key(table, key, cluster)
            clusters += 1
        f2, psi = slopes[i] * slopes[i], sign * slopes[i] * errors[i]
        for a in range(6):
            pulls[cluster, a] += psi * row[a]
            for b in range(a, 6):
                product = row[a] * row[b]
                bread[a, b] += curvatures[i] * product
                parts[cluster, a, b] += f2 * product
                alone[cluster, a, b] += psi * psi * product
    firm = held + np.eye(6) * (ZERO * max(np.trace(held), ZERO))  # it can be inverted
    inverse, meat = np.linalg.inv(firm), np.zeros((6, 6))
    for cluster in range(clusters):
        part, leverage = parts[cluster], 0.0
        for a in range(6):
            for b in range(6):
                if b < a:
                    part[a, b] = part[b, a]
                leverage += part[a, b] * inverse[a, b]
        pull = _as_if_left_out(pulls[cluster], part, leverage, firm, inverse)
        for a in range(6):
            for b in range(a, 6):
                meat[a, b] += pull[a] * pull[b] + min(leverage, 1.0) * alone[cluster, a, b]
        pulls[cluster] = pull
    for a in range(6):
        for b in range(a):
            bread[a, b], meat[a, b] = bread[b, a], meat[b, a]
    return bread, meat + _untold(pulls[:clusters], meat, firm, inverse)


@njit(cache=True, nogil=True)
def _untold(pulls, meat, held, inverse):
    """What `pulls` (C, 6), which make up `meat`, do not tell of their scatter, being so few."""
    whole = np.sum(meat * inverse)
    if not whole > 0.0:
        return np.zeros((6, 6))
    shares = np.linalg.inv(meat + held * (ZERO * whole))
    out = np.zeros((6, 6))
    for pull in pulls:
        share = 0.0
        for a in range(6):
            for b in range(6):
                share += pull[a] * shares[a, b] * pull[b]
        share = min(share, LARGEST_SHARE)
        out += np.outer(pull, pull) * (share / (1.0 - share))
    return out


@njit(cache=True, nogil=True)
def _as_if_left_out(pull, part, leverage, held, inverse):
    """``(1 - part held^-1)^-1 pull``."""
    if leverage > SMALL:
        return held @ np.linalg.solve(held - LEVERAGE * part, pull)
    first = part @ (inverse @ pull)
    return pull + first + part @ (inverse @ first)


@njit(cache=True, nogil=True)
def _block_of(place, side):
    """Key of the block of a place [m] on a surface that faces to `side`."""
    i = int(np.floor(place[0] / BLOCK))
    j = int(np.floor(place[1] / BLOCK))
    across = side // 2
    if across == 0:
        i = 0
    elif across == 1:
        j = 0
    return pack(i * SIDES + side, j, 0)


@njit(cache=True, nogil=True)
def _side(normal, place, transform):
    """Sign that turns a normal towards the sensor, and which of the SIDES it then faces."""
    facing, largest, axis = 0.0, -1.0, 0
    for k in range(3):
        facing += normal[k] * (transform[k, 3] - place[k])
        if abs(normal[k]) > largest:
            largest, axis = abs(normal[k]), k
    sign = 1.0 if facing >= 0.0 else -1.0
    return sign, 2 * axis + (1 if sign * normal[axis] > 0.0 else 0)


@njit(cache=True, nogil=True)
def _jacobian(point, normal, transform, sign, row):
    """Row (6,) ``sign [p x R^T n, R^T n]``."""
    for k in range(3):
        row[3 + k] = sign * (
            transform[0, k] * normal[0] + transform[1, k] * normal[1]
            + transform[2, k] * normal[2])
    row[0] = point[1] * row[5] - point[2] * row[4]
    row[1] = point[2] * row[3] - point[0] * row[5]
    row[2] = point[0] * row[4] - point[1] * row[3]
