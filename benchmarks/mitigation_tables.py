# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the mitigations did, as tables."""

from typing import Any

import numpy as np
from detection_tables import Table, grouped, number, percent
from mitigation import COURSES, MITIGATIONS, TOLD, Outcome, size

Outcomes = list[Outcome]
WORDS = {'start': 'wheels for the first 3 s only', 'wheels': 'wheels all along'}


def start_tables(outcomes: Outcomes) -> list[Table]:
    """From perturbed starts."""
    open_ = [o for o in outcomes if np.any(o.guess)]
    return [
        _matrix('From perturbed starts: RMS error along weak directions over that of the start',
                open_, lambda o: number(size(o.along) / size(o.guess))),
        _matrix('The same in tolerances (0.05 m or 0.01 rad)', open_,
                lambda o: number(size(o.along))),
        _matrix('RMS error across weak directions, or of all where none is, in tolerances',
                outcomes, lambda o: number(size(o.across)))]


def drive_tables(outcomes: Outcomes) -> list[Table]:
    """Over whole drives, all seeds of a course together."""
    merged = merge(outcomes)
    out = []
    for told in TOLD:
        part = [o for o in merged if o.told == told]
        open_ = [o for o in part if COURSES[o.scene].weak]
        out += [
            ratios(f'Drives, {WORDS[told]}: how many times better, and what it costs', part),
            _costs(f'Drives, {WORDS[told]}, firm courses: error over that of none, by drives, '
                   'and standard error', [o for o in outcomes if o.told == told]),
            _matrix(f'Drives, {WORDS[told]}: RMS error along weak directions, m and deg', open_,
                    lambda o: _metres(o.along)),
            _matrix(f'Drives, {WORDS[told]}: RMS error across them, or of all, m and deg', part,
                    lambda o: _metres(o.across)),
            _matrix(f'Drives, {WORDS[told]}: scans with all open axes called weak [%]', open_,
                    lambda o: percent(o.flagged))]
    return out


def merge(outcomes: Outcomes) -> Outcomes:
    """One outcome of all seeds of a course."""
    groups = grouped(outcomes, lambda o: (o.scene, o.mitigation, o.told))
    return [
        Outcome(*key, *(np.concatenate([getattr(o, name) for o in part])
                        for name in ('along', 'across', 'guess')),
                float(np.mean([o.flagged for o in part])))
        for key, part in groups.items()]


def ratios(title: str, outcomes: Outcomes) -> Table:
    """Each mitigation against `none`, `dcreg` and wheels alone in open, `none` in firm courses."""
    open_ = {(o.scene, o.mitigation): o for o in outcomes if COURSES[o.scene].weak}
    firm = {(o.scene, o.mitigation): o for o in outcomes if not COURSES[o.scene].weak}
    opened = dict.fromkeys(scene for scene, _ in open_)
    firms = dict.fromkeys(scene for scene, _ in firm)
    rows = []
    for name in MITIGATIONS:
        mine = {scene: size(open_[scene, name].along) for scene in opened}
        cells = []
        for other in ('none', 'dcreg'):
            times = [size(open_[scene, other].along) / mine[scene] for scene in opened]
            cells += [number(min(times), 1), number(_mean(times), 1)]
        wheels = max(mine[scene] / size(open_[scene, name].guess) for scene in opened)
        lost = [size(firm[scene, name].across) / size(firm[scene, 'none'].across)
                for scene in firms]
        rows.append([name, *cells, number(wheels), number(max(lost), 3), number(_mean(lost), 3)])
    return Table(title, [
        'mitigation', 'none over it, least', 'mean', 'dcreg over it, least', 'mean',
        'it over wheels alone, most', 'firm courses: it over none, most', 'mean'], rows)


def _costs(title: str, outcomes: Outcomes) -> Table:
    """What each firm course loses, by the geometric mean of its drives."""
    rows = []
    for scene, part in grouped(outcomes, lambda o: o.scene).items():
        if not COURSES[scene].weak:
            sizes = {name: np.array([size(o.across) for o in drives])
                     for name, drives in grouped(part, lambda o: o.mitigation).items()}
            rows.append(
                [scene, *(_scattered(sizes[name] / sizes['none']) for name in MITIGATIONS)])
    return Table(title, ['scene', *MITIGATIONS], rows)


def _scattered(values: Any) -> str:
    """Geometric mean, and standard error."""
    mean, error = _mean(values), np.nan
    if len(values) > 1:
        error = mean * float(np.std(np.log(values), ddof=1) / np.sqrt(len(values)))
    return f'{mean:.2f} +- {number(error)}'


def _mean(values: Any) -> float:
    return float(np.exp(np.mean(np.log(values))))


def _metres(errors: Any) -> str:
    metres = np.sqrt(np.mean(np.sum(errors[:, 3:] ** 2, axis=1)))
    degrees = np.degrees(np.sqrt(np.mean(np.sum(errors[:, :3] ** 2, axis=1))))
    return f'{metres:.2f} {degrees:.1f}' if metres >= 0.1 else f'{metres:.3f} {degrees:.1f}'


def _matrix(title: str, outcomes: Outcomes, cell: Any) -> Table:
    """Scenes down, mitigations across."""
    rows = [
        [scene, *(cell(o) for name in MITIGATIONS for o in part if o.mitigation == name)]
        for scene, part in grouped(outcomes, lambda o: o.scene).items()]
    return Table(title, ['scene', *MITIGATIONS], rows)
