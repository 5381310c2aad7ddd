# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One registration: ours with query planes beside Open3D's legacy point-to-plane ICP."""

import argparse
import importlib
import os
import time
from collections.abc import Callable
from typing import Any

import machine
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dcreg_ros import RegistrationConfig, register, warm_up
from dcreg_ros.io.sources import open_source

THREADS = 2
RADIUS = 1.0
ITERATIONS = 10
PAPER = 'the cylinder of the paper'
HEADER = ['what', 'median ms', 'p95 ms', 'over ours']

Timed = dict[str, NDArray[np.float64]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--pairs', type=int, default=31, help='timed pairs, after five to warm up')
    parser.add_argument('--markdown', action='store_true', help='print tables in Markdown')
    arguments = parser.parse_args()
    print(machine.describe())
    open3d = load_open3d()
    warm_up()
    folder = machine.data_folder()
    path = folder / 'shifted_cylinder' / 'cloud.pcd' if folder else None
    name = PAPER if path else 'a sparse cylinder made here'
    cloud = read(path) if path else sparse_cylinder()
    time_pairs(name, cloud, open3d, arguments)
    if folder and (folder / 'pair').is_dir():
        real_pair(folder / 'pair', arguments.markdown)


def load_open3d() -> Any:
    """Open3D, or None with a line that says what is missing."""
    os.environ['OMP_NUM_THREADS'] = str(THREADS)
    try:
        return importlib.import_module('open3d')
    except (ImportError, OSError) as error:
        print(f'Open3D is left out ({error}); {machine.INSTALL} brings it, and it needs '
              'libusb-1.0 of the system (apt install libusb-1.0-0)')
    return None


def read(path: Any) -> NDArray[np.float64]:
    (scan,) = open_source(path)
    return scan.points[np.isfinite(scan.points).all(axis=1)]


def sparse_cylinder(seed: int = 0) -> NDArray[np.float64]:
    """Cylinder (7500, 3) beside the origin, its points in a few exactly straight columns [m]."""
    rng = np.random.default_rng(seed)
    angles = np.repeat(np.linspace(0.0, 2.0 * np.pi, 75, endpoint=False), 85)
    heights = np.tile(np.linspace(-10.0, 10.0, 85), 75)
    base, radii = rng.uniform(0.0, 2.0 * np.pi, 1125), 5.0 * np.sqrt(rng.uniform(size=1125))
    angles, radii = np.r_[angles, base], np.r_[np.full(len(heights), 5.0), radii]
    heights = np.r_[heights, np.full(len(base), -10.0)]
    return np.c_[radii * np.cos(angles) + 0.3, radii * np.sin(angles) + 0.2, heights]


def guess() -> NDArray[np.float64]:
    """Transform (4, 4) that both start from; identity is the truth."""
    out = np.eye(4)
    out[:3, :3] = Rotation.from_euler('ZYX', [2.0, 0.1, 0.1], degrees=True).as_matrix()
    out[:3, 3] = 0.2, 0.8, 0.5
    return out


def time_pairs(
    name: str, cloud: NDArray[np.float64], open3d: Any, arguments: argparse.Namespace
) -> None:
    """Time ours and Open3D in turn, ten iterations of each."""
    start = guess()
    # Steps are never below zero: all iterations are done, as many as Open3D does.
    config = RegistrationConfig(
        max_iterations=ITERATIONS, rotation_tolerance=0.0, translation_tolerance=0.0,
        search_radius=RADIUS, threads=THREADS)
    work: dict[str, Callable[[], Any]] = {
        'ours: tree, planes, 10 iterations': lambda: register(cloud, cloud, start, config)}
    if open3d is not None:
        source, target = as_open3d(open3d, cloud), as_open3d(open3d, cloud)
        estimate_normals(open3d, target)
        work['Open3D: tree, 10 iterations'] = lambda: icp(open3d, source, target, start)
        work['Open3D: its normals, beforehand'] = lambda: estimate_normals(
            open3d, as_open3d(open3d, cloud))
    times = alternate(work, arguments.pairs)
    ours = next(iter(times.values()))
    rows = [
        [label, f'{np.median(ms):.1f}', f'{np.percentile(ms, 95):.1f}',
         f'{np.median(ms / ours):.2f}']
        for label, ms in times.items()
    ]
    machine.print_table(
        f'{name}, {len(cloud)} points, {THREADS} threads, {arguments.pairs} pairs '
        f'({machine.load()})', HEADER, rows, arguments.markdown)
    if name != PAPER:
        return  # so sparse a cylinder lets both slide along it
    found = {'ours': register(cloud, cloud, start, config).transform}
    if open3d is not None:
        found['Open3D'] = icp(open3d, source, target, start).transformation
    for label, transform in found.items():
        print(f'{label}: {error_text(transform, np.eye(4))} from the truth')


def alternate(work: dict[str, Callable[[], Any]], pairs: int, warm: int = 5) -> Timed:
    """Milliseconds of each piece of work, done in turn so that all meet the same machine."""
    times: dict[str, list[float]] = {label: [] for label in work}
    for k in range(warm + pairs):
        for label, call in work.items():
            time.sleep(0.002)  # lets the worker threads of the one before go to sleep
            began = time.perf_counter()
            call()
            if k >= warm:
                times[label].append(1e3 * (time.perf_counter() - began))
    return {label: np.array(values) for label, values in times.items()}


def as_open3d(open3d: Any, points: NDArray[np.float64]) -> Any:
    return open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))


def estimate_normals(open3d: Any, cloud: Any) -> None:
    """From the five nearest points, as many as ours fits its planes to."""
    cloud.estimate_normals(open3d.geometry.KDTreeSearchParamKNN(5))


def icp(open3d: Any, source: Any, target: Any, start: NDArray[np.float64]) -> Any:
    """Legacy point-to-plane ICP that never stops early; it builds its tree of the target."""
    pipeline = open3d.pipelines.registration
    return pipeline.registration_icp(
        source, target, RADIUS, start, pipeline.TransformationEstimationPointToPlane(),
        pipeline.ICPConvergenceCriteria(0.0, 0.0, ITERATIONS))


def real_pair(folder: Any, markdown: bool) -> None:
    """Two real scans half a metre apart, from identity."""
    source, target = read(folder / 'source.ply'), read(folder / 'target.ply')
    truth = np.loadtxt(folder / 'T_target_source.txt')
    rows = []
    for association in ('query_plane', 'map_plane'):
        config = RegistrationConfig(association=association, threads=THREADS)
        register(source, target, None, config)
        began = time.perf_counter()
        result = register(source, target, None, config)
        milliseconds = 1e3 * (time.perf_counter() - began)
        rows.append([
            association, f'{milliseconds:.0f}', str(result.iterations),
            error_text(result.transform, truth)])
    machine.print_table(
        f'A real pair of {len(source)} points, from identity; its truth is good to 0.03 m and '
        f'0.5 deg ({machine.load()})', ['association', 'ms', 'iterations', 'from the truth'],
        rows, markdown)


def error_text(transform: NDArray[np.float64], truth: NDArray[np.float64]) -> str:
    error = np.linalg.inv(truth) @ transform
    angle = np.degrees(Rotation.from_matrix(error[:3, :3]).magnitude())
    return f'{np.linalg.norm(error[:3, 3]):.4f} m, {angle:.4f} deg'


if __name__ == '__main__':
    main()
