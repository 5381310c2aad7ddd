# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the odometries are run on: a recorded drive, and simulated scenes with their truth."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from machine import data_folder
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dcreg_ros.io.pointcloud2 import pack_points
from dcreg_ros.io.scan import Scan
from dcreg_ros.io.sources import open_source
from dcreg_ros.simulation.recording import simulate
from dcreg_ros.simulation.scenes import make_scene

START = 1000.0
ROLL, YAW = (1.0, 0, 0, 0, 0, 0), (0, 0, 1.0, 0, 0, 0)
X, Y = (0, 0, 0, 1.0, 0, 0), (0, 0, 0, 0, 1.0, 0)

WHEEL_SCALE = 1.03
WHEEL_NOISE = (np.radians(0.02), 0.002)
"""Standard deviation per step of a wheel odometry: rotation [rad], translation [m]."""

PHASES = (0.0, 0.5, 1.0)
"""Where in the sweep a system may mean its pose to be: start, middle or end."""


@dataclass(frozen=True)
class Sequence:
    """Scans with their truth.

    Attributes
    ----------
    truth : callable or None
        ``T_world_lidar`` (N, 4, 4) at a given share of each sweep; None where there is none.
    weak : (K, 6) float array
        Motions of the world frame that the scene leaves open, rotation before translation.
    """

    name: str
    scans: list[Scan]
    truth: Callable[[float], NDArray[np.float64]] | None = None
    weak: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 6)))

    @property
    def stamps(self) -> NDArray[np.float64]:
        return np.array([scan.stamp for scan in self.scans])


def simulated(
    name: str, scene: str, seed: int, num_scans: int, weak: Any = (), every: int = 1,
    **arguments: Any,
) -> Sequence:
    """Every so many scans of a drive through a scene."""
    made = make_scene(scene, **arguments)
    recording = simulate(made, num_scans, seed=seed, start=START)
    trajectory = made.trajectory.starting(START)
    stamps = recording.stamps[::every]

    def truth(phase: float) -> NDArray[np.float64]:
        return trajectory.poses(stamps + phase * recording.lidar.period)

    return Sequence(name, recording.scans[::every], truth, np.reshape(weak, (-1, 6)))


def recorded(name: str, first: int = 0) -> Sequence | None:
    """Scans of a folder of the real data from `first` on; None where there is none."""
    folder = data_folder()
    if folder is None or not (folder / name).is_dir():
        return None
    return Sequence(name, list(open_source(folder / name))[first:])


SIMULATED: dict[str, Callable[[int], Sequence]] = {
    'room': lambda n: simulated('room', 'room', 101, n),
    'bare_corridor': lambda n: simulated('bare_corridor', 'bare_corridor', 102, n, (X,)),
    'tunnel': lambda n: simulated('tunnel', 'tunnel', 103, n, (ROLL, X)),
    'plane': lambda n: simulated('plane', 'plane', 104, n, (YAW, X, Y), poles=4),
    'room_2hz': lambda n: simulated('room_2hz', 'room', 105, 185, every=5),
    'stairs': lambda n: simulated('stairs', 'stairs', 106, n),
    'forest': lambda n: simulated('forest', 'forest', 107, n),
    'sparse_field': lambda n: simulated('sparse_field', 'sparse_field', 108, n),
}
"""By name, each made with a number of scans; nothing was tuned on these seeds."""

MEANING = {
    'room': 'furnished room, driven around; all directions firm',
    'bare_corridor': 'closed empty corridor of 40 m, 20 m driven; x weak',
    'tunnel': 'endless round tunnel; x and the turn about its axis free',
    'plane': 'endless floor with four thin poles; x, y and yaw weak',
    'room_2hz': 'every fifth scan of the room: large steps and turns',
    'stairs': 'up a narrow staircase of 20 steps; all directions firm',
    'forest': 'endless floor with 80 trunks; all directions firm',
    'sparse_field': 'endless floor with six boxes, 10 to 25 m away; all directions firm, barely',
}


def wheel_motions(truth: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Motions (N, 4, 4) from scan to scan as bad wheels report them: 3 % too long, with noise."""
    rng = np.random.default_rng(seed)
    moved = np.tile(np.eye(4), (len(truth), 1, 1))
    moved[1:] = np.linalg.inv(truth[:-1]) @ truth[1:]
    turns = Rotation.from_rotvec(WHEEL_NOISE[0] * rng.standard_normal((len(truth), 3)))
    moved[1:, :3, :3] = (moved[:, :3, :3] @ turns.as_matrix())[1:]
    moved[1:, :3, 3] *= WHEEL_SCALE
    moved[1:, :3, 3] += WHEEL_NOISE[1] * rng.standard_normal((len(truth) - 1, 3))
    return moved


def as_message(scan: Scan) -> Any:
    """Object with the attributes of a PointCloud2 message: x y z and, where known, time."""
    packed = pack_points(scan.points, scan.times)
    names = ('name', 'offset', 'datatype', 'count')
    return SimpleNamespace(
        header=SimpleNamespace(stamp=SimpleNamespace(sec=int(scan.stamp), nanosec=0)),
        height=1,
        width=len(scan.points),
        fields=[SimpleNamespace(**dict(zip(names, f, strict=True))) for f in packed.fields],
        is_bigendian=False,
        point_step=packed.point_step,
        row_step=len(packed.data),
        data=packed.data.tobytes(),
    )
