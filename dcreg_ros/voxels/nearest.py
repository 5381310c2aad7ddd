# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The occupied cell nearest to an empty one, by the masks of the blocks of cells around it."""

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.voxels.hashing import find_slot, pack

_MAGIC = 0x03F79D71B4CB0A89
_BIT = np.zeros(64, np.int64)
_BIT[[(_MAGIC << bit & 0xFFFFFFFFFFFFFFFF) >> 58 for bit in range(64)]] = np.arange(64)
"""Which bit is set, by the six highest of its product with a sequence of de Bruijn (Leiserson,
Prokop and Randall, 1998)."""


def offsets_within(reach: int) -> NDArray[np.int64]:
    """Steps (K, 3) to all cells whose middle is at most `reach` cells away, nearest first."""
    axis = np.arange(-reach, reach + 1)
    steps = np.stack(np.meshgrid(axis, axis, axis, indexing='ij'), axis=-1).reshape(-1, 3)
    squares = (steps**2).sum(axis=1)
    order = np.argsort(squares, kind='stable')
    return np.ascontiguousarray(steps[order][squares[order] <= reach**2])


@inner_loop
def load_masks(masks, i, j, k, around):
    """Fill `around` (W, W, W) with the masks of the blocks around that of cell (i, j, k)."""
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
def list_occupied(around, i, j, k, reach, steps):
    """Fill `steps` (M, 4) with the ways to occupied cells, each with the largest of its parts.

    Those up to `reach` cells away from (i, j, k), the middle of `around`; returns their number.
    """
    width, one = around.shape[0], np.uint64(1)
    half, count = width // 2, 0
    for a in range(width):
        for b in range(width):
            for c in range(width):
                mask = np.uint64(around[a, b, c])
                x, y = 4 * (a - half) - (i & 3), 4 * (b - half) - (j & 3)
                z = 4 * (c - half) - (k & 3)
                while mask != np.uint64(0):
                    low = mask & (~mask + one)
                    mask ^= low
                    bit = _BIT[(low * np.uint64(_MAGIC)) >> np.uint64(58)]
                    di, dj, dk = x + (bit >> 4), y + ((bit >> 2) & 3), z + (bit & 3)
                    far = max(abs(di), max(abs(dj), abs(dk)))
                    if far <= reach:
                        steps[count, 0], steps[count, 1], steps[count, 2] = di, dj, dk
                        steps[count, 3] = far
                        count += 1
    return count


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
