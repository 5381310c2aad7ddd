# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a scan comes in its turn: one that comes late would be taken for a motion."""

RESTART = 1.0
"""A stamp that is this much older than the one before [s] begins a recording that starts again."""


def why_late(stamp: float, last: float | None) -> str:
    """Say why a scan is to be left out; empty where it is in its turn.

    Sent twice, or overtaken by the next one, it would count as the motion of one period. A step
    back of RESTART or more is a recording that starts again, or a clock that was set; stamps of 0
    are those of a driver that does not fill them.

    Parameters
    ----------
    stamp, last : float
        Of the scan, and of the one that was taken before [s]; None before the first.
    """
    if last is None or stamp == 0.0 or not 0.0 <= last - stamp < RESTART:
        return ''
    return f'stamp {stamp:.6f} s is not after that before, {last:.6f} s'
