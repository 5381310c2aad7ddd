# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Covariances against problems whose answer is known, and against errors that were made."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import chi2

import dcreg_ros
from dcreg_ros.config import OdometryConfig
from dcreg_ros.geometry.se3 import adjoint, inverse, local, retract
from dcreg_ros.registration.cluster_sums import cluster_sums
from dcreg_ros.registration.covariance import (
    bounded,
    registration_covariance,
    residual_variance,
    to_ros_order,
)
from dcreg_ros.registration.linearize import NormalEquations
from dcreg_ros.voxels.map import VoxelMap

SIGMA = 0.02


def in_common(spots, sigma, rng):
    """Error (N,) [m] that all have in common whose row of `spots` (N, K) is the same."""
    _, each = np.unique(spots, axis=0, return_inverse=True)
    return sigma * rng.standard_normal(each.max() + 1)[each.ravel()]


def problem(count=4000, seed=0, axes=(0, 1, 2), copies=1, shared=0.0):
    """Points in a box, their normals along some axes, and independent residuals [m]."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-20.0, 20.0, (count, 3))
    normals = np.eye(3)[rng.choice(axes, count)]
    errors = SIGMA * rng.standard_normal(count)
    if shared:
        errors = errors + in_common(np.floor(points), shared, rng)
    return [np.repeat(a, copies, axis=0) for a in (points, normals, errors)]


def solve(points, normals, errors, transform=None, guess=None, weight=None, max_sigma=100.0):
    transform = np.eye(4) if transform is None else transform
    ones = np.ones(len(points))
    body = normals @ transform[:3, :3]
    rows = np.c_[np.cross(points, body), body]
    places = points @ transform[:3, :3].T + transform[:3, 3]
    hessian = rows.T @ rows
    equations = NormalEquations(
        hessian, -rows.T @ errors, len(points), float(errors @ errors), float(errors @ errors),
        float(len(points)), hessian, np.zeros((6, 6)), float(len(points)))
    weight = np.zeros((6, 6)) if weight is None else weight
    sums = cluster_sums(
        points, places, normals, transform, errors, ones, ones, hessian + weight,
        6 - int(np.linalg.matrix_rank(weight)))
    found, _ = registration_covariance(equations, sums, weight, None, guess, 1e-7, max_sigma)
    return found, hessian, residual_variance(equations)


def test_independent_residuals_give_the_textbook_covariance():
    ratios = []
    for seed in range(10):  # one covariance scatters by a fifth
        found, hessian, variance = solve(*problem(seed=seed))
        ratios.append(np.diag(found.covariance) / np.diag(variance * np.linalg.inv(hessian)))
        assert (found.guess_share == 0.0).all()
    assert np.mean(ratios, axis=0) == pytest.approx(np.ones(6), rel=0.25)


def solved(half, count, shared, seed, nearer=0.0):
    """Points of a box that is solved for: the error of the pose, and what it is said to be.

    Residuals are independent, but for what columns of 1 m on one face share, and for all faces
    `nearer` than they should be [m].
    """
    rng = np.random.default_rng(seed)
    points, axes = rng.uniform(-half, half, (count, 3)), rng.choice(3, count)
    normals, errors = np.eye(3)[axes], SIGMA * rng.standard_normal(count)
    spots, each = np.floor(points), np.arange(count)
    spots[:, 2] = spots[each, axes] = 0.0
    facing = np.sign(points[each, axes])
    errors += in_common(np.c_[spots, axes, facing], shared, rng)
    rows = np.c_[np.cross(points, normals), normals]
    error = np.linalg.lstsq(rows, errors, rcond=None)[0]
    if nearer:
        errors += nearer * facing
    found, _, _ = solve(points, normals, errors - rows @ error)
    return error, found.covariance


def nees(results):
    return np.mean([error @ np.linalg.solve(said, error) for error, said in results])


@pytest.mark.parametrize('shared', [0.0, SIGMA])
@pytest.mark.parametrize('half', [4.0, 10.0])
def test_errors_of_solutions_are_as_large_as_said_however_few_the_blocks(half, shared):
    """NEES is 6 where the covariance is right; independent errors, and those columns share."""
    low, high = chi2.ppf([0.025, 0.975], 600) / 100
    assert low < nees([solved(half, 2000, shared, seed) for seed in range(100)]) < high


def test_few_blocks_that_share_errors_are_no_reason_to_be_sure():
    sizes = (2.0, 600), (3.0, 1000), (4.0, 2000), (6.0, 2000)
    low, high = chi2.ppf([0.025, 0.975], 2400) / 400
    assert low < nees([solved(*size, SIGMA, seed) for size in sizes for seed in range(100)]) < high


def solved_floor(half, count, shared, seed):
    """Roll, pitch and z of a square floor, of which columns of 1 m share errors; as `solved`."""
    rng = np.random.default_rng(seed)
    points = np.c_[rng.uniform(-half, half, (count, 2)), np.full(count, -1.5)]
    normals, errors = np.tile([0.0, 0.0, 1.0], (count, 1)), SIGMA * rng.standard_normal(count)
    errors += in_common(np.floor(points[:, :2]), shared, rng)
    weight = np.diag([0.0, 0.0, 1e7, 1e7, 1e7, 0.0])
    rows = np.c_[np.cross(points, normals), normals]
    error = np.linalg.solve(rows.T @ rows + weight, rows.T @ errors)
    found, _, _ = solve(
        points, normals, errors - rows @ error, guess=1e-8 * np.eye(6), weight=weight)
    firm = [0, 1, 5]
    return error[firm], found.covariance[np.ix_(firm, firm)]


def test_what_few_blocks_tell_of_few_motions_is_worth_more():
    """Three motions here: with what is right for six, sigma is said to be a tenth too large."""
    sizes = (3.0, 600), (4.0, 1000), (5.0, 1500), (6.0, 2000)
    low, high = chi2.ppf([0.025, 0.975], 2400) / 800
    assert low < nees([
        solved_floor(*size, shared, seed)
        for size in sizes for shared in (0.0, SIGMA) for seed in range(100)]) < high


def test_walls_and_floors_that_all_seem_nearer_do_not_scatter():
    """No motion answers to that, and blocks do not show how much they err by it."""
    said, nearer = (
        np.mean([np.sqrt(np.diag(solved(6.0, 2000, 0.0, seed, by)[1])) for seed in range(10)], 0)
        for by in (0.0, SIGMA))
    # Variances of matches are twice what they were, a few hundredths of all that counts.
    assert nearer == pytest.approx(said, rel=0.1)


def test_points_given_twice_are_not_twice_the_knowledge():
    points, normals, errors = problem(count=600)
    once, hessian, _ = solve(points, normals, errors)
    twice, doubled, variance = solve(*problem(count=600, copies=2))
    assert doubled == pytest.approx(2.0 * hessian)
    naive = np.diag(variance * np.linalg.inv(doubled))
    ratio = np.sqrt(np.diag(twice.covariance) / np.diag(once.covariance))
    assert ratio == pytest.approx(np.ones(6), abs=0.2)  # naive: 0.71
    assert (np.diag(twice.covariance) > 1.5 * naive).all()


def test_errors_shared_by_neighbours_are_seen():
    """Linear-Gaussian problems with the same geometry: the scatter of their solutions."""
    solutions, predicted = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        points, normals, _ = problem(count=1500, seed=0)
        points[:, 2] *= 0.02  # a flat layer, so that several share a block
        errors = in_common(np.floor(points), SIGMA, rng)
        found, hessian, _ = solve(points, normals, errors)
        rows = np.c_[np.cross(points, normals), normals]
        solutions.append(np.linalg.solve(hessian, -rows.T @ errors))
        predicted.append(np.diag(found.covariance))
    ratio = np.sqrt(np.mean(predicted, axis=0) / np.mean(np.square(solutions), axis=0))
    assert (ratio > 0.7).all() and (ratio < 2.0).all(), ratio


def test_a_motion_that_hangs_on_one_block_is_no_better_known_than_from_its_matches():
    """A patch of 20 matches is all that tells of x: they are fitted, and still err."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        points, normals, errors = problem(seed=seed, axes=(1, 2))
        patch = rng.uniform([2.1, 1.1], [2.9, 1.9], (20, 2))
        points = np.r_[points, np.c_[np.full(20, 15.5), patch]]
        normals = np.r_[normals, np.tile([1.0, 0.0, 0.0], (20, 1))]
        errors = np.r_[errors, SIGMA * rng.standard_normal(20)]
        rows = np.c_[np.cross(points, normals), normals]
        fitted = errors - rows @ np.linalg.lstsq(rows, errors, rcond=None)[0]
        found, hessian, _ = solve(points, normals, fitted)
        textbook = SIGMA * np.sqrt(np.linalg.inv(hessian)[3, 3])
        assert 0.7 < np.sqrt(found.covariance[3, 3]) / textbook < 2.0


