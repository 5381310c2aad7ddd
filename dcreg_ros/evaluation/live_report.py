# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run of the live node was worth, as a table for people."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.degeneracy.report import AXES
from dcreg_ros.evaluation.live import LiveRun
from dcreg_ros.evaluation.spans import AxisScore, score_masks, weak_spans
from dcreg_ros.evaluation.trajectory import Trajectory, associate
from dcreg_ros.evaluation.trajectory_error import ate, error_in_axes
from dcreg_ros.io.tum import read_tum

_BRIDGE = 2  # scans without a weak direction that do not end a span in the table
_MOST_SPANS = 3


@dataclass(frozen=True)
class Truth:
    """What is true about a simulated recording.

    Attributes
    ----------
    trajectory : Trajectory
        ``T_odom_lidar`` at each scan.
    masks : (N, 6) bool array
        Truly weak axes of each scan, in the order of ``AXES``.
    """

    trajectory: Trajectory
    masks: NDArray[np.bool_]


def read_truth(source: Path) -> Truth | None:
    """Return the truth that `dcreg simulate` leaves in its bags; None for any other source."""
    from dcreg_ros.simulation.bag import TRUTH_POSES, TRUTH_WEAK, read_weak_directions

    if not (source / TRUTH_POSES).is_file() or not (source / TRUTH_WEAK).is_file():
        return None
    stamps, masks = read_weak_directions(source)
    true_stamps, poses = read_tum(source / TRUTH_POSES)
    if not np.array_equal(stamps, true_stamps):
        raise ValueError(f'{source}: {TRUTH_POSES} and {TRUTH_WEAK} are of different scans')
    return Truth(Trajectory(stamps, poses), masks)


def report(live: LiveRun, truth: Truth | None) -> Iterator[str]:
    """Return the table of a run, line by line; without truth, without what needs it."""
    yield ''
    yield from _rows(_counts(live))
    if truth is not None:
        yield from _rows(_accuracy(live, truth.trajectory))
    yield from _rows(_delays(live))
    yield ''
    if truth is None:
        yield from _rows(_weak_alone(live))
    else:
        yield from _weak_against_truth(live, truth)


def _rows(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (f'  {name:<16}{value}' for name, value in pairs)


def _counts(live: LiveRun) -> Iterator[tuple[str, str]]:
    counted = live.health.get('registration_node: Input', {})
    told = [f'{key} {counted[key]}' for key in ('dropped', 'lost', 'late', 'failed')
            if key in counted]
    yield 'scans in', f'{len(live.sent)}'
    yield 'poses out', f'{len(live.trajectory)}'
    missing = len(live.sent.keys() - live.arrived.keys())
    yield 'drops', f'{missing}' + (f'   (the node says: {", ".join(told)})' if told else '')


def _accuracy(live: LiveRun, truth: Trajectory) -> Iterator[tuple[str, str]]:
    matched = associate(live.trajectory, truth)[1]
    length = matched.path_length
    yield 'path', f'{length:.2f} m'
    yield 'ATE', f'{ate(live.trajectory, truth).rmse:.3f} m'
    drift = ate(live.trajectory, truth, 'first_pose')
    along, across = error_in_axes(live.trajectory, truth, (1.0, 0.0, 0.0))
    share = f', {100.0 * drift.translation[-1] / length:.2f} % of the path' if length > 0 else ''
    yield (
        'end drift',
        (
            f'{drift.translation[-1]:.3f} m{share} '
            f'(along x {along[-1, 0]:+.3f} m, across {across[-1]:.3f} m), '
            f'{math.degrees(drift.rotation[-1]):.2f} deg'
        ),
    )


def _delays(live: LiveRun) -> Iterator[tuple[str, str]]:
    if len(live.latencies):
        median, p95 = 1e3 * np.percentile(live.latencies, (50, 95))
        yield (
            'latency',
            f'median {median:.1f} ms, p95 {p95:.1f} ms (scan sent to odometry received)',
        )


def _weak_alone(live: LiveRun) -> Iterator[tuple[str, str]]:
    stamps, masks = live.table.stamps, live.table.masks
    yield 'weak', 'flagged'
    weak = False
    for index, axis in enumerate(AXES):
        if masks[:, index].any():
            weak = True
            yield f'  {axis}', _times(stamps, masks, index, live.start)
    if not weak:
        yield '  none', ''


def _weak_against_truth(live: LiveRun, truth: Truth) -> Iterator[str]:
    stamps, flagged, true = common_masks(live, truth)
    table = [('weak', 'flagged', 'truly', 'precision', 'recall')]
    for index, score in enumerate(score_masks(flagged, true)):
        if flagged[:, index].any() or true[:, index].any():
            table.append(
                (
                    f'  {score.axis}',
                    _times(stamps, flagged, index, live.start),
                    _times(stamps, true, index, live.start),
                    *_shares(score),
                )
            )
    if len(table) == 1:
        table.append(('  none', '', '', '', ''))
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    widths[0] = 14
    for row in table:
        cells = [f'{cell:<{width}}' for cell, width in zip(row, widths, strict=True)]
        yield ('  ' + '  '.join(cells)).rstrip()


def _shares(score: AxisScore) -> tuple[str, str]:
    shares = (score.precision, score.recall)
    precision, recall = ('-' if math.isnan(value) else f'{value:.2f}' for value in shares)
    return precision, recall


def _times(stamps: NDArray[np.float64], masks: NDArray[np.bool_], index: int, start: float) -> str:
    """Return when an axis is weak, counted from `start` [s]."""
    only = np.zeros_like(masks)
    only[:, index] = masks[:, index]
    spans = weak_spans(stamps, only, bridge=_BRIDGE)
    texts = [f'{_clock(s.start - start)}-{_clock(s.end - start)} s' for s in spans]
    if not texts:
        return 'never'
    more = len(texts) - _MOST_SPANS
    text = ', '.join(texts[:_MOST_SPANS]) + (f' and {more} more' if more > 0 else '')
    count = int(masks[:, index].sum())
    return f'{text} ({count} scan{"s" * (count != 1)})'


def _clock(seconds: float) -> str:
    return f'{round(seconds, 1) + 0.0:.1f}'  # the sum turns -0.0 into 0.0


def common_masks(
    live: LiveRun, truth: Truth
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return stamps, flagged and truly weak axes of the scans that have both."""
    known = dict(zip(truth.trajectory.stamps.tolist(), truth.masks, strict=True))
    stamps = live.table.stamps
    both = np.array([stamp in known for stamp in stamps], dtype=bool)
    true = np.array([known[stamp] for stamp in stamps[both]], dtype=bool).reshape(-1, 6)
    return stamps[both], live.table.masks[both], true
