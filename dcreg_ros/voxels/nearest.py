# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exact nearest cells of a voxel map, shell after shell of voxels around the query."""

import math

from numba import njit

from dcreg_ros.voxels.hashing import CELL_LIMIT, find, pack
from dcreg_ros.voxels.map import MAX_CELLS


@njit(cache=True, nogil=True)
def nearest_cells(table, voxels, edge, x, y, z, radius, found_d2, found, found_xyz):
    """Find the ``len(found)`` cells nearest to a query, nearest first; returns how many there are.

    Only cells whose mean is closer than `radius` count. `found_d2` (K,) receives squared
    distances, `found` (K,) ``row * MAX_CELLS + cell`` and `found_xyz` (K, 3) the means in the map
    frame.
    """
    k = found.shape[0]
    count = 0
    worst = radius * radius
    limit = CELL_LIMIT * edge
    if not (abs(x) < limit and abs(y) < limit and abs(z) < limit):
        return 0
    bi, bj, bk = math.floor(x / edge), math.floor(y / edge), math.floor(z / edge)
    ox, oy, oz = x - bi * edge, y - bj * edge, z - bk * edge
    margin = min(min(ox, edge - ox), min(min(oy, edge - oy), min(oz, edge - oz)))
    for shell in range(math.floor(radius / edge) + 2):
        if shell > 0:
            gap = (shell - 1) * edge + margin
            if gap * gap >= worst:
                break
        for i in range(-shell, shell + 1):
            dx2 = _outside(ox, i, edge)
            if dx2 >= worst:
                continue
            for j in range(-shell, shell + 1):
                dxy2 = dx2 + _outside(oy, j, edge)
                if dxy2 >= worst:
                    continue
                # Inside the shell only its two ends along k are new.
                step = 1 if (abs(i) == shell or abs(j) == shell) else 2 * shell
                for m in range(-shell, shell + 1, max(step, 1)):
                    if dxy2 + _outside(oz, m, edge) >= worst:
                        continue
                    row = find(table, pack(bi + i, bj + j, bk + m))
                    if row < 0:
                        continue
                    qx, qy, qz = ox - i * edge, oy - j * edge, oz - m * edge
                    for cell in range(voxels.used[row]):
                        ex = voxels.mean[row, cell, 0] - qx
                        ey = voxels.mean[row, cell, 1] - qy
                        ez = voxels.mean[row, cell, 2] - qz
                        e2 = ex * ex + ey * ey + ez * ez
                        if e2 < worst:
                            n = min(count, k - 1)
                            while n > 0 and found_d2[n - 1] > e2:
                                found_d2[n], found[n] = found_d2[n - 1], found[n - 1]
                                found_xyz[n, 0] = found_xyz[n - 1, 0]
                                found_xyz[n, 1] = found_xyz[n - 1, 1]
                                found_xyz[n, 2] = found_xyz[n - 1, 2]
                                n -= 1
                            found_d2[n], found[n] = e2, row * MAX_CELLS + cell
                            found_xyz[n, 0] = x + ex
                            found_xyz[n, 1] = y + ey
                            found_xyz[n, 2] = z + ez
                            count = min(count + 1, k)
                            if count == k:
                                worst = min(worst, found_d2[k - 1])
    return count


@njit(cache=True, nogil=True, inline='always')
def _outside(offset, step, edge):
    """Squared distance along one axis from a place in voxel 0 to voxel `step`."""
    if step > 0:
        gap = step * edge - offset
    elif step < 0:
        gap = offset - (step + 1) * edge
    else:
        gap = 0.0
    return gap * gap
