# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Registration against known poses, finite differences and scipy."""

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reference_icp import apply, errors, pose, sparse_cylinder
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

import dcreg_ros
from dcreg_ros.geometry.se3 import inverse, retract
from dcreg_ros.odometry.selection import select
from dcreg_ros.registration.kdtree import MAX_DEPTH, build_kdtree, nearest
from dcreg_ros.registration.linearize import SUMS, NormalEquations, add_noise, unpack
from dcreg_ros.registration.map_plane import MapPlaneMatcher
from dcreg_ros.registration.plane import fit_plane
from dcreg_ros.registration.query_plane import QueryPlaneMatcher
from dcreg_ros.simulation.lidar import sweep
from dcreg_ros.simulation.scenes import make_scene
from dcreg_ros.voxels.map import VoxelMap


def room(seed=0, count=6000):
    """Points on the six walls of a 6 x 4 x 3 m room."""
    rng = np.random.default_rng(seed)
    half = np.array([3.0, 2.0, 1.5])
    points = rng.uniform(-half, half, (count, 3))
    axis = rng.integers(0, 3, count)
    side = rng.choice([-1.0, 1.0], count)
    points[np.arange(count), axis] = side * half[axis]
    return points


def known_as(covariance):
    return room(), room(), None, None, None, covariance


@pytest.mark.parametrize('association', ['query_plane', 'map_plane'])
@pytest.mark.parametrize('mitigation', ['none', 'dcreg'])
def test_finds_a_known_pose(association, mitigation):
    truth = pose(x=0.1, y=-0.15, z=0.05, roll=2.0, pitch=-1.0, yaw=4.0)
    target = room(0, 40000)  # as dense as what a map has seen for some scans
    source = apply(inverse(truth), room(1)) + np.random.default_rng(2).normal(
        scale=0.005, size=(6000, 3))
    config = dcreg_ros.RegistrationConfig(association=association, mitigation=mitigation)
    result = dcreg_ros.register(source, target, config=config)
    translation, angle = errors(inverse(truth) @ result.transform)
    assert result.converged and not result.failure_reason
    assert translation < 0.003 and angle < 0.05
    assert result.degeneracy is not None and result.degeneracy.weak_axes == ()
    # Cells at the edges of the room hold no plane, so fewer points match a map.
    assert result.fitness > 0.85 and result.rmse < 0.02


def test_real_pair_from_identity(data_folder):
    from dcreg_ros.io.sources import open_source

    (source,), (target,) = (
        open_source(data_folder / 'pair' / name) for name in ('source.ply', 'target.ply'))
    truth = np.loadtxt(data_folder / 'pair' / 'T_target_source.txt')
    for association in ('query_plane', 'map_plane'):
        config = dcreg_ros.RegistrationConfig(association=association)
        result = dcreg_ros.register(source.points, target.points, config=config)
        translation, angle = errors(np.linalg.inv(truth) @ result.transform)
        assert translation < 0.05 and angle < 0.5


def test_none_stays_on_the_fixed_point_of_plain_icp():
    cloud = sparse_cylinder()
    plain = dcreg_ros.register(
        cloud, cloud, pose(x=0.1, y=0.2),
        dcreg_ros.RegistrationConfig(mitigation='none'))
    again = dcreg_ros.register(
        cloud, cloud, pose(x=0.1, y=0.2), dcreg_ros.RegistrationConfig(mitigation='none'))
    assert (plain.transform == again.transform).all()


@pytest.mark.parametrize('association', ['query_plane', 'map_plane'])
def test_same_bits_for_any_number_of_threads(association):
    source, target = room(1), room(0)
    results = [
        dcreg_ros.register(
            source, target, pose(x=0.1, yaw=2.0),
            dcreg_ros.RegistrationConfig(association=association, threads=threads))
        for threads in (1, 2, 3, 8)]
    for result in results[1:]:
        assert (result.transform == results[0].transform).all()
        assert (result.hessian == results[0].hessian).all()


def test_keeping_neighbours_changes_nothing():
    """A matcher used over many poses sums what a fresh one does at each of them."""
    cloud = sparse_cylinder()
    config = dcreg_ros.RegistrationConfig()
    kept = QueryPlaneMatcher(cloud, cloud, config)
    transform = pose(x=0.3, y=0.1, yaw=1.0)
    for k in range(12):
        fresh = QueryPlaneMatcher(cloud, cloud, config).linearize(transform)
        reused = kept.linearize(transform)
        assert reused.num_matches == fresh.num_matches
        assert reused.hessian == pytest.approx(fresh.hessian, rel=1e-9, abs=1e-6)
        transform = retract(transform, 0.5**k * np.array([0.001, 0.002, -0.01, -0.1, -0.03, 0.02]))


