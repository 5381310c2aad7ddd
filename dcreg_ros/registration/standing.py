# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What stands on a floor: trunks, legs of tables, people.

The cells it stands in hold points of both, and so do planes fitted to them, so that the floor
seems higher there; and the foot of a trunk is no outlier of the floor. Both pull at height and
tilt, the same way in every scan, and no residual tells.
"""

from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.voxels.nearest import is_occupied, load_masks

FAR = 2
"""Columns of cells from which on it does not matter what stands there."""
TALL = 4
"""Cells above the floor that are looked at: from afar, the rings of a LiDAR are so far apart."""
CLEAR = 0.06
"""How far off the floor a cell has to be not to hold points of it [m]: three times their noise."""


@inner_loop
def columns_to_standing(large, n, t, masks, around, cell_size, i, j, k):
    """How many columns from cell (i, j, k) of the `large` plane `n` something stands on it.

    That is 0 to FAR, which it is for all that is no floor under the sensor at `t` (4, 4). Cells of
    other large planes, as where a wall meets the floor, do not count. `around` is scratch.
    """
    plane = large[n]
    height = plane[0] * t[0, 3] + plane[1] * t[1, 3] + plane[2] * t[2, 3] - plane[3]
    if plane[2] * height <= 0.0 or abs(plane[2]) < max(abs(plane[0]), abs(plane[1])):
        return FAR
    load_masks(masks, i, j, k, around)
    nearest = FAR
    for di in range(1 - FAR, FAR):
        for dj in range(1 - FAR, FAR):
            columns = max(abs(di), abs(dj))
            for dk in range(1, TALL + 1):
                if (columns < nearest and is_occupied(around, i, j, k, di, dj, dk)
                        and _is_clear(large, i + di + 0.5, j + dj + 0.5, k + dk + 0.5, cell_size)):
                    nearest = columns
    return nearest


@inner_loop
def _is_clear(large, x, y, z, cell_size):
    """Whether no `large` plane goes through the cell about a place, in edges of cells."""
    for m in range(large.shape[0]):
        plane = large[m]
        half = 0.5 * (abs(plane[0]) + abs(plane[1]) + abs(plane[2]))
        off = plane[0] * x + plane[1] * y + plane[2] * z
        if abs(off * cell_size - plane[3]) < half * cell_size + CLEAR:
            return False
    return True
