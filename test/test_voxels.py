# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The local map against dictionaries and scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from dcreg_ros.geometry.eigen3 import eigen3
from dcreg_ros.voxels.map import VoxelMap
from dcreg_ros.voxels.nearest import nearest_cells


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
