# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compile or load every kernel before the first scan, so that no scan waits for it."""

from dataclasses import replace

import numpy as np

from dcreg_ros.config import OdometryConfig, RegistrationConfig
from dcreg_ros.odometry.odometry import LidarOdometry
from dcreg_ros.odometry.search import search
from dcreg_ros.registration.register import register
from dcreg_ros.voxels.map import VoxelMap


def warm_up(config: OdometryConfig | None = None) -> None:
    """Run odometry and registration once on a small made-up box.

    Parameters
    ----------
    config : OdometryConfig, optional
        What is going to be run.
    """
    grid = np.stack(np.meshgrid(*[np.linspace(-2.0, 2.0, 48)] * 2), axis=-1).reshape(-1, 2)
    walls = [np.insert(grid, axis, side, axis=1) for axis in range(3) for side in (-2.0, 2.0)]
    points = np.concatenate(walls)
    config = OdometryConfig() if config is None else config
    everywhere = replace(config.preprocess, min_range=0.0, max_range=100.0)
    odometry = LidarOdometry(replace(config, preprocess=everywhere))
    times = np.linspace(0.0, 0.1, len(points))
    for k in range(3):
        odometry.process(points + 0.01 * k, times, stamp=0.1 * k)
    odometry.map_points()
    # As where a scan is lost: what that takes must not be compiled then.
    elsewhere = VoxelMap(0.5)
    elsewhere.insert(points, np.eye(4))
    elsewhere.insert(8.0 * points, np.eye(4))  # enough for larger tables
    search(elsewhere, points, np.eye(4), 1.0)
    register(points, points, config=RegistrationConfig(max_iterations=2))
