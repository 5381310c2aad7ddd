# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every mitigation from perturbed starts and over whole drives, errors split at what is open."""

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from detection import UNITS
from fresh import fresh, places
from measures import flagged, split
from sequences import ROLL, YAW, X, Y, wheel_motions

import dcreg_ros
from dcreg_ros.config import OdometryConfig
from dcreg_ros.degeneracy.mitigations import SOLVERS
from dcreg_ros.geometry.se3 import inverse, retract
from dcreg_ros.registration.register import register
from dcreg_ros.simulation.recording import simulate
from dcreg_ros.simulation.scenes import make_scene

MITIGATIONS = tuple(SOLVERS)
PITCH, Z = (0, 1.0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 1.0)
COLUMNS, SIGMA = 512, 0.02
"""Firings of a turn and noise [m] of all these runs."""
START = np.repeat([0.02, 0.1], 3)
"""Standard deviation of a perturbed start [rad, m]."""
OPEN_STARTS = (
    'endless_corridor', 'square_tunnel', 'tunnel', 'plane', 'parallel_planes', 'tank', 'sphere')
FIRM_STARTS = ('door_corridor', 'stairs', 'forest', 'room', 'office')
TOLD = {'start': 30, 'wheels': 10**6}
"""For how many scans bad wheels tell of the motion: until it has its speed, or all along."""


class Course(NamedTuple):
    """A drive through a scene, from rest.

    Attributes
    ----------
    scene, arguments : str, dict
        Of the simulator.
    scans : int
        How many.
    weak : tuple of (6,) twists
        What the scene leaves open all along or for a part of it, world frame.
    """

    scene: str
    arguments: dict[str, Any]
    scans: int
    weak: tuple[Any, ...] = ()


COURSES = {
    'corridor': Course(
        'corridor', {'room': 8.0, 'bare': 36.0, 'max_range': 12.0}, 160, (X,)),
    'endless_corridor': Course('bare_corridor', {'length': np.inf}, 100, (X,)),
    'square_tunnel': Course('square_tunnel', {}, 100, (X,)),
    'tunnel': Course('tunnel', {}, 100, (ROLL, X)),
    'plane': Course('plane', {}, 100, (YAW, X, Y)),
    'parallel_planes': Course('parallel_planes', {}, 100, (PITCH, X, Z)),
    'bare_corridor': Course('bare_corridor', {}, 100),
    'door_corridor': Course('door_corridor', {}, 100),
    'stairs': Course('stairs', {}, 100),
    'forest': Course('forest', {}, 100),
    'room': Course('room', {}, 100),
    'office': Course('office', {}, 100),
}
"""Those with weak motions first. The corridor is driven to the end of its bare part."""


@dataclass(frozen=True)
class Outcome:
    """Errors of a run along what is open and across it, each (N, 6) [rad, m].

    `told` says of its motion what :data:`TOLD` has; `guess` (N, 6) is the error along of where
    it started, or of wheels alone; `flagged` is the share of scans in which all open axes were
    called weak.
    """

    scene: str
    mitigation: str
    told: str
    along: Any
    across: Any
    guess: Any
    flagged: float = float('nan')


def size(errors: Any) -> float:
    """RMS of twists (N, 6) in tolerances."""
    return float(np.sqrt(np.mean(np.sum((errors / UNITS) ** 2, axis=1))))


def _settings(mitigation: str) -> OdometryConfig:
    config = OdometryConfig()
    return replace(
        config, registration=replace(config.registration, mitigation=mitigation, threads=1))


def starts(job: tuple[str, int]) -> list[Outcome]:
    """Register a scan from perturbed starts (scene, seeds), the same for all mitigations."""
    name, seeds = job
    lidar, beams, pool = places(name, COLUMNS)
    parts: dict[str, list[Any]] = {mitigation: [] for mitigation in MITIGATIONS}
    for seed in range(seeds):
        rng = np.random.default_rng([seed, COLUMNS])
        place = pool[seed * len(pool) // seeds]
        pose, keypoints, voxels = fresh(lidar, beams, place, SIGMA, rng)
        guess = retract(pose, START * rng.standard_normal(6))
        before = split(inverse(pose) @ guess, np.eye(4), place.truth.twists)[0]
        for mitigation in MITIGATIONS:
            config = _settings(mitigation).registration
            found = register(keypoints, voxels, guess, config).transform
            weak, firm = split(inverse(pose) @ found, np.eye(4), place.truth.twists)
            parts[mitigation].append((weak, firm, before))
    return [
        Outcome(name, mitigation, '', *np.array(rows).swapaxes(0, 1))
        for mitigation, rows in parts.items()]


def drives(job: tuple[str, int]) -> list[Outcome]:
    """Drive a course (name, seed) with every mitigation and with all it may be told."""
    name, seed = job
    course = COURSES[name]
    scene = make_scene(course.scene, **course.arguments)
    lidar = replace(scene.lidar, columns=COLUMNS, range_sigma=SIGMA)
    recording = simulate(scene, course.scans, lidar, seed)
    truth = recording.poses
    wheels = wheel_motions(truth, seed)
    alone = np.array(list(accumulate(wheels[1:], np.matmul, initial=truth[0])))
    weak = np.reshape(course.weak, (-1, 6))
    told = _parted(alone, truth, weak)[0]
    out = []
    for hold, scans in TOLD.items():
        for mitigation in MITIGATIONS:
            odometry = dcreg_ros.LidarOdometry(_settings(mitigation))
            frames: list[Any] = []
            for k, scan in enumerate(recording.scans):
                prior = frames[-1].pose @ wheels[k] if 0 < k < scans else None
                frames.append(odometry.process(scan.points, scan.times, scan.stamp, prior))
            poses = truth[0] @ np.array([frame.pose for frame in frames])
            out.append(Outcome(
                name, mitigation, hold, *_parted(poses, truth, weak), told,
                flagged(frames, weak)))
    return out


def _parted(poses: Any, truth: Any, weak: Any) -> Any:
    """Errors along and across (2, N, 6) of poses in the world."""
    parts = [split(inverse(true) @ pose, true, weak) for true, pose in zip(
        truth, poses, strict=True)]
    return np.array(parts).swapaxes(0, 1)
