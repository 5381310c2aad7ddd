# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kernels that change the local map: points in, far cells out, tables renewed bit by bit."""

import math

import numpy as np
from numba import njit

from dcreg_ros.voxels.hashing import (
    CELL_LIMIT,
    EMPTY,
    find,
    find_slot,
    home_slot,
    pack,
    remove_key,
    seek,
    unpack,
)

SATURATED = 1000.0
"""Points after which a cell forgets half of what it saw, so that a changing world is followed."""
NEVER = -1.0
BATCH = 256
"""Points whose cells are looked for at once."""


@njit(cache=True, nogil=True)
def add(points, pose, rays, start, cell_size, reach, rows, masks, cells, size, blocks, fixed):
    """Take in points (N, 3) from row `start` on; returns the sizes and the row it came to.

    It comes to the end, or to where there is no room in the tables, or none in `cells` unless
    these are `fixed`: then it does without more cells.
    """
    keys, likely = np.empty(BATCH, np.int64), np.empty(BATCH, np.int64)
    offsets, ways = np.empty((BATCH, 3)), np.empty((BATCH, 3))
    for begin in range(start, points.shape[0], BATCH):
        batch = points[begin:begin + BATCH]
        _locate(batch, pose, rays, cell_size, reach, rows, keys, offsets, ways, likely)
        for m in range(batch.shape[0]):
            key, row = keys[m], likely[m]
            if key == EMPTY:
                continue
            if row < 0:
                slot = seek(rows, key)
                full = size == cells.key.shape[0]
                if rows[slot, 0] == key:
                    row = rows[slot, 1]
                elif full and fixed:
                    continue
                elif full or 2 * size >= rows.shape[0] or 2 * blocks >= masks.shape[0]:
                    return size, blocks, begin + m
                else:
                    row = size
                    rows[slot, 0], rows[slot, 1] = key, row
                    blocks += _begin(masks, cells, key, row)
                    size += 1
            _accumulate(cells.moments[row], offsets[m], ways[m])
            if cells.moments[row, 0] >= SATURATED:
                cells.moments[row] *= np.float32(0.5)
                cells.fitted[row] *= np.float32(0.5)
    return size, blocks, points.shape[0]


@njit(cache=True, nogil=True)
def seen(points, pose, cell_size, rows, cells):
    """How many points (N,) the cells of some `points` (N, 3) have seen."""
    out, t = np.zeros(points.shape[0]), pose[:3] / cell_size
    for n in range(points.shape[0]):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        fx = t[0, 0] * x + t[0, 1] * y + t[0, 2] * z + t[0, 3]
        fy = t[1, 0] * x + t[1, 1] * y + t[1, 2] * z + t[1, 3]
        fz = t[2, 0] * x + t[2, 1] * y + t[2, 2] * z + t[2, 3]
        if abs(fx) < CELL_LIMIT and abs(fy) < CELL_LIMIT and abs(fz) < CELL_LIMIT:
            row = find(rows, pack(int(np.floor(fx)), int(np.floor(fy)), int(np.floor(fz))))
            if row >= 0:
                out[n] = cells.moments[row, 0]
    return out


@njit(cache=True, nogil=True)
def _locate(points, pose, rays, cell_size, reach, rows, keys, offsets, ways, likely):
    """Keys of the cells of `points` (N, 3), where in these they are [m], and their likely rows.

    `ways` are unit vectors from the sensor to them, or 0 where none saw them.

    Without a branch that a processor would have to guess, so that it fetches from many places of
    the table at once. EMPTY is the key of what is beyond reach or no place at all, such as NaN;
    -1 is the row of a cell that is not in the first slot where it might be.
    """
    scale = 1.0 / cell_size
    t = pose[:3] * scale
    for n in range(points.shape[0]):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        fx = t[0, 0] * x + t[0, 1] * y + t[0, 2] * z + t[0, 3]
        fy = t[1, 0] * x + t[1, 1] * y + t[1, 2] * z + t[1, 3]
        fz = t[2, 0] * x + t[2, 1] * y + t[2, 2] * z + t[2, 3]
        range2 = x * x + y * y + z * z
        keys[n] = EMPTY
        if (range2 <= reach * reach and abs(fx) < CELL_LIMIT
                and abs(fy) < CELL_LIMIT and abs(fz) < CELL_LIMIT):
            i, j, k = int(np.floor(fx)), int(np.floor(fy)), int(np.floor(fz))
            keys[n] = key = pack(i, j, k)
            offsets[n, 0] = (fx - i - 0.5) * cell_size
            offsets[n, 1] = (fy - j - 0.5) * cell_size
            offsets[n, 2] = (fz - k - 0.5) * cell_size
            part = cell_size / math.sqrt(range2) if rays and range2 > 0.0 else 0.0
            ways[n, 0] = (fx - t[0, 3]) * part
            ways[n, 1] = (fy - t[1, 3]) * part
            ways[n, 2] = (fz - t[2, 3]) * part
            slot = home_slot(key, rows.shape[0] - 1)
            likely[n] = rows[slot, 1] if rows[slot, 0] == key else -1


