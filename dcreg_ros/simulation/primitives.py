# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The few surfaces that scenes are made of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcreg_ros.simulation.raycast import BOX, CYLINDER, RECTANGLE, SPHERE, TUBE


@dataclass(frozen=True)
class Primitive:
    """One surface in its own frame, and where that frame is.

    Attributes
    ----------
    kind : int
        ``RECTANGLE``, ``BOX``, ``CYLINDER``, ``TUBE`` or ``SPHERE`` of the raycast module.
    rotation : (3, 3) float array
        Axes of the primitive as columns, world frame.
    center : (3,) float array
        Origin of the primitive, world frame [m].
    size : (3,) float array
        Half extents of a rectangle (x, y, 0) or box (x, y, z); radius, radius and half length of a
        cylinder or tube; the radius of a sphere three times [m]. Infinite where it has no end.
    """

    kind: int
    rotation: NDArray[np.float64]
    center: NDArray[np.float64]
    size: NDArray[np.float64]


def plane(point: ArrayLike, normal: ArrayLike) -> Primitive:
    """Return an infinite plane through `point` (3,) [m]; seen from both sides."""
    return rectangle(point, normal, (math.inf, math.inf))


def rectangle(
    center: ArrayLike,
    normal: ArrayLike,
    size: Sequence[float],
    along: ArrayLike = (0.0, 0.0, 1.0),
) -> Primitive:
    """Return a finite plane, seen from both sides.

    Parameters
    ----------
    center, normal : (3,) array_like
        World frame [m]; the normal may have any length.
    size : (length, width)
        Full extents [m]; the length runs along `along`.
    along : (3,) array_like
        Direction of the length, world frame; only its part within the plane matters, and where it
        has none the x axis is taken.

    Raises
    ------
    ValueError
        If a size is not positive or the normal has no direction.
    """
    return _primitive(RECTANGLE, center, _axes(normal, along), (size[0] / 2, size[1] / 2, 0.0))


def box(center: ArrayLike, size: Sequence[float], yaw: float = 0.0) -> Primitive:
    """Return six faces, seen from outside or, for a sensor within, from inside.

    Parameters
    ----------
    center : (3,) array_like
        World frame [m].
    size : (3,) sequence of float
        Full extents [m] along the box's own x, y and z.
    yaw : float
        Rotation about the world's z axis [rad].

    Raises
    ------
    ValueError
        If an extent is not positive and finite.
    """
    if not all(map(math.isfinite, size)):
        raise ValueError(f'a box of size {tuple(size)} m should be finite')
    c, s = math.cos(yaw), math.sin(yaw)
    rotation = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    return _primitive(BOX, center, rotation, np.asarray(size, dtype=float) / 2)


def cylinder(
    center: ArrayLike,
    radius: float,
    length: float = math.inf,
    axis: ArrayLike = (0.0, 0.0, 1.0),
    *,
    capped: bool = True,
) -> Primitive:
    """Return a round cylinder, seen from outside or inside.

    Parameters
    ----------
    center : (3,) array_like
        Middle of the axis, world frame [m].
    radius, length : float
        In metres; an infinite length has no caps.
    axis : (3,) array_like
        Direction of the axis, world frame.
    capped : bool
        Whether the ends are closed. An open one is seen from inside through its ends.

    Raises
    ------
    ValueError
        If radius or length is not positive or the axis has no direction.
    """
    kind = CYLINDER if capped and math.isfinite(length) else TUBE
    return _primitive(kind, center, _axes(axis, (1.0, 0.0, 0.0)), (radius, radius, length / 2))


def sphere(center: ArrayLike, radius: float) -> Primitive:
    """Return a sphere [m], seen from outside or inside.

    Raises
    ------
    ValueError
        If the radius is not positive.
    """
    return _primitive(SPHERE, center, np.eye(3), (radius, radius, radius))


def _primitive(
    kind: int, center: ArrayLike, rotation: NDArray[np.float64], size: ArrayLike
) -> Primitive:
    half = np.asarray(size, dtype=float)
    extents = half[:2] if kind == RECTANGLE else half
    if not np.all(extents > 0.0):
        raise ValueError(f'half extents or radii {half} m of a primitive should be positive')
    return Primitive(kind, rotation, np.asarray(center, dtype=float).reshape(3), half)


def _axes(normal: ArrayLike, along: ArrayLike) -> NDArray[np.float64]:
    """Return a (3, 3) rotation whose z axis is `normal` and whose x axis leans to `along`."""
    z = np.asarray(normal, dtype=float).reshape(3)
    length = np.linalg.norm(z)
    if not length > 0.0:
        raise ValueError(f'{z} has no direction')
    z = z / length
    for hint in (np.asarray(along, dtype=float), np.array([1.0, 0.0, 0.0]), np.eye(3)[1]):
        x = hint - (hint @ z) * z
        if np.linalg.norm(x) > 1e-9:
            break
    x = x / np.linalg.norm(x)
    return np.column_stack([x, np.cross(z, x), z])
