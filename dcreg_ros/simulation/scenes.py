# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Worlds with known weak directions.

Every scene is a function with lengths in metres that returns a :class:`Scene`; :data:`SCENES` has
them by name. The LiDAR drives along x, z is up, and the floor is at z = 0 where there is one.
"""

import math
from collections.abc import Callable

import numpy as np

from dcreg_ros.simulation import primitives as shapes
from dcreg_ros.simulation.corridors import (
    ALONG,
    ASIDE,
    UP,
    bare_corridor,
    corridor,
    door_corridor,
    square_tunnel,
    tunnel,
)
from dcreg_ros.simulation.furniture import cabinet, column, table, wall
from dcreg_ros.simulation.lidar import LidarModel
from dcreg_ros.simulation.scene import Scene
from dcreg_ros.simulation.trajectory import drive, tour


def plane(
    poles: int = 0, pole_radius: float = 0.05, distance: float = 6.0, driven: float = 20.0
) -> Scene:
    """Return an endless floor; x, y and yaw are free.

    A few thin poles change that, in principle: the handful of points on them would do for some
    centimetres, if they could be matched.

    Parameters
    ----------
    poles : int
        Their number, on both sides of the path in turn.
    pole_radius, distance : float
        Radius, and distance from the path [m].
    driven : float
        Length of the drive [m].
    """
    spots = [((k + 0.5) * driven / max(poles, 1), (-1) ** k * distance) for k in range(poles)]
    things = [column(x, y, pole_radius, 2.5) for x, y in spots]
    return Scene('plane', (shapes.plane((0, 0, 0), UP), *things), drive(driven))


def parallel_planes(gap: float = 4.0, driven: float = 20.0) -> Scene:
    """Return two endless walls; x, z and pitch are free."""
    walls = [shapes.plane((0, s * gap / 2, 0), ASIDE) for s in (-1, 1)]
    return Scene('parallel_planes', tuple(walls), drive(driven))


def room(length: float = 12.0, width: float = 9.0, height: float = 3.0) -> Scene:
    """Return a furnished room, driven around once; all directions are firm."""
    x, y = length / 2, width / 2
    surfaces = [
        shapes.box((0, 0, height / 2), (length, width, height)),
        *table(0.0, 0.3),
        *table(1.2, -0.4, 0.8, 0.8),
        *table(x - 1.2, -y + 0.6),
        cabinet(-x + 0.25, 0.5, 1.8, 0.4, yaw=math.pi / 2),
        cabinet(-1.5, y - 0.2, 1.2),
        cabinet(1.6, y - 0.3, 0.8, 0.6, 1.2),
        cabinet(-3.0, -y + 0.25, 2.0, 0.5, 0.9),
        cabinet(x - 0.5, y - 0.5, 0.9, 0.6, 1.7, yaw=-0.7),
        cabinet(-0.9, -0.9, 0.5, 0.5, 1.1, yaw=0.5),
        column(x - 0.4, 0.8, 0.25, height),
        column(-x + 0.6, -y + 0.7, 0.2, height),
        column(-1.8, 0.9, 0.15, height),
        shapes.sphere((0.3, 0.3, 1.0), 0.25),
    ]
    a, b = x - 2.0, y - 1.7
    corners = [(0, -b), (a, -0.7 * b), (a, 0.7 * b), (0, b), (-a, 0.7 * b), (-a, -0.7 * b)]
    path = tour([(px, py, 1.0) for px, py in corners], speed=1.5)
    return Scene('room', tuple(surfaces), path)


def office(length: float = 5.0, width: float = 4.0, height: float = 2.6) -> Scene:
    """Return a small room full of furniture, driven around once; all directions are firm."""
    x, y = length / 2, width / 2
    surfaces = [
        shapes.box((0, 0, height / 2), (length, width, height)),
        *table(0.0, 0.0, 1.4, 0.7),
        cabinet(-0.2, 0.1, 0.4, 0.3, 1.2, yaw=0.3),
        cabinet(-x + 0.2, 0.3, 1.2, 0.3, yaw=math.pi / 2),
        cabinet(0.9, y - 0.15, 1.0, 0.3, 1.4),
        cabinet(-0.8, -y + 0.2, 0.8, 0.4, 0.8),
        cabinet(x - 0.25, -y + 0.3, 0.5, 0.4, 1.7, yaw=0.5),
        column(x - 0.15, 0.6, 0.15, height),
        shapes.sphere((0.5, 0.0, 0.9), 0.15),
    ]
    a, b = x - 0.9, y - 0.9
    corners = [(0, -b), (a, -0.6 * b), (a, 0.6 * b), (0, b), (-a, 0.6 * b), (-a, -0.6 * b)]
    path = tour([(px, py, 1.0) for px, py in corners], speed=0.8)
    return Scene('office', tuple(surfaces), path)


def tank(radius: float = 4.0, height: float = 6.0) -> Scene:
    """Return a closed upright cylinder; the turn about its axis is free."""
    surface = shapes.cylinder((0, 0, height / 2), radius, height)
    circle = np.linspace(0.0, 2.0 * np.pi, 8, endpoint=False)
    path = tour(np.column_stack([np.cos(circle), np.sin(circle), np.ones(8)]), speed=0.5)
    return Scene('tank', (surface,), path, _tall())


def sphere(radius: float = 5.0) -> Scene:
    """Return a hollow sphere; all turns about its centre, the origin, are free."""
    return Scene(
        'sphere',
        (shapes.sphere((0, 0, 0), radius),),
        drive(3.0, (-1.5, 0.0, -0.5), speed=0.5),
        _tall(),
    )


def stairs(steps: int = 20, rise: float = 0.17, tread: float = 0.3, width: float = 2.4) -> Scene:
    """Return a staircase between two walls, with a landing and an end wall at either end."""
    top, run, side, roof = steps * rise, steps * tread, width / 2, steps * rise + 3.0
    surfaces = [
        shapes.rectangle((-1.5, 0, 0), UP, (3.0, width), ALONG),
        shapes.rectangle((run + 1.5, 0, top), UP, (3.0, width), ALONG),
        shapes.plane((0, 0, roof), UP),
        *(wall((-3.0, s * side), (run + 3.0, s * side), roof) for s in (-1, 1)),
        *(wall((x, -side), (x, side), roof) for x in (-3.0, run + 3.0)),
    ]
    for k in range(1, steps + 1):
        surfaces.append(shapes.box(((k - 0.5) * tread, 0, k * rise / 2), (tread, width, k * rise)))
    along = np.array([-1.5, -0.8, 0.0, run / 2, run, run + 0.8, run + 1.5])
    heights = 1.0 + np.interp(along, [0.0, run], [0.0, top])
    path = tour(np.column_stack([along, np.zeros(7), heights]), speed=0.7, closed=False)
    return Scene('stairs', tuple(surfaces), path)


def forest(trees: int = 80, driven: float = 20.0, seed: int = 0) -> Scene:
    """Return a floor with trunks 0.1 to 0.3 m in radius, the path kept clear."""
    rng = np.random.default_rng(seed)
    along = rng.uniform(-15.0, driven + 15.0, trees)
    aside = rng.uniform(1.5, 15.0, trees) * rng.choice([-1.0, 1.0], trees)
    trunks = [
        column(x, y, r, 8.0)
        for x, y, r in zip(along, aside, rng.uniform(0.1, 0.3, trees), strict=True)
    ]
    return Scene('forest', (shapes.plane((0, 0, 0), UP), *trunks), drive(driven, weave=0.3))


def sparse_field(boxes: int = 6, driven: float = 20.0, seed: int = 0) -> Scene:
    """Return a floor with a few boxes far from the path: few but equal constraints."""
    rng = np.random.default_rng(seed)
    things = [
        cabinet(
            rng.uniform(-20.0, driven + 20.0),
            (-1) ** k * rng.uniform(10.0, 25.0),
            1.0,
            1.0,
            1.5,
            yaw=rng.uniform(0.0, np.pi),
        )
        for k in range(boxes)
    ]
    return Scene('sparse_field', (shapes.plane((0, 0, 0), UP), *things), drive(driven))


def _tall() -> LidarModel:
    """Return a LiDAR that sees floor and ceiling of a hall."""
    return LidarModel(channels=32, lowest=-45.0, highest=45.0)


SCENES: dict[str, Callable[..., Scene]] = {
    build.__name__: build
    for build in (
        corridor,
        bare_corridor,
        door_corridor,
        tunnel,
        square_tunnel,
        plane,
        parallel_planes,
        room,
        office,
        tank,
        sphere,
        stairs,
        forest,
        sparse_field,
    )
}
"""Every scene by name; called without arguments, it has the defaults described there."""


def make_scene(name: str, **arguments: object) -> Scene:
    """Return the scene called `name`, with some of its arguments changed.

    Raises
    ------
    ValueError
        If there is no such scene; the text lists those there are.
    """
    if name not in SCENES:
        raise ValueError(f'unknown scene {name!r}; there are: {", ".join(SCENES)}')
    return SCENES[name](**arguments)
