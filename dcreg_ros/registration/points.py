# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checking of point arrays at the public border."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def as_points(points: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return `points` as a contiguous (N, 3) float64 array, values untouched.

    Raises
    ------
    ValueError
        If the shape or the type is wrong; the text says `name`.
    """
    array = np.asarray(points)
    if array.size == 0 and array.ndim <= 1:
        array = np.empty((0, 3))  # an empty list has no second axis to get wrong
    if array.dtype.kind not in 'fiu':
        raise ValueError(f'{name} should hold real numbers, not {array.dtype}')
    if array.ndim != 2 or array.shape[1] != 3:
        raise ValueError(f'{name} should have shape (N, 3), not {array.shape}')
    return np.ascontiguousarray(array, dtype=np.float64)


def finite_points(points: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return the rows of :func:`as_points` that are finite (REP-117)."""
    array = as_points(points, name)
    finite = np.isfinite(array)
    return array if finite.all() else array[finite.all(axis=1)]
