# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recorded corridor there and back: without truth, two ways of walking it should agree."""

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
        gap = there[:3, 3] - again[:3, 3]
        # The corridor is straight, and walked from end to end.
        axis = there[:3, 3] + again[:3, 3]
        axis /= np.linalg.norm(axis)
        along = abs(gap @ axis)
        angle = Rotation.from_matrix(there[:3, :3].T @ again[:3, :3]).magnitude()
        frames = [f for f in forwards[name].frames if f.degeneracy is not None]
        weak = f'{sum(bool(f.degeneracy.mask[3:].any()) for f in frames)} of {len(frames)}'
        out.append([
            name, f'{np.linalg.norm(there[:3, 3]):.3f}', f'{np.linalg.norm(again[:3, 3]):.3f}',
            f'{along:.3f}', f'{np.linalg.norm(gap - (gap @ axis) * axis):.3f}',
            f'{np.degrees(angle):.2f}', weak if frames else ''])
    return out


def _relative(poses: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.linalg.inv(poses[0]) @ poses[-1]


def _backwards(scans: list[Scan]) -> list[Scan]:
    """Return the scans in the opposite order, with the stamps of the original one."""
    return [
        Scan(first.stamp, last.points, last.times, last.frame_id, last.name)
        for first, last in zip(scans, reversed(scans), strict=True)
    ]