def test_gradient_is_that_of_the_weighted_error_by_finite_differences():
    source, target = room(1, 800), room(0, 3000)
    matcher = QueryPlaneMatcher(source, target, dcreg_ros.RegistrationConfig())
    transform = pose(x=0.02, y=-0.01, yaw=0.3)

    def cost(delta):
        # Steps of a micrometre change no neighbours, so the sum is smooth.
        return 0.5 * matcher.linearize(retract(transform, delta)).error2

    step = 1e-6
    numeric = [
        (cost(step * axis) - cost(-step * axis)) / (2 * step) for axis in np.eye(6)]
    assert -matcher.linearize(transform).rhs == pytest.approx(numeric, rel=1e-4, abs=1e-4)


@given(st.integers(1, 300), st.integers(1, 8), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=60, deadline=None)
def test_kdtree_finds_what_scipy_finds(count, k, seed, on_grid):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-5, 5, (count, 3))
    if on_grid:
        points = np.round(points)
    tree = build_kdtree(points)
    assert (tree.points == points[tree.order]).all()
    d2, found = np.empty(k), np.empty(k, np.int64)
    stack, stack_d = np.empty(MAX_DEPTH, np.int64), np.empty((MAX_DEPTH, 4))
    radius = rng.uniform(0.5, 4.0)
    for query in rng.uniform(-6, 6, (10, 3)):
        number = nearest(tree, *query, radius**2, d2, found, stack, stack_d)
        expected = cKDTree(points).query(query, k, distance_upper_bound=radius)[0]
        expected = np.atleast_1d(expected)[np.isfinite(np.atleast_1d(expected))]
        assert number == len(expected)
        assert np.sqrt(d2[:number]) == pytest.approx(expected)
        own = np.linalg.norm(tree.points[found[:number]] - query, axis=1)
        assert own == pytest.approx(expected)


@given(st.integers(0, 2**32 - 1), st.sampled_from(['plane', 'line', 'point']))
@example(80235, 'plane')
@settings(max_examples=100, deadline=None)
def test_plane_is_the_minimum_norm_solution(seed, kind):
    """Near the origin it may miss its points by 2 cm, and then by as much as that of lstsq."""
    rng = np.random.default_rng(seed)
    weights = {'plane': (1.0, 1.0, 1e-3), 'line': (1.0, 0.0, 0.0), 'point': (0.0, 0.0, 0.0)}[kind]
    rotation = Rotation.random(random_state=seed % 2**32).as_matrix()
    points = (rng.normal(size=(5, 3)) * weights) @ rotation.T + rng.uniform(1, 5, 3)
    if kind == 'point':
        points[:] = points[0]
    plane = np.empty(4)
    assert fit_plane(points, 1.0, np.empty((5, 3)), np.empty((3, 3)), plane)
    # lstsq drops rounding noise only below its default cut-off, which exact lines straddle.
    a = np.linalg.lstsq(points, -np.ones(5), rcond=None if kind == 'plane' else 1e-9)[0]
    distances = points @ plane[:3] + plane[3]
    if kind == 'plane':
        assert plane == pytest.approx(np.r_[a, 1.0] / np.linalg.norm(a), abs=1e-6)
        assert distances == pytest.approx((points @ a + 1.0) / np.linalg.norm(a), abs=1e-4)
    else:
        assert distances == pytest.approx(np.zeros(5), abs=1e-2)


def test_covariance_is_usable_and_large_where_nothing_is_known():
    rng = np.random.default_rng(0)
    flat = np.c_[rng.uniform(-5, 5, (2000, 2)), np.full(2000, -1.0)]
    config = dcreg_ros.RegistrationConfig(max_sigma=50.0)
    result = dcreg_ros.register(flat, flat, config=config)
    values = np.linalg.eigvalsh(result.covariance)
    assert (result.covariance == result.covariance.T).all()
    assert values.min() >= (0.99 * config.min_sigma) ** 2
    assert values.max() <= (1.01 * config.max_sigma) ** 2
    sigma = np.sqrt(np.diag(result.covariance))
    assert sigma[[2, 3, 4]] == pytest.approx([50.0] * 3, rel=1e-3)
    assert (sigma[[0, 1, 5]] < 0.01).all()


