# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What another odometry (wheels, IMU) measured: its poses, and the motion between any two times.

An answer depends on the poses alone, never on when they came, so that the node and the offline
runner get the same one.
"""

from bisect import bisect_left, bisect_right
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.geometry.se3 import exp_se3, inverse, log_se3, log_so3
from dcreg_ros.odometry.order import RESTART

Matrix = NDArray[np.float64]

MAX_GAP = 0.5
"""Seconds between two poses that are still interpolated."""
MAX_AHEAD = 0.1
"""Seconds after the newest pose for which the velocity of the same time before it is believed."""
MEMORY = 60.0
"""Seconds that poses are kept."""
JUMP_TRANSLATION, JUMP_SPEED = 0.1, 50.0
"""A step longer than this [m], and than this speed [m/s] allows beyond it, is not a motion."""
JUMP_ROTATION, JUMP_RATE = 0.1, 10.0
"""The same for a turn [rad, rad/s]."""


class NoMotion(LookupError):
    """The motion cannot be told; the text says why."""


class _Entry(NamedTuple):
    time: float
    pose: Matrix
    trouble: str
    """Why the step from the entry before is not to be believed; empty where it is."""


class ExternalOdometry:
    """Poses of any odometry by their stamps, in whatever frame it calls its own."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []

    def add(self, time: float, pose: Matrix) -> None:
        """Take the next pose.

        Parameters
        ----------
        time : float
            Its stamp [s].
        pose : (4, 4) float array
            Rigid: of its child frame in its odom frame [m].

        Raises
        ------
        ValueError
            If a value is not finite, or the stamp not later than the one before.
        """
        if not (np.isfinite(time) and np.isfinite(pose).all()):
            raise ValueError('stamp or pose is not finite')
        trouble = ''
        if self._entries:
            last = self._entries[-1]
            if time < last.time - RESTART:
                self._entries.clear()
            elif time <= last.time:
                raise ValueError(f'stamp {time:.6f} s is not after that before, {last.time:.6f} s')
            else:
                trouble = _trouble(last, time, pose)
        self._entries.append(_Entry(time, pose, trouble))
        del self._entries[: bisect_left(self._entries, time - MEMORY, key=_time)]

    def clear(self) -> None:
        """Forget all poses."""
        self._entries.clear()

    def covers(self, time: float) -> bool:
        """Return whether a pose at or after `time` is there, so that nothing can be gained."""
        return bool(self._entries) and self._entries[-1].time >= time

    def motion(self, start: float, end: float) -> Matrix:
        """Return the motion of the child frame between two times.

        Parameters
        ----------
        start, end : float
            Neither before the first pose, nor more than :data:`MAX_AHEAD` after the last [s].

        Returns
        -------
        (4, 4) float array
            Pose at `end` in the frame at `start` [m]; between two poses the motion goes on with
            constant twist.

        Raises
        ------
        NoMotion
            If there is no pose, a time is outside, or a gap or a jump is between the two.
        """
        if not self._entries:
            raise NoMotion('no odometry yet')
        begins = self._entries[0].time
        if start < begins:
            raise NoMotion(f'the odometry begins {begins - start:.3f} s after the scan before')
        first, from_first = self._at(start)
        last, from_last = self._at(end)
        used = slice(min(from_first, from_last), bisect_left(self._entries, end, key=_time) + 1)
        for step in self._entries[used]:
            if step.trouble:
                raise NoMotion(step.trouble)
        return np.asarray(inverse(first) @ last)

    def _at(self, time: float) -> tuple[Matrix, int]:
        """Pose at `time`, and the index of the first step between poses that it stands on."""
        after = bisect_left(self._entries, time, key=_time)
        if after == len(self._entries):
            return self._ahead(time)
        newer = self._entries[after]
        if newer.time == time:
            return newer.pose, after + 1
        older = self._entries[after - 1]
        return _on(older, newer, time), after

    def _ahead(self, time: float) -> tuple[Matrix, int]:
        newest = self._entries[-1]
        if time - newest.time > MAX_AHEAD:
            raise NoMotion(f'the odometry ends {time - newest.time:.3f} s before the scan')
        before = bisect_right(self._entries, newest.time - MAX_AHEAD, key=_time) - 1
        if before < 0:
            raise NoMotion('the odometry has only begun')
        return _on(self._entries[before], newest, time), before + 1


def _time(entry: _Entry) -> float:
    return entry.time


def _on(older: _Entry, newer: _Entry, time: float) -> Matrix:
    """Pose at `time` of the constant twist that leads from one pose to another."""
    twist = log_se3(inverse(older.pose) @ newer.pose)
    return older.pose @ exp_se3(twist * ((time - older.time) / (newer.time - older.time)))


def _trouble(last: _Entry, time: float, pose: Matrix) -> str:
    """Say why a step is not to be believed."""
    elapsed = time - last.time
    if elapsed > MAX_GAP:
        return f'gap of {elapsed:.3f} s in the odometry'
    step = inverse(last.pose) @ pose
    length = float(np.linalg.norm(step[:3, 3]))
    angle = float(np.linalg.norm(log_so3(step[:3, :3])))
    too_far = length > JUMP_TRANSLATION + JUMP_SPEED * elapsed
    if too_far or angle > JUMP_ROTATION + JUMP_RATE * elapsed:
        turn = np.degrees(angle)
        return f'the odometry jumped by {length:.2f} m, {turn:.1f} deg within {elapsed:.3f} s'
    return ''
