# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Detection, characterisation and the step, against scipy and scenes with known answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dcreg_ros
from dcreg_ros.degeneracy.analysis import report_of
from dcreg_ros.degeneracy.detections import physical_reference
from dcreg_ros.degeneracy.schur import schur_complements
from dcreg_ros.degeneracy.twists import describe_twist
from dcreg_ros.evaluation.contributions_plot import plot_contributions
from dcreg_ros.odometry.explain import explain
from dcreg_ros.registration.covariance import PoseUncertainty

AXES = ('roll', 'pitch', 'yaw', 'x', 'y', 'z')


def hessian_of(points, normals):
    jacobian = np.c_[np.cross(points, normals), normals]
    return jacobian.T @ jacobian


def random_hessian(seed, exponents=(0.0,) * 6):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    return (basis * 10.0 ** np.asarray(exponents)) @ basis.T


def wall(axis, side, seed, size=5.0, count=400):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-size, size, (count, 3))
    points[:, axis] = side
    normals = np.zeros((count, 3))
    normals[:, axis] = -np.sign(side)
    return points, normals


def scene(*walls):
    parts = [wall(axis, side, seed) for seed, (axis, side) in enumerate(walls)]
    return hessian_of(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def cylinder_wall(radius=3.0, center=(0.0, 0.0), seed=0, count=2000):
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, count)
    normals = np.c_[np.zeros(count), -np.cos(angle), -np.sin(angle)]
    points = np.c_[rng.uniform(-10, 10, count), np.zeros((count, 2))] - radius * normals
    points[:, 1:] += center
    return points, normals


@pytest.mark.parametrize(
    'walls, weak',
    [
        ([(2, -1.0)], ('yaw', 'x', 'y')),
        ([(2, -1.0), (2, 2.0)], ('yaw', 'x', 'y')),
        ([(1, -1.2), (1, 1.3), (2, -1.0)], ('x',)),
        ([(0, -4.0), (0, 4.0), (1, -3.0), (1, 3.0), (2, -1.0), (2, 2.0)], ()),
    ],
    ids=['plane', 'two planes', 'corridor', 'box'],
)
def test_weak_directions_of_walls(walls, weak):
    report = dcreg_ros.analyze_degeneracy(scene(*walls))
    assert report.weak_axes == weak
    assert np.isinf(report.conditions[report.mask]).all()


def test_tunnel_on_its_axis_leaves_x_and_roll():
    report = dcreg_ros.analyze_degeneracy(hessian_of(*cylinder_wall()))
    assert report.weak_axes == ('roll', 'x')


