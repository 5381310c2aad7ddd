# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Places in scenes with their exact ranges, and fresh noisy scans and maps made of them."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from dcreg_ros.config import OdometryConfig
from dcreg_ros.odometry.preprocess import prepare
from dcreg_ros.simulation.lidar import LidarModel
from dcreg_ros.simulation.scene import Scene
from dcreg_ros.simulation.scenes import make_scene
from dcreg_ros.simulation.truth import (
    WeakDirections,
    exact_hessian,
    scene_hessian,
    weak_directions,
)
from dcreg_ros.voxels.map import VoxelMap

SCENES: dict[str, tuple[str, dict[str, Any]]] = {
    'corridor': ('corridor', {}),
    'bare_corridor': ('bare_corridor', {}),
    'endless_corridor': ('bare_corridor', {'length': np.inf}),
    'door_corridor': ('door_corridor', {}),
    'square_tunnel': ('square_tunnel', {}),
    'tunnel': ('tunnel', {}),
    'plane': ('plane', {}),
    'plane_with_poles': ('plane', {'poles': 4}),
    'parallel_planes': ('parallel_planes', {}),
    'tank': ('tank', {}),
    'sphere': ('sphere', {}),
    'stairs': ('stairs', {}),
    'sparse_field': ('sparse_field', {}),
    'forest': ('forest', {}),
    'room': ('room', {}),
    'office': ('office', {}),
}
"""The scenes of the benchmark: functions of the simulator, and what of them is changed."""

PLACES, MAP_SWEEPS, STEP = 10, 6, 0.25
"""Places along the drive, sweeps that make the map of each, and the way between these [m]."""


@dataclass(frozen=True)
class Place:
    """Where a scan is taken, and what is seen from there without noise.

    Attributes
    ----------
    views : list of (pose, ranges)
        ``T_world_lidar`` (4, 4) and exact ranges (N,) of the sweeps of the map; last the scan.
    truth : WeakDirections
        What the exact surfaces and slim poles of the scan leave open.
    by_normals : WeakDirections
        What its exact points and normals would by themselves.
    """

    views: list[tuple[Any, Any]]
    truth: WeakDirections
    by_normals: WeakDirections


@lru_cache(maxsize=2)
def places(name: str, columns: int) -> tuple[LidarModel, Any, list[Place]]:
    """LiDAR, its beams (N, 3), and all places of a scene."""
    scene, lidar, paths = outlooks(name, columns, PLACES)
    beams = lidar.beams().reshape(-1, 3)
    return lidar, beams, [_place(scene, lidar, beams, poses) for poses in paths]


def outlooks(name: str, columns: int, count: int) -> tuple[Scene, LidarModel, list[Any]]:
    """Scene, LiDAR, and for each of some places the poses of the map and, last, of the scan."""
    kind, arguments = SCENES[name]
    scene = make_scene(kind, **arguments)
    path = scene.trajectory
    middle = np.linspace(0.2, 0.8, 5) * path.duration
    speed = np.linalg.norm(path.twists(middle)[:, 3:], axis=1).mean()
    starts = np.linspace(0.15, 0.85, count) * path.duration
    paths = [path.poses(start + STEP / speed * np.arange(-MAP_SWEEPS, 1)) for start in starts]
    return scene, replace(scene.lidar, columns=columns), paths


def see(scene: Scene, pose: Any, beams: Any) -> tuple[Any, Any]:
    """Exact ranges (N,) along `beams` (N, 3) of a LiDAR, and normals (N, 3) in the world."""
    return scene.raycast(np.broadcast_to(pose[:3, 3], beams.shape), beams @ pose[:3, :3].T)


def _place(scene: Scene, lidar: LidarModel, beams: Any, poses: Any) -> Place:
    views = []
    for pose in poses:
        ranges, normals = see(scene, pose, beams)
        views.append((pose, ranges))
    seen = (ranges >= lidar.min_range) & (ranges <= lidar.max_range)
    points = beams[seen] * ranges[seen, None]
    surfaces = points, normals[seen] @ pose[:3, :3]
    return Place(
        views, weak_directions(scene_hessian(scene, pose, *surfaces), len(points)),
        weak_directions(exact_hessian(*surfaces), len(points)))


def measure(lidar: LidarModel, beams: Any, ranges: Any, sigma: float, rng: Any) -> Any:
    """Points (K, 3) of one turn of the LiDAR with noise `sigma` [m]."""
    measured = ranges + sigma * rng.standard_normal(len(ranges))
    low = max(lidar.min_range, OdometryConfig().preprocess.min_range)
    kept = (measured >= low) & (measured <= lidar.max_range)
    kept &= rng.random(len(ranges)) >= lidar.dropout
    return np.ascontiguousarray(beams[kept] * measured[kept, None])


def fresh(lidar: LidarModel, beams: Any, place: Place, sigma: float, rng: Any) -> Any:
    """True pose, keypoints and map of one trial, both with noise of their own."""
    config = OdometryConfig()
    voxels = VoxelMap(config.map.voxel_size)
    for pose, ranges in place.views[:-1]:
        voxels.insert(measure(lidar, beams, ranges, sigma, rng), pose)
    truth, ranges = place.views[-1]
    scan = measure(lidar, beams, ranges, sigma, rng)
    return truth, prepare(scan, None, 0.0, np.zeros(6), config.preprocess).keypoints, voxels
