# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where rays meet surfaces, in closed form.

A ray is brought into the frame of each primitive, and the nearest hit of all wins. Solids are
convex: a ray is within one on a single interval, whose start is what is seen from outside and
whose end is what is seen from inside.
"""

import math

import numpy as np
from numba import njit

RECTANGLE, BOX, CYLINDER, TUBE, SPHERE = range(5)
"""Kinds of primitives; CYLINDER has caps, TUBE has none."""

NEAREST = 1e-9
"""Hits nearer than this are the surface the ray starts on [m]."""


@njit(cache=True, nogil=True)
def cast(kinds, rotations, centers, sizes, reaches, origins, directions):
    """Return ranges (N,) and normals (N, 3) facing the origins; inf and zeros without a hit.

    kinds (P,), rotations (P, 3, 3), centers (P, 3), sizes (P, 3), reaches (P,) radius of the
    sphere around each primitive; origins and unit directions (N, 3), world frame.
    """
    count = origins.shape[0]
    ranges = np.full(count, np.inf)
    normals = np.zeros((count, 3))
    origin, direction = np.empty(3), np.empty(3)
    for i in range(count):
        winner = -1
        for j in range(kinds.shape[0]):
            if _misses(centers[j], reaches[j], origins[i], directions[i], ranges[i]):
                continue
            _to_frame(rotations[j], centers[j], origins[i], directions[i], origin, direction)
            distance = _range_to(kinds[j], sizes[j], origin, direction)
            if distance < ranges[i]:
                ranges[i] = distance
                winner = j
        if winner >= 0:
            _to_frame(
                rotations[winner], centers[winner], origins[i], directions[i], origin, direction
            )
            hit = origin + ranges[i] * direction
            normal = rotations[winner] @ _normal_at(kinds[winner], sizes[winner], hit)
            facing = -1.0 if np.dot(normal, directions[i]) > 0.0 else 1.0
            normals[i] = facing * normal
    return ranges, normals


@njit(cache=True, nogil=True)
def _misses(center, reach, origin, direction, nearest):
    """Whether a ray passes the sphere of radius `reach`, or meets it only beyond `nearest`."""
    if reach == math.inf:
        return False
    x, y, z = center[0] - origin[0], center[1] - origin[1], center[2] - origin[2]
    along = x * direction[0] + y * direction[1] + z * direction[2]
    aside = x * x + y * y + z * z - along * along
    return aside > reach * reach or along < -reach or along - reach > nearest


@njit(cache=True, nogil=True)
def _to_frame(rotation, center, origin, direction, local_origin, local_direction):
    """Write a world ray into the frame of a primitive; all vectors (3,)."""
    x, y, z = origin[0] - center[0], origin[1] - center[1], origin[2] - center[2]
    for k in range(3):
        a, b, c = rotation[0, k], rotation[1, k], rotation[2, k]
        local_origin[k] = a * x + b * y + c * z
        local_direction[k] = a * direction[0] + b * direction[1] + c * direction[2]


@njit(cache=True, nogil=True)
def _range_to(kind, size, o, d):
    """Distance along a local ray (o, d) to the surface, inf if there is none."""
    if kind == RECTANGLE:
        return _rectangle(size, o, d)
    if kind == BOX:
        first, last = _slab(size[0], o[0], d[0])
        for k in range(1, 3):
            enter, leave = _slab(size[k], o[k], d[k])
            first, last = max(first, enter), min(last, leave)
        return _first_ahead(first, last)
    if kind == SPHERE:
        offset = o[0] * o[0] + o[1] * o[1] + o[2] * o[2] - size[0] * size[0]
        first, last = _roots(1.0, o[0] * d[0] + o[1] * d[1] + o[2] * d[2], offset)
        return _first_ahead(first, last)
    return _cylinder(kind == CYLINDER, size, o, d)


@njit(cache=True, nogil=True)
def _rectangle(size, o, d):
    """Distance to the part of the plane z = 0 within the half extents."""
    if d[2] == 0.0:
        return math.inf
    distance = -o[2] / d[2]
    inside = abs(o[0] + distance * d[0]) <= size[0] and abs(o[1] + distance * d[1]) <= size[1]
    return distance if inside and distance > NEAREST else math.inf


@njit(cache=True, nogil=True)
def _cylinder(capped, size, o, d):
    """Distance to a cylinder about z with or without caps."""
    across = d[0] * d[0] + d[1] * d[1]
    offset = o[0] * o[0] + o[1] * o[1] - size[0] * size[0]
    first, last = _roots(across, o[0] * d[0] + o[1] * d[1], offset)
    if capped:
        enter, leave = _slab(size[2], o[2], d[2])
        return _first_ahead(max(first, enter), min(last, leave))
    if NEAREST < first < math.inf and abs(o[2] + first * d[2]) <= size[2]:
        return first
    if NEAREST < last < math.inf and abs(o[2] + last * d[2]) <= size[2]:
        return last
    return math.inf


@njit(cache=True, nogil=True)
def _slab(half, o, d):
    """Interval of a ray within -half..half along one axis; empty is (inf, -inf)."""
    if d == 0.0:
        return (-math.inf, math.inf) if abs(o) <= half else (math.inf, -math.inf)
    a, b = (-half - o) / d, (half - o) / d
    return (a, b) if a < b else (b, a)


@njit(cache=True, nogil=True)
def _roots(a, b, c):
    """Interval where a t^2 + 2 b t + c <= 0 for a >= 0; empty is (inf, -inf)."""
    if a < 1e-30:
        return (-math.inf, math.inf) if c <= 0.0 else (math.inf, -math.inf)
    discriminant = b * b - a * c
    if discriminant < 0.0:
        return math.inf, -math.inf
    # The larger of the two sums first: the difference would cancel far from the surface.
    q = -(b + math.copysign(math.sqrt(discriminant), b))
    if q == 0.0:
        return 0.0, 0.0
    s, t = q / a, c / q
    return (s, t) if s < t else (t, s)


@njit(cache=True, nogil=True)
def _first_ahead(first, last):
    """Start of the interval of a solid, its end for a ray that starts within, inf if behind."""
    if first > last:
        return math.inf
    if first > NEAREST:
        return first
    return last if last > NEAREST else math.inf


@njit(cache=True, nogil=True)
def _normal_at(kind, size, p):
    """Return the unit normal (3,), of either sign, at a local point on the surface."""
    normal = np.zeros(3)
    if kind == RECTANGLE:
        normal[2] = 1.0
    elif kind == BOX:
        face = 0
        for k in range(1, 3):
            if size[k] - abs(p[k]) < size[face] - abs(p[face]):
                face = k
        normal[face] = 1.0
    elif kind == SPHERE:
        normal[:] = p / np.sqrt(np.dot(p, p))
    else:
        radius = math.hypot(p[0], p[1])
        if kind == CYLINDER and size[2] - abs(p[2]) < abs(size[0] - radius):
            normal[2] = 1.0
        else:
            normal[0], normal[1] = p[0] / radius, p[1] / radius
    return normal
