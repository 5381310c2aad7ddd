# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A hash table from cells to numbers: open addressing, linear probing, no tombstones."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.inner_loop import inner_loop

EMPTY = np.int64(0)
"""No key is zero, so that zeroed memory, which costs nothing until it is touched, is empty."""
CELL_BITS = 21
CELL_LIMIT = 1 << (CELL_BITS - 1)
"""Cells run from -CELL_LIMIT to CELL_LIMIT - 1 along each axis: 260 km with cells of 0.25 m."""
_MASK = (1 << CELL_BITS) - 1
_SIGN = np.int64(-(1 << 63))


def make_table(least: int) -> NDArray[np.int64]:
    """Empty table (S, 2) of keys and rows, S a power of two not below `least`."""
    size = 1 << (max(least, 16) - 1).bit_length()
    return np.zeros((size, 2), np.int64)


@njit(cache=True, nogil=True, inline='always')
def pack(i, j, k):
    """Key of a cell; cells beyond the limit are folded back, never out of bounds."""
    return (
        _SIGN
        | (((i + CELL_LIMIT) & _MASK) << (2 * CELL_BITS))
        | (((j + CELL_LIMIT) & _MASK) << CELL_BITS)
        | ((k + CELL_LIMIT) & _MASK)
    )


@inner_loop
def unpack(key):
    """Cell (i, j, k) of a key."""
    return (
        ((key >> (2 * CELL_BITS)) & _MASK) - CELL_LIMIT,
        ((key >> CELL_BITS) & _MASK) - CELL_LIMIT,
        (key & _MASK) - CELL_LIMIT,
    )


@njit(cache=True, nogil=True, inline='always')
def home_slot(key, mask):
    """Slot where the search for a key begins: Fibonacci hashing (Knuth, 6.4) of all its bits."""
    h = np.uint64(key)
    h = (h ^ (h >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((h >> np.uint64(32)) & np.uint64(mask))


@njit(cache=True, nogil=True)
def seek(table, key):
    """Slot that holds a key, or else the empty one where it would go."""
    mask = table.shape[0] - 1
    slot = home_slot(key, mask)
    while table[slot, 0] != key and table[slot, 0] != EMPTY:
        slot = (slot + 1) & mask
    return slot


@inner_loop
def find_slot(table, key):
    """Slot that holds a key, or -1."""
    slot = seek(table, key)
    return slot if table[slot, 0] == key else -1


@inner_loop
def find(table, key):
    """Row of a key, or -1."""
    slot = find_slot(table, key)
    return table[slot, 1] if slot >= 0 else np.int64(-1)


@njit(cache=True, nogil=True)
def insert_key(table, key, row):
    """Enter a key that is not in the table yet; the table must have room."""
    slot = seek(table, key)
    table[slot, 0], table[slot, 1] = key, row


@njit(cache=True, nogil=True)
def remove_key(table, key):
    """Take out a key that is in the table, moving back those that had to step over it."""
    mask = table.shape[0] - 1
    slot = home_slot(key, mask)
    while table[slot, 0] != key:
        slot = (slot + 1) & mask
    gap = slot
    while True:
        slot = (slot + 1) & mask
        if table[slot, 0] == EMPTY:
            break
        home = home_slot(table[slot, 0], mask)
        if ((slot - home) & mask) >= ((slot - gap) & mask):
            table[gap, 0], table[gap, 1] = table[slot, 0], table[slot, 1]
            gap = slot
    table[gap, 0] = table[gap, 1] = EMPTY