def test_a_plane_is_finite_bounded_and_positive_definite():
    found, _, _ = solve(*problem(axes=(2,)), max_sigma=50.0)
    covariance = found.covariance
    values = np.linalg.eigvalsh(covariance)
    assert np.isfinite(covariance).all() and (covariance == covariance.T).all()
    assert values.min() > 0.0 and values.max() <= 50.0**2 * (1 + 1e-9)
    sigma = np.sqrt(np.diag(covariance))
    assert sigma[[2, 3, 4]] == pytest.approx([50.0] * 3, rel=1e-3)
    assert (sigma[[0, 1, 5]] < 0.01).all()


def test_residuals_of_zero_are_no_certainty():
    points, normals, errors = problem()
    found, hessian, variance = solve(points, normals, 0.0 * errors)
    assert variance == pytest.approx(1e-6)
    least = 1e-6 / np.linalg.eigvalsh(hessian)[-1]
    assert np.linalg.eigvalsh(found.covariance).min() > 0.5 * least


def test_what_is_held_to_a_guess_has_its_variance():
    guess = np.diag([0.01, 0.01, 0.02, 0.3, 0.4, 0.1]) ** 2
    weight = np.diag([0.0, 0.0, 1e6, 1e4, 1e4, 0.0])
    found, _, _ = solve(*problem(axes=(2,)), guess=guess, weight=weight)
    sigma = np.sqrt(np.diag(found.covariance))
    assert sigma[2:5] == pytest.approx([0.02, 0.3, 0.4], rel=0.01)
    assert np.diag(found.guess_share)[2:5] == pytest.approx(np.ones(3), abs=0.01)
    assert np.diag(found.guess_share)[[0, 1, 5]] == pytest.approx(np.zeros(3), abs=1e-6)


