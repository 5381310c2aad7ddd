# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Large planes among matches, and upright faces of small things, against known surfaces."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from test_planes import filled, planes

import dcreg_ros
from dcreg_ros.geometry.se3 import local
from dcreg_ros.odometry.selection import select
from dcreg_ros.registration.completion import complete
from dcreg_ros.registration.edges import level
from dcreg_ros.registration.large_planes import (
    LEVEL,
    MATCH,
    NOTHING,
    PLACE_ONLY,
    STANDS,
    find_large_planes,
)
from dcreg_ros.registration.standing import FAR
from dcreg_ros.simulation.scenes import make_scene
from dcreg_ros.voxels.hashing import make_table
from dcreg_ros.voxels.map import VoxelMap


def matches(places, normals, tilt=0.02):
    """Matches (N, MATCH) of reliable planes."""
    out = np.zeros((len(places), MATCH))
    out[:, :3], out[:, 3:6], out[:, 12:15], out[:, STANDS] = normals, places, places, FAR
    out[:, 6:9] = np.cross(normals, np.roll(normals, 1, axis=1))
    out[:, 9] = out[:, 10] = tilt**2
    return out


def completed(q, large, t, point):
    """Complete a match where nothing stands, in cells of 0.25 m."""
    nothing, around = make_table(16), np.zeros((3, 3, 3), np.int64)
    return complete(q, large, t, point, nothing, around, 0.25, 0, 0, 0)


def room(rng, noise=0.01, tilt=0.02):
    """A floor and two walls that meet, 200 matches each."""
    free = rng.uniform(0.2, 6.0, (3, 200, 2))
    places, normals = [], []
    for axis, pair in enumerate(free):
        place = np.insert(pair, axis, rng.normal(0.0, noise, 200), axis=1)
        normal = np.eye(3)[axis] + rng.normal(0.0, tilt, (200, 3))
        places.append(place)
        normals.append(normal / np.linalg.norm(normal, axis=1, keepdims=True))
    return np.vstack(places), np.vstack(normals)


def test_floor_and_walls_are_found_each_once():
    found = find_large_planes(matches(*room(np.random.default_rng(0))))
    assert len(found) == 3
    assert {int(np.argmax(np.abs(plane[:3]))) for plane in found} == {0, 1, 2}
    for plane in found:
        assert np.abs(plane[:3]).max() > np.cos(0.003) and abs(plane[3]) < 0.01


@pytest.mark.parametrize('radius', [2.0, 4.0])
def test_a_tank_has_no_large_plane(radius):
    rng = np.random.default_rng(1)
    turn = rng.uniform(-np.pi, np.pi, 1500)
    normals = np.c_[np.cos(turn), np.sin(turn), 0 * turn]
    places = radius * normals + np.c_[0 * turn, 0 * turn, rng.uniform(0.0, 6.0, 1500)]
    assert not len(find_large_planes(matches(places, normals)))


def test_what_faces_elsewhere_in_a_plane_speaks_against_it():
    """A slope of steps: places lie in one plane, and most of what is there faces elsewhere."""
    rng = np.random.default_rng(2)
    places, _ = room(rng)
    normals = np.tile([0.0, 0.0, 1.0], (600, 1))
    normals[::2] = [np.sin(0.5), 0.0, np.cos(0.5)]
    floor = matches(places, normals)[400:]
    assert not len(find_large_planes(floor))


def test_a_reliable_part_keeps_its_normal_and_its_deviation_becomes_its_tilt():
    large = np.array([[0.0, 0.0, 1.0, 0.0, 1e-6, 0.0]])
    q = matches(np.array([[1.0, 2.0, 0.03]]), np.array([[np.sin(0.05), 0.0, np.cos(0.05)]]))[0]
    assert completed(q, large, np.eye(4), q[3:6])
    assert q[:3] == pytest.approx([np.sin(0.05), 0.0, np.cos(0.05)])
    assert np.sqrt(q[9]) == pytest.approx(np.sin(0.05), rel=1e-6)
    # What tilts it is what leads back to the large plane, in the plane of the match.
    assert abs(q[6]) == pytest.approx(np.cos(0.05), rel=1e-6) and q[6:9] @ q[:3] == (
        pytest.approx(0.0, abs=1e-9))


def test_a_place_without_a_plane_takes_that_of_the_large_one_if_it_lies_in_it():
    large = np.array([[0.6, 0.0, 0.8, 1.0, 1e-6, 0.0]])
    q = np.zeros(MATCH)
    q[3:6], q[10] = 1.02 * large[0, :3] + 3.0 * np.array([0.8, 0.0, -0.6]), PLACE_ONLY
    assert completed(q, large, np.eye(4), q[3:6])
    assert q[:3] == pytest.approx(large[0, :3]) and q[10] > 0.0
    assert np.linalg.norm(q[6:9]) == pytest.approx(1.0)
    assert q[6:9] @ q[:3] == pytest.approx(0.0, abs=1e-9)
    away = np.zeros(MATCH)
    away[3:6], away[10] = 1.2 * large[0, :3], PLACE_ONLY
    away[12:15] = away[3:6]
    assert not completed(away, large, np.eye(4), away[3:6])


