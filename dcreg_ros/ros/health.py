# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What has happened to the node so far, counted: the facts behind its diagnostics."""

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dcreg_ros.odometry.frame import Frame

EVENTS = (
    'received',
    'processed',
    'dropped',
    'lost',
    'malformed',
    'empty',
    'other_frame',
    'late',
    'backwards',
    'waiting',
    'failed',
    'incompatible',
    'with_prior',
    'no_prior',
    'prior_refused',
)
"""Things that are counted, in the order of the diagnostics.

A scan is *dropped* when a newer one comes before its turn, *lost* when the middleware says so,
*malformed* when it cannot be decoded, *empty* when nothing finite is in it, of an *other_frame*
than the scans before, *late* and left out when it was sent again or overtaken by a newer one,
*backwards* when its stamp is so much older that a recording may have started again, *waiting*
while the transform to the base is unknown, *failed* when its processing raised an error.
*incompatible* publishers offer a QoS that the subscription cannot accept. Where another odometry
is to foresee the scans, they are *with_prior* or have *no_prior*; its messages are
*prior_refused* when they cannot be used.
"""

WINDOW = 100
"""Scans that the statistics of time look back."""


@dataclass(frozen=True)
class Snapshot:
    """The state of the node when its diagnostics are due.

    Attributes
    ----------
    total, recent : mapping of str to int
        How often each of :data:`EVENTS` happened, ever and since the last snapshot.
    texts : mapping of str to str
        The newest words about an event.
    window : float
        Time since the last snapshot [s].
    age : float or None
        Time since the last scan came in [s].
    idle : float or None
        Time since the last result [s].
    unanswered : float or None
        Time since the first scan that came in after the last result [s]; unlike `idle` it does
        not count a silence that ended just now.
    frame : Frame or None
        The newest result.
    frame_id, stamp : str
        LiDAR frame and stamp of `frame`.
    time_field : str
        Name of its field of point times; empty where it has none that can be used.
    timings : mapping of str to float
        Seconds of each stage of the newest scan, and of all as ``total``.
    total_times, periods : (K,) float arrays
        Processing time of the last scans, and the time between their stamps [s].
    """

    total: Mapping[str, int]
    recent: Mapping[str, int]
    texts: Mapping[str, str]
    window: float
    age: float | None
    idle: float | None
    unanswered: float | None
    frame: Frame | None
    frame_id: str
    stamp: str
    time_field: str
    timings: Mapping[str, float]
    total_times: np.ndarray
    periods: np.ndarray


@dataclass
class Health:
    """Counts what happens, from any thread.

    Parameters
    ----------
    now : float
        Time of the node's clock [s].
    """

    now: float
    _total: Counter[str] = field(default_factory=Counter)
    _recent: Counter[str] = field(default_factory=Counter)
    _texts: dict[str, str] = field(default_factory=dict)
    _last_received: float | None = None
    _last_processed: float | None = None
    _first_unanswered: float | None = None
    _frame: Frame | None = None
    _frame_id: str = ''
    _stamp: str = ''
    _time_field: str = ''
    _timings: Mapping[str, float] = field(default_factory=dict)
    _total_times: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _periods: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, event: str, text: str = '', number: int = 1) -> None:
        """Count an event of :data:`EVENTS`; `text` says more about it."""
        with self._lock:
            self._count(event, text, number)

    def received(self, now: float) -> None:
        """Count a scan that came in at a time of the node's clock [s]."""
        with self._lock:
            self._count('received')
            self._last_received = now
            if self._first_unanswered is None:
                self._first_unanswered = now

    def processed(
        self,
        now: float,
        frame: Frame,
        frame_id: str,
        stamp: str,
        time_field: str,
        timings: Mapping[str, float],
    ) -> None:
        """Keep a result, `now` [s] by the node's clock; see :class:`Snapshot` for the rest."""
        with self._lock:
            self._count('processed')
            self._last_processed, self._first_unanswered = now, None
            if self._frame is not None and frame.stamp > self._frame.stamp:
                self._periods.append(frame.stamp - self._frame.stamp)
            self._frame, self._frame_id, self._stamp = frame, frame_id, stamp
            self._time_field, self._timings = time_field, timings
            self._total_times.append(timings['total'])

    def snapshot(self, now: float) -> Snapshot:
        """Return the state at a time of the node's clock [s]; `recent` starts from zero again."""
        with self._lock:
            recent, self._recent = self._recent, Counter()
            # Simulated time may jump back.
            window, self.now = max(now - self.now, 0.0), now
            return Snapshot(
                total=Counter(self._total),
                recent=recent,
                texts=dict(self._texts),
                window=window,
                age=_since(self._last_received, now),
                idle=_since(self._last_processed, now),
                unanswered=_since(self._first_unanswered, now),
                frame=self._frame,
                frame_id=self._frame_id,
                stamp=self._stamp,
                time_field=self._time_field,
                timings=dict(self._timings),
                total_times=np.array(self._total_times),
                periods=np.array(self._periods),
            )

    def _count(self, event: str, text: str = '', number: int = 1) -> None:
        if event not in EVENTS:
            raise ValueError(f'{event!r} is not one of {", ".join(EVENTS)}')
        self._total[event] += number
        self._recent[event] += number
        if text:
            self._texts[event] = text


def _since(moment: float | None, now: float) -> float | None:
    return None if moment is None else max(now - moment, 0.0)
