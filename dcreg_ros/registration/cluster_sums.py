# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the residuals of one registration say about the scatter of its gradient.

Matches in one block of a surface share map cells and planes, so they err together; how much, their
sum tells. A block that a motion hangs on is fitted by that motion, and of its sum less is left:
what is gone is taken for independent errors. Nor do sums of few blocks tell a covariance well, the
less the more motions it is of, so the more a motion hangs on one of them, the more its sum counts.
Where one block ends and the next begins is a matter of chance, so the mean over blocks that begin
in four places is taken.

All walls can seem nearer than they are by as much, as bent ones do, and all floors: no motion can
answer to that, and in a sum over blocks it would look like scatter. Their means are taken off.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.degeneracy.schur import ZERO
from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.registration.jacobians import counted
from dcreg_ros.registration.linearize import add_square, jacobian, symmetric
from dcreg_ros.registration.map_plane import MapPlaneMatcher
from dcreg_ros.registration.query_plane import WEIGHT_SLOPE, QueryPlaneMatcher
from dcreg_ros.voxels.hashing import find, insert_key, make_table, pack

Matrix = NDArray[np.float64]

BLOCK = 2.0
"""Edge of the blocks [m]: planes of the map reach 1.1 m to either side. Across a surface blocks
have no end, or noise would part the points of a wall at the border of two; nor have they upwards,
where a trunk errs as one."""
SIDES, WALLS = 6, 4
"""Ways a surface can face: along or against the axis of the map nearest to its normal; the first
are those of walls."""
FEW = 1.0 / 14.0
"""Share of the leverage of a block by which its sum counts for more, for each of the firm motions
and one: ``(1 - FEW (p + 1) B)^-3``. Of a covariance of p motions from the sums of n blocks errors
in units of it have a mean square of ``n / (n - p - 1)`` times p (Hotelling, 1931). With `B` small
``1 + (p + 1) B / 2`` would make up for that; this is ``1 + 3 (p + 1) B / 14``, as the means over
four are less uncertain than the sums of one."""
SMALL, NEGLIGIBLE = 0.05, 1e-3
"""Leverage below which a series will do, and below which nothing has to be done."""
GRAZING = 0.05
"""Least share of the noise of a range that is left across a surface, however grazing the ray."""


class ClusterSums(NamedTuple):
    """Sums over matches with robust gradient ``psi = f e``.

    Attributes
    ----------
    bread : (6, 6) float array
        ``sum psi' J^T J``: how the gradient really answers to a motion (`hessian` holds ``f^2``).
    meat : (6, 6) float array
        Scatter of the gradient: over blocks with ``g = sum (psi - f^2 m) J^T`` and their part
        ``B = H_b H^-1`` of the Hessian, ``sum (1 - a B)^-3 g g^T (1 - a B^T)^-3`` with `a` of
        ``(p + 1) / 14`` for p firm motions, and ``B v H_b`` for what is fitted away. `m` is the
        mean over the walls or over the floors, `v` the variance of one match: that of all, as the
        square of the cosine between its ray and its normal.
    cautious : (6, 6) float array
        The same as for six firm motions, and with ``min(tr B, 1) v H_b`` in place of ``B v H_b``:
        the more hangs on a block, the less it is believed of any motion. With less caution single
        blocks outvote predictions, and corridors slide.
    alone : (6, 6) float array
        ``sum f^2 v J^T J``: how the gradient would scatter if matches were independent.
    """

    bread: Matrix
    meat: Matrix
    cautious: Matrix
    alone: Matrix


