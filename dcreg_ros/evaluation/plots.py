# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a run: where the sensor went, and which directions were weak when.

matplotlib is imported inside the functions, so that whoever does not draw does not need it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.degeneracy.report import AXES
from dcreg_ros.evaluation.diagnostics_log import DiagnosticsTable
from dcreg_ros.evaluation.spans import Span, weak_spans
from dcreg_ros.evaluation.trajectory import Trajectory

# Okabe and Ito's colours, told apart by people with any kind of colour vision.
COLOURS = {
    'roll': '#E69F00',
    'pitch': '#56B4E9',
    'yaw': '#CC79A7',
    'x': '#D55E00',
    'y': '#009E73',
    'z': '#0072B2',
}
_INK, _TRUTH, _FAINT, _GRID = '#222222', '#5f5f5f', '#8a8a8a', '#e6e6e6'
_STYLE: dict[Any, Any] = {
    'font.family': 'sans-serif',
    'font.size': 13.0,
    'text.color': _INK,
    'axes.labelcolor': _INK,
    'axes.edgecolor': _FAINT,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.titlesize': 15.0,
    'axes.titleweight': 'bold',
    'axes.titlelocation': 'left',
    'axes.grid': True,
    'grid.color': _GRID,
    'xtick.color': _INK,
    'ytick.color': _INK,
}
_WIDE = 3.0  # a path this much longer in x than in y is drawn above the timeline, not beside it
_CEILING = 1e5  # conditions beyond, infinity among them, are drawn here
_LABEL_GAP = 0.25  # inches between two names at the right edge
_BRIDGE = 2  # scans without a weak direction that do not end its span in the picture


def plot_run(
    path: str | Path,
    trajectory: Trajectory,
    table: DiagnosticsTable,
    truth: Trajectory | None = None,
    truth_masks: NDArray[np.bool_] | None = None,
    condition_threshold: float = 10.0,
    title: str = '',
) -> None:
    """Draw top view and timeline of a run into a PNG.

    Parameters
    ----------
    path : str or Path
        The file to write.
    trajectory : Trajectory
        ``T_odom_lidar`` of each row of `table`.
    table : DiagnosticsTable
        One row per pose.
    truth : Trajectory or None
        In the same world as `trajectory`; see ``trajectory.align``.
    truth_masks : (N, 6) bool array or None
        Truly weak directions of each row, in the order of ``AXES``.
    condition_threshold : float
        Drawn as a line.
    title : str
        One line above the picture.

    Raises
    ------
    ValueError
        If `trajectory` and `table` differ in length, or are empty.
    """
    if len(trajectory) != len(table) or len(table) == 0:
        raise ValueError(f'{len(trajectory)} poses do not fit {len(table)} rows of diagnostics')
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    spans = weak_spans(table.stamps, table.masks, bridge=_BRIDGE)
    shown = [axis for axis in AXES if any(span.axis == axis for span in spans)]
    true_spans = [] if truth_masks is None else weak_spans(table.stamps, truth_masks)
    shown += [axis for axis in AXES if axis not in shown and _has(true_spans, axis)]
    with pyplot.rc_context(_STYLE):
        layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
        figure = pyplot.figure(figsize=(13.33, 7.5), layout=layout)
        view, lanes, timeline = _panels(figure, trajectory, len(shown))
        _draw_view(view, trajectory, spans, truth)
        _draw_lanes(lanes, spans, true_spans, shown, table.stamps)
        _draw_timeline(timeline, table, spans, condition_threshold)
        if title:
            figure.suptitle(title, x=0.01, ha='left', fontsize=18, fontweight='bold')
        figure.savefig(path, dpi=150, facecolor='white')
        pyplot.close(figure)


def _has(spans: Sequence[Span], axis: str) -> bool:
    return any(span.axis == axis for span in spans)


def _panels(figure: Any, trajectory: Trajectory, num_lanes: int) -> tuple[Any, Any, Any]:
    extent = np.ptp(trajectory.positions[:, :2], axis=0)
    lane_height = 0.12 + 0.16 * max(1, num_lanes)
    if extent[0] > _WIDE * extent[1]:
        grid = figure.add_gridspec(3, 1, height_ratios=[1.6, lane_height, 2.4])
        view, lanes, timeline = (figure.add_subplot(grid[row, 0]) for row in range(3))
    else:
        grid = figure.add_gridspec(2, 2, height_ratios=[lane_height, 3.0], width_ratios=[1, 1.3])
        view = figure.add_subplot(grid[:, 0])
        lanes, timeline = (figure.add_subplot(grid[row, 1]) for row in range(2))
    lanes.sharex(timeline)
    return view, lanes, timeline


