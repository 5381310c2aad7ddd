# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What each mode of a registration is made of, as bars.

matplotlib is imported inside the functions, so that whoever does not draw does not need it.
"""

from pathlib import Path
from typing import Any

import numpy as np

from dcreg_ros.degeneracy.report import AXES, DegeneracyReport
from dcreg_ros.evaluation.plots import COLOURS

_INK, _FAINT = '#222222', '#8a8a8a'
_DARK = ('x', 'y', 'z')  # axes whose colours want white letters
_ROOM = 0.08  # least share that a number fits into


def plot_contributions(path: str | Path, report: DegeneracyReport, title: str = '') -> None:
    """Draw the share of every body axis in every mode; weak modes in full colour.

    Parameters
    ----------
    path : str or Path
        Picture to write, its kind by the ending.
    report : DegeneracyReport
        Of one registration.
    title : str
        Above the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.8), layout='constrained')
    FigureCanvasAgg(figure)
    columns = figure.subplots(1, 2, sharex=True)
    for axes, start, name in zip(columns, (0, 3), ('rotation', 'translation'), strict=True):
        _draw_block(axes, report, start)
        axes.set_title(name, loc='left', color=_INK)
    figure.supxlabel('share of each body axis; weak modes in full colour', color=_INK)
    if title:
        figure.suptitle(title, x=0.01, ha='left', fontweight='bold', color=_INK)
    figure.savefig(path, dpi=150)


def _draw_block(axes: Any, report: DegeneracyReport, start: int) -> None:
    """Three bars, the mode of the first axis on top."""
    for row in range(3):
        i, left = start + row, 0.0
        weak = bool(report.mask[i])
        for k, share in enumerate(report.contributions[i]):
            axis = AXES[start + k]
            axes.barh(
                2 - row, share, left=left, height=0.62, color=COLOURS[axis], edgecolor='white',
                alpha=1.0 if weak else 0.3)
            if share >= _ROOM:
                axes.text(
                    left + 0.5 * share, 2 - row, f'{axis} {100.0 * share:.0f} %', ha='center',
                    va='center', fontsize=9, color='white' if weak and axis in _DARK else _INK)
            left += share
        condition = report.conditions[i]
        text = 'no information' if np.isinf(condition) else f'condition {condition:.3g}'
        axes.text(1.0, 2 - row + 0.36, text, ha='right', va='bottom', fontsize=8, color=_FAINT)
    names = [AXES[start + row] for row in range(3)]
    marks = report.mask[start:start + 3]
    labels = [f'{name}, weak' if weak else name for name, weak in zip(names, marks, strict=True)]
    axes.set_yticks([2, 1, 0], labels, color=_INK)
    axes.set_xticks(np.linspace(0.0, 1.0, 6), [f'{p} %' for p in range(0, 101, 20)])
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(-0.5, 2.75)
    for side in ('top', 'right', 'left'):
        axes.spines[side].set_visible(False)
    axes.tick_params(left=False)
