# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulator against closed forms, and against distance functions marched along the rays."""

import math
import time
from argparse import ArgumentParser

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import logm
from scipy.spatial.transform import Rotation

from dcreg_ros.io.tum import read_tum
from dcreg_ros.simulation import primitives as shapes
from dcreg_ros.simulation.lidar import LidarModel, sweep
from dcreg_ros.simulation.raycast import BOX, CYLINDER, RECTANGLE, SPHERE, TUBE
from dcreg_ros.simulation.recording import simulate
from dcreg_ros.simulation.scene import Scene
from dcreg_ros.simulation.scenes import SCENES, make_scene
from dcreg_ros.simulation.trajectory import drive, through, tour
from dcreg_ros.simulation.truth import exact_hessian, scene_hessian, weak_directions

ROLL, PITCH, YAW, X, Y, Z = np.eye(6)
SMALL = LidarModel(columns=256)
QUIET = LidarModel(columns=256, range_sigma=0.0, dropout=0.0)


# An independent description of the surfaces: unsigned distance, and nothing about rays.


def distance_to(primitive, points):
    """Distance (N,) of world points (N, 3) to the surface of a primitive."""
    p = (points - primitive.center) @ primitive.rotation
    size = primitive.size
    if primitive.kind == RECTANGLE:
        outside = np.maximum(np.abs(p[:, :2]) - size[:2], 0.0)
        return np.hypot(np.linalg.norm(outside, axis=1), p[:, 2])
    if primitive.kind == SPHERE:
        return np.abs(np.linalg.norm(p, axis=1) - size[0])
    radial = np.hypot(p[:, 0], p[:, 1])
    if primitive.kind == TUBE:
        return np.hypot(radial - size[0], np.maximum(np.abs(p[:, 2]) - size[2], 0.0))
    if primitive.kind == BOX:
        q = np.abs(p) - size
    else:
        assert primitive.kind == CYLINDER
        q = np.column_stack([radial - size[0], np.abs(p[:, 2]) - size[2]])
    return np.abs(np.linalg.norm(np.maximum(q, 0.0), axis=1) + np.minimum(q.max(axis=1), 0.0))


def nearest_distance(scene, points):
    return np.min([distance_to(p, points) for p in scene.primitives], axis=0)


def march(scene, origins, directions, far=50.0):
    """Ranges (N,) found by stepping as far as the nearest surface is away; inf beyond `far`."""
    ranges = np.zeros(len(origins))
    going = np.arange(len(origins))
    while len(going):
        gaps = nearest_distance(scene, origins[going] + ranges[going, None] * directions[going])
        ranges[going] += gaps
        going = going[(gaps > 1e-11) & (ranges[going] < far)]
    return np.where(ranges < far, ranges, np.inf)


