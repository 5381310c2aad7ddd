# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The occupied cell nearest to an empty one, by the masks of the voxels around it."""

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.voxels.hashing import find_slot, pack


def offsets_within(reach: int) -> NDArray[np.int64]:
    """Steps (K, 3) to all cells whose middle is at most `reach` cells away, nearest first."""
    axis = np.arange(-reach, reach + 1)
    steps = np.stack(np.meshgrid(axis, axis, axis, indexing='ij'), axis=-1).reshape(-1, 3)
    squares = (steps**2).sum(axis=1)
    order = np.argsort(squares, kind='stable')
    return np.ascontiguousarray(steps[order][squares[order] <= reach**2])


@inner_loop
def load_masks(masks, i, j, k, around):
    """Fill `around` (W, W, W) with the masks of the voxels around that of cell (i, j, k)."""
    width = around.shape[0]
    half = width // 2
    bi, bj, bk = (i >> 2) - half, (j >> 2) - half, (k >> 2) - half
    some = np.int64(0)
    for a in range(width):
        for b in range(width):
            for c in range(width):
                slot = find_slot(masks, pack(bi + a, bj + b, bk + c))
                mask = masks[slot, 1] if slot >= 0 else np.int64(0)
                around[a, b, c] = mask
                some |= mask
    return some != 0


@inner_loop
def is_occupied(around, i, j, k, di, dj, dk):
    """Whether the cell that lies (di, dj, dk) from (i, j, k), the middle of `around`, has points.

    The cell has to lie within `around`.
    """
    half = around.shape[0] // 2
    a, b, c = (i & 3) + di, (j & 3) + dj, (k & 3) + dk
    mask = around[half + (a >> 2), half + (b >> 2), half + (c >> 2)]
    return (mask >> (((a & 3) << 4) | ((b & 3) << 2) | (c & 3))) & 1 != 0


@inner_loop
def nearest_occupied(masks, offsets, i, j, k, around):
    """Row of `offsets` (K, 3) that leads to the first occupied cell from (i, j, k), or -1.

    `around` (W, W, W) is scratch, wide enough for all offsets.
    """
    if not load_masks(masks, i, j, k, around):
        return -1
    for n in range(offsets.shape[0]):
        if is_occupied(around, i, j, k, offsets[n, 0], offsets[n, 1], offsets[n, 2]):
            return n
    return -1
