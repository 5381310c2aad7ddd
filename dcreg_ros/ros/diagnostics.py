# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's health as diagnostic_msgs (REP-107): Input, Registration, Observability, Timing."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from numpy.typing import NDArray

from dcreg_ros.degeneracy.report import AXES, names_of
from dcreg_ros.odometry.explain import direction_sigmas, explain
from dcreg_ros.odometry.frame import Frame
from dcreg_ros.ros.health import EVENTS, Snapshot

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)

DROPPED_WARN, DROPPED_ERROR = 0.2, 0.5
"""Shares of dropped scans that are worth a warning, and an error."""

UTILISATION_WARN = 0.8
"""Share of the time between two scans above which their processing is called slow."""


def diagnostics(snapshot: Snapshot, name: str, topic: str, stale_after: float) -> list[Any]:
    """Return the four statuses of a node.

    Parameters
    ----------
    snapshot : Snapshot
        What happened.
    name : str
        Of the node; becomes the first part of the status names.
    topic : str
        Resolved name of the input topic.
    stale_after : float
        Silence after which the input is a warning [s]; twice that is an error. Results older than
        this are stale.
    """
    registration = _registration(snapshot, f'{name}: Registration')
    observed = observability(snapshot.frame, snapshot.frame_id, snapshot.stamp, name)
    if snapshot.idle is not None and snapshot.idle > stale_after:
        _mark_stale(observed, snapshot.idle)
        if not snapshot.recent['failed']:  # which says more
            _mark_stale(registration, snapshot.idle)
    return [
        _input(snapshot, f'{name}: Input', topic, stale_after),
        registration,
        observed,
        _timing(snapshot, f'{name}: Timing'),
    ]


def array(statuses: list[Any], stamp: Any, frame_id: str = '') -> DiagnosticArray:
    """Return statuses under a header."""
    message = DiagnosticArray(status=statuses)
    message.header.stamp = stamp
    message.header.frame_id = frame_id
    return message


def observability(frame: Frame | None, frame_id: str, stamp: str, name: str) -> DiagnosticStatus:
    """Return which directions of a frame are weak, by name, with all that is known about each.

    The axes are those of the LiDAR frame. Keys are the same for every scan that was registered:
    ``weak``, ``ill_conditioned``, ``motions``, ``condition_rotation``, ``condition_translation``,
    ``condition_full`` and, for each of roll, pitch, yaw, x, y, z, ``<axis>.weak``,
    ``.condition``, ``.eigenvalue``, ``.sigma``, ``.direction``, ``.contribution``, ``.angle``.
    """
    values = {
        'frame_id': frame_id,
        'stamp': stamp,
        'status': 'none' if frame is None else frame.status,
    }
    label = f'{name}: Observability'
    if frame is None:
        return _status(label, STALE, 'no scan yet', values)
    report = frame.degeneracy
    if report is None or frame.registration is None or frame.reason:
        if frame.status == 'first' and not frame.reason:
            return _status(label, OK, 'the first scan starts the map', values)
        return _status(label, ERROR, f'not registered: {frame.reason}', values)
    sigmas = direction_sigmas(report, frame.registration.covariance)
    values |= {
        'weak': ' '.join(report.weak_axes),
        'ill_conditioned': ' '.join(names_of(report.ill_conditioned)),
        'motions': '; '.join(report.weak_names),
        'condition_rotation': _number(report.condition_rotation),
        'condition_translation': _number(report.condition_translation),
        'condition_full': _number(report.condition_full),
    }
    for i, axis in enumerate(AXES):
        values |= {
            f'{axis}.weak': str(bool(report.mask[i])).lower(),
            f'{axis}.condition': _number(report.conditions[i]),
            f'{axis}.eigenvalue': _number(report.eigenvalues[i]),
            f'{axis}.sigma': f'{_number(sigmas[i])} {"rad" if i < 3 else "m"}',
            f'{axis}.direction': _vector(report.directions[i]),
            f'{axis}.contribution': _vector(report.contributions[i]),
            f'{axis}.angle': f'{_number(np.degrees(report.angles[i]))} deg',
        }
    level = ERROR if report.mask.all() else WARN if report.mask.any() else OK
    return _status(label, level, explain(frame), values)


def _input(snapshot: Snapshot, name: str, topic: str, stale_after: float) -> DiagnosticStatus:
    rate = snapshot.recent['received'] / snapshot.window if snapshot.window > 0 else 0.0
    values = {
        'topic': topic,
        'age': 'never' if snapshot.age is None else f'{snapshot.age:.3f} s',
        'rate': f'{rate:.2f} Hz',
        **{event: str(snapshot.total[event]) for event in EVENTS},
        'time_field': snapshot.time_field,
    }
    problems = list(_input_problems(snapshot, topic, stale_after))
    level = max((level for level, _ in problems), default=OK)
    text = '; '.join(words for _, words in problems) or f'{rate:.1f} scans per second'
    return _status(name, level, text, values)


