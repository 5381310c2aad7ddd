# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A motion that hangs on one face is weak: corridors with small plates that face along them."""

import numpy as np
import pytest

from dcreg_ros.config import OdometryConfig
from dcreg_ros.registration.register import register
from dcreg_ros.voxels.map import VoxelMap

X = 3


def walls(rng, count):
    """A corridor of 12 m along x, 3 m wide and high, seen from its middle."""
    along = rng.uniform(-6.0, 6.0, count)
    across = rng.uniform(-1.5, 1.5, count)
    side = np.where(rng.random(count) < 0.5, -1.5, 1.5)
    upright = rng.random(count) < 0.5
    return np.c_[along, np.where(upright, side, across), np.where(upright, across, side)]


def plate(rng, x, y, count, size=0.3):
    """A square that faces along the corridor."""
    return np.c_[np.full(count, x), y + rng.uniform(-size / 2, size / 2, count),
                 rng.uniform(-size / 2, size / 2, count)]


def seen(rng, plates, points, each):
    parts = [walls(rng, points)] + [plate(rng, x, y, each, size) for x, y, size in plates]
    cloud = np.concatenate(parts)
    return cloud + 0.005 * rng.standard_normal(cloud.shape)


@pytest.mark.parametrize('plates, weak', [
    ([], True),
    ([(4.0, 0.0, 0.3)], True),
    ([(4.0, -0.8, 0.3), (-4.0, 0.8, 0.3)], False),
    ([(4.0, 0.0, 2.4)], False),
], ids=['none', 'one plate', 'two plates', 'an end wall'])
def test_the_way_along_a_corridor_is_weak_where_one_face_tells_of_it(plates, weak):
    rng = np.random.default_rng(5)
    config = OdometryConfig()
    voxels = VoxelMap(config.map.voxel_size)
    voxels.insert(seen(rng, plates, 20000, 400), np.eye(4))
    report = register(
        seen(rng, plates, 1000, 12), voxels, np.eye(4), config.registration,
        guess_covariance=np.diag(np.repeat([0.01, 0.03], 3) ** 2)).degeneracy
    assert report.mask[X] == weak
    assert not np.delete(report.mask, X).any()
