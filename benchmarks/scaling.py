# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the time per scan grows with its points, with the way driven and with the map."""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import sequences
from machine import load, print_table
from runs import alternate
from systems import GENZ, OURS, Ours

import dcreg_ros
from dcreg_ros.io.scan import Scan
from dcreg_ros.simulation import primitives as shapes
from dcreg_ros.simulation.lidar import LidarModel, sweep
from dcreg_ros.simulation.scene import Scene
from dcreg_ros.simulation.trajectory import drive
from dcreg_ros.voxels.map import VoxelMap

VOXEL = 0.5
LAP, STEP = 100, 0.2
"""Scans after which a long drive sees the same again, and metres between two of them."""
LONG_DRIVE, PEERS_DRIVE = 10_000, 2_000
MAP_CELLS = (10_000, 100_000, 1_000_000, 10_000_000)
NEW_CELLS = 2000


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
    with_map(markdown, MAP_CELLS[:2] if quick else MAP_CELLS)
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
    """Time of the scans of one lap, early and late in a long drive down the same street."""
    # GenZ-ICP would take longer than all the rest.
    names = [name for name in names if name != GENZ]
    lap, rows = one_lap(), []
    for name in names:
        count = LONG_DRIVE if name == OURS else PEERS_DRIVE
        scans = [
            Scan(0.1 * k, lap[k % LAP].points, lap[k % LAP].times, lap[k % LAP].frame_id, f'{k}')
            for k in range(count)]
        times = 1e3 * np.array(alternate([name], scans, VOXEL, 1)[name].cpu)
        early, late = np.median(times[LAP:2 * LAP]), np.median(times[-LAP:])
        rows.append([
            name, f'{count}', f'{early:.2f}', f'{late:.2f}', f'{late / early:.2f}'])
    print_table(
        f'Median CPU ms of {LAP} scans in a drive with {STEP} m between scans ({load()})',
        ['system', 'scans', f'from scan {LAP}', 'last', 'ratio'], rows, markdown)


def one_lap() -> list[Scan]:
    """Scans of a street that repeats itself, at constant speed: one after the other for ever.

    Only these are cast: a lap later everything that can be seen is the same.
    """
    length = LAP * STEP
    rng = np.random.default_rng(107)
    houses = [
        shapes.box(
            (x + copy * length, side * (5.0 + depth / 2.0), height / 2.0),
            (width, depth, height))
        for side in (-1.0, 1.0)
        for x, width, depth, height in zip(
            np.linspace(0.0, length, 3, endpoint=False) + rng.uniform(0.0, 2.0, 3),
            rng.uniform(3.0, 5.0, 3), rng.uniform(3.0, 8.0, 3), rng.uniform(2.0, 6.0, 3),
            strict=True)
        for copy in range(-5, 8)]
    path = drive(3 * length, speed=10.0 * STEP, weave=0.0, sway=0.0)
    scene = Scene('street', (shapes.plane((0, 0, 0), (0, 0, 1)), *houses), path)
    lidar, out = LidarModel(max_range=80.0), []
    for k in range(LAP):
        turn = sweep(scene, lidar, path, 10.0 + 0.1 * k, np.random.default_rng([107, k]), True)
        out.append(Scan(0.1 * k, turn.points, turn.times, 'lidar', f'{k}'))
    return out


def with_map(markdown: bool, sizes: tuple[int, ...]) -> None:
    """Time of registration and insertion against one room in maps with more and more around it.

    Where a map has just been filled its tables may be about to be enlarged, and each insertion
    then does some of that.
    """
    with ProcessPoolExecutor(1, get_context('spawn')) as alone:
        rows = alone.submit(_with_map, sizes).result()
    first = rows[0]
    print_table(
        f'{OURS}: median ms over the cells of the map, and ratio to the smallest ({load()})',
        ['cells', 'register a scan', '', 'insert it', '', f'insert {NEW_CELLS} new cells', ''],
        [[f'{row[0]}', *(text for ms, least in zip(row[1:], first[1:], strict=True)
                         for text in (f'{ms:.2f}', f'{ms / least:.2f}'))] for row in rows],
        markdown)


def _with_map(sizes: tuple[int, ...]) -> list[tuple[int, float, float, float]]:
    """Cells and times [ms] of :func:`with_map`; the largest map takes 3 GB."""
    sequence = sequences.SIMULATED['room'](6)
    first, last = sequence.scans[0].points, sequence.scans[5].points
    config = Ours(VOXEL).odometry.config.registration
    rng = np.random.default_rng(0)
    guess = np.eye(4)
    dcreg_ros.warm_up()
    rows = []
    for size in sizes:
        voxels = VoxelMap(VOXEL, 1e4)
        voxels.insert(first, guess)
        while len(voxels) < size:
            voxels.insert(beyond_the_room(min(size, 1_000_000), rng), guess)
        cells = len(voxels)
        fresh = [beyond_the_room(NEW_CELLS, rng) for _ in range(33)]
        times = [
            milliseconds(work, 30) for work in (
                lambda _, v=voxels: dcreg_ros.register(last, v, guess, config),
                lambda _, v=voxels: v.insert(last, guess),
                lambda k, v=voxels, new=fresh: v.insert(new[k], guess))]
        rows.append((cells, *(float(np.median(part)) for part in times)))
    return rows


def beyond_the_room(count: int, rng: np.random.Generator) -> np.ndarray:
    """Random points (count, 3) outside the room, whose own cells are the same in every map."""
    points = rng.uniform(20.0, 120.0, (count, 3))
    return points * rng.choice([-1.0, 1.0], (count, 1))
