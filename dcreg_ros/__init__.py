# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LiDAR odometry that knows which directions the geometry does not constrain."""

from pathlib import Path

from dcreg_ros.kernel_cache import drop_stale_kernels, ensure_cache

# Before the first kernel is imported, which is when numba looks for what it compiled earlier.
drop_stale_kernels(Path(__file__).parent)
ensure_cache()

# ruff: noqa: E402
from dcreg_ros.config import NodeConfig, OdometryConfig, RegistrationConfig
from dcreg_ros.degeneracy.analysis import analyze_degeneracy
from dcreg_ros.degeneracy.report import DegeneracyReport
from dcreg_ros.degeneracy.solve import Step, solve_step
from dcreg_ros.odometry.frame import Frame
from dcreg_ros.odometry.odometry import LidarOdometry
from dcreg_ros.registration.register import register
from dcreg_ros.registration.result import Iteration, RegistrationResult
from dcreg_ros.voxels.map import VoxelMap
from dcreg_ros.warm_up import warm_up

__version__ = '0.1.0'

__all__ = [
    'DegeneracyReport',
    'Frame',
    'Iteration',
    'LidarOdometry',
    'NodeConfig',
    'OdometryConfig',
    'RegistrationConfig',
    'RegistrationResult',
    'Step',
    'VoxelMap',
    'analyze_degeneracy',
    'register',
    'solve_step',
    'warm_up',
]
