# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Things made of a few primitives, standing on the floor at z = 0."""

from dcreg_ros.simulation.primitives import Primitive, box, cylinder, rectangle


def table(x: float, y: float, length: float = 1.6, width: float = 0.8) -> list[Primitive]:
    """Return a top on four legs, 0.75 m high, along the world's axes [m]."""
    reach_x, reach_y = length / 2 - 0.05, width / 2 - 0.05
    legs = [
        box((x + i * reach_x, y + j * reach_y, 0.35), (0.06, 0.06, 0.7))
        for i in (-1, 1)
        for j in (-1, 1)
    ]
    return [box((x, y, 0.725), (length, width, 0.05)), *legs]


def cabinet(
    x: float,
    y: float,
    length: float = 1.0,
    depth: float = 0.4,
    height: float = 2.0,
    yaw: float = 0.0,
) -> Primitive:
    """Return a closed box on the floor [m, rad]."""
    return box((x, y, height / 2), (length, depth, height), yaw)


def column(x: float, y: float, radius: float = 0.2, height: float = 3.0) -> Primitive:
    """Return a round pillar on the floor [m]."""
    return cylinder((x, y, height / 2), radius, height)


def wall(
    start: tuple[float, float], end: tuple[float, float], height: float, bottom: float = 0.0
) -> Primitive:
    """Return an upright rectangle between two points of the ground plan [m]."""
    across, up = end[0] - start[0], end[1] - start[1]
    length = (across**2 + up**2) ** 0.5
    center = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, (bottom + height) / 2)
    return rectangle(center, (up, -across, 0.0), (height - bottom, length))


def walls_with_opening(
    x: float, y_outer: float, y_inner: float, height: float, lintel: float
) -> list[Primitive]:
    """Return a wall across x from -y_outer to y_outer with an opening -y_inner to y_inner [m].

    The opening is `lintel` high; above it the wall goes on to `height`.
    """
    sides = [
        wall((x, -y_outer), (x, -y_inner), height),
        wall((x, y_inner), (x, y_outer), height),
    ]
    if lintel < height:
        sides.append(wall((x, -y_inner), (x, y_inner), height, lintel))
    return sides
