# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The local map against dictionaries and scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from dcreg_ros.geometry.eigen3 import eigen3
from dcreg_ros.odometry.selection import one_per_cell, select
from dcreg_ros.voxels.hashing import find, insert_key, make_table, pack, remove_key, unpack
from dcreg_ros.voxels.map import CELLS_PER_EDGE, MAX_CELLS, VoxelMap
from dcreg_ros.voxels.nearest import nearest_cells


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=300))
@settings(max_examples=100, deadline=None)
def test_hash_table_behaves_like_a_dictionary(operations):
    table, expected = make_table(128), {}
    for insert, number in operations:
        key = pack(number % 7 - 3, number // 7, -number)
        if insert and key not in expected:
            insert_key(table, key, number)
            expected[key] = number
        elif not insert and key in expected:
            remove_key(table, key)
            del expected[key]
    for number in range(61):
        key = pack(number % 7 - 3, number // 7, -number)
        assert find(table, key) == expected.get(key, -1)


@given(*[st.integers(-(2**20), 2**20 - 1)] * 3)
def test_keys_unpack_to_their_cell(i, j, k):
    assert unpack(pack(i, j, k)) == (i, j, k)


def test_cells_hold_the_mean_of_their_points():
    rng = np.random.default_rng(0)
    points = np.c_[rng.uniform(-3, 3, (3000, 2)), rng.uniform(-0.1, 0.1, 3000)]
    voxels = VoxelMap(0.5)
    for part in np.array_split(points, 5):
        voxels.insert(part, np.eye(4))
    cells = {}
    for point in points:
        cells.setdefault(tuple(np.floor(point / (0.5 / CELLS_PER_EDGE)).astype(int)), []).append(
            point)
    expected = np.array([np.mean(cell, axis=0) for cell in cells.values()])
    distance, _ = cKDTree(expected).query(voxels.means())
    assert len(voxels.means()) == len(expected)
    assert distance.max() < 1e-6


def test_growth_keeps_everything():
    rng = np.random.default_rng(1)
    points = rng.uniform(-200, 200, (20000, 3))
    voxels = VoxelMap(0.5)
    voxels.insert(points, np.eye(4))
    assert len(voxels) == len(np.unique(np.floor(points / 0.5), axis=0))
    distance, _ = cKDTree(voxels.means()).query(points)
    assert distance.max() < 0.5


def test_far_voxels_are_forgotten_and_near_ones_are_not():
    rng = np.random.default_rng(2)
    voxels = VoxelMap(0.5, radius=20.0)
    for step in range(200):
        center = np.array([step * 1.0, 0.0, 0.0])
        pose = np.eye(4)
        pose[:3, 3] = center
        voxels.insert(rng.uniform(-8, 8, (800, 3)), pose)
    means = voxels.means()
    behind = center[0] - means[:, 0]
    assert behind.max() < 60.0  # little by little, but bounded
    assert len(voxels) < 800 * 60
    near = means[np.linalg.norm(means - center, axis=1) < 5.0]
    assert len(near) > 500
    for mean in near[:50]:
        assert find(voxels.table, pack(*np.floor(mean / 0.5).astype(int))) >= 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.sampled_from([0.3, 0.7, 2.5]))
@settings(max_examples=60, deadline=None)
def test_nearest_cells_are_what_scipy_finds(seed, k, radius):
    rng = np.random.default_rng(seed)
    voxels = VoxelMap(0.5)
    voxels.insert(rng.uniform(-3, 3, (rng.integers(1, 400), 3)), np.eye(4))
    tree = cKDTree(voxels.means())
    d2, found, xyz = np.empty(k), np.empty(k, np.int64), np.empty((k, 3))
    for query in rng.uniform(-4, 4, (10, 3)):
        count = nearest_cells(
            voxels.table, voxels.voxels, 0.5, *query, radius, d2, found, xyz)
        expected = np.atleast_1d(tree.query(query, k, distance_upper_bound=radius)[0])
        expected = expected[np.isfinite(expected)]
        assert count == len(expected)
        assert np.sqrt(d2[:count]) == pytest.approx(expected, abs=1e-6)
        assert np.linalg.norm(xyz[:count] - query, axis=1) == pytest.approx(expected, abs=1e-6)


def test_clutter_cannot_fill_more_than_its_voxel():
    rng = np.random.default_rng(3)
    voxels = VoxelMap(1.0)
    voxels.insert(rng.uniform(0, 1, (5000, 3)), np.eye(4))
    assert len(voxels) == 1 and len(voxels.means()) == MAX_CELLS


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_eigenvectors_agree_with_lapack(seed):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(3, 3)) * 10.0 ** rng.uniform(-4, 1, 3)
    matrix = factor @ factor.T
    values, vectors = matrix.copy(), np.empty((3, 3))
    eigen3(values, vectors)
    assert np.diag(values) == pytest.approx(np.linalg.eigvalsh(matrix), abs=1e-12 * matrix.max())
    assert vectors @ np.diag(np.diag(values)) @ vectors.T == pytest.approx(
        matrix, abs=1e-12 * np.abs(matrix).max())


@given(st.integers(0, 300), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_thinning_keeps_the_first_of_each_cell(count, seed):
    points = np.random.default_rng(seed).uniform(-2, 2, (count, 3))
    seen, expected = set(), []
    for point in points:
        cell = tuple(np.floor(point / 0.4).astype(int))
        if cell not in seen:
            seen.add(cell)
            expected.append(point)
    assert (one_per_cell(points, 0.4) == np.array(expected).reshape(-1, 3)).all()


@given(st.integers(100, 5000), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_selection_keeps_few_points_of_every_region(most, seed):
    points = np.random.default_rng(seed).uniform(-20, 20, (20000, 3)) * (1.0, 1.0, 0.05)
    kept = select(points, 0.3, most)
    assert 0.3 * most < len(kept) <= most
    distance, _ = cKDTree(kept).query(points)
    assert distance.max() < 6.0 * np.sqrt(1600.0 / len(kept))


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_a_hair_below_a_border_stays_inside_the_voxel(axis):
    below = np.full((1, 3), 0.1)
    below[0, axis] = -1e-17
    voxels = VoxelMap(0.5)
    voxels.insert(np.array([[-0.1, 0.2, 0.2], [0.6, 0.1, 0.1], [0.1, -0.1, -0.1]]), np.eye(4))
    voxels.insert(below, np.eye(4))
    used = voxels.voxels.used[: len(voxels)]
    places = voxels.voxels.place[: len(voxels)]
    assert ((places > 0).sum(axis=1) == used).all()
    assert (places.max(axis=1) == used).all()
    assert len(voxels.means()) == 4


@pytest.mark.parametrize('size', [1e6, 1e19, 1e200, np.inf, np.nan])
def test_places_beyond_the_map_are_left_out(size):
    voxels = VoxelMap(0.5)
    voxels.insert(np.array([[0.1, 0.1, 0.1], [size, 0.0, 0.0], [0.0, 0.0, -size]]), np.eye(4))
    assert len(voxels.means()) == 1
    d2, found, xyz = np.empty(1), np.empty(1, np.int64), np.empty((1, 3))
    count = nearest_cells(voxels.table, voxels.voxels, 0.5, size, 0.0, 0.0, 1.0, d2, found, xyz)
    assert count == 0