def _draw_view(
    axes: Any, trajectory: Trajectory, spans: Sequence[Span], truth: Trajectory | None
) -> None:
    x, y = trajectory.positions[:, 0], trajectory.positions[:, 1]
    weak = [axis for axis in AXES if _has(spans, axis)]
    num_weak = {axis: sum(s.num_weak for s in spans if s.axis == axis) for axis in weak}
    for rank, axis in enumerate(sorted(weak, key=lambda axis: -num_weak[axis])):
        width = 24.0 - 4.0 * min(rank, 4)  # weak at once: the shorter band lies inside the longer
        for span in spans:
            if span.axis == axis:
                part = slice(span.first, span.last + 1)
                axes.plot(
                    x[part], y[part], color=COLOURS[axis], linewidth=width, alpha=0.45,
                    solid_capstyle='butt', zorder=2,
                )  # fmt: skip
    handles = axes.plot(x, y, color=_INK, linewidth=2.2, label='estimate', zorder=4)
    if truth is not None:
        handles += _draw_truth(axes, truth)
    handles += [
        axes.plot([], [], color=COLOURS[axis], alpha=0.45, linewidth=11, label=f'{axis} weak')[0]
        for axis in weak
    ]
    _mark(axes, x[0], y[0], 'start', 'white')
    _mark(axes, x[-1], y[-1], 'end', _INK)
    axes.set_aspect('equal', adjustable='datalim')
    axes.margins(x=0.08, y=0.18)
    axes.set(xlabel='x [m]', ylabel='y [m]', title='Top view')
    below = axes.get_position().width < 0.6  # beside the timeline there is no room in the title
    axes.legend(
        handles=handles, frameon=False, handlelength=1.6, columnspacing=1.4, borderaxespad=0.3,
        loc='upper left' if below else 'lower right',
        bbox_to_anchor=(0.0, 1.0) if below else (1.0, 1.0), ncols=1 if below else 6,
    )  # fmt: skip


def _draw_truth(axes: Any, truth: Trajectory) -> list[Any]:
    from matplotlib.patheffects import Normal, Stroke

    # The white edge keeps the dashes visible where they lie on the estimate.
    return axes.plot(
        truth.positions[:, 0], truth.positions[:, 1], color=_TRUTH, linewidth=1.8,
        dashes=(3.0, 2.2), label='truth', zorder=5,
        path_effects=[Stroke(linewidth=3.6, foreground='white'), Normal()],
    )  # fmt: skip


def _mark(axes: Any, x: float, y: float, text: str, fill: str) -> None:
    marker = 'o' if text == 'start' else 's'
    axes.plot(
        x, y, marker=marker, color=_INK, markersize=10, markerfacecolor=fill, markeredgewidth=2,
        zorder=6,
    )  # fmt: skip
    axes.annotate(
        text, (x, y), xytext=(0, -14), textcoords='offset points', ha='center', va='top', zorder=7,
    )  # fmt: skip


def _draw_lanes(
    axes: Any,
    spans: Sequence[Span],
    true_spans: Sequence[Span],
    shown: Sequence[str],
    stamps: NDArray[np.float64],
) -> None:
    """One lane per direction that was ever weak: filled where flagged, framed where true."""
    origin, half = stamps[0], 0.5 * _period(stamps)
    for lane, axis in enumerate(shown):
        for span in spans:
            if span.axis == axis:
                start = span.start - origin - half
                length = span.end - span.start + 2.0 * half
                axes.broken_barh(
                    [(start, length)], (lane - 0.32, 0.64), facecolor=COLOURS[axis], zorder=3
                )
        for span in true_spans:
            if span.axis == axis:
                start = span.start - origin - half
                length = span.end - span.start + 2.0 * half
                axes.broken_barh(
                    [(start, length)], (lane - 0.43, 0.86), facecolor='none', edgecolor=_INK,
                    linewidth=1.6, zorder=4,
                )  # fmt: skip
    title = 'Weak directions' + (': flagged (filled), true (framed)' if true_spans else '')
    axes.set_title(title)
    axes.grid(False)
    axes.spines[['left', 'bottom']].set_visible(False)
    axes.set_ylim(max(len(shown), 1) - 0.4, -0.6)
    axes.set_yticks(range(len(shown)), shown)
    axes.tick_params(axis='y', length=0)
    axes.tick_params(axis='x', length=0, labelbottom=False)
    for label, axis in zip(axes.get_yticklabels(), shown, strict=True):
        label.set(color=COLOURS[axis], fontweight='bold')
    if not shown:
        axes.text(0.0, 0.5, 'none', transform=axes.transAxes, va='center', color=_FAINT)


