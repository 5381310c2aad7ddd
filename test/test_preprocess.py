# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Range filter, deskewing, thinning and selection against slow numpy."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from dcreg_ros.config import PreprocessConfig
from dcreg_ros.geometry.se3 import exp_se3
from dcreg_ros.odometry.preprocess import dense_range, middle_of_sweep, prepare
from dcreg_ros.odometry.selection import APART, CLOSEST, select
from dcreg_ros.simulation.recording import simulate

EVERY_POINT = PreprocessConfig(
    min_range=0.0, max_range=100.0, voxel_size=0.01, max_keypoints=1000000)


def test_each_point_is_moved_by_the_motion_at_its_time():
    rng = np.random.default_rng(0)
    world = rng.uniform(-20, 20, (500, 3))
    twist = np.array([0.3, -0.2, 1.5, 2.0, 0.5, -0.1])
    times = rng.uniform(-0.03, 0.07, 500)
    seen = np.array([
        (np.linalg.inv(exp_se3(twist * t)) @ np.r_[p, 1.0])[:3]
        for p, t in zip(world, times, strict=True)])
    expected = (np.linalg.inv(exp_se3(twist * 0.02)) @ np.c_[world, np.ones(500)].T).T[:, :3]
    scan = prepare(seen, times, 0.02, twist, EVERY_POINT)
    assert scan.surface == pytest.approx(expected, abs=1e-5)
    assert (scan.keypoints == scan.surface).all()


def test_a_fast_turn_is_undone_within_a_tenth_of_a_millimetre_at_100_m():
    times = np.linspace(-0.05, 0.05, 1001)
    twist = np.array([0.0, 0.0, 3.0, 0.0, 0.0, 0.0])
    seen = 99.0 * np.c_[np.cos(3.0 * times), -np.sin(3.0 * times), np.zeros(1001)]
    scan = prepare(seen, times, 0.0, twist, EVERY_POINT)
    assert np.abs(scan.surface - [99.0, 0.0, 0.0]).max() < 1e-4


def test_range_limits_are_inclusive_and_drop_nan():
    points = np.array([
        [1.0, 0, 0], [0, 2.0, 0], [0, 0, 0.5], [3, 0, 0], [np.nan, 1, 1], [np.inf, 1, 1]])
    scan = prepare(points, None, 0.0, np.zeros(6), PreprocessConfig(min_range=1.0, max_range=2.0))
    assert (scan.surface == points[:2]).all()
    assert scan.num_points == 2


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_points_without_a_time_are_left_out_while_moving(bad):
    points, times = np.ones((4, 3)) * np.arange(1, 5)[:, None], np.array([0.0, bad, 0.1, bad])
    twist = np.array([0.0, 0, 0, 1, 0, 0])
    scan = prepare(points, times, 0.0, twist, EVERY_POINT)
    assert scan.surface == pytest.approx(points[[0, 2]] + [[0, 0, 0], [0.1, 0, 0]])
    # Where no time can be used at all: better a scan without deskew than none.
    for motion in (twist, np.zeros(6)):
        scan = prepare(points, np.full(4, bad), 0.0, motion, EVERY_POINT)
        assert scan.num_points == 4 and (scan.surface == points).all()


def test_middle_of_a_sweep():
    assert middle_of_sweep(None) == 0.0
    assert middle_of_sweep(np.array([])) == 0.0
    assert middle_of_sweep(np.array([np.nan])) == 0.0
    assert middle_of_sweep(np.array([-0.1, np.nan, 0.04])) == pytest.approx(-0.03)
    assert middle_of_sweep(np.array([-0.1, np.inf, 0.04])) == pytest.approx(-0.03)
    assert middle_of_sweep(np.array([-0.1, 0.02, 0.04])) == pytest.approx(-0.03)


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 60000), st.integers(100, 20000),
    st.sampled_from([0.1, 0.5, 1.5]))
@example(5538139, 1272, 100, 0.5)
@settings(max_examples=40, deadline=None)
def test_thinning_by_range_leaves_about_as_many_as_asked(seed, count, most, sigma):
    rng = np.random.default_rng(seed)
    ranges = np.exp(rng.normal(2.0, sigma, count))
    points = ranges[:, None] * np.array([0.6, -0.8, 0.0])
    usable = (ranges >= 0.5) & (ranges <= 100.0)
    near = dense_range(points, 0.5, 100.0, most)
    scan = prepare(points, None, 0.0, np.zeros(6), PreprocessConfig(), most)
    assert scan.num_points == usable.sum()
    if usable.sum() <= 0.7 * most:
        assert near == 0.0 and len(scan.surface) == usable.sum()
    else:
        shares = np.minimum(1.0, (ranges[usable] / near) ** 2) if near else np.ones(usable.sum())
        # The range comes from a sample, and the points from the shares evenly.
        assert 0.6 * min(most, usable.sum()) < shares.sum() < 1.4 * most
        assert len(scan.surface) == pytest.approx(shares.sum(), abs=10 + 0.02 * count)


