# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Motions of six numbers in words."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

FAR = 50.0
"""Turning about a line farther away than this [m] is moving."""
SLIDING = 0.01
"""Metres along its axis per radian below which a rotation is only that."""


def describe_twist(twist: ArrayLike) -> str:
    """Say which motion a twist is.

    Parameters
    ----------
    twist : (6,) array
        ``[w, v]`` at the sensor, rotation [rad] before translation [m], body frame; any length.

    Returns
    -------
    str
        As in "translation along (1, 0, 0)", "rotation about the line through (0, 0, 0.3) along
        x", the point being that of the line nearest to the sensor; "no motion" for zeros.

    Raises
    ------
    ValueError
        If it is not six finite numbers.
    """
    values = np.array(twist, dtype=np.float64)
    if values.shape != (6,) or not np.isfinite(values).all():
        raise ValueError(f'a twist should be six finite numbers, not {twist!r}')
    rotation, translation = values[:3], values[3:]
    turning, moving = float(np.linalg.norm(rotation)), float(np.linalg.norm(translation))
    if turning == 0.0 and moving == 0.0:
        return 'no motion'
    if FAR * turning <= moving:
        return f'translation along {_vector(translation / moving)}'
    axis = rotation / turning
    along = float(axis @ translation) / turning
    point = np.cross(axis, translation) / turning
    words = f'rotation about the line through {_vector(point)} along {_axis(axis)}'
    if abs(along) >= SLIDING:
        words += f', moving {along:.2g} m along it per radian'
    return words


def _axis(direction: Array) -> str:
    """Name of a body axis where `direction` (3,) is one within a degree, else its numbers."""
    i = int(np.argmax(np.abs(direction)))
    if abs(direction[i]) < np.cos(np.deg2rad(1.0)):
        return _vector(direction)
    return ('' if direction[i] > 0.0 else '-') + 'xyz'[i]


def _vector(vector: Array) -> str:
    """Two decimals without trailing zeros."""
    return '(' + ', '.join(f'{round(value, 2) + 0.0:g}' for value in vector) + ')'