def _draw_timeline(
    axes: Any, table: DiagnosticsTable, spans: Sequence[Span], threshold: float
) -> None:
    origin, half = table.stamps[0], 0.5 * _period(table.stamps)
    time = table.stamps - origin
    conditions = np.minimum(table.conditions, _CEILING)
    depth = 0.16 / max(1, len({span.axis for span in spans}))  # many at once should stay light
    for span in spans:
        axes.axvspan(
            span.start - origin - half, span.end - origin + half, color=COLOURS[span.axis],
            alpha=depth, linewidth=0, zorder=1,
        )  # fmt: skip
    for axis, values in zip(AXES, conditions.T, strict=True):
        turns = axis in AXES[:3]
        axes.plot(
            time, values, color=COLOURS[axis], linewidth=2.0,
            linestyle=(0, (4.0, 1.5)) if turns else 'solid', zorder=3,
        )  # fmt: skip
    axes.axhline(threshold, color=_INK, linewidth=1.3, linestyle=':', zorder=2)
    top = max(10.0 * threshold, 2.0 * np.nanmax(conditions, initial=1.0))
    axes.set_ylim(0.8, top)  # before the scale: without any match there is nothing to scale by
    axes.set_yscale('log')
    end = max(time[-1], 2.0 * half)
    axes.set_xlim(-half, end + half)
    axes.text(
        0.004, threshold * 1.12, f'ill conditioned above {threshold:g}', fontsize=11.5,
        va='bottom', transform=axes.get_yaxis_transform(), zorder=5,
        bbox={'facecolor': 'white', 'alpha': 0.75, 'linewidth': 0, 'pad': 1.0},
    )  # fmt: skip
    _label_ends(axes, time, conditions, top)
    axes.set(xlabel='time [s]', title='Condition of each direction (log scale)')


def _label_ends(axes: Any, time: NDArray, conditions: NDArray, top: float) -> None:
    """Write the name of each curve at its right end, pushed apart where they meet."""
    ends = []
    for axis, values in zip(AXES, conditions.T, strict=True):
        known = np.flatnonzero(np.isfinite(values))
        if len(known):
            ends.append((np.log(values[known[-1]]), time[known[-1]], axis))
    ends.sort()
    axes.figure.draw_without_rendering()  # the layout decides how tall a letter is in decades
    letter = _LABEL_GAP / axes.get_window_extent().height * axes.figure.dpi
    heights = _spread([end[0] for end in ends], letter * np.log(top / 0.8))
    for height, (value, last, axis) in zip(heights, ends, strict=True):
        axes.annotate(
            axis, (last, np.exp(value)), xycoords='data',
            xytext=(1.018, np.exp(height)), textcoords=axes.get_yaxis_transform(),
            color=COLOURS[axis], fontweight='bold', va='center', annotation_clip=False,
            arrowprops={'arrowstyle': '-', 'color': COLOURS[axis], 'linewidth': 1.0,
                        'shrinkA': 1.0, 'shrinkB': 0.0, 'relpos': (0.0, 0.5)},
        )  # fmt: skip


def _spread(values: Sequence[float], gap: float) -> NDArray[np.float64]:
    """Push ascending values up until they lie a gap apart."""
    spread = np.array(values, dtype=float)
    for index in range(1, len(spread)):
        spread[index] = max(spread[index], spread[index - 1] + gap)
    return spread


def _period(stamps: NDArray[np.float64]) -> float:
    return float(np.median(np.diff(stamps))) if len(stamps) > 1 else 1.0