def test_what_lies_on_a_large_plane_and_faces_elsewhere_is_not_believed():
    large = np.array([[0.0, 0.0, 1.0, 0.0, 1e-6, 0.0]])
    wall = matches(np.array([[1.0, 2.0, 0.05], [1.0, 2.0, 0.5]]), np.tile([1.0, 0.0, 0.0], (2, 1)))
    assert not completed(wall[0], large, np.eye(4), wall[0, 3:6])
    assert completed(wall[1], large, np.eye(4), wall[1, 3:6])
    wall[1, 14] = 0.02  # from points above the floor that its own cell lies on
    assert not completed(wall[1], large, np.eye(4), wall[1, 3:6])


def test_where_two_large_planes_meet_a_place_takes_all_of_its_own():
    """A cell 0.1 m from a wall has points of that, too: its place, 4 cm high, says nothing."""
    large = np.array([[0.0, 0.0, 1.0, 0.0, 1e-6, 0.02], [1.0, 0.0, 0.0, 2.0, 1e-6, 0.02]])
    slanted = np.array([[np.sin(0.05), 0.0, np.cos(0.05)]])
    for reliable in (True, False):
        q = matches(np.array([[1.9, 2.0, 0.04]]), slanted, 0.02 if reliable else 0.5)[0]
        far = matches(np.array([[0.5, 2.0, 0.04]]), slanted, 0.02 if reliable else 0.5)[0]
        assert completed(q, large, np.eye(4), np.array([1.85, 2.0, 0.0]))
        assert completed(far, large, np.eye(4), np.array([0.5, 2.0, 0.0]))
        assert q[:3] == pytest.approx([0.0, 0.0, 1.0]) and q[5] == pytest.approx(0.0, abs=1e-9)
        assert far[5] > 0.01


@pytest.mark.parametrize(('off', 'matched'), [(0.01, False), (0.15, True)])
def test_a_point_that_may_be_of_either_of_two_large_planes_is_not_matched(off, matched):
    large = np.array([[0.0, 0.0, 1.0, 0.0, 1e-6, 0.02], [1.0, 0.0, 0.0, 2.0, 1e-6, 0.02]])
    q = matches(np.array([[1.9, 2.0, 0.0]]), np.array([[0.0, 0.0, 1.0]]))[0]
    turned = np.eye(4)
    turned[:3, 3] = [0.5, 0.0, 0.0]
    point = np.array([1.5 - off, 2.0, 0.02])
    assert completed(q, large, turned, point) == matched
    # Another of the same direction has no edge with it, nor one that is not known well.
    assert completed(q, large[[0, 0]], turned, point)
    large[0, 5] = 0.0
    assert completed(q, large, turned, point)


def test_edges_of_a_tunnel_do_not_move_it():
    """Exact scans, maps in any position: what is not 0 is of points taken for the other surface.

    With these, and places of two surfaces, it was 49 and 22 urad of pitch and yaw and 0.7 mm.
    """
    scene = make_scene('square_tunnel')
    lidar = replace(scene.lidar, columns=512)
    beams = lidar.beams().reshape(-1, 3)
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(8):
        grid = np.eye(4)
        grid[:3, :3] = Rotation.from_euler('z', rng.uniform(0.0, 2.0 * np.pi)).as_matrix()
        grid[:3, 3] = rng.uniform(0.0, 0.5, 3)
        start = rng.uniform(0.2, 0.8) * scene.trajectory.duration
        poses = grid @ scene.trajectory.poses(start + 0.3 * np.arange(7))
        scans = []
        for pose in np.linalg.inv(grid) @ poses:
            ranges, _ = scene.raycast(
                np.broadcast_to(pose[:3, 3], beams.shape), beams @ pose[:3, :3].T)
            seen = (ranges >= lidar.min_range) & (ranges <= lidar.max_range)
            scans.append(np.ascontiguousarray(beams[seen] * ranges[seen, None]))
        voxels = VoxelMap(0.5)
        for scan, pose in zip(scans[:-1], poses[:-1], strict=True):
            voxels.insert(scan, pose)
        result = dcreg_ros.register(
            scans[-1][select(scans[-1], 0.3, 0, 3000)], voxels, poses[-1],
            dcreg_ros.OdometryConfig().registration,
            guess_covariance=np.diag(np.repeat([0.01, 0.03], 3) ** 2))
        errors.append(local(poses[-1], result.transform))
    _, pitch, yaw, _, y, z = np.sqrt(np.mean(np.square(errors), axis=0))
    assert max(pitch, yaw) < 15e-6 and max(y, z) < 0.25e-3


def test_places_of_nothing_are_not_counted():
    nothing = np.zeros((500, MATCH))
    nothing[:, 10] = NOTHING
    assert not len(find_large_planes(nothing))


