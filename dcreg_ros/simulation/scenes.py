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
from dcreg_ros.simulation.furniture import cabinet, column, table, wall, walls_with_opening
from dcreg_ros.simulation.lidar import LidarModel
from dcreg_ros.simulation.primitives import Primitive
from dcreg_ros.simulation.scene import Scene
from dcreg_ros.simulation.trajectory import drive, tour

UP = (0.0, 0.0, 1.0)
ALONG = (1.0, 0.0, 0.0)
ASIDE = (0.0, 1.0, 0.0)


def corridor(
    room: float = 10.0,
    bare: float = 50.0,
    end: float = 12.0,
    width: float = 2.5,
    height: float = 3.0,
    speed: float = 2.0,
    max_range: float = 16.0,
) -> Scene:
    """Return a furnished room, a bare corridor, and an end with doors and pillars.

    The LiDAR sees `max_range` far, so x is free while both ends are farther away, and close to
    free while it sees only a few points of them. Everywhere else all six directions are firm.

    Parameters
    ----------
    room, bare, end : float
        Lengths of the three parts [m], one after the other along x from 0.
    width, height : float
        Of the corridor; the room is 6 m wide [m].
    speed : float
        Cruising speed [m/s].
    max_range : float
        Of the LiDAR [m].
    """
    total, side = room + bare + end, width / 2
    half_room = max(3.0, side + 0.5)
    surfaces = [
        shapes.plane((0, 0, 0), UP),
        shapes.plane((0, 0, height), UP),
        wall((0, -half_room), (0, half_room), height),
        *(wall((0, s * half_room), (room, s * half_room), height) for s in (-1, 1)),
        *walls_with_opening(room, half_room, side, height, min(2.4, height)),
        *(wall((room, s * side), (total, s * side), height) for s in (-1, 1)),
        wall((total, -side), (total, side), height),
        *table(3.0, 2.0),
        *table(6.5, -2.0, 1.2, 1.2),
        cabinet(1.0, -2.75, 1.4),
        cabinet(5.5, 2.75, 0.9, 0.5, 1.6),
        cabinet(8.8, 2.3, 0.6, 0.8, 1.1, yaw=0.4),
        column(3.5, -2.2),
        column(8.6, -2.4, 0.25),
        *_doors(room + bare, end, side),
    ]
    trajectory = drive(total - 5.0, (2.0, 0.0, 1.0), speed=speed)
    return Scene('corridor', tuple(surfaces), trajectory, LidarModel(max_range=max_range))


def _doors(start: float, length: float, side: float) -> list[Primitive]:
    """Return door frames, cabinets and pillars on alternating walls, from x = start on."""
    things: list[Primitive] = []
    for k in range(int(length / 1.5)):
        x, s = start + 0.75 + 1.5 * k, (-1) ** k
        if k % 3 == 2:
            things.append(column(x, s * (side - 0.15), 0.15))
        elif k % 3 == 1:
            things.append(cabinet(x, s * (side - 0.15), 0.8, 0.3, 1.4))
        else:
            things += [cabinet(x + d, s * (side - 0.1), 0.12, 0.2, 2.1) for d in (-0.5, 0.5)]
    return things


def bare_corridor(
    length: float = 40.0,
    driven: float = 20.0,
    width: float = 2.5,
    height: float = 3.0,
    speed: float = 1.5,
) -> Scene:
    """Return an empty closed corridor, or with an infinite `length` one without end walls.

    The end walls are within range, yet only a hundredth of the points is on them: weak x by the
    relative test, firm by the accuracy that the exact points could give. Without them x is free.
    """
    surfaces = [
        shapes.plane((0, 0, 0), UP),
        shapes.plane((0, 0, height), UP),
        *(shapes.plane((0, s * width / 2, 0), ASIDE) for s in (-1, 1)),
    ]
    start = 0.0
    if math.isfinite(length):
        start = (length - driven) / 2
        surfaces += [shapes.plane((x, 0, 0), ALONG) for x in (0.0, length)]
    trajectory = drive(driven, (start, 0.0, 1.0), speed=speed)
    return Scene('bare_corridor', tuple(surfaces), trajectory)


def tunnel(
    radius: float = 3.0, off_axis: float = 0.3, driven: float = 20.0, weave: float = 0.1
) -> Scene:
    """Return an endless round tunnel; x and the turn about its centre line are free.

    The LiDAR is `off_axis` below the centre line, which is the world's x axis.
    """
    surface = shapes.cylinder((0, 0, 0), radius, axis=ALONG)
    return Scene('tunnel', (surface,), drive(driven, (0.0, 0.0, -off_axis), weave=weave))


def square_tunnel(width: float = 4.0, height: float = 4.0, driven: float = 20.0) -> Scene:
    """Return an endless tunnel with four flat sides; x is free."""
    return Scene(
        'square_tunnel',
        bare_corridor(math.inf, driven, width, height).primitives,
        drive(driven, (0.0, 0.3, height / 2 - 0.5)),
    )


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
        tunnel,
        square_tunnel,
        plane,
        parallel_planes,
        room,
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
