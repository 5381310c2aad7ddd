# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the residuals of one registration say about their own dependence, in one pass.

Matches in one block of space that face the same way share map cells and planes; their products
tell how much of the noise they share, which the sum of squares alone cannot.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.registration.jacobians import counted
from dcreg_ros.registration.map_plane import MapPlaneMatcher
from dcreg_ros.registration.query_plane import WEIGHT_SLOPE, QueryPlaneMatcher
from dcreg_ros.voxels.hashing import find, insert_key, make_table, pack

Matrix = NDArray[np.float64]

BLOCKS = (1.0, 8.0, 0.0)
"""Edges of the blocks [m]: a few planes of the map, a whole wall; 0 for all that faces one way."""
SIDES = 6
"""Ways a surface can face: along or against the axis of the map nearest to its normal."""
MIN_SIDE = 30
"""Matches from which the mean residual of a side means something."""


class ClusterSums(NamedTuple):
    """Sums over matches with robust gradient ``psi = f e``, and over pairs of them.

    Attributes
    ----------
    bread : (6, 6) float array
        ``sum psi' J^T J``: how the gradient really answers to a motion (`hessian` holds ``f^2``).
    meat : (6, 6) float array
        ``sum psi^2 J^T J``: its scatter, were all matches independent.
    pairs : (3, 6, 6) float array
        ``sum f_i^2 f_j^2 J_i^T J_j`` over the pairs of matches in one block, for each of BLOCKS.
    products : (3,) float array
        ``sum e_i e_j`` over the same pairs, residuals signed towards the sensor [m^2].
    counts : (3,) float array
        ``sum f_i f_j`` over the same pairs.
    side_bias2 : float
        Mean over the sides of the squared mean residual [m^2].
    """

    bread: Matrix
    meat: Matrix
    pairs: Matrix
    products: Matrix
    counts: Matrix
    side_bias2: float


def sums_of(matcher: QueryPlaneMatcher | MapPlaneMatcher, transform: Matrix) -> ClusterSums:
    """Sums over the matches that `matcher` found last, with residuals as of `transform` (4, 4)."""
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
        matcher._source[rows], places, normals, transform, weights * residuals, slopes, curvatures)


def cluster_sums(
    points: Matrix, places: Matrix, normals: Matrix, transform: Matrix, errors: Matrix,
    slopes: Matrix, curvatures: Matrix,
) -> ClusterSums:
    """Sum matches and pairs of matches in blocks.

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

    Returns
    -------
    ClusterSums
    """
    return ClusterSums(*_cluster_sums(
        points, places, normals, transform, errors, slopes, curvatures, np.array(BLOCKS),
        make_table(2 * len(BLOCKS) * len(points))))


@njit(cache=True, nogil=True)
def _cluster_sums(
    points, places, normals, transform, errors, slopes, curvatures, blocks, table
):
    """Fields of :class:`ClusterSums`; `table` is empty, with room for each match and level."""
    n, levels = points.shape[0], blocks.shape[0]
    totals = np.zeros((n * levels, 8))  # sum f^2 J, sum e, sum f of each block
    level_of = np.empty(n * levels, np.int64)
    clusters = 0
    bread, meat, alone = np.zeros((6, 6)), np.zeros((6, 6)), np.zeros((6, 6))
    side_error, side_count = np.zeros(SIDES), np.zeros(SIDES)
    row = np.empty(6)
    squares = weights = 0.0
    for i in range(n):
        sign, side = _side(normals[i], places[i], transform)
        _jacobian(points[i], normals[i], transform, sign, row)
        e, f = sign * errors[i], slopes[i]
        f2, psi2 = f * f, f * f * e * e
        for a in range(6):
            for b in range(a, 6):
                product = row[a] * row[b]
                bread[a, b] += curvatures[i] * product
                meat[a, b] += psi2 * product
                alone[a, b] += f2 * f2 * product
        squares += e * e
        weights += f2
        side_error[side] += e
        side_count[side] += 1.0
        for level in range(levels):
            scale = 1.0 / blocks[level] if blocks[level] > 0.0 else 0.0
            key = pack(
                int(np.floor(places[i, 0] * scale)) * SIDES + side,
                int(np.floor(places[i, 1] * scale)) * levels + level,
                int(np.floor(places[i, 2] * scale)))
            cluster = find(table, key)
            if cluster < 0:
                cluster = clusters
                level_of[cluster] = level
                insert_key(table, key, cluster)
                clusters += 1
            for a in range(6):
                totals[cluster, a] += f2 * row[a]
            totals[cluster, 6] += e
            totals[cluster, 7] += f
    pairs = np.zeros((levels, 6, 6))
    products, counts = np.full(levels, -squares), np.full(levels, -weights)
    for cluster in range(clusters):
        level = level_of[cluster]
        for a in range(6):
            for b in range(a, 6):
                pairs[level, a, b] += totals[cluster, a] * totals[cluster, b]
        products[level] += totals[cluster, 6] ** 2
        counts[level] += totals[cluster, 7] ** 2
    for a in range(6):
        for b in range(a, 6):
            for level in range(levels):
                pairs[level, a, b] -= alone[a, b]
                pairs[level, b, a] = pairs[level, a, b]
            bread[b, a], meat[b, a] = bread[a, b], meat[a, b]
    bias2, sides = 0.0, 0
    for side in range(SIDES):
        if side_count[side] > MIN_SIDE:
            bias2 += (side_error[side] / side_count[side]) ** 2
            sides += 1
    return bread, meat, pairs, products, counts, bias2 / max(sides, 1)


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