def box_far_away(rng, sweeps=6, noise=0.02):
    """Two rings, 0.9 m apart, on two faces of a box of 1 m, its corner towards the sensor."""
    t = rng.uniform(0.0, 1.0, (sweeps * 2, 4))
    points = []
    for height in (0.55, 1.45):
        for along in t:
            points.append(np.c_[20.0 + 0 * along, 10.0 + along, height + 0 * along])
            points.append(np.c_[20.0 + along, 10.0 + 0 * along, height + 0 * along])
    points = np.vstack(points)
    view = points - (0.0, 0.0, 1.0)
    view /= np.linalg.norm(view, axis=1, keepdims=True)
    return points + noise * rng.standard_normal((len(points), 1)) * view


@pytest.mark.parametrize('seed', range(3))
def test_two_rings_on_a_small_box_make_its_faces(seed):
    found, _ = planes(filled(box_far_away(np.random.default_rng(seed))))
    upright = found[(found[:, 11] == 0.0) & (np.abs(found[:, 2]) < 0.2)]
    assert len(upright) >= 8
    off = np.degrees(np.arccos(np.abs(upright[:, :3]).max(axis=1)))
    assert np.median(off) < 3.0 and np.mean(off < 6.0) > 0.6  # the corner is round to cells


def test_a_line_on_the_floor_below_one_on_a_wall_is_no_face():
    """Rows above each other that cross are of two surfaces."""
    rng = np.random.default_rng(5)
    low = np.c_[rng.uniform(20.0, 20.6, 20), 10.0 + rng.normal(0.0, 0.01, 20), np.full(20, 0.3)]
    high = np.c_[20.3 + rng.normal(0.0, 0.01, 20), rng.uniform(9.7, 10.3, 20), np.full(20, 1.2)]
    found, _ = planes(filled(np.vstack([low, high])))
    assert not ((found[:, 11] == 0.0) & (np.abs(found[:, 2]) < 0.2)).any()


def test_a_plane_in_which_nothing_is_left_when_it_is_fitted_anew_is_none():
    """Two rows of reliable planes as steps of a slope, and around them a floor without planes."""
    rng = np.random.default_rng(5)
    side = np.repeat([1.0, -1.0], 20)
    rows = np.c_[0.45 * side, rng.uniform(-2.0, 2.0, 40), 0.0495 * side]
    floor = np.c_[rng.uniform(3.0, 8.0, 200) * rng.choice([-1.0, 1.0], 200),
                  rng.uniform(-5.0, 5.0, 200), np.zeros(200)]
    plane = matches(np.vstack([rows, floor]), np.tile([0.0, 0.0, 1.0], (240, 1)))
    plane[40:, 10] = PLACE_ONLY
    assert not len(find_large_planes(plane))


def test_a_plane_is_level_by_what_is_away_from_its_edges():
    """A floor 4 m wide, its places 3 cm too high near both walls, by a cell of 0.25 m."""
    rng = np.random.default_rng(0)
    floor = np.c_[rng.uniform(-10.0, 10.0, 400), rng.uniform(-1.9, 1.9, 400), np.zeros(400)]
    floor[np.abs(floor[:, 1]) > 1.72, 2] = 0.03
    walls = np.c_[rng.uniform(-10.0, 10.0, 400), np.repeat([-2.0, 2.0], 200),
                  rng.uniform(0.5, 3.0, 400)]
    found = np.r_[
        matches(floor, np.tile([0.0, 0.0, 1.0], (400, 1))),
        matches(walls, np.tile([0.0, 1.0, 0.0], (400, 1)))]
    large = find_large_planes(found)
    sensor = np.eye(4)
    sensor[:3, 3] = [0.0, 0.3, 1.0]
    levelled = level(found, large, sensor, 0.25, 0.02)
    k = np.abs(large[:, 2]).argmax()
    assert len(large) == 3 and not large[:, LEVEL].any()
    assert levelled[:, LEVEL] == pytest.approx(0.02)
    assert abs(large[k, 3]) > 0.002
    assert levelled[k, 3] == pytest.approx(0.0, abs=1e-9)
    assert np.abs(levelled[k, :3]) == pytest.approx([0.0, 0.0, 1.0], abs=1e-9)
    # A floor as rough as gravel says nothing of its edges.
    found[:400, 14] += 0.03 * rng.standard_normal(400)
    assert level(found, large, sensor, 0.25, 0.02)[k] == pytest.approx(large[k])


@pytest.mark.parametrize(('columns', 'levelled'), [(1, True), (0, False)])
def test_a_floor_is_level_by_cells_beside_what_stands_on_it_not_by_those_below(columns, levelled):
    rng = np.random.default_rng(1)
    floor = np.c_[rng.uniform(-5.0, 5.0, (200, 2)), np.zeros(200)]
    found = matches(floor, np.tile([0.0, 0.0, 1.0], (200, 1)))
    large = find_large_planes(found)
    found[:, STANDS] = columns
    sensor = np.eye(4)
    sensor[2, 3] = 1.0
    assert len(large) == 1
    assert bool(level(found, large, sensor, 0.25, 0.02)[0, LEVEL]) == levelled
