# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the time per scan grows with its points, with the way driven and with the map."""

import time
from collections.abc import Callable

import numpy as np
import sequences
from machine import load, print_table
from runs import alternate
from systems import GENZ, OURS, Ours

import dcreg_ros
from dcreg_ros.io.scan import Scan
from dcreg_ros.voxels.map import VoxelMap

VOXEL = 0.5
LONG_DRIVE = 2000
SPAN = 50
"""Scans around an early and a late one that are compared."""
MAP_VOXELS = (10_000, 100_000, 1_000_000)


def milliseconds(work: Callable[[int], object], count: int, warm: int = 3) -> np.ndarray:
    """Time of each of `count` calls after some to warm up [ms]."""
    out = []
    for k in range(warm + count):
        began = time.perf_counter()
        work(k)
        out.append(1e3 * (time.perf_counter() - began))
    return np.array(out[warm:])


def report(names: list[str], quick: bool, markdown: bool) -> None:
    """Print all tables."""
    with_points(names, markdown)
    with_map(markdown, MAP_VOXELS[:2] if quick else MAP_VOXELS)
    if not quick:
        with_way(names, markdown)


def with_points(names: list[str], markdown: bool) -> None:
    """Time over every eighth, fourth, second and every point of the same scans."""
    sequence = sequences.recorded('drive') or sequences.simulated(
        'forest', 'forest', 106, 40, trees=200)
    rows = []
    for step in (8, 4, 2, 1):
        scans = [
            Scan(s.stamp, s.points[::step], None if s.times is None else s.times[::step],
                 s.frame_id, s.name)
            for s in sequence.scans
        ]
        runs = alternate(names, scans, VOXEL, 1)
        rows.append([
            str(len(scans[0].points)),
            *(f'{np.median(runs[name].milliseconds):.1f}' for name in names)])
    print_table(
        f'Median ms per scan over its points ({sequence.name}, voxel {VOXEL} m, {load()})',
        ['points', *names], rows, markdown)


def with_way(names: list[str], markdown: bool) -> None:
    """Time of scans around the 100th and the last of a long drive past trees."""
    # GenZ-ICP would take longer than all the rest.
    names = [name for name in names if name != GENZ]
    length = 1.5 * 0.1 * LONG_DRIVE
    # On beyond the last scan, so that it too is taken at full speed between trees.
    driven = length + 60.0
    sequence = sequences.simulated(
        'forest', 'forest', 107, LONG_DRIVE, driven=driven, trees=int(2.5 * driven))
    runs = alternate(names, sequence.scans, VOXEL, 1)
    rows = []
    for name in names:
        times = 1e3 * np.array(runs[name].cpu)
        early = np.median(times[100 - SPAN // 2:100 + SPAN // 2])
        late = np.median(times[-SPAN:])
        rows.append([name, f'{early:.2f}', f'{late:.2f}', f'{late / early:.2f}'])
    print_table(
        f'Median CPU ms of {SPAN} scans in a drive of {length:.0f} m ({load()})',
        ['system', 'around scan 100', f'around scan {LONG_DRIVE}', 'ratio'], rows, markdown)


def with_map(markdown: bool, sizes: tuple[int, ...]) -> None:
    """Time of registration and insertion against one room in maps with more and more around it."""
    sequence = sequences.SIMULATED['room'](6)
    first, last = sequence.scans[0].points, sequence.scans[5].points
    config = Ours(VOXEL).odometry.config.registration
    rng = np.random.default_rng(0)
    guess = np.eye(4)
    rows = []
    for size in sizes:
        voxels = VoxelMap(VOXEL, 1e4)
        # Beyond the room, so that its own voxels are the same in every map.
        around = rng.uniform(-80.0, 80.0, (2 * size, 3)) * [1.0, 1.0, 0.5]
        around = around[np.abs(around[:, 0]) > 20.0]
        voxels.insert(around[:size], np.eye(4))
        voxels.insert(first, np.eye(4))
        match = milliseconds(lambda _, v=voxels: dcreg_ros.register(last, v, guess, config), 15)
        insert = milliseconds(lambda _, v=voxels: v.insert(last, np.eye(4)), 15)
        rows.append([
            f'{len(voxels)}', f'{np.median(match):.2f}', f'{np.median(insert):.2f}'])
    print_table(
        f'{OURS}: median ms over the size of the map ({load()})',
        ['voxels', f'register {len(last)} points', 'insert them'], rows, markdown)
