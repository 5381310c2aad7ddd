# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever a driver may send, in whatever order: an answer comes, finite and with a covariance."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dcreg_ros
from dcreg_ros.config import OdometryConfig
from dcreg_ros.parameters import with_values
from dcreg_ros.simulation.lidar import LidarModel
from dcreg_ros.simulation.recording import simulate


@cache
def scans(name):
    return [scan.points for scan in simulate(
        name, num_scans=12, lidar=LidarModel(columns=128), seed=3).scans]


def few(points, rng):
    return points[:rng.integers(0, 40)]


def sparse(points, rng):
    return points[rng.random(len(points)) < 0.03]


def holed(points, rng):
    points = points.copy()
    points[rng.random(len(points)) < 0.3] = rng.choice([np.nan, np.inf])
    return points


def coarse(points, rng):
    return np.round(points, 1)


def doubled(points, rng):
    return np.repeat(points, 2, axis=0)


def scaled(points, rng):
    return points * rng.choice([0.0, 1e-9, 1e3, 1e9])


def one_ring(points, rng):
    height = np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1]))
    return points[np.abs(height - rng.choice(height)) < 0.01]


def whole(points, rng):
    return points


WAYS = (few, sparse, holed, coarse, doubled, scaled, one_ring, whole)


@pytest.mark.parametrize(
    'name', ['room', 'corridor', 'tunnel', 'plane', 'stairs', 'forest', 'sparse_field'])
@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), ways=st.lists(st.sampled_from(WAYS), min_size=3, max_size=10),
    mitigation=st.sampled_from(['prior', 'none', 'dcreg', 'tsvd', 'xicp', 'remap']),
    voxel=st.sampled_from([0.2, 0.5, 1.0]))
def test_scans_of_all_kinds_in_any_order_are_answered(name, seed, ways, mitigation, voxel):
    rng = np.random.default_rng(seed)
    odometry = dcreg_ros.LidarOdometry(with_values(OdometryConfig(), {
        'registration.mitigation': mitigation, 'registration.threads': 1,
        'map.voxel_size': voxel}))
    stamp = 0.0
    for way in ways:
        stamp += rng.choice([0.05, 0.1, 1.0])
        points = way(scans(name)[rng.integers(12)], rng)
        frame = odometry.process(points, None, stamp)
        rotation = frame.pose[:3, :3]
        assert np.isfinite(frame.pose).all()
        assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-9)
        for covariance in (frame.covariance, frame.twist_covariance):
            assert np.array_equal(covariance, covariance.T)
            assert np.linalg.eigvalsh(covariance).min() > 0.0
