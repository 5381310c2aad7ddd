# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The plane of the map that a query is matched to: that of the cell at or nearest to it."""

import math

from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.registration.completion import complete
from dcreg_ros.registration.large_planes import MATCH, NOTHING, PLACE_ONLY, STANDS
from dcreg_ros.registration.standing import FAR
from dcreg_ros.voxels.hashing import CELL_LIMIT, find, pack
from dcreg_ros.voxels.map import PLANE
from dcreg_ros.voxels.nearest import nearest_occupied
from dcreg_ros.voxels.planes import fit_cell, is_fresh
from dcreg_ros.voxels.poles import stands_up, turn_pole

NUDGE = 0.1
"""Edges of a cell that a query moves before its plane is looked up again."""


@inner_loop
def look_up(
    t, p, rows, masks, cells, cell_size, offsets, tolerance, place, plane, usable, fits, fitted,
    large, n, around, scratch,
):
    """Look up the plane of source row `n`, whose point is `p`, unless it has hardly moved."""
    scale = 1.0 / cell_size
    x = (t[0, 0] * p[0] + t[0, 1] * p[1] + t[0, 2] * p[2] + t[0, 3]) * scale
    y = (t[1, 0] * p[0] + t[1, 1] * p[1] + t[1, 2] * p[2] + t[1, 3]) * scale
    z = (t[2, 0] * p[0] + t[2, 1] * p[1] + t[2, 2] * p[2] + t[2, 3]) * scale
    dx, dy, dz = x - place[n, 0], y - place[n, 1], z - place[n, 2]
    if dx * dx + dy * dy + dz * dz < NUDGE * NUDGE:
        return
    place[n, 0], place[n, 1], place[n, 2] = x, y, z
    usable[n] = usable[place.shape[0] + n] = False
    plane[n, 10] = NOTHING
    if not (abs(x) < CELL_LIMIT and abs(y) < CELL_LIMIT and abs(z) < CELL_LIMIT):
        return
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    row = find(rows, pack(i, j, k))
    if row < 0:
        step = nearest_occupied(masks, offsets, i, j, k, around)
        if step < 0:
            return
        i, j, k = i + offsets[step, 0], j + offsets[step, 1], k + offsets[step, 2]
        row = find(rows, pack(i, j, k))
    fit = cells.plane[row]
    if not is_fresh(cells, row):
        fit = fits[n]
        fit_cell(rows, masks, cells, cell_size, row, tolerance, scratch, fit)
        fitted[n] = row
    q, moments, middle = plane[n], cells.moments[row], (i + 0.5, j + 0.5, k + 0.5)
    for m in range(PLANE):
        q[m] = fit[m]
    for m in range(3):
        q[PLANE + m] = middle[m] * cell_size + moments[1 + m] / moments[0]
        q[3 + m] = q[PLANE + m] if fit[10] < 0.0 else middle[m] * cell_size + fit[3 + m]
    q[STANDS] = FAR
    if fit[10] < 0.0:
        q[10], q[11] = PLACE_ONLY, 0.0
    usable[n] = fit[11] == 0.0 or fit[10] < 0.0 or stands_up(q, t)
    usable[n] = usable[n] and complete(
        q, large, t, p, masks, around, cell_size, i, j, k)
    if usable[n] and q[11] > 0.0:  # a pole
        other = plane[place.shape[0] + n]
        for m in range(MATCH):
            other[m] = q[m]
        turn_pole(other)
        q[9] = other[9] = 0.0
        usable[place.shape[0] + n] = True


@inner_loop
def keep_fits(cells, fits, fitted):
    """Write planes fitted by queries into the map; of the same cell they are all the same."""
    for n in range(fitted.shape[0]):
        if fitted[n] >= 0:
            row = fitted[n]
            for m in range(PLANE):
                cells.plane[row, m] = fits[n, m]
            cells.fitted[row] = cells.moments[row, 0]
            fitted[n] = -1
