# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One mask per scan becomes stretches of time a person can read, and is compared with truth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.degeneracy.report import AXES


@dataclass(frozen=True)
class Span:
    """A stretch of scans in which one direction is weak.

    Attributes
    ----------
    axis : str
        One of :data:`dcreg_ros.degeneracy.report.AXES`.
    first, last : int
        Index of the first and the last weak scan.
    start, end : float
        Stamps of these [s].
    num_weak : int
        Weak scans among them; fewer than ``last - first + 1`` where short gaps were bridged.
    """

    axis: str
    first: int
    last: int
    start: float
    end: float
    num_weak: int

    @property
    def num_scans(self) -> int:
        """Scans from first to last, both counted."""
        return self.last - self.first + 1

    def describe(self, origin: float = 0.0) -> str:
        """One line, times counted from `origin` [s]."""
        count = f'{self.num_scans} scan' + 's' * (self.num_scans != 1)
        if self.num_weak != self.num_scans:
            count = f'{self.num_weak} of {count}'
        start, end = self.start - origin, self.end - origin
        return f'{self.axis} weak from {start:.1f} s to {end:.1f} s, {count}'


@dataclass(frozen=True)
class AxisScore:
    """How well one axis was flagged.

    Attributes
    ----------
    axis : str
        One of :data:`dcreg_ros.degeneracy.report.AXES`.
    hits, false_alarms, misses : int
        Scans weak in both, in the estimate alone, in the truth alone.
    """

    axis: str
    hits: int
    false_alarms: int
    misses: int

    @property
    def precision(self) -> float:
        """Share of the flagged scans that are weak indeed; nan where none was flagged."""
        flagged = self.hits + self.false_alarms
        return self.hits / flagged if flagged else float('nan')

    @property
    def recall(self) -> float:
        """Share of the truly weak scans that were flagged; nan where none is weak."""
        weak = self.hits + self.misses
        return self.hits / weak if weak else float('nan')


def weak_spans(
    stamps: NDArray[np.float64], masks: NDArray[np.bool_], bridge: int = 0
) -> list[Span]:
    """Join weak scans into spans.

    Parameters
    ----------
    stamps : (N,) float array
        Time of each scan [s].
    masks : (N, 6) bool array
        Weak directions of each scan, in the order of ``AXES``.
    bridge : int
        Gaps of up to this many scans do not end a span; a span never starts or ends with one.

    Returns
    -------
    list of Span
        By start, then in the order of ``AXES``.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    stamps, masks = np.asarray(stamps, dtype=float), np.asarray(masks, dtype=bool)
    if masks.shape != (len(stamps), 6):
        raise ValueError(f'masks of shape {masks.shape} should be ({len(stamps)}, 6)')
    spans = []
    for axis, column in zip(AXES, masks.T, strict=True):
        weak = np.flatnonzero(column)
        if len(weak):
            breaks = np.flatnonzero(np.diff(weak) > bridge + 1) + 1
            for run in np.split(weak, breaks):
                first, last = int(run[0]), int(run[-1])
                spans.append(Span(axis, first, last, stamps[first], stamps[last], len(run)))
    return sorted(spans, key=lambda span: (span.first, AXES.index(span.axis)))


def score_masks(estimate: NDArray[np.bool_], truth: NDArray[np.bool_]) -> list[AxisScore]:
    """Compare flagged with truly weak directions, scan by scan.

    Parameters
    ----------
    estimate, truth : (N, 6) bool arrays
        Of the same scans, in the order of ``AXES``.

    Returns
    -------
    list of AxisScore
        One per axis, in the order of ``AXES``.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    estimate, truth = np.asarray(estimate, dtype=bool), np.asarray(truth, dtype=bool)
    if estimate.shape != truth.shape or estimate.ndim != 2 or estimate.shape[1] != 6:
        raise ValueError(f'masks of shapes {estimate.shape} and {truth.shape} should be (N, 6)')
    return [
        AxisScore(
            axis,
            hits=int(np.sum(found & weak)),
            false_alarms=int(np.sum(found & ~weak)),
            misses=int(np.sum(~found & weak)),
        )
        for axis, found, weak in zip(AXES, estimate.T, truth.T, strict=True)
    ]
