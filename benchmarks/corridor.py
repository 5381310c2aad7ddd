# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recorded corridor there and back: without truth, two ways of walking it should agree."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from runs import alone
from scipy.spatial.transform import Rotation
from sequences import Sequence
from systems import MAKERS, OURS, Ours

from dcreg_ros.config import RegistrationConfig
from dcreg_ros.io.scan import Scan
from dcreg_ros.parameters import describe

FIRST = 9
"""Scans before are in a room or broken."""
HEADER = [
    'system', 'forwards m', 'backwards m', 'apart along m', 'across m', 'deg', 'weak x scans']
STARTS = 12
"""The first motion is as fast as all and has a map of one scan: how it goes is a matter of luck,
and one run says little. So the same is done from this many scans on, one after the other."""
STARTS_HEADER = ['system', 'median m', 'worst m', 'median deg', 'worst deg', 'within 0.1 m']


def rows(names: list[str], sequence: Sequence, voxel: float) -> list[list[str]]:
    """One row per mitigation of ours, and one per peer, under HEADER."""
    (mitigations,) = (
        info.choices for info, _ in describe(RegistrationConfig()) if info.name == 'mitigation')
    makers = {
        f'{OURS}, {mitigation}': lambda m=mitigation: Ours(
            voxel, **{'registration.mitigation': m})
        for mitigation in mitigations
    }
    makers.update({n: lambda n=n: MAKERS[n](voxel) for n in names if n != OURS})
    forwards = {name: alone(make(), sequence.scans) for name, make in makers.items()}
    back = _backwards(sequence.scans)
    backwards = {name: alone(make(), back) for name, make in makers.items()}
    out = []
    for name in makers:
        there = _relative(forwards[name].poses)
        again = np.linalg.inv(_relative(backwards[name].poses))
        gap, angle = _apart(there, again)
        # The corridor is straight, and walked from end to end.
        axis = there[:3, 3] + again[:3, 3]
        axis /= np.linalg.norm(axis)
        along = abs(gap @ axis)
        frames = [f for f in forwards[name].frames if f.degeneracy is not None]
        weak = f'{sum(bool(f.degeneracy.mask[3:].any()) for f in frames)} of {len(frames)}'
        out.append([
            name, f'{np.linalg.norm(there[:3, 3]):.3f}', f'{np.linalg.norm(again[:3, 3]):.3f}',
            f'{along:.3f}', f'{np.linalg.norm(gap - (gap @ axis) * axis):.3f}',
            f'{np.degrees(angle):.2f}', weak if frames else ''])
    return out


def start_rows(names: list[str], sequence: Sequence, voxel: float) -> list[list[str]]:
    """One row per system, ours with and without its mitigation, under STARTS_HEADER."""
    makers = {name: lambda name=name: MAKERS[name](voxel) for name in names}
    makers[f'{OURS}, none'] = lambda: Ours(voxel, **{'registration.mitigation': 'none'})
    out = []
    for name, make in makers.items():
        gaps = []
        for start in range(STARTS):
            scans = sequence.scans[start:]
            there = _relative(alone(make(), scans).poses)
            again = np.linalg.inv(_relative(alone(make(), _backwards(scans)).poses))
            gap, angle = _apart(there, again)
            gaps.append((np.linalg.norm(gap), np.degrees(angle)))
        way, turn = np.array(gaps).T
        out.append([
            name, f'{np.median(way):.3f}', f'{way.max():.3f}', f'{np.median(turn):.2f}',
            f'{turn.max():.2f}', f'{np.count_nonzero(way < 0.1)} of {STARTS}'])
    return out


def _apart(there: NDArray[np.float64], again: NDArray[np.float64]) -> tuple[Any, float]:
    """Way (3,) [m] and angle [rad] between two poses that should be the same."""
    angle = Rotation.from_matrix(there[:3, :3].T @ again[:3, :3]).magnitude()
    return there[:3, 3] - again[:3, 3], float(angle)


def _relative(poses: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.linalg.inv(poses[0]) @ poses[-1]


def _backwards(scans: list[Scan]) -> list[Scan]:
    """Return the scans in the opposite order, with the stamps of the original one."""
    return [
        Scan(first.stamp, last.points, last.times, last.frame_id, last.name)
        for first, last in zip(scans, reversed(scans), strict=True)
    ]
