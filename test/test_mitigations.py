# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every mitigation against its definition, every detection on scenes with known answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import dcreg_ros
from dcreg_ros.config import RegistrationConfig
from dcreg_ros.degeneracy.analysis import report_of
from dcreg_ros.degeneracy.detections import REFERENCES, Evidence, reference_of
from dcreg_ros.degeneracy.localizability import localizability
from dcreg_ros.degeneracy.mitigations import SOLVERS, SolverSettings, System, box_constrained
from dcreg_ros.degeneracy.observability import confidence
from dcreg_ros.degeneracy.schur import schur_complements
from dcreg_ros.degeneracy.solve import step_of
from dcreg_ros.parameters import describe
from dcreg_ros.registration.jacobians import jacobians
from dcreg_ros.registration.map_plane import MapPlaneMatcher
from dcreg_ros.registration.query_plane import QueryPlaneMatcher
from dcreg_ros.voxels.map import VoxelMap

SEEDS = st.integers(0, 2**32 - 1)
WEAKNESS = st.lists(st.floats(-4.0, 3.0), min_size=6, max_size=6)
EXAMPLES = settings(max_examples=60, deadline=None)
PROJECTIONS = ('remap', 'tsvd')


def system_of(seed, exponents):
    """A random symmetric positive definite system."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    hessian = (basis * 10.0 ** np.asarray(exponents)) @ basis.T
    return 0.5 * (hessian + hessian.T), rng.normal(size=6), rng.normal(size=6)


def solve(hessian, rhs, mitigation, report=None, **options):
    report = dcreg_ros.analyze_degeneracy(hessian) if report is None else report
    return dcreg_ros.solve_step(hessian, rhs, report, mitigation, **options).delta


def panel(axis, side, lengths, step=0.25):
    """Points (N, 3) on an axis-parallel rectangle about the axis, its other two sides given."""
    sides = [np.arange(-0.5 * length, 0.5 * length + 1e-9, step) for length in lengths]
    return np.insert(np.stack(np.meshgrid(*sides), -1).reshape(-1, 2), axis, side, axis=1)


# Panels that do not touch: where they did, planes fitted to corners would lean.
CORRIDOR = np.concatenate([
    panel(1, -3.0, (12.0, 2.5)), panel(1, 3.2, (12.0, 2.5)), panel(2, -2.5, (12.0, 3.5))])
BOX = np.concatenate([
    panel(0, -4.5, (4.0, 4.0)), panel(0, 4.0, (4.0, 4.0)), panel(1, -4.0, (4.0, 4.0)),
    panel(1, 4.3, (4.0, 4.0)), panel(2, -4.1, (4.0, 4.0)), panel(2, 4.2, (4.0, 4.0))])


# Mitigations


@given(SEEDS, WEAKNESS)
@EXAMPLES
def test_none_is_gauss_newton_bit_for_bit(seed, exponents):
    hessian, rhs, _ = system_of(seed, exponents)
    assert (solve(hessian, rhs, 'none') == np.linalg.solve(hessian, rhs)).all()


@pytest.mark.parametrize('mitigation', ['remap', 'tsvd', 'tikhonov', 'prior', 'xicp', 'clamped'])
@given(SEEDS)
@EXAMPLES
def test_where_nothing_is_weak_all_are_none(mitigation, seed):
    hessian, rhs, deviation = system_of(seed, (0.2, 0.0, 0.1, 0.3, 0.1, 0.0))
    report = dcreg_ros.analyze_degeneracy(hessian)
    assert not report.mask.any()
    if not len(report.weak_twists):
        step = solve(hessian, rhs, mitigation, report, deviation=deviation)
        assert (step == np.linalg.solve(hessian, rhs)).all()


@pytest.mark.parametrize('mitigation', PROJECTIONS)
@given(SEEDS, WEAKNESS)
@EXAMPLES
def test_projections_leave_the_strong_part_of_the_step_untouched(mitigation, seed, exponents):
    hessian, rhs, _ = system_of(seed, exponents)
    report = dcreg_ros.analyze_degeneracy(hessian)
    plain = solve(hessian, rhs, 'none', report)
    step = solve(hessian, rhs, mitigation, report)
    twists, scale = report.weak_twists, 1.0 + np.abs(plain).max()
    # Nothing is left of the weak motions, and nothing but them is missing.
    assert report.anchor @ step == pytest.approx(0.0, abs=1e-6 * scale * (
        1.0 + np.abs(report.anchor).max()))
    missing = plain - step
    if len(twists):
        shares = np.linalg.lstsq(twists.T, missing, rcond=None)[0]
        missing = missing - twists.T @ shares
    assert missing == pytest.approx(np.zeros(6), abs=1e-6 * scale)


@given(SEEDS, WEAKNESS, st.floats(-3.0, 2.0))
@EXAMPLES
def test_remapping_by_eigenvalue_keeps_the_step_along_strong_eigenvectors(
    seed, exponents, threshold
):
    hessian, rhs, _ = system_of(seed, exponents)
    values, vectors = np.linalg.eigh(hessian)
    if np.abs(np.log(values / 10.0**threshold)).min() < 1e-3:
        return
    config = RegistrationConfig(detection='full_eigenvalue', eigenvalue_threshold=10.0**threshold)
    report = report_of(hessian, 10.0, 10.0, reference_of(
        Evidence(hessian, np.zeros((6, 6)), 1.0, np.empty((0, 6)), None), config))
    weak = values < 10.0**threshold
    assert len(report.weak_twists) == weak.sum()
    for mitigation in PROJECTIONS:
        along = vectors.T @ solve(hessian, rhs, mitigation, report)
        expected = np.where(weak, 0.0, vectors.T @ np.linalg.solve(hessian, rhs))
        assert along == pytest.approx(expected, rel=1e-6, abs=1e-6 * (1 + np.abs(expected).max()))


def test_projections_survive_a_singular_system():
    jacobian = np.random.default_rng(0).normal(size=(50, 6)) * (1, 1, 1, 0, 1, 1)
    hessian, rhs = jacobian.T @ jacobian, jacobian.T @ np.ones(50)
    for mitigation in PROJECTIONS:
        step = solve(hessian, rhs, mitigation)
        assert hessian @ step == pytest.approx(rhs, abs=1e-8) and step[3] == pytest.approx(0.0)


@given(SEEDS, WEAKNESS)
@EXAMPLES
def test_clamped_solves_the_system_with_raised_schur_eigenvalues(seed, exponents):
    hessian, rhs, _ = system_of(seed, exponents)
    raised = hessian.copy()
    for block, matrix in zip((slice(0, 3), slice(3, 6)), schur_complements(hessian), strict=True):
        values, vectors = np.linalg.eigh(matrix)
        if np.abs(np.log(values[2] / values / 10.0)).min() < 1e-6:
            return
        missing = np.where(values[2] / values > 10.0, values[2] / 10.0 - values, 0.0)
        raised[block, block] += (vectors * missing) @ vectors.T
    step = solve(hessian, rhs, 'clamped')
    assert raised @ step == pytest.approx(rhs, abs=1e-6)


@given(SEEDS, WEAKNESS, st.floats(0.0, 1e3))
@EXAMPLES
def test_tikhonov_adds_to_the_diagonal_where_anything_is_weak(seed, exponents, weight):
    hessian, rhs, _ = system_of(seed, exponents)
    weak = len(dcreg_ros.analyze_degeneracy(hessian).weak_twists) > 0
    step = solve(hessian, rhs, 'tikhonov', tikhonov_weight=weight)
    assert (step == np.linalg.solve(hessian + weight * weak * np.eye(6), rhs)).all()


@given(SEEDS, WEAKNESS, st.integers(1, 6))
@EXAMPLES
def test_truncated_cg_is_dcreg_with_fewer_iterations(seed, exponents, count):
    hessian, rhs, _ = system_of(seed, exponents)
    report = dcreg_ros.analyze_degeneracy(hessian)
    short = dcreg_ros.solve_step(
        hessian, rhs, report, 'truncated_cg', truncated_iterations=count)
    same = dcreg_ros.solve_step(hessian, rhs, report, 'dcreg', max_iterations=count)
    assert (short.delta == same.delta).all() and short.iterations <= count


@given(SEEDS, st.lists(st.floats(-2.0, 2.0), min_size=6, max_size=6))
@EXAMPLES
def test_dcreg_at_full_convergence_is_none(seed, exponents):
    hessian, rhs, _ = system_of(seed, exponents)
    step = solve(hessian, rhs, 'dcreg', tolerance=1e-13, max_iterations=100)
    plain = np.linalg.solve(hessian, rhs)
    assert step == pytest.approx(plain, abs=1e-6 * np.abs(plain).max())


@given(SEEDS, WEAKNESS)
@EXAMPLES
def test_prior_without_weight_is_none(seed, exponents):
    hessian, rhs, deviation = system_of(seed, exponents)
    step = solve(hessian, rhs, 'prior', deviation=deviation, prior_weight=0.0)
    assert (step == np.linalg.solve(hessian, rhs)).all()


@pytest.mark.parametrize('mitigation', ['none', 'remap', 'tsvd', 'prior', 'xicp', 'clamped'])
@given(SEEDS, st.lists(st.floats(-2.0, 2.0), min_size=6, max_size=6))
@EXAMPLES
def test_millimetres_give_the_same_mask_motions_and_step(mitigation, seed, exponents):
    hessian, rhs, deviation = system_of(seed, exponents)
    units = np.array([1.0, 1.0, 1.0, 1e3, 1e3, 1e3])  # a step in metres times these
    scaled = hessian / np.outer(units, units)
    report = dcreg_ros.analyze_degeneracy(hessian)
    other = dcreg_ros.analyze_degeneracy(scaled)
    counts = [
        len(dcreg_ros.analyze_degeneracy(hessian, threshold).weak_twists)
        for threshold in (9.999, 10.001)]
    if counts[0] != counts[1]:
        return  # a condition of 10 to rounding is as good weak as not
    assert (report.mask == other.mask).all()
    assert len(report.weak_twists) == len(other.weak_twists)
    step = solve(hessian, rhs, mitigation, report, deviation=deviation)
    same = solve(scaled, rhs / units, mitigation, other, deviation=units * deviation) / units
    assert same == pytest.approx(step, abs=1e-5 * (1.0 + np.abs(step).max()))


@given(SEEDS, WEAKNESS)
@EXAMPLES
def test_box_is_kept_and_the_rest_is_optimal(seed, exponents):
    hessian, rhs, _ = system_of(seed, np.clip(exponents, -1.0, 1.0))
    rng = np.random.default_rng(seed)
    modes = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    high = rng.choice([0.0, 0.1, 1.0, np.inf], size=6)
    step = box_constrained(hessian, rhs, modes, -high, high)
    along, gradient = modes @ step, modes @ (hessian @ step - rhs)
    assert (np.abs(along) <= high + 1e-9).all()
    # Downhill is only ever out of the box.
    inside = np.abs(along) < high - 1e-9
    assert gradient[inside] == pytest.approx(0.0, abs=1e-6)
    outwards = -gradient * np.sign(along)
    assert (outwards[~inside & (high > 0.0)] >= -1e-6).all()


def test_box_agrees_with_a_general_minimiser():
    hessian, rhs, _ = system_of(3, (0, 0, 0.5, 0.5, 1, 1))
    high = np.array([0.0, 0.05, np.inf, 0.1, np.inf, 0.02])
    bounds = list(zip(-high, high, strict=True))
    found = minimize(
        lambda d: 0.5 * d @ hessian @ d - rhs @ d, np.zeros(6), bounds=bounds)
    step = box_constrained(hessian, rhs, np.eye(6), -high, high)
    assert step == pytest.approx(found.x, abs=1e-4)


def test_choices_of_the_configuration_are_the_tables():
    choices = {info.name: info.choices for info, _ in describe(RegistrationConfig())}
    assert choices['mitigation'] == tuple(SOLVERS)
    assert choices['detection'] == tuple(REFERENCES)


# X-ICP


def spread(normals, counts, seed=0):
    """Rows and residuals of planes facing `normals`, the sensor 0.1 m off along x."""
    rng = np.random.default_rng(seed)
    normals = np.repeat(np.asarray(normals, float), counts, axis=0)
    points = rng.uniform(-5.0, 5.0, normals.shape)
    return np.c_[np.cross(points, normals), normals], 0.1 * normals[:, 0]


def test_localizability_is_full_partial_or_none_by_the_number_of_aligned_matches():
    rows, residuals = spread(np.eye(3), (20, 200, 2000))
    found = localizability(rows, residuals, 50.0, 500.0, 5000.0)
    order = np.argmax(np.abs(found.modes[3:, 3:]), axis=1)
    assert list(order) == [0, 1, 2]
    assert found.contributions[3:] == pytest.approx([20.0, 200.0, 2000.0])
    assert list(found.full[3:]) == [False, False, True]
    assert list(found.partial[3:]) == [False, True, False]
    rows, residuals = spread(np.eye(3), (200, 1000, 2000))
    found = localizability(rows, residuals, 50.0, 500.0, 5000.0)
    # The partial mode steps back to where its own matches want it.
    assert found.modes[3, 3] * found.steps[3] == pytest.approx(-0.1)


def test_partial_rotation_steps_back_by_the_angle_however_far_the_matches_are():
    rows, _ = spread(np.eye(3), (200, 200, 200))
    turned = np.array([0.01, -0.02, 0.03])
    found = localizability(rows, rows[:, :3] @ turned, 10.0, 1000.0, 5000.0)
    assert np.linalg.norm(rows[:, :3], axis=1).mean() > 2.0
    assert found.partial[:3].all()
    assert found.steps[:3] == pytest.approx(-found.modes[:3, :3] @ turned)


@pytest.mark.parametrize('partial', ['equality', 'inequality'])
def test_xicp_holds_what_is_not_localizable_and_bounds_what_partly_is(partial):
    rows, residuals = spread(np.eye(3), (200, 20, 2000))
    hessian, rhs = rows.T @ rows, -rows.T @ residuals
    found = localizability(rows, residuals, 50.0, 500.0, 5000.0)
    report = report_of(hessian, 10.0, 10.0, None, found)
    settings_ = SolverSettings(1e-6, 10, 1, 6.0, 100.0, partial)
    step = step_of(System(hessian, rhs + 1.0, report, np.zeros(6), settings_), 'xicp').delta
    along = found.modes @ step
    held = ~found.full & ~found.partial
    assert held.any() and along[held] == pytest.approx(0.0, abs=1e-12)
    bound = found.steps[found.partial]
    assert len(bound)
    if partial == 'equality':
        assert along[found.partial] == pytest.approx(bound)
    else:
        assert (np.abs(along[found.partial]) <= np.abs(bound) + 1e-12).all()


def test_observability_is_the_share_of_votes():
    rows, _ = spread(np.eye(3), (10, 90, 200))
    assert confidence(rows)[3:] == pytest.approx([0.1, 0.9, 1.0])
    assert confidence(np.empty((0, 6))) == pytest.approx(np.zeros(6))


# Detections


@pytest.mark.parametrize('detection', REFERENCES)
def test_every_detection_sees_the_corridor_and_not_the_box(detection):
    # The thresholds on whole eigenvalues mix units: one per scene is all they can be.
    config = RegistrationConfig(
        detection=detection, mitigation='none', condition_threshold=50.0, max_iterations=3,
        xicp_high=300.0, xicp_enough=100.0, xicp_insufficient=30.0)
    corridor = dcreg_ros.register(CORRIDOR, CORRIDOR, config=config).degeneracy
    assert corridor.weak_axes == ('x',)
    assert corridor.weak_names == ('translation along (1, 0, 0)',)
    assert dcreg_ros.register(BOX, BOX, config=config).degeneracy.weak_axes == ()


@pytest.mark.parametrize('detection', ['schur', 'schur_physical', 'full_eigenvalue'])
@pytest.mark.parametrize('mitigation', ['remap', 'tsvd', 'prior', 'xicp'])
def test_a_mitigation_engages_in_the_corridor(detection, mitigation):
    rng = np.random.default_rng(4)
    target = CORRIDOR + rng.normal(0.0, 0.01, CORRIDOR.shape)
    config = RegistrationConfig(
        detection=detection, mitigation=mitigation, eigenvalue_threshold=30.0,
        sigma_translation=0.003)
    guess = np.eye(4)
    guess[:3, 3] = 0.3, 0.05, -0.05
    result = dcreg_ros.register(CORRIDOR, target, guess, config)
    assert result.degeneracy.weak_axes == ('x',)
    assert result.transform[:3, 3] == pytest.approx([0.3, 0.0, 0.0], abs=2e-2)
    plain = RegistrationConfig(detection=detection, mitigation='none')
    slid = dcreg_ros.register(CORRIDOR, target, guess, plain).transform[0, 3] - 0.3
    assert abs(slid) > 0.05 > 2.0 * abs(result.transform[0, 3] - 0.3)


def test_matches_one_by_one_sum_up_to_the_equations_of_query_planes():
    rng = np.random.default_rng(1)
    cloud = BOX + rng.normal(0.0, 0.02, BOX.shape)
    transform = np.eye(4)
    transform[:3, 3] = 0.05, -0.02, 0.03
    matcher = QueryPlaneMatcher(cloud, cloud, RegistrationConfig())
    equations = matcher.linearize(transform)
    rows, residuals = jacobians(matcher, transform)
    assert len(rows) == equations.num_matches
    assert residuals @ residuals == pytest.approx(equations.residual2)
    weights = 1.0 - 0.9 * np.abs(residuals)
    slopes = weights - 0.9 * np.abs(residuals)
    assert (rows.T * slopes**2) @ rows == pytest.approx(equations.hessian)
    assert -rows.T @ (slopes * weights * residuals) == pytest.approx(equations.rhs)


def test_matches_one_by_one_sum_up_to_the_equations_of_map_planes():
    voxels = VoxelMap(0.5)
    voxels.insert(BOX, np.eye(4))
    matcher = MapPlaneMatcher(BOX, voxels, RegistrationConfig(association='map_plane'))
    for _ in range(10):  # until the scale of the robust loss rests
        equations = matcher.linearize(np.eye(4))
    rows, residuals = jacobians(matcher, np.eye(4))
    assert len(rows) == equations.num_matches > 1000
    assert residuals @ residuals == pytest.approx(equations.residual2, abs=1e-12)
    assert np.linalg.norm(rows[:, 3:], axis=1) == pytest.approx(1.0)
    slopes = matcher._slope[matcher._slope > 0.0]
    assert (rows.T * slopes**2) @ rows == pytest.approx(equations.hessian, rel=1e-6, abs=1e-3)


def test_hysteresis_keeps_a_motion_weak_until_it_is_clearly_known():
    rng = np.random.default_rng(2)
    cloud = CORRIDOR + rng.normal(0.0, 0.01, CORRIDOR.shape)
    sigma = 1.0

    def weak(tolerance, hysteresis, previous=None):
        config = RegistrationConfig(
            detection='schur_physical', mitigation='none', max_iterations=1,
            sigma_rotation=1.0, sigma_translation=tolerance * sigma, hysteresis=hysteresis)
        return dcreg_ros.register(cloud, cloud, config=config, previous=previous).degeneracy

    low, high = 1e-4, 1.0  # the tolerance at which x turns weak, by halving
    for _ in range(30):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if weak(middle, 1.0).weak_axes else (low, middle)
    sigma = low
    report = weak(0.9, 2.0)
    assert report.weak_axes == ('x',)
    assert weak(1.2, 2.0).weak_axes == ()
    assert weak(1.2, 2.0, report).weak_axes == ('x',)
    assert weak(1.2, 1.0, report).weak_axes == ()
    for _ in range(30):  # no memory of its own: what is demanded settles
        report = weak(1.9, 2.0, report)
    assert report.weak_axes == ('x',)
    assert weak(3.0, 2.0, report).weak_axes == ()
