# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A LiDAR scan, and what every source of scans offers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scan:
    """One scan as it was recorded.

    Attributes
    ----------
    stamp : float
        Time of the scan [s]; of files, which have none, index times period.
    points : (N, 3) float64 array
        Sensor frame [m]; rows may be NaN.
    times : (N,) float64 array or None
        When each point was measured [s], counted from `stamp`; None where that is not known.
    frame_id : str
        Name of the sensor frame.
    name : str
        File name, or topic and index of the message; for people.
    """

    stamp: float
    points: NDArray[np.float64]
    times: NDArray[np.float64] | None
    frame_id: str
    name: str


def seconds(nanoseconds: int) -> float:
    """Return a stamp in seconds, the same double wherever it comes from."""
    whole, rest = divmod(nanoseconds, 10**9)
    return whole + 1e-9 * rest


class ScanSource(Protocol):
    """Scans in the order of recording; may be iterated more than once.

    Attributes
    ----------
    name : str
        File or folder name.
    topic : str
        Topic of a bag; empty for files.
    skipped : int
        Scans that could not be read in the latest iteration, each also logged as a warning.
    """

    name: str
    topic: str
    skipped: int

    def __len__(self) -> int:
        """Return how many scans were recorded, unreadable ones included."""

    def __iter__(self) -> Iterator[Scan]:
        """Yield the scans that can be read."""
