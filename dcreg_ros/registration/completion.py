# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What large planes tell of the matches that are a part of them: direction, tilt and height."""

import math

from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.registration.edges import COMMON, FITTED, PLACE_NOISE, SHARED, to_another
from dcreg_ros.registration.large_planes import (
    LEVEL,
    LYING,
    OFFSET,
    STANDS,
    dot,
    is_reliable,
    lies_in,
)
from dcreg_ros.registration.standing import FAR, columns_to_standing
from dcreg_ros.voxels.map import PLANE

SCATTER = 0.003**2
"""Variance of the tilt [rad^2] of a large plane, hence the least of its parts."""


@inner_loop
def complete(q, large, t, p, masks, around, cell_size, i, j, k):
    """Let large planes complete what `q` (MATCH,) holds; whether it can be matched then.

    A reliable part of a large plane keeps its normal, and how much that deviates becomes its tilt;
    any other takes the normal of the large one, and some of its height. Where it meets another, or
    something stands on it, it takes all of that, and a point that may be of either is not matched.
    What lies on a large plane, or has its own cell there, and faces elsewhere is of two surfaces,
    or a streak of points on one. The point is `p` (3,), seen from the origin of its frame, and of
    cell (i, j, k) is its plane; `t` (4, 4) takes it to the frame of the map.
    """
    on = False
    for n in range(large.shape[0]):
        if q[11] == 0.0 and lies_in(large[n], q[3:6], q, is_reliable(q)):
            near = far = stands = math.inf
            q[STANDS] = columns_to_standing(large, n, t, masks, around, cell_size, i, j, k)
            if large[n, LEVEL] > 0.0:
                stands = q[STANDS]
                x = t[0, 0] * p[0] + t[0, 1] * p[1] + t[0, 2] * p[2] + t[0, 3]
                y = t[1, 0] * p[0] + t[1, 1] * p[1] + t[1, 2] * p[2] + t[1, 3]
                z = t[2, 0] * p[0] + t[2, 1] * p[1] + t[2, 2] * p[2] + t[2, 3]
                near = to_another(large, n, x, y, z)
                far = to_another(large, n, q[PLANE], q[PLANE + 1], q[PLANE + 2])
            shared = far < SHARED * cell_size or stands < FAR
            _become_part(q, large[n], t, shared, far < FITTED * cell_size)
            return near >= large[n, LEVEL] and stands > 0
        on |= (abs(dot(large[n], q[3:6]) - large[n, 3]) < OFFSET
               or abs(dot(large[n], q[PLANE:STANDS]) - large[n, 3]) < LYING)
    return q[10] >= 0.0 and not on


@inner_loop
def _become_part(q, large, t, shared, mixed):
    """Give `q` (MATCH,) what a `large` plane (LARGE,) tells of its direction, tilt and height.

    Its cell is `shared` with another large plane, or its own plane may be fitted to points of both
    (`mixed`), and then its place is where those of its cell are. A place without a reliable plane
    is moved into the large one as far as its noise is of the variance of both, less what is left
    alone: the error of the large plane is common to all places, and far away the larger one.
    """
    if is_reliable(q) and not shared:
        both = dot(large, q)
        x, y, z = large[0] - both * q[0], large[1] - both * q[1], large[2] - both * q[2]
        q[9] = max(x * x + y * y + z * z, SCATTER)
    else:
        if mixed:
            q[3], q[4], q[5] = q[PLANE], q[PLANE + 1], q[PLANE + 2]
        x, y, z = q[3] - t[0, 3], q[4] - t[1, 3], q[5] - t[2, 3]
        down = large[0] * x + large[1] * y + large[2] * z
        noise = PLACE_NOISE * down * down / max(x * x + y * y + z * z, 1e-12)
        noise = max(noise - COMMON, 0.0)
        moved = dot(large, q[3:6]) - large[3]
        if not shared:
            moved *= noise / (noise + large[4] + 1e-12)
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
