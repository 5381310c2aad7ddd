# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drive through a scene, and keep what was seen and what is true."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.io.scan import Scan
from dcreg_ros.simulation.lidar import LidarModel, sweep
from dcreg_ros.simulation.scene import Scene
from dcreg_ros.simulation.scenes import make_scene
from dcreg_ros.simulation.truth import Tolerance, WeakDirections, scene_hessian, weak_directions
from dcreg_ros.simulation.wheels import Wheels, wheel_odometry

FRAME = 'lidar'
"""Frame of the scans, and child frame of the truth."""


@dataclass(frozen=True)
class Recording:
    """Scans with the truth about them.

    Attributes
    ----------
    name : str
        Of the scene.
    lidar : LidarModel
        What the scans were taken with.
    scans : list of Scan
        Points and times are float32 values, as a sensor message holds them.
    stamps : (N,) float array
        Of the scans [s].
    poses : (N, 4, 4) float array
        ``T_world_lidar`` at the stamps [m].
    twists : (N, 6) float array
        Velocity at the stamps, LiDAR frame, angular [rad/s] before linear [m/s].
    hessians : (N, 6, 6) float array
        Exact information of each scan, see :func:`~dcreg_ros.simulation.truth.scene_hessian`.
    weak : list of WeakDirections
        What these leave open.
    wheels : Wheels
        What the wheels say of the same drive, from the first stamp to beyond the last turn.
    """

    name: str
    lidar: LidarModel
    scans: list[Scan]
    stamps: NDArray[np.float64]
    poses: NDArray[np.float64]
    twists: NDArray[np.float64]
    hessians: NDArray[np.float64]
    weak: list[WeakDirections]
    wheels: Wheels

    @property
    def masks(self) -> NDArray[np.bool_]:
        """Weak axes of each scan, (N, 6) in the order roll, pitch, yaw, x, y, z."""
        return np.array([truth.mask for truth in self.weak], dtype=bool).reshape(-1, 6)

    @property
    def odometry_poses(self) -> NDArray[np.float64]:
        """``T_odom_lidar`` (N, 4, 4) [m]: the poses seen from the first one."""
        return np.linalg.inv(self.poses[0]) @ self.poses


def simulate(
    scene: str | Scene,
    num_scans: int | None = None,
    lidar: LidarModel | None = None,
    seed: int = 0,
    *,
    start: float = 1000.0,
    distort: bool = True,
    tolerance: Tolerance | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Recording:
    """Drive the trajectory of a scene and record every turn of the LiDAR.

    Parameters
    ----------
    scene : str or Scene
        Name of a scene, or one made to measure.
    num_scans : int, optional
        How many; by default as many as the drive lasts. Beyond its end the LiDAR stands still.
    lidar : LidarModel, optional
        By default that of the scene.
    seed : int
        Of noise and dropout. A scan depends on the seed and its index only.
    start : float
        Stamp of the first scan, when the drive begins [s].
    distort : bool
        Whether points are measured one after the other, or all at the stamp.
    tolerance : Tolerance, optional
        When a direction counts as truly weak.
    progress : callable
        Wraps the indices of the scans, e.g. ``tqdm``.

    Returns
    -------
    Recording

    Raises
    ------
    ValueError
        If there is no such scene, or not at least one scan is asked for.
    """
    if isinstance(scene, str):
        scene = make_scene(scene)
    lidar = lidar or scene.lidar
    trajectory = scene.trajectory.starting(start)
    if num_scans is None:
        num_scans = max(1, int(trajectory.duration * lidar.rate))
    if num_scans < 1:
        raise ValueError(f'num_scans = {num_scans} should be at least 1')

    # Whole nanoseconds, so that the stamp of a message says the same.
    stamps = np.round(start + np.arange(num_scans) * lidar.period, 9)
    poses = trajectory.poses(stamps)
    scans, hessians, weak = [], [], []
    for index in progress(range(num_scans)):
        rng = np.random.default_rng([seed, index])
        turn = sweep(scene, lidar, trajectory, stamps[index], rng, distort)
        scans.append(
            Scan(
                stamp=float(stamps[index]),
                points=turn.points.astype(np.float32).astype(np.float64),
                times=turn.times.astype(np.float32).astype(np.float64),
                frame_id=FRAME,
                name=f'{scene.name}[{index}]',
            )
        )
        hessians.append(
            scene_hessian(scene, poses[index], turn.surface_points, turn.surface_normals))
        weak.append(weak_directions(hessians[-1], len(turn.points), tolerance))
    return Recording(
        name=scene.name,
        lidar=lidar,
        scans=scans,
        stamps=stamps,
        poses=poses,
        twists=trajectory.twists(stamps),
        hessians=np.array(hessians),
        weak=weak,
        wheels=wheel_odometry(trajectory, start, stamps[-1] + lidar.period, seed),
    )
