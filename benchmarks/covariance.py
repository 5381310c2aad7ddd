# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether covariances tell the truth: Monte-Carlo registrations and odometry with exact truth.

``python benchmarks/covariance.py [--quick]`` prints a table of registrations and three of drives.
NEES is the squared error in units of its covariance: 6 on average where that is right, more where
it is too small.
"""

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context
from typing import Any

import numpy as np
from fresh import measure, outlooks, see
from machine import describe, print_table
from scipy.spatial.transform import Rotation
from scipy.stats import chi2
from tqdm import tqdm

import dcreg_ros
from dcreg_ros.config import OdometryConfig
from dcreg_ros.degeneracy.mitigations import weak_part
from dcreg_ros.geometry.se3 import inverse, local, log_se3, retract
from dcreg_ros.odometry.motion_noise import PRIOR_FLOOR
from dcreg_ros.odometry.selection import select
from dcreg_ros.registration.covariance import bounded, residual_variance
from dcreg_ros.registration.map_plane import MapPlaneMatcher
from dcreg_ros.simulation.lidar import LidarModel, sweep
from dcreg_ros.simulation.scenes import make_scene
from dcreg_ros.voxels.map import VoxelMap

SCENES = (
    'room', 'bare_corridor', 'square_tunnel', 'tunnel', 'plane', 'forest', 'stairs', 'tank',
    'corridor', 'parallel_planes', 'sphere', 'sparse_field')
GUESS = np.repeat([0.01, 0.03], 3)
"""Standard deviation of the guess [rad, m]."""
PLACES = 40
"""Places in a scene."""
SCANS = 25, 80
"""Scans of one run of the odometry after which its pose is looked at; its motions until the
first."""
MIN_SIGMA = 1e-6
"""Lower bound for these measurements: that of the default, 1e-4, hides what is known better."""
CHUNK = 50


Job = tuple[str, float, int, int]
"""Scene, noise [m], seed, and how many."""


@dataclass
class Trial:
    """Error of one estimate, its covariance, that of before, and the weak motions."""

    error: Any
    covariance: Any
    plain: Any
    weak: Any


@cache
def places(name: str) -> tuple[LidarModel, Any, list[Any]]:
    """LiDAR, its beams, and for each place the poses with the exact ranges seen from them."""
    scene, lidar, paths = outlooks(name, 512, PLACES)
    beams = lidar.beams().reshape(-1, 3)
    return lidar, beams, [
        [(pose, see(scene, pose, beams)[0]) for pose in poses] for poses in paths]


def registrations(job: Job) -> list[Trial]:
    """Register fresh scans to fresh maps, both with noise of their own."""
    name, sigma, seed, count = job
    lidar, beams, pool = places(name)
    rng = np.random.default_rng([seed, round(1e4 * sigma)])
    config = OdometryConfig()
    pre = config.preprocess
    settings = replace(config.registration, threads=1, min_sigma=MIN_SIGMA)
    out = []
    for _ in range(count):
        grid = _anywhere(rng)
        place = [(grid @ pose, ranges) for pose, ranges in pool[rng.integers(len(pool))]]
        voxels = VoxelMap(config.map.voxel_size)
        for pose, ranges in place[:-1]:
            voxels.insert(measure(lidar, beams, ranges, sigma, rng), pose)
        truth, ranges = place[-1]
        scan = measure(lidar, beams, ranges, sigma, rng)
        keypoints = scan[
            select(scan, pre.voxel_size, pre.min_keypoints, pre.max_keypoints)]
        guess = retract(truth, GUESS * rng.standard_normal(6))
        result = dcreg_ros.register(
            keypoints, voxels, guess, settings, guess_covariance=np.diag(GUESS**2))
        if result.failure_reason:
            continue
        matcher = MapPlaneMatcher(keypoints, voxels, settings, np.eye(6) * 1e-8)
        variance = residual_variance(matcher.linearize(result.transform))
        held = weak_part(result.degeneracy, np.linalg.inv(np.diag(GUESS**2)))
        weight = settings.prior_weight * held
        information = result.hessian / variance + weight
        back = np.linalg.inv(information)
        plain = back + back @ weight @ (np.diag(GUESS**2) - np.linalg.pinv(weight)) @ weight @ back
        out.append(Trial(
            local(truth, result.transform), result.covariance, plain,
            result.degeneracy.weak_twists))
    return out


def _anywhere(rng: Any) -> Any:
    """A frame (4, 4) for the map: walls and floors of scenes lie on multiples of its cells."""
    grid = np.eye(4)
    grid[:3, :3] = Rotation.from_rotvec([0.0, 0.0, rng.uniform(0.0, 2.0 * np.pi)]).as_matrix()
    grid[:3, 3] = rng.uniform(0.0, OdometryConfig().map.voxel_size, 3)
    return grid


def drives(job: Job) -> tuple[list[Trial], ...]:
    """Odometry over drives: the motion between scans, and the pose after some."""
    name, sigma, seed, count = job
    scene = make_scene(name)
    lidar = replace(scene.lidar, columns=512, range_sigma=sigma)
    default = OdometryConfig()
    settings = replace(default.registration, threads=1, min_sigma=MIN_SIGMA)
    config = replace(default, registration=settings)
    steps, ends = [], {scans: [] for scans in SCANS}
    for k in range(count):
        rng = np.random.default_rng([seed, k, round(1e4 * sigma)])
        spare = max(scene.trajectory.duration - 0.1 * SCANS[-1], 0.1)
        stamps = rng.uniform(0.1, 0.85) * spare + 0.1 * np.arange(SCANS[-1])
        truth = scene.trajectory.poses(stamps)
        odometry, last = dcreg_ros.LidarOdometry(config), None
        for n, (pose, stamp) in enumerate(zip(truth, stamps, strict=True)):
            # Wheels tell how it moves at the start, and nothing after.
            wheels = None
            if n == 1:
                wheels = retract(inverse(truth[0]) @ pose, PRIOR_FLOOR * rng.standard_normal(6))
            turn = sweep(scene, lidar, scene.trajectory, stamp, rng, distort=False)
            frame = odometry.process(turn.points, None, stamp, wheels)
            weak = frame.degeneracy.weak_twists if frame.degeneracy else np.zeros((0, 6))
            if 3 < n < SCANS[0]:
                moved = inverse(inverse(truth[n - 1]) @ pose) @ inverse(last.pose) @ frame.pose
                order = np.r_[3:6, 0:3]
                covariance = frame.twist_covariance[np.ix_(order, order)] * 0.01
                steps.append(Trial(log_se3(moved), covariance, covariance, weak))
            if n + 1 in SCANS:
                error = log_se3(inverse(inverse(truth[0]) @ pose) @ frame.pose)
                turned = np.zeros((6, 6))
                turned[3:, :3] = turned[:3, 3:] = frame.pose[:3, :3].T
                covariance = turned @ frame.covariance @ turned.T
                ends[n + 1].append(Trial(error, covariance, covariance, weak))
            last = frame
    return steps, *ends.values()


def nees(trials: list[Trial], covariances: Any) -> Any:
    """Squared errors in units of their covariance: of all six, of strong and of weak motions."""
    out = []
    for trial, covariance in zip(trials, covariances, strict=True):
        count = len(trial.weak)
        basis = np.eye(6)
        if count:
            basis = np.linalg.qr(trial.weak.T, mode='complete')[0]
        parts = []
        for columns in (basis, basis[:, count:], basis[:, :count]):
            if not columns.shape[1]:
                parts.append(np.nan)
                continue
            seen = columns.T @ trial.error
            value = seen @ np.linalg.solve(columns.T @ covariance @ columns, seen)
            parts.append(value if columns.shape[1] == 6 else value / columns.shape[1])
        out.append(parts)
    all_six = np.array(out)
    all_six[:, 1] /= np.where([len(t.weak) for t in trials], 1, 6)
    return all_six


def row(name: str, sigma: float, trials: list[Trial]) -> list[str]:
    values = nees(trials, [trial.covariance for trial in trials])
    before = np.mean(nees(trials, [trial.plain for trial in trials])[:, 0])
    limits = OdometryConfig().registration
    published = np.mean(nees(trials, [
        bounded(trial.covariance, limits.min_sigma, limits.max_sigma) for trial in trials])[:, 0])
    count = len(trials)
    low, high = chi2.ppf([0.025, 0.975], 6 * count) / count
    inside = np.mean((values[:, 0] > chi2.ppf(0.025, 6)) & (values[:, 0] < chi2.ppf(0.975, 6)))
    errors = np.array([trial.error for trial in trials])
    sigmas = np.array([np.diag(trial.covariance) for trial in trials])
    ratio = np.sqrt(sigmas.mean(axis=0) / np.maximum((errors**2).mean(axis=0), 1e-30))
    mean = values[:, 0].mean()
    weak = np.nanmean(values[:, 2]) if np.isfinite(values[:, 2]).any() else None
    return [
        name, f'{1e3 * sigma:.0f}', str(count), f'{before:.1f}', f'{mean:.2f}',
        f'{low:.2f}..{high:.2f}', 'yes' if low <= mean <= high else 'no', f'{inside:.0%}',
        f'{np.nanmean(values[:, 1]):.2f}', '-' if weak is None else f'{weak:.2f}',
        f'{published:.2f}',
        ' '.join(f'{value:.2f}' for value in ratio)]


def pooled(found: dict[Any, list[Any]]) -> list[list[str]]:
    """Rows of all scenes together: of what is reported to have no weak motion, and of the rest."""
    rows = []
    for sigma in dict.fromkeys(sigma for _, sigma in found):
        trials = [
            t for key, parts in found.items() if key[1] == sigma for part in parts for t in part]
        for name, weak in ('all that are firm', False), ('all with weak motions', True):
            chosen = [t for t in trials if bool(len(t.weak)) == weak]
            if chosen:
                rows.append(row(name, sigma, chosen))
    return rows


HEADER = [
    'scene', 'noise mm', 'n', 's^2 H^-1', 'NEES', 'band', 'in', 'single in band', 'strong',
    'weak', 'with bounds', 'sigma over error: roll pitch yaw x y z']


def _jobs(names: Any, sigmas: Any, total: int, chunk: int) -> Iterator[Job]:
    for name in names:
        for sigma in sigmas:
            for seed in range(total // chunk):
                yield name, sigma, seed, chunk


def _gather(pool: Any, kernel: Any, jobs: list[Any], title: str) -> dict[Any, list[Any]]:
    out: dict[Any, list[Any]] = {}
    for job, found in tqdm(
            zip(jobs, pool.map(kernel, jobs), strict=True), total=len(jobs), desc=title):
        out.setdefault(job[:2], []).append(found)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='a tenth of the trials, one noise')
    parser.add_argument('--markdown', action='store_true')
    parser.add_argument('--scenes', nargs='*', default=SCENES)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--trials', type=int, default=1000)
    parser.add_argument('--sigmas', type=float, nargs='*', default=[0.01, 0.02, 0.03])
    parser.add_argument('--drives', type=int, default=40)
    options = parser.parse_args()
    if options.quick:
        options.trials, options.drives, options.sigmas = 100, 8, [0.02]
    print(describe())
    began = time.perf_counter()
    dcreg_ros.warm_up()
    with ProcessPoolExecutor(options.workers, get_context('spawn')) as pool:
        jobs = list(_jobs(options.scenes, options.sigmas, options.trials, CHUNK))
        found = _gather(pool, registrations, jobs, 'registrations')
        rows = [row(*key, [t for part in parts for t in part]) for key, parts in found.items()]
        rows += pooled(found)
        print_table('Registrations of fresh scans to fresh maps', HEADER, rows, options.markdown)
        jobs = list(_jobs(options.scenes, options.sigmas[len(options.sigmas) // 2:][:1],
                          options.drives, 4))
        found = _gather(pool, drives, jobs, 'drives')
    titles = 'Motion between two scans', *(f'Pose after {scans} scans' for scans in SCANS)
    for k, title in enumerate(titles):
        rows = [row(*key, [t for part in parts for t in part[k]]) for key, parts in found.items()]
        short = [[*r[:3], *r[4:]] for r in rows]
        print_table(title, [*HEADER[:3], *HEADER[4:]], short, options.markdown)
    print(f'{time.perf_counter() - began:.0f} s')


if __name__ == '__main__':
    main()