def sums_of(
    matcher: QueryPlaneMatcher | MapPlaneMatcher, transform: Matrix, held: Matrix, firm: int
) -> ClusterSums:
    """Sums over the matches that `matcher` found last, with residuals as of `transform` (4, 4).

    `held` (6, 6) is the Hessian, with what a guess adds to it; `firm` motions are not left to it.
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
        curvatures, held, firm)


def cluster_sums(
    points: Matrix, places: Matrix, normals: Matrix, transform: Matrix, errors: Matrix,
    slopes: Matrix, curvatures: Matrix, held: Matrix, firm: int,
) -> ClusterSums:
    """Sum matches, alone and in blocks.

    Parameters
    ----------
    points : (M, 3) float64 array
        Source frame, seen from its origin [m].
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
    firm : int
        How many motions the matches decide; the others are left to the guess.

    Returns
    -------
    ClusterSums
    """
    return ClusterSums(*_cluster_sums(
        points, places, normals, transform, errors, slopes, curvatures, held, firm,
        make_table(2 * len(points))))


@njit(cache=True, nogil=True)
def _cluster_sums(
    points, places, normals, transform, errors, slopes, curvatures, held, firm, table
):
    """Fields of :class:`ClusterSums`; `table` is empty, with room for each match."""
    n = points.shape[0]
    pulls, offsets = np.zeros((n, 6)), np.zeros((n, 6))
    parts, noises, weights = np.zeros((n, 21)), np.zeros(n), np.zeros(n)
    tiles, bread, alone = np.empty((n, 3), np.int64), np.zeros(21), np.zeros(21)
    count, square, pulled, weighed = 0, 0.0, np.zeros(2), np.full(2, 1e-300)
    for i in range(n):
        sign, side, cosine2 = _side(normals[i], places[i], transform)
        j = jacobian(points[i], transform, normals[i, 0], normals[i, 1], normals[i, 2])
        a, b = _tile_of(places[i], side)
        key = pack(a * SIDES + side, b, 0)
        tile = find(table, key)
        if tile < 0:
            tile = count
            insert_key(table, key, tile)
            tiles[tile] = side, a, b
            count += 1
        f2, psi = slopes[i] * slopes[i], sign * slopes[i] * errors[i]
        noise = f2 * (cosine2 + GRAZING * GRAZING)
        square += errors[i] * errors[i]
        noises[tile] += noise
        weights[tile] += f2
        pulled[side // WALLS] += psi
        weighed[side // WALLS] += f2
        for k in range(6):
            pulls[tile, k] += psi * sign * j[k]
            offsets[tile, k] += f2 * sign * j[k]
        add_square(bread, 0, curvatures[i], j)
        add_square(alone, 0, noise, j)
        add_square(parts[tile], 0, f2, j)
    for tile in range(count):
        kind = tiles[tile, 0] // WALLS
        pulls[tile] -= pulled[kind] / weighed[kind] * offsets[tile]
    variance = square / max(noises.sum(), 1e-300)
    meat, cautious = _meat(
        tiles[:count], pulls, parts, variance * noises, weights,
        held + np.eye(6) * (ZERO * max(np.trace(held), ZERO)), firm)  # it can be inverted
    return symmetric(bread), meat, cautious, variance * symmetric(alone)


@njit(cache=True, nogil=True)
def _meat(tiles, pulls, parts, noises, weights, held, firm):
    """Scatters of the gradient (6, 6), means over blocks of two by two `tiles` (C, 3)."""
    inverse, meat, cautious = np.linalg.inv(held), np.zeros((6, 6)), np.zeros((6, 6))
    block = np.empty(len(tiles), np.int64)
    pull, part = np.empty(6), np.empty(21)
    for shift in range(4):
        for tile in range(len(tiles)):
            side, a, b = tiles[tile]
            block[tile] = pack(((a + shift % 2) // 2) * SIDES + side, (b + shift // 2) // 2, 0)
        order = np.argsort(block)
        first = 0
        while first < len(order):
            pull[:], part[:], noise, weight = 0.0, 0.0, 0.0, 1e-300
            end = first
            while end < len(order) and block[order[end]] == block[order[first]]:
                tile = order[end]
                _add(pull, part, pulls, parts, tile)
                noise += noises[tile]
                weight += weights[tile]
                end += 1
            first = end
            _add_block(
                meat, cautious, pull, symmetric(part), noise / weight, held, inverse, firm)
    return 0.25 * meat, 0.25 * cautious


@inner_loop
def _add(pull, part, pulls, parts, tile):
    """Add those of one tile to `pull` (6,) and `part` (21,)."""
    for k in range(6):
        pull[k] += pulls[tile, k]
    for k in range(21):
        part[k] += parts[tile, k]


@njit(cache=True, nogil=True)
def _add_block(meat, cautious, pull, part, variance, held, inverse, firm):
    """Add to both scatters (6, 6) what the `pull` (6,) of a block says, and what is fitted away.

    One match has `variance` [m^2]; the matches decide `firm` motions.
    """
    leverage = 0.0
    for a in range(6):
        for b in range(6):
            leverage += part[a, b] * inverse[a, b]
    raised = most = pull
    if leverage > NEGLIGIBLE:
        share = part @ inverse
        raised = most = _raised(pull, part, share, leverage, held, 6)
        if firm < 6:
            raised = _raised(pull, part, share, leverage, held, firm)
        meat += variance * (share @ part)
    for a in range(6):
        for b in range(6):
            meat[a, b] += raised[a] * raised[b]
            cautious[a, b] += most[a] * most[b] + variance * min(leverage, 1.0) * part[a, b]


@njit(cache=True, nogil=True)
def _raised(pull, part, share, leverage, held, firm):
    """``(1 - FEW (firm + 1) B)^-3`` times the `pull` (6,) of a block whose `share` (6, 6) is B."""
    few = FEW * (firm + 1)
    if leverage > SMALL:
        fewer = held @ np.linalg.inv(held - few * part)
        return fewer @ (fewer @ (fewer @ pull))
    first = share @ pull
    return pull + 3.0 * few * (first + 2.0 * few * (share @ first))


@njit(cache=True, nogil=True)
def _tile_of(place, side):
    """Half a block wide, the tile of a place [m] on a surface that faces to `side`."""
    i = int(np.floor(2.0 * place[0] / BLOCK))
    j = int(np.floor(2.0 * place[1] / BLOCK))
    across = side // 2
    return 0 if across == 0 else i, 0 if across == 1 else j


@njit(cache=True, nogil=True)
def _side(normal, place, transform):
    """Sign that turns a normal towards the sensor, and which of the SIDES it then faces.

    Then the square of the cosine between it and the ray.
    """
    facing, largest, axis, range2 = 0.0, -1.0, 0, 1e-300
    for k in range(3):
        way = transform[k, 3] - place[k]
        facing += normal[k] * way
        range2 += way * way
        if abs(normal[k]) > largest:
            largest, axis = abs(normal[k]), k
    sign = 1.0 if facing >= 0.0 else -1.0
    side = 2 * axis + (1 if sign * normal[axis] > 0.0 else 0)
    return sign, side, facing * facing / range2
