# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pictures of docs/degeneracy.md."""

from pathlib import Path
from typing import Any

import numpy as np
from detection import DETECTIONS, count
from detection_tables import grouped
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from mitigation import COURSES, MITIGATIONS, size
from mitigation_tables import merge

# Okabe and Ito's, told apart by people with any kind of colour vision; shapes say the same.
MARKS = (('o', '#0072B2'), ('s', '#E69F00'), ('^', '#009E73'))
INK, FAINT, GRID = '#222222', '#8a8a8a', '#e6e6e6'
TARGET = 0.98


def detections(path: Path, trials: list[Any]) -> None:
    """F1 of every detection at every noise, over all and over clear trials."""
    figure, panels = _figure(2, (10.0, 4.2))
    clear = [trial for trial in trials if trial.clear]
    order = sorted(DETECTIONS, key=lambda name: np.nan_to_num(count(trials, name).scores()[2]))
    for axes, part, name in zip(
            panels, (trials, clear), ('all trials', 'clear trials'), strict=True):
        axes.axvline(TARGET, color=FAINT, linestyle='--', linewidth=1.0)
        for (shape, colour), (sigma, some) in zip(
                MARKS, grouped(part, lambda trial: trial.sigma).items(), strict=True):
            scores = [count(some, detection).scores()[2] for detection in order]
            axes.plot(
                scores, range(len(order)), shape, color=colour, markersize=8, clip_on=False,
                label=f'{1e3 * sigma:.0f} mm')
        axes.set_title(f'{name} ({len(part)})', loc='left', fontweight='bold', color=INK)
        axes.set_xlim(0.0, 1.0)
        axes.set_xlabel('F1 of weak directions', color=INK)
    panels[0].set_yticks(range(len(order)), order)
    panels[1].legend(title='range noise', loc='lower right', bbox_to_anchor=(0.96, 0.0))
    for axes in panels:
        axes.text(
            TARGET, 1.01, f'target {TARGET}', ha='right', va='bottom', color=FAINT,
            transform=axes.get_xaxis_transform())
    figure.savefig(path, dpi=150)


def mitigations(path: Path, started: list[Any], driven: list[Any]) -> None:
    """Errors along over those of the guess, and across over those without mitigation."""
    figure, panels = _figure(3, (12.0, 4.6))
    wheels = [o for o in merge(driven) if o.told == 'wheels']
    rows = list(reversed(MITIGATIONS))
    starts = [o for o in started if np.any(o.guess)]
    courses = [o for o in wheels if COURSES[o.scene].weak]
    _dots(panels[0], starts, rows, lambda o: size(o.along) / size(o.guess))
    _dots(panels[1], courses, rows, lambda o: size(o.along) / size(o.guess))
    firm = [o for o in wheels if not COURSES[o.scene].weak]
    least = {o.scene: size(o.across) for o in firm if o.mitigation == 'none'}
    _dots(panels[2], firm, rows, lambda o: size(o.across) / least[o.scene])
    titles = ('one scan, perturbed start', 'drives with bad wheels', 'drives where all is firm')
    labels = ('error along weak directions\nover that of the start',
              'error along weak directions\nover that of the wheels alone',
              'error over that of "none"')
    for axes, title, label in zip(panels, titles, labels, strict=True):
        axes.set_title(title, loc='left', fontweight='bold', color=INK)
        axes.set_xlabel(label, color=INK)
    panels[0].set_yticks(range(len(rows)), rows)
    figure.text(1.0, 0.0, 'dots: scenes; bars: geometric means', ha='right', color=FAINT)
    figure.savefig(path, dpi=150, bbox_inches='tight')


def _dots(axes: Any, outcomes: list[Any], rows: list[str], ratio: Any) -> None:
    """One dot for each scene, and a bar at their geometric mean."""
    axes.set_xscale('log')
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter('{x:g}')
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.axvline(1.0, color=FAINT, linestyle='--', linewidth=1.0)
    shape, colour = MARKS[0]
    for row, name in enumerate(rows):
        values = np.array([ratio(o) for o in outcomes if o.mitigation == name])
        axes.plot(values, np.full(len(values), row), shape, color=colour, alpha=0.55, markersize=7)
        mean = np.exp(np.mean(np.log(values)))
        axes.plot([mean, mean], [row - 0.32, row + 0.32], color=INK, linewidth=2.5)


def _figure(columns: int, inches: tuple[float, float]) -> tuple[Any, Any]:
    figure = Figure(figsize=inches, layout='constrained')
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, columns, sharey=True)
    for axes in panels:
        axes.grid(color=GRID)
        axes.set_axisbelow(True)
        axes.tick_params(left=False, colors=INK)
        for side in ('top', 'right', 'left'):
            axes.spines[side].set_visible(False)
    return figure, panels
