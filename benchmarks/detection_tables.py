# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the detections found, as tables."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from detection import (
    BLOCKWISE,
    DETECTIONS,
    Trial,
    count,
    plain_errors,
    subspaces,
    true_mask,
)

from dcreg_ros.degeneracy.report import AXES

Trials = list[Trial]


class Table(NamedTuple):
    """A table of texts, and what it says."""

    title: str
    header: list[str]
    rows: list[list[str]]


def detection_tables(trials: Trials) -> list[Table]:
    """All tables of the detections, the winner's errors among them."""
    clear = [trial for trial in trials if trial.clear]
    winner = best(trials)
    return [
        _truths(trials), _overall(trials, clear),
        _axes('Precision / recall / F1 of each direction over all trials [%]', trials),
        _axes('The same over clear trials alone [%]', clear), _conditions(trials),
        _scenes(trials), _errors(trials, winner), _plain(trials)]


def best(trials: Trials) -> str:
    """The detection with the largest F1 over all trials."""
    return max(DETECTIONS, key=lambda name: np.nan_to_num(count(trials, name).scores()[2]))


def number(value: float, digits: int = 2) -> str:
    """A number, or a dash where there is none."""
    return f'{value:.{digits}f}' if np.isfinite(value) else '-'


def percent(value: float, digits: int = 0) -> str:
    """A share as percents, or a dash where there is none."""
    return f'{100.0 * value:.{digits}f}' if np.isfinite(value) else '-'


def _truths(trials: Trials) -> Table:
    rows = []
    for scene, part in grouped(trials, lambda trial: trial.scene).items():
        shares = np.mean([trial.truth.mask for trial in part], axis=0)
        weak = [f'{axis} {percent(share)} %' for axis, share in zip(AXES, shares, strict=True)
                if share]
        failed = sum(len(trial.verdicts) < len(DETECTIONS) for trial in part)
        clear = sum(trial.clear for trial in part)
        rows.append([scene, str(len(part)), str(failed), str(clear), ', '.join(weak) or 'nothing'])
    return Table(
        'What is true', ['scene', 'trials', 'not registered', 'clear', 'truly weak'], rows)


def _overall(trials: Trials, clear: Trials) -> Table:
    rows = []
    by_normals = [replace(trial, truth=trial.by_normals) for trial in trials]
    for name in DETECTIONS:
        same, angles = subspaces(trials, name)
        rows.append([
            name, 'blocks' if name in BLOCKWISE else 'motions',
            *(number(score, 3) for score in count(trials, name).scores()),
            *(number(score, 3) for score in count(clear, name).scores()), percent(same),
            number(float(np.median(angles)) if len(angles) else np.nan),
            number(float(np.percentile(angles, 95)) if len(angles) else np.nan),
            number(count(by_normals, name).scores()[2], 3)])
    return Table(
        f'All directions pooled: {len(trials)} trials, and the {len(clear)} clear ones',
        ['detection', 'axes of', 'precision', 'recall', 'F1', 'clear: precision', 'recall', 'F1',
         'right dimension %', 'angle, median deg', 'p95 deg', 'F1 by normals alone'], rows)


def _axes(title: str, trials: Trials) -> Table:
    rows = []
    for name in DETECTIONS:
        counts = count(trials, name)
        cells = [' / '.join(map(percent, counts.scores(i))) for i in range(6)]
        rows.append([name, *cells])
    return Table(title, ['detection', *AXES], rows)


def _conditions(trials: Trials) -> Table:
    noises = grouped(trials, lambda trial: trial.sigma)
    densities = grouped(trials, lambda trial: trial.columns)
    parts = [
        (part, [trial for trial in part if trial.clear])
        for part in (*noises.values(), *densities.values())]
    rows = [
        [name, *(' / '.join(number(count(part, name).scores()[2]) for part in pair)
                 for pair in parts)]
        for name in DETECTIONS]
    return Table(
        'F1 by noise and by density, of all / of clear trials',
        ['detection', *(f'{1e3 * sigma:.0f} mm' for sigma in noises),
         *(f'{columns} columns' for columns in densities)], rows)


def _scenes(trials: Trials) -> Table:
    rows = [
        [scene, *(percent(float(np.mean([
            name in trial.verdicts
            and np.array_equal(trial.verdicts[name].mask, true_mask(trial, name))
            for trial in part]))) for name in DETECTIONS)]
        for scene, part in grouped(trials, lambda trial: trial.scene).items()]
    return Table('Trials with all six directions right [%]', ['scene', *DETECTIONS], rows)


def _errors(trials: Trials, name: str) -> Table:
    rows = []
    for scene, part in grouped(trials, lambda trial: trial.scene).items():
        counts = count(part, name)
        if np.any(counts.false) or np.any(counts.missed):
            rows.append([scene, str(len(part)), _named(counts.false), _named(counts.missed)])
    return Table(
        f'Where {name} errs, by number of trials', ['scene', 'trials', 'false', 'missed'], rows)


def _named(counts: Any) -> str:
    return ', '.join(f'{axis} {n}' for axis, n in zip(AXES, counts, strict=True) if n) or '-'


def _plain(trials: Trials) -> Table:
    rows = [[name, *map(number, plain_errors(trials, name))] for name in DETECTIONS]
    return Table(
        'Error of the same registration with nothing held, RMS in tolerances, of directions',
        ['detection', 'rightly called weak', 'falsely called weak', 'missed',
         'rightly called known'], rows)


def grouped(trials: Iterable[Any], key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    """Lists of what has the same key, in the order met."""
    out: dict[Any, list[Any]] = {}
    for trial in trials:
        out.setdefault(key(trial), []).append(trial)
    return out
