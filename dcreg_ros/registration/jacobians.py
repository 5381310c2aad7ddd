# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every match by itself, for the few methods that look at more than their sum.

Plain numpy, and off the way of all others: ``linearize`` never keeps single matches.
"""

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.registration.map_plane import MapPlaneMatcher
from dcreg_ros.registration.query_plane import (
    MIN_WEIGHT,
    NEIGHBORS,
    WEIGHT_SLOPE,
    QueryPlaneMatcher,
)

Array = NDArray[np.float64]


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
    source, planes = matcher._source, matcher._plane
    moved = source @ transform[:3, :3].T + transform[:3, 3]
    residuals = distances(matcher, moved)
    kept = matcher._usable & counted(matcher, moved, residuals)
    normals = planes[kept, :3] @ transform[:3, :3]
    return np.c_[np.cross(source[kept], normals), normals], residuals[kept]


def counted(
    matcher: QueryPlaneMatcher | MapPlaneMatcher, moved: Array, residuals: Array
) -> NDArray[np.bool_]:
    """Which matches (N,) are near enough and not outliers."""
    if isinstance(matcher, MapPlaneMatcher):
        return np.asarray(matcher._slope > 0.0)
    neighbors = matcher._tree.points[matcher._neighbors[:, :NEIGHBORS]]
    near = np.linalg.norm(neighbors - moved[:, None], axis=2).max(axis=1) < matcher._radius
    return np.asarray(near & (1.0 - WEIGHT_SLOPE * np.abs(residuals) > MIN_WEIGHT))


def distances(matcher: QueryPlaneMatcher | MapPlaneMatcher, moved: Array) -> Array:
    """Signed distances (N,) of all source points, `moved` into the target frame, to planes."""
    planes = matcher._plane
    if isinstance(matcher, MapPlaneMatcher):
        return np.einsum('ij,ij->i', planes[:, :3], moved - planes[:, 3:6])
    return np.asarray(np.einsum('ij,ij->i', planes[:, :3], moved) + planes[:, 3])