@pytest.mark.parametrize(
    'source, target, reason',
    [
        (np.zeros((0, 3)), room(), '0 matches among 0 points'),
        (room(), np.zeros((0, 3)), 'target has 0 finite points'),
        (np.full((20, 3), np.nan), room(), '0 matches among 0 points'),
        (room() + 100.0, room(), '0 matches among 6000 points'),
    ],
    ids=['empty source', 'empty target', 'all NaN', 'far apart'],
)
@pytest.mark.parametrize('association', ['query_plane', 'map_plane'])
def test_too_little_to_register_is_a_failed_result(source, target, reason, association):
    config = dcreg_ros.RegistrationConfig(association=association)
    result = dcreg_ros.register(source, target, config=config)
    assert reason in result.failure_reason and not result.converged
    assert (result.transform == np.eye(4)).all() and result.rmse == np.inf
    assert np.linalg.eigvalsh(result.covariance).min() > 0


def test_points_that_are_not_finite_are_left_out():
    source = room(1)
    dirty = np.concatenate([source[:100], np.full((50, 3), np.nan), source[100:]])
    dirty[120] = np.inf
    clean = dcreg_ros.register(source, room(0))
    assert (dcreg_ros.register(dirty, room(0)).transform == clean.transform).all()


@pytest.mark.parametrize(
    'arguments, text',
    [
        ((np.zeros((5, 2)), room()), r'source should have shape \(N, 3\), not \(5, 2\)'),
        ((room(), np.zeros(3)), r'target should have shape \(N, 3\), not \(3,\)'),
        ((np.full((5, 3), 'x'), room()), 'source should hold real numbers'),
        ((room(), room(), np.eye(3)), r'initial_guess should have shape \(4, 4\)'),
        ((room(), room(), np.full((4, 4), np.nan)), 'initial_guess .* not finite'),
        ((room(), room(), 2.0 * np.eye(4)), 'initial_guess is not a rigid transform'),
        (known_as(np.eye(3)), r'guess_covariance should have shape \(6, 6\)'),
        (known_as(np.full((6, 6), np.nan)), 'guess_covariance .* not finite'),
        (known_as(np.triu(np.ones((6, 6)))), 'guess_covariance should be symmetric'),
        (known_as(-np.eye(6)), 'guess_covariance has a negative variance'),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, text):
    with pytest.raises(ValueError, match=text):
        dcreg_ros.register(*arguments)


@pytest.mark.parametrize('association', ['query_plane', 'map_plane'])
@pytest.mark.parametrize('mitigation', ['dcreg', 'prior'])
def test_a_guess_may_be_known_exactly_in_some_directions(association, mitigation):
    config = dcreg_ros.RegistrationConfig(association=association, mitigation=mitigation)
    expected = dcreg_ros.register(room(1), room(0), config=config)
    for singular in (np.zeros((6, 6)), 1e-4 * np.ones((6, 6)), np.diag([0, 0, 0, 1e-2, 0, 0])):
        result = dcreg_ros.register(
            room(1), room(0), config=config, guess_covariance=singular.tolist())
        translation, angle = errors(np.linalg.inv(expected.transform) @ result.transform)
        assert result.converged and translation < 0.01 and angle < 0.1


def test_a_target_beyond_the_end_of_maps_is_named():
    """UTM coordinates, say."""
    far = np.array([5e5, 5e6, 0.0])
    config = dcreg_ros.RegistrationConfig(association='map_plane')
    result = dcreg_ros.register(room(1) + far, room(0) + far, config=config)
    assert 'no target point within 262144 m of the origin' in result.failure_reason


def test_fitness_counts_points_also_where_they_have_two_matches():
    """Points on poles."""
    rng, poles = np.random.default_rng(3), []
    for x, y in rng.uniform(-8.0, 8.0, (12, 2)):
        turn = rng.uniform(0.0, 2.0 * np.pi, 400)
        poles.append(np.c_[
            x + 0.08 * np.cos(turn), y + 0.08 * np.sin(turn), rng.uniform(-1.5, 2.5, 400)])
    cloud = np.concatenate(poles)
    result = dcreg_ros.register(cloud[::4], cloud, config=dcreg_ros.OdometryConfig().registration)
    assert 0.4 < result.fitness <= result.near_surface
    assert result.num_matches > result.near_surface * len(cloud[::4])


def test_integer_and_single_precision_clouds_are_taken():
    single = dcreg_ros.register(room(1).astype(np.float32), room(0).astype(np.float32))
    assert single.converged
    assert dcreg_ros.register((room(1) * 100).astype(int), (room(0) * 100).astype(int)) is not None


def test_noise_of_the_normals_explains_what_a_plane_seems_to_say_about_sliding():
    """The expected share of noise is that of many noisy planes, and not of geometry."""
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(10):
        flat = np.c_[rng.uniform(-6, 6, (20000, 2)), rng.normal(scale=0.02, size=20000)]
        voxels = dcreg_ros.VoxelMap(0.5)
        voxels.insert(flat, np.eye(4))
        source = np.c_[rng.uniform(-5, 5, (1500, 2)), rng.normal(scale=0.02, size=1500)]
        matcher = MapPlaneMatcher(
            source, voxels, dcreg_ros.RegistrationConfig(association='map_plane'))
        equations = matcher.linearize(np.eye(4))
        ratios.append([equations.noise[i, i] / equations.information[i, i] for i in (3, 4, 5)])
    x, y, z = np.mean(ratios, axis=0)
    assert 0.4 < x < 2.5 and 0.4 < y < 2.5
    assert z < 0.01


def test_noise_matrix_is_that_of_normals_tilted_at_random():
    rng = np.random.default_rng(1)
    normal, tilt = np.array([0.6, 0.0, 0.8]), 0.01
    first, second = np.array([0.8, 0.0, -0.6]), np.array([0.0, 1.0, 0.0])
    points = rng.uniform(-5, 5, (3, 3))
    parts = np.zeros((1, SUMS))
    expected = np.zeros((6, 6))
    for point in points:
        plane = np.r_[normal, 0.0, 0.0, 0.0, first, tilt**2, 4.0 * tilt**2]
        add_noise(parts[0], point, np.eye(3), plane, 0.7**2)
        for axis, deviation in ((first, tilt), (second, 2.0 * tilt)):
            jacobian = np.r_[np.cross(point, axis), axis]
            expected += (0.7 * deviation) ** 2 * np.outer(jacobian, jacobian)
    noise = NormalEquations(*unpack(parts)).noise
    assert noise == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize('scale', [1e19, 1e30, 1e200])
@pytest.mark.parametrize('association', ['query_plane', 'map_plane'])
def test_absurd_coordinates_fail_with_a_reason(scale, association):
    config = dcreg_ros.RegistrationConfig(association=association)
    result = dcreg_ros.register(scale * room(1), scale * room(0), config=config)
    assert result.failure_reason and not result.converged


def test_an_empty_list_is_an_empty_cloud():
    assert '0 points' in dcreg_ros.register([], room(0)).failure_reason


def test_what_is_held_for_the_iteration_to_come_to_rest_is_not_called_weak():
    """Boxes far away that hold all motions, by the exact information; guesses 0.1 m off."""
    config, rng = dcreg_ros.OdometryConfig(), np.random.default_rng(0)
    scene = make_scene('sparse_field')
    lidar = dataclasses.replace(scene.lidar, columns=256, range_sigma=0.02)
    seen, voxels = [], VoxelMap(config.map.voxel_size)
    stamps = 4.4 + 0.1 * np.arange(7)
    for stamp, truth in zip(stamps, scene.trajectory.poses(stamps), strict=True):
        seen.append(sweep(scene, lidar, scene.trajectory, stamp, rng, distort=False).points)
        if len(seen) < len(stamps):
            voxels.insert(seen[-1], truth)
    cells = config.preprocess
    points = seen[-1][
        select(seen[-1], cells.voxel_size, cells.min_keypoints, cells.max_keypoints)]
    found = [
        dcreg_ros.register(
            points, voxels, retract(truth, np.repeat([0.01, 0.05], 3) * offset),
            config.registration)
        for offset in rng.standard_normal((12, 6))]
    held = [result.held.weak_axes for result in found]
    said = [result.degeneracy.weak_axes for result in found]
    assert all(set(weak) <= set(more) for weak, more in zip(said, held, strict=True))
    assert sum(map(len, said)) < 0.5 * sum(map(len, held))
