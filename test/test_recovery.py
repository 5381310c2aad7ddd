# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Large turns, broken scans and strange places: found again, or said so."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from reference_icp import errors
from scipy.spatial.transform import Rotation

import dcreg_ros
from dcreg_ros.geometry.se3 import inverse, local
from dcreg_ros.io.sources import open_source
from dcreg_ros.odometry.tracker import CHANGED, PATIENCE
from dcreg_ros.simulation.lidar import LidarModel
from dcreg_ros.simulation.recording import simulate
from dcreg_ros.simulation.scenes import make_scene

CORRIDOR = [
    (0, 1, (5.1, 3.9, 17.3), (-0.56, 0.73, 0.06)),
    (1, 2, (0.1, -1.4, -5.6), (-0.09, 0.81, -0.06)),
    (2, 3, (2.2, -0.7, 2.3), (0.07, 0.72, -0.04)),
    (3, 4, (1.2, -5.3, -2.0), (-0.04, 0.5, -0.05)),
    (4, 5, (3.9, 9.4, -25.5), (-0.18, 0.12, -0.1)),
    (5, 7, (-10.0, 5.4, 90.0), (-0.97, -0.17, -0.04)),
    (7, 8, (3.2, 2.4, 30.5), (-0.43, 0.39, -0.04)),
    (8, 9, (-0.3, 2.1, 10.3), (-0.14, 0.52, -0.07)),
]
"""Motions between scans of the recorded corridor, rotation vector [deg] and translation [m], found
by Open3D for each pair by itself: FPFH features with RANSAC and a grid of guesses, then
point-to-plane ICP with distances of 1 m down to 0.15 m, best of all by its fitness. From scan 5 on
to 7 the next best has an eighth of it."""


@pytest.fixture(scope='module')
def room():
    return simulate('room', num_scans=40, lidar=LidarModel(columns=512), seed=1)


@pytest.mark.parametrize('period', [0.1, 0.5])
def test_the_whole_recorded_corridor_is_tracked(data_folder, period):
    """28 degrees and 0.7 m between scans, 90 over a broken one, whatever their stamps."""
    odometry = dcreg_ros.LidarOdometry()
    frames = [odometry.process(scan.points, scan.times, period * k)
              for k, scan in enumerate(open_source(data_folder / 'corridor'))]
    status = [frame.status for frame in frames]
    assert status == ['first'] + ['tracking'] * 5 + ['coasting'] + ['tracking'] * 23
    assert 'does not fit the map' in frames[6].reason
    assert 'found again after 1 scan' in frames[7].recovery
    for first, second, turn, way in CORRIDOR:
        expected = np.eye(4)
        expected[:3, :3] = Rotation.from_rotvec(turn, degrees=True).as_matrix()
        expected[:3, 3] = way
        moved = inverse(frames[first].pose) @ frames[second].pose
        translation, angle = errors(inverse(expected) @ moved)
        assert translation < 0.2 and angle < 4.0, (first, second, translation, angle)
    steps = [np.linalg.norm(b.pose[:3, 3] - a.pose[:3, 3]) for a, b in pairwise(frames[8:])]
    assert min(steps) > 0.4 and max(steps) < 1.0  # the path has 0.6 m between scans


def test_another_place_gets_a_map_of_its_own_and_it_is_said(room):
    """Carried to another place between two scans: it coasts, says why, and goes on from there."""
    elsewhere = simulate('tank', num_scans=12, lidar=LidarModel(columns=512), seed=3)
    odometry = dcreg_ros.LidarOdometry()
    for scan in room.scans[:10]:
        frame = odometry.process(scan.points, scan.times, scan.stamp)
    shift = frame.stamp + 0.1 - elsewhere.scans[0].stamp
    frames = [
        odometry.process(scan.points, scan.times, scan.stamp + shift) for scan in elsewhere.scans]
    assert [f.status for f in frames] == ['coasting'] * PATIENCE + ['tracking'] * (12 - PATIENCE)
    assert 'does not fit the map' in frames[0].reason
    assert frames[PATIENCE].recovery == CHANGED
    assert not any(f.recovery for f in frames[PATIENCE + 1:])
    assert np.diag(frames[-1].covariance).min() > 0


def test_the_recorded_corridor_is_the_same_there_and_back(data_folder):
    """From six starts, as the first motion, at full speed on a map of one scan, is a gamble.

    The median is 0.02 m. It was 0.2 when points at edges were left out, which simulated scenes
    gained by: none of them begins like this. With 0.5 s between scans both had 0.01.
    """
    scans = list(open_source(data_folder / 'corridor'))
    gaps = []
    for start in (9, 10, 11, 12, 13, 14):
        ends = []
        for part in (scans[start:], scans[start:][::-1]):
            odometry = dcreg_ros.LidarOdometry()
            frames = [odometry.process(scan.points, None, 0.1 * k) for k, scan in enumerate(part)]
            ends.append(inverse(frames[0].pose) @ frames[-1].pose)
        gaps.append(np.linalg.norm(ends[0][:3, 3] - inverse(ends[1])[:3, 3]))
    assert np.median(gaps) < 0.06


def test_the_last_scan_of_the_recorded_corridor_has_swung_back(data_folder):
    """It rolls back where 4 more degrees are predicted, from where a match ends 2 degrees off.

    So it did from this start, with two of these weights.
    """
    scans = list(open_source(data_folder / 'corridor'))[14:]
    config = dcreg_ros.OdometryConfig()
    for weight in (4.0, 5.0, 8.0):
        ends = []
        for part in (scans, scans[::-1]):
            odometry = dcreg_ros.LidarOdometry(
                replace(config, registration=replace(config.registration, prior_weight=weight)))
            frames = [odometry.process(scan.points, None, 0.1 * k) for k, scan in enumerate(part)]
            ends.append(inverse(frames[0].pose) @ frames[-1].pose)
        way, turn = errors(ends[0] @ ends[1])
        assert way < 0.06 and turn < 1.0, weight


def test_a_drive_from_rest_in_a_corridor_does_not_tilt():
    """Maps of few scans: large planes fitted to what is near and at edges tilted it by 2 mrad."""
    scene = make_scene('corridor', room=8.0, bare=36.0, max_range=12.0)
    lidar = replace(scene.lidar, columns=512, range_sigma=0.02)
    pitches, pose = [], np.eye(4)
    for seed in range(4):
        recording = simulate(scene, 24, lidar, seed)
        odometry = dcreg_ros.LidarOdometry()
        for k, scan in enumerate(recording.scans):
            prior = pose @ inverse(recording.poses[k - 1]) @ recording.poses[k] if k else None
            pose = odometry.process(scan.points, scan.times, scan.stamp, prior).pose
            pitches.append(local(inverse(recording.poses[0]) @ recording.poses[k], pose)[1])
    assert np.sqrt(np.mean(np.square(pitches))) < 1.2e-3


@pytest.mark.parametrize('seed', [0, 10, 12])
def test_a_corridor_whose_ends_are_out_of_sight_is_coasted_through(seed):
    """On the speed at its entrance: a metre at most of 67, 20 of them blind.

    It ended 3 m off where what a few points told of the way was believed as it was, and 9 m where
    one false plane at the ceiling was.
    """
    recording = simulate('corridor', 360, seed=seed)
    odometry = dcreg_ros.LidarOdometry()
    frames = [odometry.process(scan.points, scan.times, scan.stamp) for scan in recording.scans]
    moved = inverse(recording.poses[0]) @ recording.poses[-1]
    assert np.linalg.norm(local(moved, frames[-1].pose)[3:]) < 1.0
