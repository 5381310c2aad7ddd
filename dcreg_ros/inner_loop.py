# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the functions inside the hottest loops are compiled."""

from numba import njit

inner_loop = njit(cache=True, nogil=True, _nrt=False)
"""For functions that allocate nothing.

Numba counts who holds an array, with instructions that lock the memory bus, whenever one is passed
on or a row is taken out of it: in a search for neighbours that was half of the time. Without its
runtime there is nothing to count; to allocate is then an error at compile time.
"""

inlined = njit(cache=True, nogil=True, _nrt=False, inline='always')