def test_sphere_around_the_sensor_leaves_all_rotations():
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(500, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    report = dcreg_ros.analyze_degeneracy(hessian_of(-4.0 * normals, normals))
    assert report.weak_axes == ('roll', 'pitch', 'yaw')
    assert report.eigenvalues[:3] == pytest.approx(np.zeros(3))


def test_off_axis_tunnel_hides_the_translation_that_roll_compensates():
    points, normals = cylinder_wall(radius=3.0, center=(0.0, 0.3), seed=3)
    report = dcreg_ros.analyze_degeneracy(hessian_of(points, normals))
    assert report.weak_axes == ('roll', 'x', 'y')


@given(st.integers(0, 2**32 - 1), st.lists(st.floats(-3, 3), min_size=6, max_size=6))
@settings(max_examples=100, deadline=None)
def test_schur_complements_are_inverse_blocks_of_the_inverse(seed, exponents):
    hessian = random_hessian(seed, exponents)
    rotation, translation = schur_complements(hessian)
    inverse = np.linalg.inv(hessian)
    scale = np.abs(hessian).max()
    assert rotation == pytest.approx(np.linalg.inv(inverse[:3, :3]), abs=1e-8 * scale)
    assert translation == pytest.approx(np.linalg.inv(inverse[3:, 3:]), abs=1e-8 * scale)


@given(st.integers(0, 2**32 - 1), st.lists(st.floats(-3, 3), min_size=6, max_size=6))
@settings(max_examples=100, deadline=None)
def test_report_is_consistent(seed, exponents):
    hessian = random_hessian(seed, exponents)
    report = dcreg_ros.analyze_degeneracy(hessian)
    for block, complement in ((slice(0, 3), 0), (slice(3, 6), 1)):
        matrix = schur_complements(hessian)[complement]
        modes, values = report.directions[block], report.eigenvalues[block]
        assert modes @ modes.T == pytest.approx(np.eye(3), abs=1e-9)
        assert (modes.T * values) @ modes == pytest.approx(matrix, abs=1e-9 * np.abs(matrix).max())
        assert (np.diag(modes) >= 0).all()
        assert report.conditions[block] == pytest.approx(values.max() / values)
    assert report.contributions.sum(axis=1) == pytest.approx(np.ones(6))
    assert (report.mask == (report.conditions > 10.0)).all()
    assert report.condition_full == pytest.approx(np.linalg.cond(hessian), rel=1e-6)


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6))
@settings(max_examples=50, deadline=None)
def test_mask_does_not_depend_on_how_many_points_there_are(seed, factor):
    hessian = random_hessian(seed, (2, 2, 0, 1, 3, 0))
    first = dcreg_ros.analyze_degeneracy(hessian)
    second = dcreg_ros.analyze_degeneracy(factor * hessian)
    assert (first.mask == second.mask).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_units_of_length_do_not_change_the_mask(seed):
    rng = np.random.default_rng(seed)
    points, normals = rng.uniform(-5, 5, (50, 3)), rng.normal(size=(50, 3)) * (1.0, 0.3, 0.1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    metres = dcreg_ros.analyze_degeneracy(hessian_of(points, normals))
    millimetres = dcreg_ros.analyze_degeneracy(hessian_of(1000.0 * points, normals))
    assert (metres.mask == millimetres.mask).all()
    assert metres.conditions == pytest.approx(millimetres.conditions, rel=1e-6)


def test_preconditioner_inverts_the_clamped_blocks():
    hessian = random_hessian(5, (3, 3, 2, 2, 1, -2))
    report = dcreg_ros.analyze_degeneracy(hessian, condition_threshold=10.0, kappa_target=4.0)
    assert report.mask.any()
    for block, matrix in zip(
        (slice(0, 3), slice(3, 6)), schur_complements(hessian), strict=True
    ):
        values, vectors = np.linalg.eigh(matrix)
        clamped = np.where(values[2] / values > 10.0, values[2] / 4.0, values)
        assert report.preconditioner[block, block] == pytest.approx(
            (vectors / clamped) @ vectors.T, rel=1e-9, abs=1e-12)
    assert (report.preconditioner[:3, 3:] == 0).all()


@pytest.mark.parametrize('mitigation', ['none', 'dcreg'])
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_both_steps_solve_a_healthy_system(mitigation, seed):
    hessian = random_hessian(seed, (1, 0.5, 0, 0, 0.5, 1))
    rhs = np.random.default_rng(seed).normal(size=6)
    report = dcreg_ros.analyze_degeneracy(hessian)
    step = dcreg_ros.solve_step(hessian, rhs, report, mitigation, max_iterations=30)
    assert step.converged and not step.used_fallback
    assert step.delta == pytest.approx(np.linalg.solve(hessian, rhs), abs=1e-4)
    assert step.relative_residual <= 1e-6


def test_none_is_the_plain_solution_bit_for_bit():
    hessian, rhs = random_hessian(1), np.arange(6.0)
    report = dcreg_ros.analyze_degeneracy(hessian)
    step = dcreg_ros.solve_step(hessian, rhs, report, 'none')
    symmetric = 0.5 * (hessian + hessian.T)
    assert (step.delta == np.linalg.solve(symmetric, rhs)).all()


def test_dcreg_stopped_early_hardly_moves_along_the_weak_direction():
    hessian = np.diag([1e3, 1e3, 1e3, 1e-3, 1e2, 1e2])
    rhs = np.array([1.0, 1.0, 1.0, 1e-3, 1.0, 1.0])  # Gauss-Newton would slide one metre
    report = dcreg_ros.analyze_degeneracy(hessian)
    step = dcreg_ros.solve_step(hessian, rhs, report, max_iterations=1)
    assert abs(step.delta[3]) < 1e-3 and step.iterations == 1


def test_singular_system_leaves_the_free_directions_alone():
    hessian = scene((2, -1.0))
    rhs = hessian @ np.array([0.01, -0.02, 0.0, 0.0, 0.0, 0.1])
    report = dcreg_ros.analyze_degeneracy(hessian)
    for mitigation in ('none', 'dcreg'):
        delta = dcreg_ros.solve_step(hessian, rhs, report, mitigation).delta
        assert hessian @ delta == pytest.approx(rhs, abs=1e-4)
        assert np.isfinite(delta).all() and np.abs(delta).max() < 1.0


def test_no_information_at_all_gives_no_step():
    report = dcreg_ros.analyze_degeneracy(np.zeros((6, 6)))
    assert report.mask.all() and report.weak_axes == AXES
    for mitigation in ('none', 'dcreg'):
        assert (dcreg_ros.solve_step(np.zeros((6, 6)), np.zeros(6), report, mitigation).delta
                == 0).all()


@pytest.mark.parametrize(
    'hessian, text',
    [
        (np.eye(5), r'shape \(6, 6\), not \(5, 5\)'),
        (np.full((6, 6), np.nan), 'not finite'),
        (np.triu(np.ones((6, 6))), 'symmetric'),
    ],
)
def test_bad_hessians_are_refused_by_name(hessian, text):
    with pytest.raises(ValueError, match=f'hessian.*{text}'):
        dcreg_ros.analyze_degeneracy(hessian)


def test_bad_arguments_of_a_step_are_refused_by_name():
    report = dcreg_ros.analyze_degeneracy(np.eye(6))
    with pytest.raises(ValueError, match=r'rhs should have shape \(6,\)'):
        dcreg_ros.solve_step(np.eye(6), np.zeros(5), report)
    with pytest.raises(ValueError, match='rhs has values that are not finite'):
        dcreg_ros.solve_step(np.eye(6), np.full(6, np.inf), report)
    with pytest.raises(ValueError, match=r'mitigation = .magic. is not one of none, dcreg'):
        dcreg_ros.solve_step(np.eye(6), np.zeros(6), report, mitigation='magic')
    with pytest.raises(ValueError, match=r'condition_threshold = 0\.5'):
        dcreg_ros.analyze_degeneracy(np.eye(6), condition_threshold=0.5)


def test_off_axis_tunnel_has_two_free_motions_though_three_axes_look_weak():
    points, normals = cylinder_wall(radius=3.0, center=(0.0, 0.3), seed=3)
    report = dcreg_ros.analyze_degeneracy(hessian_of(points, normals))
    assert len(report.weak_twists) == 2
    # Turning about the line through (0, 0, 0.3) along x moves the sensor along y.
    along, around = np.array([0, 0, 0, 1, 0, 0.0]), np.array([1, 0, 0, 0, 0.3, 0.0])
    basis = np.linalg.qr(report.weak_twists.T)[0]
    for twist in (along, around):
        assert basis @ (basis.T @ twist) == pytest.approx(twist, abs=1e-6)
    assert report.weak_rotation == pytest.approx(np.array([[1.0, 0.0, 0.0]]), abs=1e-6)
    assert report.weak_translation.shape == (2, 3)


@pytest.mark.parametrize(
    'walls, count',
    [([(2, -1.0)], 3), ([(1, -1.2), (1, 1.3), (2, -1.0)], 1),
     ([(0, -4.0), (0, 4.0), (1, -3.0), (1, 3.0), (2, -1.0), (2, 2.0)], 0)],
)
def test_free_motions_are_the_null_space(walls, count):
    hessian = scene(*walls)
    report = dcreg_ros.analyze_degeneracy(hessian)
    assert report.weak_twists.shape == (count, 6)
    assert hessian @ report.weak_twists.T == pytest.approx(np.zeros((6, count)), abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 6.0))
