# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From named fields, of a message or a file, to points and times."""

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.io.times import choose_time_field, relative_times

COORDINATES = ('x', 'y', 'z')


def points_and_times(
    columns: Mapping[str, NDArray],
    *,
    time_field: str = '',
    time_unit: str = 'auto',
    stamp: float | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return coordinates and times of points given as one array per field.

    Parameters
    ----------
    columns : mapping of str to arrays of one shape with N elements
        Fields under their names; others than ``x``, ``y``, ``z`` and the time are not looked at.
    time_field, time_unit : str
        As of :class:`dcreg_ros.config.InputConfig`.
    stamp : float or None
        Time of the scan [s]; None if it has none.

    Returns
    -------
    points : (N, 3) float64 array
        Metres, as they are: NaN and infinite rows are kept.
    times : (N,) float64 array or None
        Seconds after `stamp`, see :func:`dcreg_ros.io.times.relative_times`.

    Raises
    ------
    ValueError
        If ``x``, ``y``, ``z`` or `time_field` is missing or not of a type it can have.
    """
    require_coordinates(columns)
    for axis in COORDINATES:
        _check_coordinate(axis, columns[axis].dtype)
    name = choose_time_field(columns, time_field)
    shape = columns['x'].shape
    points = np.empty((*shape, 3))
    for index, axis in enumerate(COORDINATES):
        points[..., index] = columns[axis]
    points = points.reshape(-1, 3)
    if not name:
        return points, None
    raw = columns[name].reshape(-1)
    if raw.dtype.kind not in 'iuf':
        raise ValueError(f'time field {name!r} is of type {raw.dtype}, not a number')
    extent = np.abs(points[:, 0]) + np.abs(points[:, 1]) + np.abs(points[:, 2])
    usable = (extent > 0.0) & (extent < np.inf)  # False for NaN, and for "no return" at (0, 0, 0)
    return points, relative_times(raw, usable, stamp=stamp, unit=time_unit, name=name)


def require_coordinates(names: Collection[str]) -> None:
    """Raise a ValueError unless ``x``, ``y`` and ``z`` are among `names`."""
    for axis in COORDINATES:
        if axis not in names:
            raise ValueError(f'no field {axis!r}; there are: {", ".join(names) or "none"}')


def _check_coordinate(axis: str, dtype: np.dtype) -> None:
    if dtype.kind != 'f' or dtype.itemsize < 4:
        raise ValueError(f'field {axis!r} is of type {dtype}, expected float32 or float64 [m]')
