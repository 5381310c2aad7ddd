# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Three odometries behind one interface, each with the defaults it ships.

Only voxel size and range limits are set, and equal for all. The imports are late, so that the
memory of one system is not counted with that of another.
"""

import importlib.util
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

MIN_RANGE = 0.5
MAX_RANGE = 100.0

OURS, KISS, GENZ, GENZ_DESKEW = 'dcreg_ros', 'KISS-ICP', 'GenZ-ICP', 'GenZ-ICP deskew'
PACKAGES = {KISS: 'kiss_icp', GENZ: 'genz_icp', GENZ_DESKEW: 'genz_icp'}


class System(Protocol):
    """An odometry; `step` takes a scan and returns ``T_odom_lidar``."""

    def prepare(self, points: Any, times: Any, stamp: float) -> tuple[Any, ...]:
        """Arguments of `step` for one scan; what a loader does, hence not timed."""

    def step(self, *arguments: Any) -> Any:
        """Pose (4, 4) of one scan."""


class Ours:
    """This package; a voxel of `voxel` metres in the map, points thinned in proportion."""

    def __init__(self, voxel: float, **values: Any) -> None:
        from dcreg_ros import LidarOdometry, OdometryConfig
        from dcreg_ros.parameters import with_values

        default = OdometryConfig()
        thinning = default.preprocess.voxel_size / default.map.voxel_size
        self.odometry = LidarOdometry(
            with_values(
                default,
                {
                    'map.voxel_size': voxel,
                    'preprocess.voxel_size': voxel * thinning,
                    'preprocess.min_range': MIN_RANGE,
                    'preprocess.max_range': MAX_RANGE,
                    **values,
                },
            )
        )
        self.frames: list[Any] = []

    def prepare(self, points: Any, times: Any, stamp: float) -> tuple[Any, ...]:
        return points, times, stamp

    def step(self, points: Any, times: Any, stamp: float, moved: Any = None) -> Any:
        """`moved` is the motion (4, 4) since the last scan as wheels report it."""
        prior = self.frames[-1].pose @ moved if self.frames and moved is not None else None
        self.frames.append(self.odometry.process(points, times, stamp, prior))
        return self.frames[-1].pose


class KissIcp:
    """KISS-ICP from PyPI."""

    def __init__(self, voxel: float) -> None:
        from kiss_icp.config import load_config
        from kiss_icp.kiss_icp import KissICP

        self.odometry = KissICP(_limited(load_config(None), voxel))

    def prepare(self, points: Any, times: Any, stamp: float) -> tuple[Any, ...]:
        return points, _phases(times)

    def step(self, points: Any, phases: Any) -> Any:
        self.odometry.register_frame(points, phases)
        return self.odometry.last_pose


class GenzIcp:
    """GenZ-ICP from PyPI, which ships with deskewing off."""

    def __init__(self, voxel: float, deskew: bool | None = None) -> None:
        from genz_icp.config import load_config
        from genz_icp.genz_icp import GenZICP

        config = _limited(load_config(None), voxel)
        if deskew is not None:
            config.data.deskew = deskew
        self.odometry = GenZICP(config)

    def prepare(self, points: Any, times: Any, stamp: float) -> tuple[Any, ...]:
        return points, _phases(times)

    def step(self, points: Any, phases: Any) -> Any:
        self.odometry.register_frame(points, phases)
        return self.odometry.last_pose


MAKERS: dict[str, Callable[[float], System]] = {
    OURS: Ours,
    KISS: KissIcp,
    GENZ: GenzIcp,
    GENZ_DESKEW: lambda voxel: GenzIcp(voxel, deskew=True),
}


def available(names: Any = (OURS, KISS, GENZ)) -> list[str]:
    """Those of `names` that are installed."""
    return [
        name
        for name in names
        if name not in PACKAGES or importlib.util.find_spec(PACKAGES[name]) is not None
    ]


def _limited(config: Any, voxel: float) -> Any:
    config.mapping.voxel_size = voxel
    config.data.min_range, config.data.max_range = MIN_RANGE, MAX_RANGE
    return config


def _phases(times: Any) -> Any:
    """Times from 0 to 1 over the sweep, as the peers' own loaders hand them over."""
    if times is None:
        return np.array([])
    return (times - times.min()) / max(times.max() - times.min(), 1e-9)
