# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finding a scan in a map when the prediction is wrong, against exact poses."""

from dataclasses import replace

import numpy as np

import dcreg_ros
from dcreg_ros.config import OdometryConfig
from dcreg_ros.geometry.se3 import local, retract
from dcreg_ros.odometry.forecast import Forecast
from dcreg_ros.odometry.locate import locate
from dcreg_ros.odometry.preprocess import prepare
from dcreg_ros.simulation.lidar import LidarModel
from dcreg_ros.simulation.recording import simulate

CONFIG = OdometryConfig()


def found(scene, off, sigmas, scans, config=CONFIG.registration, turned=True):
    """Errors (6,) of the match of the last scan in a map of those before it.

    Where it has not `turned`, the last pose was turned as it is.
    """
    recording = simulate(scene, 66, LidarModel(columns=512), seed=3, distort=False)
    voxels = dcreg_ros.VoxelMap(0.5)
    for k in scans:
        voxels.insert(recording.scans[k].points.astype(float), recording.poses[k])
    points = recording.scans[65].points.astype(float)
    keypoints = prepare(points, None, 0.0, np.zeros(6), CONFIG.preprocess).keypoints
    truth, last = recording.poses[65], recording.poses[scans[-1]].copy()
    if not turned:
        last[:3, :3] = truth[:3, :3]
    forecast = Forecast(
        time=6.5, elapsed=0.1, pose=retract(truth, np.array(off)), twist=np.zeros(6),
        covariance=np.diag(np.square(sigmas)), last=last, missed=0)
    fix = locate(voxels, keypoints, forecast, config)
    assert not fix.trouble
    return local(truth, fix.match.transform), fix.match.degeneracy.weak_axes


def test_weak_motions_are_let_go_of_where_that_fits_better():
    """Pitch and z are called weak, and the prediction is wrong by several sigmas."""
    suspicious = replace(CONFIG.registration, noise_factor=1000.0)
    off, weak = found(
        'door_corridor', (0.07, 0.1, 0.0, -0.1, 0.0, 0.2), [0.03] * 3 + [0.06] * 3, [60],
        suspicious)
    assert {'pitch', 'z'} <= set(weak)
    assert np.abs(off[:3]).max() < 0.01 and np.abs(off[3:]).max() < 0.05


def test_they_are_held_where_all_places_fit_alike():
    """In a round tunnel nothing but the prediction tells of x and roll."""
    off, weak = found(
        'tunnel', (0.05, 0.01, 0.01, 0.15, 0.05, 0.05), [0.05] * 3 + [0.15] * 3,
        range(50, 65))
    assert weak == ('roll', 'x')
    assert abs(off[3] - 0.15) < 0.05 and abs(off[0] - 0.05) < 0.02
    assert np.abs(off[[1, 2]]).max() < 0.005 and np.abs(off[[4, 5]]).max() < 0.02


def test_what_swings_back_is_found_as_it_was_turned_before():
    """Predicted to roll on by 11 degrees, from where the match ends 1 degree off."""
    off, _ = found(
        'door_corridor', (-0.2, 0.0, 0.0, 0.0, 0.0, 0.0), [0.04] * 3 + [0.06] * 3, [60],
        turned=False)
    assert np.abs(off[:3]).max() < 0.003 and np.abs(off[3:]).max() < 0.005