@njit(cache=True, nogil=True)
def _begin(masks, cells, key, row):
    """Begin a cell without points; returns how many blocks are new."""
    cells.key[row] = key
    cells.moments[row] = np.float32(0.0)
    cells.fitted[row] = np.float32(NEVER)
    i, j, k = unpack(key)
    return _mark(masks, i, j, k)


@njit(cache=True, nogil=True, inline='always')
def _accumulate(moments, place, way):
    """Add one point, at a `place` (3,) from the middle of its cell, with its ray."""
    moments[0] += np.float32(1.0)
    slot = 4
    for a in range(3):
        moments[1 + a] += np.float32(place[a])
        for b in range(a, 3):
            moments[slot] += np.float32(place[a] * place[b])
            moments[slot + 6] += np.float32(way[a] * way[b])
            slot += 1


@njit(cache=True, nogil=True)
def enter(rows, masks, keys, start, stop):
    """Enter the cells with `keys` (C,) from row `start` up to row `stop` into tables."""
    for row in range(start, stop):
        _enter(rows, masks, keys[row], row)


@njit(cache=True, nogil=True)
def forget(
    rows, masks, next_rows, next_masks, entered, cells, size, blocks, cursor, budget, center,
    reach, cell_size,
):
    """Remove cells beyond `reach` among the next `budget`; returns the sizes, then the cursor.

    The first `entered` cells are in the next tables as well; of those that are left, the first
    ``min(entered, size)`` still are.
    """
    for _ in range(min(budget, size)):
        if cursor >= size:
            cursor = 0
        i, j, k = unpack(cells.key[cursor])
        dx = (i + 0.5) * cell_size - center[0]
        dy = (j + 0.5) * cell_size - center[1]
        dz = (k + 0.5) * cell_size - center[2]
        if dx * dx + dy * dy + dz * dz <= reach * reach:
            cursor += 1
            continue
        blocks -= _leave(rows, masks, cells.key[cursor])
        if cursor < entered:
            _leave(next_rows, next_masks, cells.key[cursor])
        # The last cell moves into the gap, so the arrays stay dense.
        size -= 1
        if cursor < size:
            rows[find_slot(rows, cells.key[size]), 1] = cursor
            if cursor < entered:
                _enter(next_rows, next_masks, cells.key[size], cursor)
            cells.key[cursor] = cells.key[size]
            cells.moments[cursor] = cells.moments[size]
            cells.plane[cursor] = cells.plane[size]
            cells.fitted[cursor] = cells.fitted[size]
    return size, blocks, cursor


@njit(cache=True, nogil=True)
def _enter(rows, masks, key, row):
    """Enter a cell, or another row of it where it is in the tables."""
    slot = seek(rows, key)
    rows[slot, 0], rows[slot, 1] = key, row
    i, j, k = unpack(key)
    _mark(masks, i, j, k)


@njit(cache=True, nogil=True)
def _leave(rows, masks, key):
    """Take out a cell that is in the tables; returns how many blocks that leaves empty."""
    remove_key(rows, key)
    i, j, k = unpack(key)
    block, bit = block_of(i, j, k)
    slot = find_slot(masks, block)
    masks[slot, 1] &= ~bit
    if masks[slot, 1] == 0:
        remove_key(masks, block)
        return 1
    return 0


@njit(cache=True, nogil=True)
def _mark(masks, i, j, k):
    """Mark a cell as occupied; returns how many blocks are new."""
    block, bit = block_of(i, j, k)
    slot = seek(masks, block)
    new = masks[slot, 0] == EMPTY
    masks[slot, 0] = block
    masks[slot, 1] |= bit
    return 1 if new else 0


@njit(cache=True, nogil=True, inline='always')
def block_of(i, j, k):
    """Key of the block of a cell, and the bit of the cell in its mask."""
    bit = ((i & 3) << 4) | ((j & 3) << 2) | (k & 3)
    return pack(i >> 2, j >> 2, k >> 2), np.int64(1) << bit
