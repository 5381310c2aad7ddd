# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Planes of map cells against known surfaces, and occupied cells against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dcreg_ros.geometry.eigen3 import eigen3
from dcreg_ros.voxels.hashing import unpack
from dcreg_ros.voxels.map import PLANE, VoxelMap
from dcreg_ros.voxels.nearest import nearest_occupied, offsets_within
from dcreg_ros.voxels.planes import fit_cell, make_scratch

SEEDS = st.integers(0, 2**32 - 1)


def planes(voxels):
    """Planes (K, PLANE) of all cells that have one, and the middles (K, 3) of these cells."""
    found, middles, plane = [], [], np.empty(PLANE, np.float32)
    for row in range(len(voxels)):
        fit_cell(voxels.rows, voxels.masks, voxels.cells, voxels.cell_size, row, 0.2,
                 make_scratch(), plane)
        if plane[10] >= 0.0:
            found.append(plane.astype(float))
            middles.append((np.array(unpack(voxels.cells.key[row])) + 0.5) * voxels.cell_size)
    return np.array(found).reshape(-1, PLANE), np.array(middles).reshape(-1, 3)


def filled(points):
    voxels = VoxelMap(0.5)
    voxels.insert(np.ascontiguousarray(points), np.eye(4))
    return voxels


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_a_noisy_wall_has_its_normal_within_what_the_tilt_says(seed):
    rng = np.random.default_rng(seed)
    turn = Rotation.random(random_state=seed).as_matrix()
    wall = np.c_[rng.uniform(-2, 2, (6000, 2)), rng.normal(0.0, 0.01, 6000)] @ turn.T
    found, middles = planes(filled(wall))
    assert len(found) > 100
    normal, least = turn[:, 2], found[:, 6:9]
    other = np.cross(found[:, :3], least)
    toward, across = least @ normal, other @ normal
    for errors, variances in ((toward, found[:, 9]), (across, found[:, 10])):
        squared = np.mean(errors**2 / variances)
        assert 0.05 < squared < 2.0  # neighbours share points: the mean is of few fits
    centroids = middles + found[:, 3:6]
    assert np.abs(centroids @ normal).max() < 0.01


def test_a_ring_across_a_corner_is_no_surface():
    """One ring of a LiDAR on a wall and on the floor lies in a plane that nothing else is in."""
    rng = np.random.default_rng(0)
    along, up = rng.uniform(0.0, 3.0, 400), rng.uniform(0.0, 2.0, 400)
    ring = np.r_[np.c_[np.full(400, 5.1), along, np.zeros(400)],
                 np.c_[np.full(400, 5.1), np.zeros(400), up]]
    ring += rng.normal(0.0, 0.004, ring.shape) + 0.12
    found, _ = planes(filled(ring))
    found = found[found[:, 11] == 0.0]  # what goes up the wall may be a pole
    assert not len(found) or np.abs(found[:, 0]).max() < 0.5
    # The same corner seen by rings all along it has its two walls, and no third.
    shifts = np.outer(np.linspace(-3.0, 3.0, 61), [1.0, 0.0, 0.0])
    walls = np.concatenate([ring + shift for shift in shifts])
    found, _ = planes(filled(walls))
    assert len(found) > 100 and np.abs(found[:, 0]).max() < 0.2


def test_a_thin_straight_line_is_no_surface():
    line = np.c_[np.linspace(0, 5, 800), np.full(800, 0.1), np.full(800, 0.1)]
    assert not len(planes(filled(line))[0])


@pytest.mark.parametrize('radius', [1.5, 3.0])
def test_bent_surfaces_say_so_across_and_not_along(radius):
    rng = np.random.default_rng(1)
    angle = rng.uniform(0.0, 2.0 * np.pi, 60000)
    tube = np.c_[rng.uniform(-2, 2, 60000), radius * np.cos(angle), radius * np.sin(angle)]
    tube += rng.normal(0.0, 0.003, tube.shape)
    found, middles = planes(filled(tube))
    inside = np.abs(middles[:, 0]) < 1.0
    least = found[inside, 6:9]
    along = np.where(np.abs(least[:, :1]) > 0.7, found[inside, 9:10], found[inside, 10:11])
    across = np.where(np.abs(least[:, :1]) > 0.7, found[inside, 10:11], found[inside, 9:10])
    # Half a cell off, the normal has turned by this much.
    assert np.median(np.sqrt(across)) == pytest.approx(0.5 * 0.25 / radius, rel=0.5)
    assert np.median(along) < 0.1 * np.median(across)


@pytest.mark.parametrize('radius', [1.5, 3.0])
def test_planes_of_a_bent_surface_touch_it_in_their_own_cell(radius):
    """Through all their points they would cut 24 and 10 mm below it; noise of a point is 10."""
    rng = np.random.default_rng(1)
    angle = rng.uniform(0.0, 2.0 * np.pi, 20000)
    tube = np.c_[rng.uniform(-2, 2, 20000), radius * np.cos(angle), radius * np.sin(angle)]
    voxels = filled(tube + rng.normal(0.0, 0.01, tube.shape))
    found, middles = planes(voxels)
    means = {unpack(key): mean for key, mean in zip(
        voxels.cells.key[: len(voxels)], voxels.means(), strict=True)}
    own = np.array([means[tuple(np.floor(middle / voxels.cell_size).astype(int))]
                    for middle in middles])
    outward = own * [0.0, 1.0, 1.0]
    outward /= np.linalg.norm(outward, axis=1)[:, None]
    surface = own * [1.0, 0.0, 0.0] + radius * outward
    heights = np.einsum('ij,ij->i', found[:, :3], middles + found[:, 3:6] - surface)
    heights *= np.sign(np.einsum('ij,ij->i', found[:, :3], outward))
    assert len(found) > 500
    assert abs(np.mean(heights)) < 0.003
    assert np.sqrt(np.mean(heights**2)) < 0.005


@given(SEEDS)
@settings(max_examples=50, deadline=None)
def test_the_nearest_occupied_cell_is_that_of_brute_force(seed):
    rng = np.random.default_rng(seed)
    voxels = filled(rng.uniform(-2, 2, (rng.integers(1, 60), 3)))
    cells = np.array([unpack(key) for key in voxels.cells.key[: len(voxels)]])
    reach = int(rng.integers(1, 9))
    offsets, around = offsets_within(reach), np.empty((7, 7, 7), np.int64)
    for query in rng.integers(-12, 12, (20, 3)):
        found = nearest_occupied(voxels.masks, offsets, *query.tolist(), around)
        squares = ((cells - query) ** 2).sum(axis=1)
        if squares.min() > reach**2:
            assert found == -1
        else:
            assert (offsets[found] ** 2).sum() == squares.min()
            assert (cells == query + offsets[found]).all(axis=1).any()


@given(SEEDS)
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