@settings(max_examples=60, deadline=None)
def test_prior_without_weight_is_none_and_leaves_strong_motions_alone(seed, weakness):
    hessian = random_hessian(seed, (2, 2, 2, 2, 2, -weakness))
    rng = np.random.default_rng(seed)
    rhs, deviation = rng.normal(size=6), rng.normal(size=6)
    report = dcreg_ros.analyze_degeneracy(hessian)
    plain = dcreg_ros.solve_step(hessian, rhs, report, 'none').delta
    weightless = dcreg_ros.solve_step(
        hessian, rhs, report, 'prior', deviation=deviation, prior_weight=0.0).delta
    assert (plain == weightless).all()
    anchored = dcreg_ros.solve_step(
        hessian, rhs, report, 'prior', deviation=deviation, prior_weight=1e9).delta
    if not len(report.weak_twists):
        assert (anchored == plain).all()
        return
    # The difference lies in the weak subspace, and within it the prediction is what stands.
    basis = report.weak_twists.T
    shares = np.linalg.lstsq(basis, anchored - plain, rcond=None)[0]
    assert basis @ shares == pytest.approx(anchored - plain, rel=1e-5, abs=1e-5)
    assert report.anchor @ anchored == pytest.approx(
        report.anchor @ deviation, rel=1e-4, abs=1e-4 * np.abs(report.anchor).max())