def random_rays(count, rng, spread=4.0):
    directions = rng.standard_normal((count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return rng.uniform(-spread, spread, (count, 3)), directions


def scene_of(*primitives):
    return Scene('test', primitives, drive(1.0))


ALL_KINDS = {
    'plane': shapes.plane((0.3, -1, 0.5), (0.2, 0.4, 1)),
    'rectangle': shapes.rectangle((0.2, 0.5, -0.4), (1, 2, -0.5), (5.0, 3.0), (0.1, 0, 1)),
    'box': shapes.box((0.5, -0.3, 0.2), (4.0, 3.0, 5.0), 0.6),
    'cylinder': shapes.cylinder((0.1, 0.4, -0.5), 2.0, 5.0, (1, 0.5, 0.2)),
    'open cylinder': shapes.cylinder((0.1, 0.4, 0), 2.0, 4.0, (0.3, 0.5, 1), capped=False),
    'endless cylinder': shapes.cylinder((0.3, 0.2, 0.5), 2.5, axis=(1, 0.1, -0.3)),
    'sphere': shapes.sphere((0.4, 0.2, 0.9), 3.0),
}


@pytest.mark.parametrize('name', [*ALL_KINDS, 'all together'])
def test_raycast_agrees_with_marching_along_the_ray(name):
    chosen = ALL_KINDS.values() if name == 'all together' else [ALL_KINDS[name]]
    scene = scene_of(*chosen)
    origins, directions = random_rays(400, np.random.default_rng(3))
    ranges, normals = scene.raycast(origins, directions)
    hit = np.isfinite(ranges)
    cosine = np.einsum('ij,ij->i', normals, directions)
    assert hit.sum() > 25
    assert np.all(cosine[hit] < 0.0)
    assert_allclose(np.linalg.norm(normals, axis=1), hit.astype(float), atol=1e-12)
    hits = origins[hit] + ranges[hit, None] * directions[hit]
    assert np.all(nearest_distance(scene, hits) < 1e-9 * (1.0 + ranges[hit]))

    # Marching crawls along surfaces that a ray grazes and stops short of the hit.
    clear = ~hit | (cosine < -0.05)
    expected = np.where(ranges < 50.0, ranges, np.inf)
    marched = march(scene, origins, directions)
    assert_allclose(marched[clear], expected[clear], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize('name', ALL_KINDS)
def test_normals_are_the_gradient_of_the_distance(name):
    primitive = ALL_KINDS[name]
    origins, directions = random_rays(400, np.random.default_rng(5))
    ranges, normals = scene_of(primitive).raycast(origins, directions)
    hit = np.isfinite(ranges) & (ranges < 50.0)
    points = (origins + np.where(hit, ranges, 0.0)[:, None] * directions)[hit]
    offset, step = 1e-3, 1e-5
    off = points + offset * normals[hit]  # on the side of the sensor, where distance is smooth
    gradient = np.column_stack(
        [
            distance_to(primitive, off + step * e) - distance_to(primitive, off - step * e)
            for e in np.eye(3)
        ]
    ) / (2 * step)
    smooth = np.abs(np.linalg.norm(gradient, axis=1) - 1.0) < 1e-6  # not across an edge
    assert smooth.mean() > 0.98
    assert_allclose(gradient[smooth], normals[hit][smooth], atol=1e-4)


@pytest.mark.parametrize(
    ('primitive', 'origin', 'direction', 'distance', 'normal'),
    [
        (shapes.plane((0, 0, -1), (0, 0, 1)), (0, 0, 2), (0, 0, -1), 3.0, (0, 0, 1)),
        (shapes.plane((0, 0, -1), (0, 0, 1)), (0, 0, 2), (1, 0, 0), np.inf, (0, 0, 0)),
        (shapes.plane((0, 0, 5), (0, 0, 1)), (0, 0, 2), (0, 0, -1), np.inf, (0, 0, 0)),
        (
            shapes.rectangle((3, 0, 0), (1, 0, 0), (2, 1)),
            (0, 0.4, 0.9),
            (1, 0, 0),
            3.0,
            (-1, 0, 0),
        ),
        (
            shapes.rectangle((3, 0, 0), (1, 0, 0), (2, 1)),
            (0, 0.9, 0.4),
            (1, 0, 0),
            np.inf,
            (0,) * 3,
        ),
        (shapes.box((0, 0, 0), (2, 4, 6)), (0, 0, 0), (0, 1, 0), 2.0, (0, -1, 0)),
        (shapes.box((0, 0, 0), (2, 4, 6)), (0, 9, 0), (0, -1, 0), 7.0, (0, 1, 0)),
        (shapes.box((0, 0, 0), (2, 4, 6)), (0, 9, 0), (0, 1, 0), np.inf, (0, 0, 0)),
        (shapes.cylinder((0, 0, 0), 2, 8), (0, 0, 9), (0, 0, -1), 5.0, (0, 0, 1)),
        (shapes.cylinder((0, 0, 0), 2, 8), (1, 0, 0), (0, 0, 1), 4.0, (0, 0, -1)),
        (shapes.cylinder((0, 0, 0), 2, 8, capped=False), (1, 0, 0), (0, 0, 1), np.inf, (0, 0, 0)),
        (shapes.cylinder((0, 0, 0), 2), (1, 0, 7), (1, 0, 0), 1.0, (-1, 0, 0)),
        (shapes.cylinder((0, 0, 0), 2), (5, 0, 7), (-1, 0, 0), 3.0, (1, 0, 0)),
        (shapes.sphere((0, 0, 0), 2), (0, 0, 0), (0.6, 0.8, 0), 2.0, (-0.6, -0.8, 0)),
        (shapes.sphere((0, 0, 0), 2), (5, 0, 0), (-1, 0, 0), 3.0, (1, 0, 0)),
    ],
)
def test_raycast_closed_forms(primitive, origin, direction, distance, normal):
    ranges, normals = scene_of(primitive).raycast([origin], [direction])
    assert_allclose(ranges, [distance], atol=1e-12)
    assert_allclose(normals, [normal], atol=1e-12)


def test_raycast_of_nothing_and_of_wrong_shapes():
    ranges, normals = scene_of().raycast([(0, 0, 0)], [(1, 0, 0)])
    assert_array_equal(ranges, [np.inf])
    assert_array_equal(normals, np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r'\(N, 3\)'):
        scene_of().raycast(np.zeros((4, 3)), np.zeros((3, 3)))


@pytest.mark.parametrize(
    'make',
    [
        lambda: shapes.sphere((0, 0, 0), 0.0),
        lambda: shapes.box((0, 0, 0), (1, -1, 1)),
        lambda: shapes.box((0, 0, 0), (1, math.inf, 1)),
        lambda: shapes.plane((0, 0, 0), (0, 0, 0)),
        lambda: shapes.cylinder((0, 0, 0), math.nan),
    ],
)
def test_impossible_primitives_are_refused(make):
    with pytest.raises(ValueError, match=r'positive|finite|direction'):
        make()


# Motion


def motions():
    yield drive(12.0, heading=0.7, weave=0.2, sway=0.05)
    yield tour([(0, 0, 1), (4, 0, 1), (4, 3, 1.5), (0, 3, 1)])
    yield through(
        [0, 1, 2.5], [(0, 0, 0), (1, 1, 0), (2, 0, 1)], [(0, 0, 3), (0.2, 0.5, -3), (0, 0, -2)]
    )
    yield from (build().trajectory for build in SCENES.values())


@pytest.mark.parametrize('motion', list(motions()))
def test_motion_is_smooth_and_twists_are_its_derivative(motion):
    motion = motion.starting(5.0)
    times = np.linspace(4.5, 5.5 + motion.duration, 1500)
    poses, twists = motion.poses(times), motion.twists(times)
    assert_allclose(
        np.einsum('nji,njk->nik', poses[:, :3, :3], poses[:, :3, :3]),
        np.tile(np.eye(3), (len(times), 1, 1)),
        atol=1e-12,
    )
    step = 1e-5
    change = np.linalg.inv(motion.poses(times - step)) @ motion.poses(times + step)
    angular = Rotation.from_matrix(change[:, :3, :3]).as_rotvec() / (2 * step)
    assert_allclose(twists[:, :3], angular, atol=1e-4)
    assert_allclose(twists[:, 3:], change[:, :3, 3] / (2 * step), atol=1e-4)

    # No jump of velocity anywhere, standstill before and after included.
    assert_array_equal(np.round(twists[[0, -1]], 12), np.zeros((2, 6)))
    assert np.abs(np.diff(twists, axis=0)).max() < 8.0 * (times[1] - times[0])


def test_drive_covers_its_length_at_its_speed():
    motion = drive(10.0, (1, 2, 3), speed=1.5, ramp=2.0)
    assert motion.duration == pytest.approx(10.0 / 1.5 + 2.0)
    ends = motion.poses([0.0, motion.duration])
    assert_allclose(ends[:, :3, 3], [(1, 2, 3), (11, 2, 3)], atol=1e-9)
    assert motion.twists(motion.duration / 2)[0, 3] == pytest.approx(1.5, rel=0.01)
    assert drive(1.0, speed=5.0, ramp=2.0).duration == pytest.approx(4.0)


def test_room_is_driven_with_all_the_yaw():
    poses = SCENES['room']().trajectory.poses(np.linspace(0, 30, 500))
    yaw = np.unwrap(np.arctan2(poses[:, 1, 0], poses[:, 0, 0]))
    assert abs(yaw[-1] - yaw[0]) == pytest.approx(2 * np.pi, abs=1e-6)


def test_impossible_motions_are_refused():
    with pytest.raises(ValueError, match='increase from 0'):
        through([1, 0], np.zeros((2, 3)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match='speed'):
        drive(3.0, speed=0.0)


# The LiDAR


@pytest.mark.parametrize('name', SCENES)
def test_points_lie_on_surfaces_where_the_lidar_truly_was(name):
    scene = make_scene(name)
    stamp = 0.4 * scene.trajectory.duration
    turn = sweep(scene, QUIET, scene.trajectory, stamp, np.random.default_rng(0))
    poses = scene.trajectory.poses(stamp + turn.times)
    world = np.einsum('nij,nj->ni', poses[:, :3, :3], turn.points) + poses[:, :3, 3]
    assert nearest_distance(scene, world).max() < 1e-9

    at_stamp = scene.trajectory.poses(stamp)[0]
    exact = turn.surface_points @ at_stamp[:3, :3].T + at_stamp[:3, 3]
    assert_allclose(exact, world, atol=1e-9)
    # Facing the place each was seen from.
    facing = np.einsum(
        'ni,ni->n', turn.surface_normals @ at_stamp[:3, :3].T, poses[:, :3, 3] - world
    )
    assert np.all(facing > 0.0)
    # Motion distortion is real: the points as they come are not where they seem.
    assert np.abs(turn.points - turn.surface_points).max() > 0.01
    assert set(turn.times) <= set(QUIET.column_times())
    assert np.ptp(turn.times) > 0.09


def test_turn_without_distortion_is_rigid():
    scene = make_scene('room')
    turn = sweep(scene, QUIET, scene.trajectory, 5.0, np.random.default_rng(0), distort=False)
    assert_array_equal(turn.times, np.zeros(len(turn.points)))
    assert_allclose(turn.points, turn.surface_points, atol=1e-12)


@pytest.mark.parametrize(('stamp_at', 'first', 'last'), [('start', 0.0, 0.1), ('end', -0.1, 0.0)])
def test_times_count_from_the_stamp(stamp_at, first, last):
    lidar = LidarModel(columns=100, stamp_at=stamp_at)
    times = lidar.column_times()
    assert times[0] == first
    assert times[-1] == pytest.approx(last - 0.001)
    assert lidar.latency == pytest.approx(last)


def test_noise_dropout_and_range_limits():
    scene = Scene('ball', (shapes.sphere((0, 0, 0), 5.0),), drive(1.0, (0, 0, 0)))
    lidar = LidarModel(range_sigma=0.02, dropout=0.1)
    turn = sweep(scene, lidar, scene.trajectory, -1.0, np.random.default_rng(1))
    errors = np.linalg.norm(turn.points, axis=1) - 5.0
    count = lidar.columns * lidar.channels
    assert abs(len(errors) / count - 0.9) < 4 * np.sqrt(0.09 / count)
    assert abs(errors.mean()) < 4 * 0.02 / np.sqrt(count)
    assert errors.std() == pytest.approx(0.02, rel=0.03)
    assert abs(np.corrcoef(errors[:-1], errors[1:])[0, 1]) < 0.04
    for limits in ({'max_range': 4.9}, {'min_range': 5.1}):
        lidar = LidarModel(**limits)
        assert (
            len(sweep(scene, lidar, scene.trajectory, 0.0, np.random.default_rng(1)).points) == 0
        )


@pytest.mark.parametrize(
    ('field', 'value'),
    [('channels', 0), ('rate', 0.0), ('max_range', 0.1), ('dropout', 1.0), ('stamp_at', 'never')],
)
def test_lidar_names_the_field_that_is_wrong(field, value):
    with pytest.raises(ValueError, match=field):
        LidarModel(**{field: value})


# Truth


def truth_of(scene, moment=None, lidar=None):
    moment = 0.5 * scene.trajectory.duration if moment is None else moment
    lidar = lidar or scene.lidar
    turn = sweep(scene, lidar, scene.trajectory, moment, np.random.default_rng(0))
    hessian = exact_hessian(turn.surface_points, turn.surface_normals)
    return hessian, weak_directions(hessian, len(turn.points)), scene.trajectory.poses(moment)[0]


def in_world(twist, pose):
    """The motion of the world frame's axes that a body twist is: [w, v at the world's origin]."""
    turning = pose[:3, :3] @ twist[:3]
    return np.concatenate([turning, pose[:3, :3] @ twist[3:] - np.cross(turning, pose[:3, 3])])


FREE = {
    'endless corridor': (make_scene('bare_corridor', length=math.inf), [X]),
    'square_tunnel': (make_scene('square_tunnel'), [X]),
    'plane': (make_scene('plane'), [X, Y, YAW]),
    'parallel_planes': (make_scene('parallel_planes'), [X, Z, PITCH]),
    'tunnel on its axis': (make_scene('tunnel', off_axis=0.0, weave=0.0), [X, ROLL]),
    'tunnel off its axis': (make_scene('tunnel'), [X, ROLL]),
    'sphere': (make_scene('sphere'), [ROLL, PITCH, YAW]),
    'tank': (make_scene('tank'), [YAW]),
}


@pytest.mark.parametrize('name', FREE)
def test_exactly_the_symmetries_of_a_scene_are_free(name):
    # All symmetric about the world's origin: there the free motions are the axes themselves.
    scene, free = FREE[name]
    hessian, truth, pose = truth_of(scene)
    assert_allclose(hessian, hessian.T)
    eigenvalues = np.linalg.eigvalsh(hessian)
    assert np.sum(eigenvalues < 1e-9 * eigenvalues[-1]) == len(free)

    assert truth.twists.shape == (len(free), 6)
    assert_allclose(truth.twists @ truth.twists.T, np.eye(len(free)), atol=1e-12)
    seen = np.array([in_world(twist, pose) for twist in truth.twists])
    inside = seen @ np.array(free).T @ np.array(free)
    assert_allclose(inside, seen, atol=1e-6)
    assert truth.mask.sum() == len(free)
    assert np.sum(truth.sigmas > 1.0) == len(free)
    assert truth.sigmas[len(free)] < 0.8


def test_hessian_is_the_curvature_of_the_distances():
    scene = make_scene('room')
    turn = sweep(scene, QUIET, scene.trajectory, 4.0, np.random.default_rng(0))
    points, normals = turn.surface_points, turn.surface_normals
    hessian = exact_hessian(points, normals)
    rng = np.random.default_rng(0)
    for delta in 1e-6 * rng.standard_normal((5, 6)):
        moved = points @ Rotation.from_rotvec(delta[:3]).as_matrix().T + delta[3:]
        distances = np.einsum('ij,ij->i', moved - points, normals)
        assert np.sum(distances**2) == pytest.approx(delta @ hessian @ delta, rel=1e-4)


def test_a_slim_pole_tells_where_it_stands_on_either_side():
    scene = Scene('pole', (shapes.cylinder((5.0, 0.02, 0.0), 0.05, 4.0),), make_scene(
        'plane').trajectory, QUIET)
    pose = np.eye(4)
    up = np.linspace(-0.3, 0.3, 200)
    ray = np.column_stack([np.cos(up), np.zeros(200), np.sin(up)])
    ranges, normals = scene.raycast(np.zeros((200, 3)), ray)
    points = ranges[:, None] * ray
    # Whatever is farther aside than the pole is wide, beams pass it.
    for aside in (-0.08, 0.08):
        assert np.isinf(scene.raycast(np.tile([0.0, aside, 0.0], (200, 1)), ray)[0]).all()
    by_normals = weak_directions(exact_hessian(points, normals), 200)
    known = weak_directions(scene_hessian(scene, pose, points, normals), 200)
    # Left are the turn about the line where it was hit, and the way up and down it.
    assert by_normals.twists.shape == (4, 6) and known.twists.shape == (2, 6)
    around = np.array([0.0, 0.0, 1.0, 0.0, -points[0, 0], 0.0])
    basis = np.linalg.qr(known.twists.T)[0]
    assert basis @ (basis.T @ around) == pytest.approx(around, abs=1e-6)
    assert basis @ (basis.T @ Z) == pytest.approx(Z, abs=1e-6)
    # In any frame, and no more for what is thicker.
    turned = np.eye(4)
    turned[:3, :3] = Rotation.from_rotvec([0.3, -0.2, 0.9]).as_matrix()
    turned[:3, 3] = [1.0, -2.0, 0.5]
    seen = (points - turned[:3, 3]) @ turned[:3, :3], normals @ turned[:3, :3]
    assert weak_directions(scene_hessian(scene, turned, *seen), 200).twists.shape == (2, 6)
    thick = Scene('trunk', (shapes.cylinder((5.0, 0.02, 0.0), 0.06, 4.0),), scene.trajectory)
    ranges, normals = thick.raycast(np.zeros((200, 3)), ray)
    points = ranges[:, None] * ray
    assert_array_equal(
        scene_hessian(thick, pose, points, normals), exact_hessian(points, normals))


def test_tunnel_off_its_axis_has_two_free_motions_but_three_in_the_blocks():
    scene = make_scene('tunnel', off_axis=0.3, weave=0.0)
    _, truth, _ = truth_of(scene, moment=0.0)
    assert_array_equal(truth.mask, [True, False, False, True, False, False])
    assert_array_equal(truth.schur_mask, [True, False, False, True, True, False])
    # The turn is about the line 0.3 m above the sensor.
    first, second = truth.twists
    turn = second[3] * first - first[3] * second  # without a part along the tunnel
    assert turn[4] / turn[0] == pytest.approx(0.3, abs=1e-6)


def test_on_its_axis_the_blocks_agree():
    _, truth, _ = truth_of(make_scene('tunnel', off_axis=0.0, weave=0.0), moment=0.0)
    assert_array_equal(truth.mask, truth.schur_mask)


def test_furnished_scenes_are_firm_throughout():
    for name in ('room', 'office', 'stairs', 'forest', 'door_corridor'):
        scene = make_scene(name)
        for moment in np.linspace(0, scene.trajectory.duration, 8):
            _, truth, _ = truth_of(scene, moment)
            assert not truth.mask.any(), (name, moment)
            assert truth.twists.shape == (0, 6)


def test_doors_tell_where_one_is_along_a_corridor():
    # Where the end walls are out of sight, what stands along the walls is all there is of x.
    near = LidarModel(max_range=8.0)
    _, bare, _ = truth_of(make_scene('bare_corridor'), lidar=near)
    _, furnished, _ = truth_of(make_scene('door_corridor'), lidar=near)
    assert_array_equal(bare.mask, [False, False, False, True, False, False])
    assert not furnished.mask.any()
    assert furnished.sigmas[0] < 0.5


def test_truth_does_not_depend_on_the_resolution():
    scene = make_scene('corridor')
    coarse = LidarModel(columns=512, max_range=scene.lidar.max_range)
    fine = LidarModel(columns=2048, channels=32, max_range=scene.lidar.max_range)
    for moment in (3.0, 15.0, 30.0):
        masks = [truth_of(scene, moment, lidar)[1].mask for lidar in (coarse, fine)]
        assert_array_equal(*masks)


def test_no_points_leave_everything_weak():
    truth = weak_directions(np.zeros((6, 6)), 0)
    assert truth.mask.all()
    assert truth.schur_mask.all()
    assert_allclose(truth.twists @ truth.twists.T, np.eye(6), atol=1e-12)
    with pytest.raises(ValueError, match=r'\(6, 6\)'):
        weak_directions(np.full((6, 6), np.nan), 5)


def test_corridor_has_one_weak_span_along_x():
    recording = simulate('corridor', lidar=LidarModel(columns=512, max_range=16.0))
    masks = recording.masks
    assert_array_equal(masks.any(axis=0), [False, False, False, True, False, False])
    changes = np.flatnonzero(np.diff(masks[:, 3].astype(int)))
    assert len(changes) <= 4  # a point more or less at the borders
    x = recording.poses[:, 0, 3]
    assert masks[(x > 27.0) & (x < 43.0), 3].all()  # nothing but bare walls within range
    assert not masks[(x < 20.0) | (x > 50.0), 3].any()


# Recordings


def test_recording_is_the_same_for_the_same_seed():
    first, again, other = (simulate('room', 4, SMALL, seed) for seed in (5, 5, 6))
    for a, b in zip(first.scans, again.scans, strict=True):
        assert a.points.tobytes() == b.points.tobytes()
        assert a.times.tobytes() == b.times.tobytes()
    assert first.scans[0].points.shape != other.scans[0].points.shape or not np.array_equal(
        first.scans[0].points, other.scans[0].points
    )
    # More scans do not change those before.
    assert_array_equal(simulate('room', 2, SMALL, 5).scans[1].points, first.scans[1].points)


def test_recording_lasts_as_long_as_the_drive():
    recording = simulate('sphere', lidar=SMALL)
    assert len(recording.scans) == int(SCENES['sphere']().trajectory.duration * 10)
    assert_allclose(np.diff(recording.stamps), 0.1)
    assert recording.stamps[0] == 1000.0
    assert_allclose(recording.odometry_poses[0], np.eye(4), atol=1e-12)
    with pytest.raises(ValueError, match='num_scans'):
        simulate('sphere', 0)


def test_wheels_measure_too_much_and_only_in_the_plane():
    recording = simulate('square_tunnel', 150, SMALL, seed=4)
    wheels = recording.wheels
    assert_allclose(np.diff(wheels.stamps), 0.02)
    assert wheels.stamps[0] == recording.stamps[0]
    assert wheels.stamps[-1] >= recording.stamps[-1] + recording.lidar.period - 1e-9
    driven = recording.odometry_poses[-1, 0, 3]
    measured = wheels.poses[np.searchsorted(wheels.stamps, recording.stamps[-1]), 0, 3]
    assert measured == pytest.approx(1.03 * driven, abs=4 * 0.005 * driven**0.5)
    assert not wheels.poses[:, 2, 3].any()
    assert_allclose(wheels.poses[:, 2, 2], 1.0)
    # The twist leads from each pose to the next.
    rate = 50.0 * logm(np.linalg.inv(wheels.poses[99]) @ wheels.poses[100])
    assert_allclose([rate[1, 0], *rate[:3, 3]], wheels.twists[100, 2:], atol=1e-9)


def test_wheels_of_a_robot_at_rest_are_quiet():
    recording = simulate('square_tunnel', 250, SMALL)  # the drive lasts 15.3 s
    poses = recording.wheels.poses[recording.wheels.stamps > recording.stamps[0] + 15.4]
    assert len(poses) > 400
    assert (poses == poses[0]).all()


def test_unknown_scene_lists_those_there_are():
    with pytest.raises(ValueError, match=r"'lunapark'.*corridor.*tunnel"):
        simulate('lunapark')


# Bags


@pytest.fixture(scope='module')
def recording():
    return simulate('corridor', 5, SMALL, 1)


@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
def test_bag_holds_the_recording(recording, storage, tmp_path):
    highlevel = pytest.importorskip('rosbags.highlevel')
    from dcreg_ros.simulation.bag import read_weak_directions, write_bag

    path = tmp_path / 'bag'
    write_bag(recording, path, storage)
    with highlevel.AnyReader([path]) as reader:  # with the definitions of the bag alone
        messages = [
            (connection.topic, logged, reader.deserialize(raw, connection.msgtype))
            for connection, logged, raw in reader.messages()
        ]
    clouds = [(logged, message) for topic, logged, message in messages if topic == '/points']
    truths = [message for topic, _, message in messages if topic == '/ground_truth']
    assert len(clouds) == len(truths) == 5
    assert [logged for _, logged, _ in messages] == sorted(logged for _, logged, _ in messages)
    odometry = [(logged, message) for topic, logged, message in messages if topic == '/wheels']
    for (logged, message), pose in zip(odometry, recording.wheels.poses, strict=True):
        assert message.child_frame_id == 'lidar'
        assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == logged
        assert message.pose.pose.position.x == pytest.approx(pose[0, 3], abs=1e-12)
    rows = zip(clouds, truths, recording.scans, recording.odometry_poses, strict=True)
    for (logged, cloud), truth, scan, pose in rows:
        stamp = cloud.header.stamp.sec + 1e-9 * cloud.header.stamp.nanosec
        assert stamp == pytest.approx(scan.stamp, abs=1e-9)
        assert logged * 1e-9 == pytest.approx(stamp + 0.1)  # when the turn is complete
        assert cloud.header.frame_id == truth.child_frame_id == 'lidar'
        assert [field.name for field in cloud.fields] == ['x', 'y', 'z', 'time']
        table = cloud.data.view('<f4').reshape(cloud.width, 4).astype(float)
        assert_array_equal(table[:, :3], scan.points)
        assert_array_equal(table[:, 3], scan.times)

        assert truth.header.stamp == cloud.header.stamp
        assert truth.header.frame_id == 'odom'
        place, turned = truth.pose.pose.position, truth.pose.pose.orientation
        assert_allclose([place.x, place.y, place.z], pose[:3, 3], atol=1e-12)
        rotation = Rotation.from_quat([turned.x, turned.y, turned.z, turned.w]).as_matrix()
        assert_allclose(rotation, pose[:3, :3], atol=1e-12)

    stamps, poses = read_tum(path / 'ground_truth.tum')
    assert_allclose(stamps, recording.stamps, atol=1e-9)
    assert_allclose(poses, recording.odometry_poses, atol=1e-9)
    stamps, masks = read_weak_directions(path)
    assert_allclose(stamps, recording.stamps, atol=1e-9)
    assert_array_equal(masks, recording.masks)


def test_twist_of_the_truth_is_in_the_lidar_frame(tmp_path):
    highlevel = pytest.importorskip('rosbags.highlevel')
    from dcreg_ros.simulation.bag import write_bag

    motion = drive(4.0, heading=1.2, speed=1.0)
    scene = Scene('wall', (shapes.plane((0, 0, 0), (0, 0, 1)),), motion)
    write_bag(simulate(scene, 31, SMALL), tmp_path / 'bag')
    with highlevel.AnyReader([tmp_path / 'bag']) as reader:
        chosen = [c for c in reader.connections if c.topic == '/ground_truth']
        last = [reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages(chosen)][-1]
    linear = last.twist.twist.linear
    assert_allclose([linear.x, linear.y, linear.z], [1.0, 0.0, 0.0], atol=0.03)


def test_same_seed_gives_the_same_bytes(tmp_path):
    pytest.importorskip('rosbags')
    from dcreg_ros.simulation.bag import write_bag

    for name in ('a', 'b'):
        write_bag(simulate('tunnel', 2, SMALL, 9), tmp_path / name / 'bag')
    files = sorted(path.name for path in (tmp_path / 'a' / 'bag').iterdir())
    assert files == sorted(path.name for path in (tmp_path / 'b' / 'bag').iterdir())
    for file in files:
        first, second = ((tmp_path / name / 'bag' / file).read_bytes() for name in 'ab')
        assert first == second, file


def test_folder_that_is_no_simulated_bag(tmp_path):
    pytest.importorskip('rosbags')
    from dcreg_ros.simulation.bag import read_weak_directions

    with pytest.raises(ValueError, match='not a simulated bag'):
        read_weak_directions(tmp_path)


# The command


def command(*words):
    pytest.importorskip('rosbags')
    pytest.importorskip('tqdm')
    from dcreg_ros.commands import simulate as module

    parser = ArgumentParser()
    module.add_arguments(parser)
    return module.run(parser.parse_args(words))


def test_command_writes_a_bag_and_says_what_is_weak(tmp_path, capsys):
    bag = tmp_path / 'new' / 'bag'
    assert command('plane', '-o', str(bag), '--scans', '3', '--storage', 'mcap') == 0
    assert (bag / 'metadata.yaml').is_file()
    assert (bag / 'ground_truth.tum').is_file()
    out = capsys.readouterr().out
    assert '3 scans' in out
    assert 'yaw in 3, x in 3, y in 3' in out


def test_command_lists_every_scene_in_a_line(capsys):
    assert command('--list') == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(SCENES)
    assert all(len(line) < 100 for line in lines)


@pytest.mark.parametrize(
    ('words', 'text'),
    [
        (['lunapark', '-o', 'new'], r'there are: corridor'),
        (['room', '-o', '.'], r'exists already'),
        (['room'], r'an output with -o'),
        (['room', '-o', 'new', '--scans', '-3'], r'num_scans = -3'),
        (['room', '-o', 'new', '--noise', '-1'], r'range_sigma'),
    ],
)
def test_command_says_what_is_wrong_and_writes_nothing(words, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=text):
        command(*words)
    assert not list(tmp_path.iterdir())


def test_a_turn_takes_less_than_half_of_its_period():
    scene = make_scene('forest', trees=100)
    spent = []
    for _ in range(6):
        start = time.perf_counter()
        sweep(scene, scene.lidar, scene.trajectory, 5.0, np.random.default_rng(0))
        spent.append(time.perf_counter() - start)
    assert len(scene.primitives) == 101
    assert min(spent) < 0.05