def _input_problems(
    snapshot: Snapshot, topic: str, stale_after: float
) -> Iterator[tuple[bytes, str]]:
    if snapshot.age is None:
        yield WARN, f'no scan on {topic} yet'
        if snapshot.total['incompatible']:
            yield ERROR, snapshot.texts['incompatible']
    elif snapshot.age > stale_after:
        yield ERROR if snapshot.age > 2 * stale_after else WARN, f'silent for {snapshot.age:.1f} s'
    elif snapshot.unanswered is not None and snapshot.unanswered > stale_after:
        yield ERROR, _nothing_for(snapshot.idle or snapshot.unanswered)
    received, dropped = snapshot.recent['received'], snapshot.recent['dropped']
    if dropped > DROPPED_WARN * received:
        level = ERROR if dropped > DROPPED_ERROR * received else WARN
        yield level, f'{dropped} of {received} scans dropped: they come faster than they are done'
    for event, level in (
        ('malformed', ERROR),
        ('empty', WARN),
        ('other_frame', WARN),
        ('late', WARN),
        ('backwards', WARN),
        ('waiting', WARN),
        ('lost', WARN),
        ('no_prior', WARN),
        ('prior_refused', WARN),
    ):
        if snapshot.recent[event]:
            yield level, snapshot.texts.get(event, f'{snapshot.recent[event]} scans {event}')


def _registration(snapshot: Snapshot, name: str) -> DiagnosticStatus:
    frame = snapshot.frame
    if frame is None:
        level = ERROR if snapshot.total['failed'] else STALE
        return _status(name, level, snapshot.texts.get('failed', 'no scan yet'), {})
    values = {
        'stamp': snapshot.stamp,
        'status': frame.status,
        'reason': frame.reason,
        'points': str(frame.num_points),
        'keypoints': str(frame.num_keypoints),
        'failed': str(snapshot.total['failed']),
    }
    if frame.registration is not None:
        match = frame.registration
        values |= {
            'fitness': _number(match.fitness),
            'rmse': f'{_number(match.rmse)} m',
            'matches': str(match.num_matches),
            'iterations': str(match.iterations),
            'converged': str(bool(match.converged)).lower(),
        }
    if snapshot.recent['failed']:
        return _status(name, ERROR, snapshot.texts['failed'], values)
    if frame.status == 'coasting':
        return _status(name, WARN, f'coasting on the prediction: {frame.reason}', values)
    if frame.reason:
        return _status(name, ERROR, f'not registered: {frame.reason}', values)
    return _status(name, OK, frame.status, values)


def _timing(snapshot: Snapshot, name: str) -> DiagnosticStatus:
    if not len(snapshot.total_times):
        return _status(name, STALE, 'no scan yet', {})
    median, p95 = np.percentile(snapshot.total_times, (50, 95))
    values = {
        **{stage: _milliseconds(seconds) for stage, seconds in snapshot.timings.items()},
        'median': _milliseconds(median),
        'p95': _milliseconds(p95),
    }
    if not len(snapshot.periods):
        return _status(name, OK, f'{1e3 * median:.1f} ms per scan', values)
    period = float(np.median(snapshot.periods))
    utilisation = median / period
    values |= {'scan_period': _milliseconds(period), 'utilisation': _number(utilisation)}
    text = f'{1e3 * median:.1f} ms per scan, {100 * utilisation:.0f} % of the time between scans'
    return _status(name, WARN if utilisation > UTILISATION_WARN else OK, text, values)


def _mark_stale(status: DiagnosticStatus, idle: float) -> None:
    status.level, status.message = STALE, _nothing_for(idle)


def _nothing_for(seconds: float) -> str:
    return f'no scan registered for {seconds:.1f} s'


def _status(name: str, level: bytes, message: str, values: Mapping[str, str]) -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticStatus(
        level=level,
        name=name,
        message=message,
        hardware_id=values.get('frame_id', ''),
        values=pairs,
    )


def _number(value: float) -> str:
    return f'{value:.6g}'


def _milliseconds(seconds: float) -> str:
    return f'{1e3 * seconds:.3f} ms'


def _vector(vector: NDArray[np.float64]) -> str:
    return ' '.join(f'{value:.4f}' for value in vector)
