# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The hash table and the local map against dictionaries and numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from dcreg_ros.voxels.hashing import (
    EMPTY,
    find,
    insert_key,
    make_table,
    pack,
    remove_key,
    unpack,
)
from dcreg_ros.voxels.map import WORK, VoxelMap


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


def brute_force(points, cell, sensor=(0.0, 0.0, 0.0)):
    """Count, sum and sums of products of each cell, about its middle, and of rays, in float64."""
    index = np.floor(points / cell).astype(int)
    ways = points - sensor
    rays = ways / np.linalg.norm(ways, axis=1, keepdims=True)
    rows = [np.ones(len(points)), *(points - (index + 0.5) * cell).T]
    for parts in (points - (index + 0.5) * cell, rays):
        rows += [parts[:, a] * parts[:, b] for a in range(3) for b in range(a, 3)]
    cells = {}
    for key, row in zip(map(tuple, index.tolist()), np.column_stack(rows), strict=True):
        cells[key] = cells.get(key, 0.0) + row
    return cells


def held(voxels):
    """The same of a map, through its hash table."""
    out = {}
    for row, key in enumerate(voxels.cells.key[: len(voxels)]):
        assert find(voxels.rows, key) == row
        out[unpack(key)] = voxels.cells.moments[row].astype(float)
    return out