def test_thinning_spares_the_far_and_takes_from_all_beams():
    """64 beams, column by column: twice as far is four times as likely to stay."""
    ranges = np.tile(np.linspace(5.0, 40.0, 64), 2000)
    angles = np.repeat(np.linspace(0.0, 6.28, 2000), 64)
    points = ranges[:, None] * np.c_[np.cos(angles), np.sin(angles), np.zeros(128000)]
    scan = prepare(points, None, 0.0, np.zeros(6), PreprocessConfig(), 20000)
    kept = np.bincount(np.searchsorted(
        np.linspace(5.0, 40.0, 64) - 0.1, np.linalg.norm(scan.surface, axis=1)) - 1)
    near = dense_range(points, 0.5, 100.0, 20000)
    expected = 2000 * np.minimum(1.0, (np.linspace(5.0, 40.0, 64) / near) ** 2)
    assert kept == pytest.approx(expected, abs=20)


@given(st.integers(0, 300), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_points_that_are_kept_lie_apart_and_all_over(count, seed):
    points = np.random.default_rng(seed).uniform(-2, 2, (count, 3))
    rows = select(points, 0.4, 0, 1000)
    assert (np.diff(rows) > 0).all()
    if count:
        kept, distance = points[rows], APART * 0.4
        assert not cKDTree(kept).query_pairs(0.999 * distance)
        # To the candidate of its cell, and from there to what that made way for.
        assert cKDTree(kept).query(points)[0].max() <= 2.0 * np.sqrt(3.0) * distance


def wall_as_scanned(distance, rng, sigma=0.02):
    """Points on a wall along x in the order of a turning LiDAR, noise along the beams."""
    angles = np.meshgrid(
        np.radians(np.linspace(-15, 15, 16)), np.linspace(0.2, np.pi - 0.2, 800), indexing='ij')
    elevation, azimuth = (a.ravel() for a in angles)
    rays = np.c_[np.cos(azimuth), np.sin(azimuth), np.tan(elevation)]
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    ranges = distance / rays[:, 1] + sigma * rng.standard_normal(len(rays))
    return rays * ranges[:, None]


def test_which_points_are_kept_does_not_depend_on_their_noise():
    """The mean distance of what is kept of a wall, in its standard errors, wherever cells end."""
    rng, errors = np.random.default_rng(4), []
    for distance in np.linspace(1.9, 2.3, 60):
        points = wall_as_scanned(distance, rng)
        kept = points[select(points, 0.3, 0, 3000)]
        off = kept[:, 1] - distance
        errors.append(off.mean() / (off.std() / np.sqrt(len(off))))
    assert np.sqrt(np.mean(np.square(errors))) < 2.0  # 3.5 for the first point of each cell


@given(st.integers(100, 5000), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_selection_keeps_few_points_of_every_region(most, seed):
    points = np.random.default_rng(seed).uniform(-20, 20, (20000, 3)) * (1.0, 1.0, 0.05)
    kept = points[select(points, 0.3, 0, most)]
    assert 0.3 * most < len(kept) <= most
    distance, _ = cKDTree(kept).query(points)
    assert distance.max() < 6.0 * np.sqrt(1600.0 / len(kept))


@given(st.integers(0, 1000), st.integers(1, 3000), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_between_near_walls_points_lie_nearer_together(least, count, seed):
    points = np.random.default_rng(seed).uniform(-1, 1, (count, 3)) * (1.0, 1.0, 0.02)
    kept = points[select(points, 0.3, least, 3000)]
    assert not cKDTree(kept).query_pairs(0.999 * CLOSEST)
    if len(kept) < min(least, count):  # as near as they may be
        assert cKDTree(kept).query(points)[0].max() <= 2.0 * np.sqrt(3.0) * CLOSEST
    assert len(select(points, 0.3, least, 300)) <= 300


def test_where_thinning_leaves_enough_it_is_as_without_a_least_number():
    points = wall_as_scanned(4.0, np.random.default_rng(0))
    alone = select(points, 0.3, 0, 3000)
    assert (select(points, 0.3, len(alone), 3000) == alone).all()
    assert len(select(points, 0.3, len(alone) + 1, 3000)) > len(alone)


def test_points_in_one_place_are_one_however_many_are_asked_for():
    assert len(select(np.ones((500, 3)), 0.3, 1000, 3000)) == 1


@pytest.mark.parametrize('scene', ['office', 'stairs'])
def test_narrow_places_are_registered_by_many_points_all_the_same(scene):
    """By cells of 0.3 m alone the stairs had 232 of 16,000 points, the office 325."""
    scan = simulate(scene, 1, seed=0).scans[0]
    twist = np.zeros(6)
    seen = prepare(scan.points, scan.times, 0.0, twist, PreprocessConfig())
    assert 800 <= len(seen.keypoints) < 1200
    few = prepare(scan.points, scan.times, 0.0, twist, PreprocessConfig(min_keypoints=0))
    assert len(few.keypoints) < 500
