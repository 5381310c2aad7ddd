# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poles and trunks, which are no planes, against columns whose places are known."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from test_planes import filled, planes

import dcreg_ros
from dcreg_ros.geometry.se3 import inverse, local, retract
from dcreg_ros.registration.map_plane import MapPlaneMatcher
from dcreg_ros.simulation.lidar import LidarModel
from dcreg_ros.simulation.recording import simulate

RADIUS = 0.12


def trunk(rng, x, y, count=400):
    """Points on the half of a trunk that faces the origin."""
    facing = np.arctan2(-y, -x) + rng.uniform(-1.4, 1.4, count)
    return np.c_[x + RADIUS * np.cos(facing), y + RADIUS * np.sin(facing),
                 rng.uniform(0.3, 2.5, count)] + rng.normal(0.0, 0.01, (count, 3))


def wood(rng):
    """A floor and eight trunks around the origin."""
    floor = np.c_[rng.uniform(-8, 8, (20000, 2)), rng.normal(0.0, 0.01, 20000)]
    spots = [(5.0 * np.cos(a), 5.0 * np.sin(a)) for a in np.linspace(0.3, 5.8, 8)]
    return floor, np.vstack([trunk(rng, x, y) for x, y in spots])


def test_a_pole_is_two_planes_through_it_as_thick_as_it_is():
    found, middles = planes(filled(trunk(np.random.default_rng(0), 4.1, 1.2, 2000)))
    poles = found[:, 11] > 0.0
    assert np.mean(poles) > 0.8  # all but those at its ends
    found, middles = found[poles], middles[poles]
    assert np.abs(found[:, 2]).max() < 0.2 and np.abs(found[:, 8]).max() < 0.2  # upright
    off = np.linalg.norm((middles + found[:, 3:6])[:, :2] - (4.1, 1.2), axis=1)
    assert off.max() < 1.2 * RADIUS
    assert np.sqrt(found[:, 11]).max() < RADIUS and np.sqrt(found[:, 9]).max() < RADIUS


@pytest.mark.parametrize('tilt', [0.0, 10.0])
def test_rings_on_the_floor_are_no_poles(tilt):
    rng = np.random.default_rng(1)
    turns = rng.uniform(0.0, 2.0 * np.pi, (6, 1500))
    ranges = np.array([3.0, 3.6, 4.4, 5.6, 7.4, 10.0])[:, None]
    rings = np.stack([ranges * np.cos(turns), ranges * np.sin(turns), 0 * turns], axis=-1)
    rings = rings.reshape(-1, 3) + rng.normal(0.0, 0.01, (9000, 3))
    rings = rings @ Rotation.from_euler('x', tilt, degrees=True).as_matrix().T
    found, _ = planes(filled(rings))
    assert len(found) > 100 and not (found[:, 11] > 0.0).any()


def test_a_lidar_on_its_side_does_not_take_its_rings_for_poles():
    """What stands upright in the map lies along the rings of such a LiDAR."""
    rng = np.random.default_rng(2)
    points = trunk(rng, 4.1, 1.2)
    voxels = filled(points)
    config = dcreg_ros.RegistrationConfig(association='map_plane')
    matches = []
    for angle in (0.0, 90.0):
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler('x', angle, degrees=True).as_matrix()
        matcher = MapPlaneMatcher(points @ pose[:3, :3], voxels, config)
        matcher.linearize(pose)
        matches.append(np.sum(matcher._plane[matcher._usable, 11] > 0.0))
    assert matches[0] > 100 and matches[1] == 0, matches


@pytest.mark.parametrize('seed', range(3))
def test_trunks_hold_what_the_floor_leaves_open(seed):
    """The true pose is found to a centimetre: what the floor does not tell, the trunks do."""
    rng = np.random.default_rng(seed)
    voxels = dcreg_ros.VoxelMap(0.5)
    for part in wood(rng):
        voxels.insert(part, np.eye(4))
    truth = retract(np.eye(4), rng.normal(size=6) * [0.01, 0.01, 0.02, 0.06, 0.06, 0.02])
    floor, trunks = wood(rng)
    seen = np.vstack([floor[::20], trunks[::4]])
    source = seen @ truth[:3, :3] - truth[:3, 3] @ truth[:3, :3]
    config = dcreg_ros.RegistrationConfig(association='map_plane', mitigation='none')
    result = dcreg_ros.register(source, voxels, None, config)
    off = local(truth, result.transform)
    assert np.linalg.norm(off[3:]) < 0.015 and np.degrees(np.linalg.norm(off[:3])) < 0.25
    bare = dcreg_ros.register(
        floor[::10], voxels, None,
        dcreg_ros.RegistrationConfig(association='map_plane', detection='probabilistic'))
    assert bare.degeneracy.weak_axes == ('yaw', 'x', 'y')


def test_a_forest_is_driven_through():
    recording = simulate('forest', 60, LidarModel(columns=512), seed=5)
    odometry = dcreg_ros.LidarOdometry()
    poses = [odometry.process(scan.points, scan.times, scan.stamp).pose
             for scan in recording.scans]
    truth = recording.poses
    off = [local(inverse(truth[0]) @ there, inverse(poses[0]) @ here)
           for there, here in zip(truth, poses, strict=True)]
    assert np.linalg.norm((truth[-1] - truth[0])[:3, 3]) > 3.0
    assert max(np.linalg.norm(step[3:]) for step in off) < 0.15