def test_physical_reference_flags_by_standard_deviation_and_by_noise():
    variance = 0.02**2
    information = np.array([0.005, 0.02, 0.001, 0.06, 0.01, 0.03]) ** -2.0  # sigma of each axis
    hessian = variance * np.diag(information)
    quiet = physical_reference(np.zeros((6, 6)), 3.0, variance, 0.01, 0.05)
    assert report_of(hessian, 10.0, 10.0, quiet).weak_axes == ('pitch', 'x')
    noise = np.zeros((6, 6))
    noise[5, 5] = 0.5 * hessian[5, 5]  # half of what there is about z, noise alone would give
    loud = physical_reference(noise, 3.0, variance, 0.01, 0.05)
    assert report_of(hessian, 10.0, 10.0, loud).weak_axes == ('pitch', 'x', 'z')


@pytest.mark.parametrize('distance, name', [(4.0, 'yaw'), (6.0, 'x')])
@pytest.mark.parametrize('share', [0.0, 0.2])
def test_a_turn_about_a_far_line_is_named_by_tolerances_whatever_the_noise(distance, name, share):
    variance, units = 0.02**2, np.repeat([0.01, 0.05], 3)
    turn = np.array([0.0, 0, 1, distance, 0, 0])  # about the upright line at y = distance
    others = np.eye(6) - np.outer(turn, turn) / (turn @ turn)
    hessian = others @ np.diag(np.repeat([400.0, 100.0], 3)) @ others
    noise = np.zeros((6, 6))
    noise[2, 2] = share * hessian[2, 2]
    reference = physical_reference(noise, 3.0, variance, *units[[0, 3]])
    report = report_of(hessian, 10.0, 10.0, reference, units=units)
    assert report.weak_axes == (name,)
    assert report.weak_twists[0] / report.weak_twists[0, 2] == pytest.approx(turn, abs=1e-6)


# Names and bases


@pytest.mark.parametrize(
    'twist, words',
    [
        ((0, 0, 0, 2, 0, 0), 'translation along (1, 0, 0)'),
        ((0, 0, 0, 1, -1, 0), 'translation along (0.71, -0.71, 0)'),
        ((1e-3, 0, 0, 0, 0, 1), 'translation along (0, 0, 1)'),
        ((1, 0, 0, 0, 0.3, 0), 'rotation about the line through (0, 0, 0.3) along x'),
        ((0, 0, -0.5, 0, 0, 0), 'rotation about the line through (0, 0, 0) along -z'),
        ((0, 1, 1, 0, 0, 0), 'rotation about the line through (0, 0, 0) along (0, 0.71, 0.71)'),
        ((0, 0, 1, 0, 0, 0.2),
         'rotation about the line through (0, 0, 0) along z, moving 0.2 m along it per radian'),
        ((0,) * 6, 'no motion'),
    ],
)
def test_twists_in_words(twist, words):
    assert describe_twist(twist) == words


def test_a_twist_has_six_finite_numbers():
    for wrong in ((1, 2, 3), (np.nan,) * 6):
        with pytest.raises(ValueError, match='six finite numbers'):
            describe_twist(wrong)


def test_motions_of_the_off_axis_tunnel_have_names():
    points, normals = cylinder_wall(radius=3.0, center=(0.0, 0.3), seed=3)
    report = dcreg_ros.analyze_degeneracy(hessian_of(points, normals))
    assert report.weak_names == (
        'rotation about the line through (0, 0, 0.3) along x', 'translation along (1, 0, 0)')


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_bases_do_not_jump_from_scan_to_scan(seed):
    # On a plane x and y are equally weak: which mixture eigh returns is up to the noise.
    rng = np.random.default_rng(seed)
    points, normals = wall(2, -1.0, seed)
    normals = normals + rng.normal(0.0, 0.01, normals.shape)
    report = dcreg_ros.analyze_degeneracy(hessian_of(points, normals))
    assert report.weak_axes == ('yaw', 'x', 'y')
    assert report.weak_translation == pytest.approx(np.eye(3)[:2], abs=0.02)
    assert report.weak_rotation == pytest.approx(np.eye(3)[2:], abs=0.02)
    assert report.weak_twists[1:, 3:] == pytest.approx(np.eye(3)[:2], abs=0.02)
    assert report.weak_twists[0, :3] == pytest.approx([0.0, 0.0, 1.0], abs=0.02)


@given(st.integers(0, 2**32 - 1), st.lists(st.floats(-3, 3), min_size=6, max_size=6))
@settings(max_examples=100, deadline=None)
def test_bases_span_the_weak_modes(seed, exponents):
    report = dcreg_ros.analyze_degeneracy(random_hessian(seed, exponents))
    for block, basis in ((slice(0, 3), report.weak_rotation),
                         (slice(3, 6), report.weak_translation)):
        modes = report.directions[block][report.mask[block]]
        assert basis @ basis.T == pytest.approx(np.eye(len(basis)), abs=1e-9)
        assert basis.T @ basis == pytest.approx(modes.T @ modes, abs=1e-9)


