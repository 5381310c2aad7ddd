# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stamps as whole nanoseconds: exact, comparable, good as keys."""

from typing import Any

from builtin_interfaces.msg import Time

NANOSECONDS = 1_000_000_000


def nanoseconds(stamp: Any) -> int:
    """Return a builtin_interfaces/Time in nanoseconds."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def time_message(stamp: int) -> Time:
    """Return nanoseconds as a builtin_interfaces/Time."""
    seconds, rest = divmod(stamp, NANOSECONDS)
    return Time(sec=seconds, nanosec=rest)


def stamp_text(stamp: Any) -> str:
    """Return a builtin_interfaces/Time for people, every digit: ``12.345678901``."""
    return f'{stamp.sec}.{stamp.nanosec:09d}'
