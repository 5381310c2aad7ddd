# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every match by itself, for what looks at more than their sum: ``linearize`` keeps none."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.registration.map_plane import MapPlaneMatcher
from dcreg_ros.registration.query_plane import QueryPlaneMatcher, list_matches

Array = NDArray[np.float64]


class Counted(NamedTuple):
    """The matches that are near enough and no outliers.

    Attributes
    ----------
    rows : (M,) int array
        Of the source.
    matches : (M,) int array
        Of the arrays of the matcher.
    places : (M, 3) float array
        Where the points lie, target frame [m].
    normals : (M, 3) float array
        Unit normals of their planes, target frame.
    residuals : (M,) float array
        Signed distances to the planes [m].
    """

    rows: NDArray[np.intp]
    matches: NDArray[np.intp]
    places: Array
    normals: Array
    residuals: Array


def counted(matcher: QueryPlaneMatcher | MapPlaneMatcher, transform: Array) -> Counted:
    """Return those that `matcher` found last, seen from `transform` (4, 4)."""
    source = matcher._source
    if isinstance(matcher, QueryPlaneMatcher):
        rows, residuals = list_matches(
            transform, source, matcher._tree.points, matcher._radius, matcher._kept)
        places = source[rows] @ transform[:3, :3].T + transform[:3, 3]
        return Counted(rows, rows, places, matcher._kept.plane[rows, :3], residuals)
    matches = np.flatnonzero(matcher._slope > 0.0)
    rows = matches % len(source)
    places = source[rows] @ transform[:3, :3].T + transform[:3, 3]
    normals = matcher._plane[matches, :3]
    return Counted(rows, matches, places, normals, distances(matcher, matches, places))


def distances(matcher: MapPlaneMatcher, rows: NDArray[np.intp], places: Array) -> Array:
    """Signed distances (M,) of `places` (M, 3) from the planes of some rows [m]."""
    planes = matcher._plane[rows]
    return np.asarray(np.einsum('ij,ij->i', planes[:, :3], places - planes[:, 3:6]))


def jacobians(
    matcher: QueryPlaneMatcher | MapPlaneMatcher, transform: Array
) -> tuple[Array, Array]:
    """Return the matches that `matcher` found when it last linearised, at `transform`.

    Parameters
    ----------
    matcher : QueryPlaneMatcher or MapPlaneMatcher
        Has just linearised at `transform`.
    transform : (4, 4) float array
        ``T_target_source`` [m].

    Returns
    -------
    rows : (M, 6) float array
        ``J = [p x n, n]`` without weights, normals in the body frame.
    residuals : (M,) float array
        Signed distances to the planes [m].
    """
    rows, _, _, normals, residuals = counted(matcher, transform)
    turned = normals @ transform[:3, :3]
    return np.c_[np.cross(matcher._source[rows], turned), turned], residuals