@pytest.mark.parametrize('turn', [0.0, 0.3, 1.2])
def test_repeated_eigenvalues_have_modes_along_the_axes(turn):
    # Any two square directions in the plane are eigenvectors; noise below 1e-9 picks none.
    cosine, sine = np.cos(turn), np.sin(turn)
    basis = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    hessian = 100.0 * np.eye(6)
    hessian[3:, 3:] = (basis * (1.0, 1.0 + 1e-12, 100.0)) @ basis.T
    report = dcreg_ros.analyze_degeneracy(hessian)
    assert report.weak_axes == ('x', 'y')
    assert report.directions[3:] == pytest.approx(np.eye(3), abs=1e-5)


# For people


def result_of(hessian, sigmas):
    """A registration with this Hessian and standard deviations [rad, m]."""
    covariance = np.diag(np.square(sigmas))
    known = PoseUncertainty(covariance, np.zeros((6, 6)), covariance)
    return dcreg_ros.RegistrationResult(
        np.eye(4), True, 3, 0.02, 1.0, 500, '', hessian, covariance,
        dcreg_ros.analyze_degeneracy(hessian), (), known, known)


def test_explanation_of_a_corridor_in_one_line():
    hessian = np.diag([1e3, 1e3, 1e3, 100.0 / 63.0, 100.0, 100.0])
    result = result_of(hessian, [1e-3, 1e-3, 2e-3, 0.41, 0.004, 0.0091])
    assert explain(result) == (
        'weak: x, 100 % x, sigma 0.41 m, condition 63; the rest sigma < 0.01 m, < 0.2 deg')


def test_explanation_of_a_room_and_of_a_mixed_mode():
    healthy = result_of(np.eye(6), [1e-3] * 3 + [0.005] * 3)
    assert explain(healthy) == 'all directions are observable: sigma < 0.006 m, < 0.06 deg'
    cosine, sine = np.cos(0.5), np.sin(0.5)
    turn = np.eye(6)
    turn[3:5, 3:5] = [[cosine, -sine], [sine, cosine]]
    hessian = turn @ np.diag([1, 1, 1, 0.01, 1, 1]) @ turn.T
    words = explain(result_of(hessian, [1e-3] * 3 + [0.2] * 3))
    assert words.startswith('weak: x, 77 % x, 23 % y, sigma 0.2 m, condition 100; the rest')


def test_explanation_of_all_weak_and_of_a_failure():
    nothing = result_of(np.zeros((6, 6)), [1.0] * 6)
    assert explain(nothing).count('condition inf') == 6 and 'rest' not in explain(nothing)
    failed = dcreg_ros.register(np.zeros((20, 3)), 100.0 + np.zeros((20, 3)))
    assert explain(failed) == f'not registered: {failed.failure_reason}'


def test_picture_of_contributions(tmp_path):
    from matplotlib.image import imread

    report = dcreg_ros.analyze_degeneracy(scene((1, -1.2), (1, 1.3), (2, -1.0)))
    plot_contributions(tmp_path / 'bars.png', report, title='corridor')
    picture = imread(tmp_path / 'bars.png')[..., :3]
    assert picture.shape[0] > 300 and picture.std() > 0.05
    colour = np.array([0xD5, 0x5E, 0x00]) / 255.0  # the weak x, in full
    assert (np.abs(picture - colour).max(axis=2) < 0.02).sum() > 5000


@pytest.mark.parametrize(
    'call, text',
    [
        (lambda r: dcreg_ros.analyze_degeneracy(np.eye(6), condition_threshold='10'), 'threshold'),
        (lambda r: dcreg_ros.analyze_degeneracy(np.eye(6), kappa_target=None), 'kappa_target'),
        (lambda r: dcreg_ros.analyze_degeneracy(np.eye(6) * 1j), 'hessian should hold real'),
        (lambda r: dcreg_ros.solve_step(np.eye(6), np.zeros(6), None), 'report should be'),
        (lambda r: dcreg_ros.solve_step(np.eye(6), np.zeros(6), r, tolerance=np.nan), 'tolerance'),
        (lambda r: dcreg_ros.solve_step(np.eye(6), np.zeros(6), r, max_iterations=0), 'max_iter'),
    ],
)
def test_bad_numbers_are_refused_by_name(call, text):
    report = dcreg_ros.analyze_degeneracy(np.eye(6))
    with pytest.raises(ValueError, match=text):
        call(report)
