# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LZF decompression, for PCD files."""

import numba
import numpy as np
from numpy.typing import NDArray

_LONGEST_RUN = 264


def decompress(packed: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return the `size` bytes that `packed` was made of.

    Parameters
    ----------
    packed : (K,) uint8 array
        LZF stream without block header, as liblzf writes it.
    size : int
        Length before compression.

    Returns
    -------
    data : (size,) uint8 array

    Raises
    ------
    ValueError
        If `packed` is damaged.
    """
    # Three bytes make at most one longest run: refuse before a damaged size takes all memory.
    if size > _LONGEST_RUN * packed.size:
        raise ValueError(f'{packed.size} compressed bytes cannot hold {size}')
    data = np.empty(size, np.uint8)
    written = _decompress(packed, data)
    if written != size:
        raise ValueError('the compressed data are damaged')
    return data


@numba.njit(cache=True, nogil=True)
def _decompress(packed, data):
    """Fill data (size,) from packed (K,); return the number of bytes, -1 if it does not fit."""
    source = 0
    target = 0
    while source < packed.size:
        control = int(packed[source])
        source += 1
        if control < 32:  # a run of literal bytes
            length = control + 1
            if source + length > packed.size or target + length > data.size:
                return -1
            data[target : target + length] = packed[source : source + length]
            source += length
            target += length
            continue
        length = control >> 5  # a copy of bytes already written
        if length == 7:
            if source >= packed.size:
                return -1
            length += int(packed[source])
            source += 1
        length += 2
        if source >= packed.size:
            return -1
        start = target - ((control & 31) << 8) - int(packed[source]) - 1
        source += 1
        if start < 0 or target + length > data.size:
            return -1
        for index in range(length):  # may overlap what it writes: byte by byte
            data[target + index] = data[start + index]
        target += length
    return target