def test_turning_the_body_turns_the_covariance():
    points, normals, errors = problem(shared=0.03)
    straight, _, _ = solve(points, normals, errors)
    motion = retract(np.eye(4), np.array([0.4, -0.3, 0.9, 0.0, 0.0, 0.0]))
    turned, _, _ = solve(points @ motion[:3, :3], normals, errors, transform=motion)
    change = adjoint(inverse(motion))
    assert turned.covariance == pytest.approx(
        change @ straight.covariance @ change.T, rel=1e-6, abs=1e-12)
    in_frame = to_ros_order(turned.covariance, motion[:3, :3])
    assert in_frame == pytest.approx(to_ros_order(straight.covariance, np.eye(3)), abs=1e-12)


def test_bounds_hold_in_every_direction():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    clipped = bounded((basis * np.array([0.0, 1e-12, 1e-4, 1.0, 1e6, 1e9])) @ basis.T, 1e-3, 10.0)
    values = np.linalg.eigvalsh(clipped)
    assert values == pytest.approx([1e-6, 1e-6, 1e-4, 1.0, 100.0, 100.0], rel=1e-3)


def made_scan(pose, sigma, rng, ends):
    """Corridor of 12 x 3 x 2.5 m as a LiDAR sees it, with or without its ends; body frame."""
    rays = rng.standard_normal((6000, 3)) * [1.0, 1.0, 0.4]
    rays /= np.linalg.norm(rays, axis=1)[:, None]
    world, origin = rays @ pose[:3, :3].T, pose[:3, 3]
    half = np.array([6.0 if ends else 1e6, 1.5, 1.25])
    reach = ((np.sign(world) * half - origin) / np.where(world == 0.0, 1e-12, world)).min(axis=1)
    measured = reach + sigma * rng.standard_normal(len(reach))
    return rays[reach < 12.0] * measured[reach < 12.0, None]


@pytest.mark.slow
@pytest.mark.parametrize('ends', [True, False], ids=['firm', 'weak along x'])
def test_errors_of_registrations_are_as_large_as_said(ends):
    rng = np.random.default_rng(3)
    guess_sigma = np.repeat([0.005, 0.03], 3)
    settings = dataclasses.replace(OdometryConfig().registration, min_sigma=1e-6)
    values, weak = [], 0
    for _ in range(60):
        turn = np.r_[0.0, 0.0, rng.uniform(-0.3, 0.3)]
        truth = retract(np.eye(4), np.r_[turn, rng.uniform(-0.3, 0.3, 3)])
        voxels = VoxelMap(0.5)
        for _ in range(4):
            at = retract(truth, np.r_[np.zeros(3), rng.uniform(-0.5, 0.5, 3) * [1, 0.3, 0.3]])
            voxels.insert(made_scan(at, SIGMA, rng, ends), at)
        result = dcreg_ros.register(
            made_scan(truth, SIGMA, rng, ends)[::4], voxels,
            retract(truth, guess_sigma * rng.standard_normal(6)), settings,
            guess_covariance=np.diag(guess_sigma**2))
        error = local(truth, result.transform)
        values.append(error @ np.linalg.solve(result.covariance, error))
        weak += bool(result.degeneracy.mask[3])
    assert weak == (0 if ends else 60)
    assert 2.5 < np.mean(values) < 10.0, np.mean(values)
