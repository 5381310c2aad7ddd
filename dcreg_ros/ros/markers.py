# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weak directions as RViz markers: arrows along weak translations, rings about weak rotations."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from dcreg_ros.degeneracy.report import AXES, DegeneracyReport

ARROW_LENGTH = 3.0
RING_RADIUS = 2.0
TEXT_HEIGHT = 0.4
"""Metres: seen from behind a robot of a metre, not hiding it."""

COLORS = ((1.0, 0.25, 0.2), (0.3, 0.85, 0.3), (0.35, 0.55, 1.0))
"""Of x, y, z and the rotations about them, as RViz draws axes."""


def degeneracy_markers(report: DegeneracyReport | None, stamp: Any, frame_id: str) -> MarkerArray:
    """Return what RViz should show of one scan; it replaces what it showed of the scan before.

    Parameters
    ----------
    report : DegeneracyReport or None
        None clears.
    stamp : builtin_interfaces/Time
        Of the scan.
    frame_id : str
        The LiDAR frame, where the directions are expressed.
    """
    clear = _marker(stamp, frame_id, '', 0, 0, Marker.ARROW)
    clear.action = Marker.DELETEALL
    markers = [clear]
    if report is not None:
        for i in np.flatnonzero(report.mask):
            draw = _ring if i < 3 else _arrows
            markers.extend(draw(int(i), report.directions[i], stamp, frame_id))
    return MarkerArray(markers=markers)


def _arrows(
    axis: int, direction: NDArray[np.float64], stamp: Any, frame_id: str
) -> Iterator[Marker]:
    for side, sign in enumerate((1.0, -1.0)):
        arrow = _marker(stamp, frame_id, 'weak_translation', 2 * axis + side, axis, Marker.ARROW)
        arrow.points = [_point(np.zeros(3)), _point(sign * ARROW_LENGTH * direction)]
        arrow.scale.x, arrow.scale.y, arrow.scale.z = 0.08, 0.2, 0.3
        yield arrow
    yield _label(axis, (ARROW_LENGTH + TEXT_HEIGHT) * direction, stamp, frame_id)


def _ring(
    axis: int, direction: NDArray[np.float64], stamp: Any, frame_id: str
) -> Iterator[Marker]:
    ring = _marker(stamp, frame_id, 'weak_rotation', axis, axis, Marker.LINE_STRIP)
    # Any two vectors across the axis do; the unit vector least along it makes them well defined.
    first = np.cross(direction, np.eye(3)[np.argmin(np.abs(direction))])
    first /= np.linalg.norm(first)
    second = np.cross(direction, first)
    for angle in np.linspace(0.0, 2.0 * np.pi, 49):
        ring.points.append(_point(RING_RADIUS * (np.cos(angle) * first + np.sin(angle) * second)))
    ring.scale.x = 0.08
    yield ring
    yield _label(axis, (RING_RADIUS + TEXT_HEIGHT) * first, stamp, frame_id)


def _label(axis: int, position: NDArray[np.float64], stamp: Any, frame_id: str) -> Marker:
    label = _marker(stamp, frame_id, 'weak_name', axis, axis, Marker.TEXT_VIEW_FACING)
    label.pose.position = _point(position)
    label.scale.z = TEXT_HEIGHT
    label.text = f'{AXES[axis]} weak'
    return label


def _marker(
    stamp: Any, frame_id: str, namespace: str, number: int, axis: int, kind: int
) -> Marker:
    marker = Marker(ns=namespace, id=number, type=kind, action=Marker.ADD)
    marker.header.stamp = stamp
    marker.header.frame_id = frame_id
    marker.pose.orientation.w = 1.0
    red, green, blue = COLORS[axis % 3]
    marker.color = ColorRGBA(r=red, g=green, b=blue, a=0.9)
    return marker


def _point(vector: NDArray[np.float64]) -> Point:
    x, y, z = (float(value) for value in vector)
    return Point(x=x, y=y, z=z)