def check_masks(voxels):
    """Every cell, and nothing else, has its bit in the mask of its block."""
    expected = {}
    for key in voxels.cells.key[: len(voxels)]:
        i, j, k = unpack(key)
        block = pack(i // 4, j // 4, k // 4)
        bit = (i % 4) * 16 + (j % 4) * 4 + k % 4
        expected[block] = expected.get(block, 0) | 1 << bit
    masks = {int(key): int(mask) % 2**64 for key, mask in voxels.masks if key != EMPTY}
    assert masks == expected


def moved(x):
    pose = np.eye(4)
    pose[0, 3] = x
    return pose


def test_cells_hold_count_mean_and_second_moments_of_their_points():
    rng = np.random.default_rng(0)
    points = np.c_[rng.uniform(-3, 3, (3000, 2)), rng.uniform(-0.1, 0.1, 3000)]
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec([0.3, -0.2, 0.9]).as_matrix()
    turn[:3, 3] = 1.0, -2.0, 0.5
    voxels = VoxelMap(0.5)
    for part in np.array_split(points, 5):
        voxels.insert(part, turn)
    placed = points @ turn[:3, :3].T + turn[:3, 3]
    expected, found = brute_force(placed, voxels.cell_size, turn[:3, 3]), held(voxels)
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        assert found[key] == pytest.approx(row, abs=1e-6)
    means = [0.25 * (np.array(key) + 0.5) + row[1:4] / row[0] for key, row in expected.items()]
    distance, _ = cKDTree(means).query(voxels.means())
    assert distance.max() < 1e-6
    check_masks(voxels)


@pytest.mark.parametrize('scans', [1, 40])
@pytest.mark.parametrize('max_cells', [None, 50_000])
def test_growth_keeps_everything(scans, max_cells):
    """At once, and bit by bit while scans come in."""
    rng = np.random.default_rng(1)
    points = rng.uniform(-200, 200, (40000, 3))
    voxels = VoxelMap(0.5, 1000.0, max_cells)
    for part in np.array_split(points, scans):
        voxels.insert(part, np.eye(4))
    expected, found = brute_force(points, 0.25), held(voxels)
    assert found.keys() == expected.keys()
    assert all(found[key][0] == row[0] for key, row in expected.items())
    assert 2 * len(voxels) < len(voxels.rows)
    check_masks(voxels)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_forgetting_while_growing_loses_no_near_cell(seed):
    """Steps of all lengths: tables are renewed while cells go and others take their rows."""
    rng = np.random.default_rng(seed)
    voxels, seen, near, x = VoxelMap(0.5, 20.0), set(), {}, 0.0
    for _ in range(30):
        x += rng.choice([0.0, 3.0, 25.0])
        points = rng.uniform(-14, 14, (rng.integers(0, 4000), 3)) * (1.0, 1.0, 0.02)
        voxels.insert(points, moved(x))
        for key, row in brute_force(points + moved(x)[:3, 3], 0.25).items():
            near[key] = near.get(key, 0) + row[0]
            seen.add(key)
        places = 0.25 * (np.array(list(near)).reshape(-1, 3) + 0.5)
        close = np.linalg.norm(places - [x, 0.0, 0.0], axis=1) < 20.0
        near = {key: count for (key, count), kept in zip(near.items(), close, strict=True) if kept}
        found = held(voxels)
        assert near.keys() <= found.keys() <= seen
        assert all(found[key][0] >= count for key, count in near.items())
        check_masks(voxels)


def test_far_cells_are_forgotten_and_near_ones_are_not():
    rng = np.random.default_rng(2)
    voxels, seen = VoxelMap(0.5, radius=20.0), []
    for x in range(200):
        points = rng.uniform(-8, 8, (800, 3))
        voxels.insert(points, moved(x))
        seen.append(points + moved(x)[:3, 3])
    found = held(voxels)
    behind = x - 0.25 * np.array(sorted(found))[:, 0]
    assert behind.max() < 60.0  # little by little, but bounded
    assert len(voxels) < 800 * 60
    recent = brute_force(np.concatenate(seen[-10:]), 0.25)  # these were within 20 m all the time
    assert recent.keys() <= found.keys()
    assert all(found[key][0] >= row[0] for key, row in recent.items())
    check_masks(voxels)


def test_a_full_map_lets_the_farthest_go():
    rng = np.random.default_rng(3)
    full, free = VoxelMap(0.5, 100.0, max_cells=20000), VoxelMap(0.5, 100.0)
    for x in np.arange(0.0, 80.0, 0.5):
        around = rng.uniform(-1, 1, (600, 3)) * [40.0, 40.0, 0.1]
        near = rng.uniform(-1, 1, (100, 3)) * [3.0, 3.0, 0.1]
        for voxels in (full, free):
            voxels.insert(np.concatenate([around, near]), moved(x))
        assert len(full) <= 20000 and len(full.cells.key) == 20000
        assert brute_force(near + moved(x)[:3, 3], 0.25).keys() <= held(full).keys()
    assert len(free) > 2 * len(full) > 30000
    check_masks(full)
    places, left = np.array(list(held(free))), held(full).keys()
    kept = np.array([tuple(place) in left for place in places[::20]])
    distance = np.linalg.norm(0.25 * (places[::20] + 0.5) - [x, 0.0, 0.0], axis=1)
    shares = [kept[(distance >= a) & (distance < a + 10.0)].mean() for a in (0, 20, 40, 60, 80)]
    assert (np.diff(shares) <= 0.0).all() and shares[-1] == 0.0


def test_a_full_map_without_radius_takes_in_no_more_cells():
    rng = np.random.default_rng(4)
    voxels = VoxelMap(0.5, max_cells=1000)
    first, second = rng.uniform(-5, 5, (2000, 3)), rng.uniform(-5, 5, (2000, 3))
    voxels.insert(first, np.eye(4))
    kept = set(held(voxels))
    assert len(kept) == 1000
    voxels.insert(second, np.eye(4))
    both = brute_force(np.concatenate([first, second]), 0.25)
    assert {key: row[0] for key, row in held(voxels).items()} == {
        key: both[key][0] for key in kept}


@pytest.mark.parametrize('most', [8000, 8192, 16384])
def test_a_map_holds_no_more_cells_than_it_may(most):
    """Powers of two as well, at which a hash table has to grow."""
    axis = np.arange(-8.0, 8.0, 0.25) + 0.125
    block = np.stack(np.meshgrid(axis, axis, axis[:1], indexing='ij'), axis=-1).reshape(-1, 3)
    voxels, pose = VoxelMap(0.5, 100.0, most), np.eye(4)
    for k in range(60):
        pose[0, 3] = 2.0 * k
        voxels.insert(block, pose)
        assert len(voxels) <= most


def test_a_scan_enters_few_cells_into_larger_tables():
    """No scan pays for all of a table: twice as many as are new, and some."""
    rng = np.random.default_rng(5)
    voxels = VoxelMap(0.5, max_cells=200_000)
    voxels.insert(rng.uniform(-300, 300, (120_000, 3)), np.eye(4))
    steps, sizes = [], [len(voxels.rows)]
    for _ in range(400):
        before = voxels._entered
        voxels.insert(rng.uniform(-300, 300, (500, 3)), np.eye(4))
        steps.append(voxels._entered - before)
        sizes.append(len(voxels.rows))
    assert sizes[-1] == 2 * sizes[0]
    assert 0 < max(steps) <= WORK + 2 * 500


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_a_hair_below_a_border_stays_inside_its_cell(axis):
    below = np.full((1, 3), 0.1)
    below[0, axis] = -1e-17
    voxels = VoxelMap(0.5)
    voxels.insert(below, np.eye(4))
    (index, moments), = held(voxels).items()
    assert index[axis] == -1
    assert np.abs(moments[1:4]).max() <= 0.125


@pytest.mark.parametrize('size', [1e6, 1e19, 1e200, np.inf, np.nan])
def test_places_beyond_the_map_are_left_out(size):
    voxels = VoxelMap(0.5)
    voxels.insert(np.array([[0.1, 0.1, 0.1], [size, 0.0, 0.0], [0.0, 0.0, -size]]), np.eye(4))
    assert len(voxels.means()) == 1
