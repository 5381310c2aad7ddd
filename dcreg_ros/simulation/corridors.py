# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Corridors and tunnels: worlds that are long, and alike all along."""

import math

from dcreg_ros.simulation import primitives as shapes
from dcreg_ros.simulation.furniture import cabinet, column, table, wall, walls_with_opening
from dcreg_ros.simulation.lidar import LidarModel
from dcreg_ros.simulation.primitives import Primitive
from dcreg_ros.simulation.scene import Scene
from dcreg_ros.simulation.trajectory import drive

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


def door_corridor(
    length: float = 40.0, driven: float = 20.0, width: float = 2.5, height: float = 3.0
) -> Scene:
    """Return a closed corridor with door frames, cabinets and pillars; all directions are firm.

    Every 1.5 m there is one of them, on either side in turn. The LiDAR drives the middle of it.
    """
    surfaces = bare_corridor(length, driven, width, height).primitives
    things = _doors(0.0, length, width / 2)
    start = ((length - driven) / 2, 0.0, 1.0)
    return Scene('door_corridor', (*surfaces, *things), drive(driven, start))


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
