# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What large planes tell of the matches that are a part of them: direction, tilt and height."""

import math

from numba import njit

from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.registration.large_planes import (
    LYING,
    MATCH,
    OFFSET,
    PLACE_ONLY,
    dot,
    is_reliable,
    lies_in,
)
from dcreg_ros.voxels.map import PLANE

SCATTER = 0.003**2
"""Variance of the tilt [rad^2] of a large plane, hence the least of its parts."""
PLACE_NOISE, COMMON = 0.02**2, 0.005**2
"""Variance of a point along the beam [m^2], and how much of it is left alone: a place without a
reliable plane is moved into the large one as far as the rest is of the variance of both. The error
of the large plane is common to all places, and far away the larger one."""


@inner_loop
def complete(q, large, t):
    """Let large planes complete what `q` (MATCH,) holds; whether it can be matched then.

    A reliable part of a large plane keeps its normal, and how much that deviates becomes its tilt;
    any other takes the normal of the large one, and some of its height. What lies on a large
    plane, or has its own cell there, and faces elsewhere is of two surfaces, or a streak of points
    on one. The sensor is at the translation of `t` (4, 4).
    """
    on = False
    for k in range(large.shape[0]):
        if q[11] == 0.0 and lies_in(large[k], q[3:6], q, is_reliable(q)):
            _become_part(q, large[k], t)
            return True
        on |= (abs(dot(large[k], q[3:6]) - large[k, 3]) < OFFSET
               or abs(dot(large[k], q[PLANE:MATCH]) - large[k, 3]) < LYING)
    return q[10] >= 0.0 and not on


@inner_loop
def _become_part(q, large, t):
    """Give `q` (MATCH,) what a `large` plane (LARGE,) tells of its direction, tilt and height."""
    if is_reliable(q):
        both = dot(large, q)
        x, y, z = large[0] - both * q[0], large[1] - both * q[1], large[2] - both * q[2]
        q[9] = max(x * x + y * y + z * z, SCATTER)
    else:
        x, y, z = q[3] - t[0, 3], q[4] - t[1, 3], q[5] - t[2, 3]
        down = large[0] * x + large[1] * y + large[2] * z
        noise = PLACE_NOISE * down * down / max(x * x + y * y + z * z, 1e-12)
        noise = max(noise - COMMON, 0.0)
        moved = (dot(large, q[3:6]) - large[3]) * noise / (noise + large[4] + 1e-12)
        for axis in range(3):
            q[axis] = large[axis]
            q[3 + axis] -= moved * large[axis]
        x, y, z = (-q[1], q[0], 0.0) if abs(q[2]) < 0.7 else (0.0, -q[2], q[1])
        q[9] = SCATTER
    q[10] = SCATTER
    length2 = x * x + y * y + z * z
    if length2 > 1e-12:
        scale = 1.0 / math.sqrt(length2)
        q[6], q[7], q[8] = x * scale, y * scale, z * scale


@njit(cache=True, nogil=True)
def complete_all(plane, usable, large, t):
    """:func:`complete` each of the matches (N, MATCH), whether `usable` (N,) or not."""
    for i in range(usable.shape[0]):
        if usable[i] or plane[i, 10] == PLACE_ONLY:
            usable[i] = complete(plane[i], large, t)
