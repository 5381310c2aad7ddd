# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Planes of floors that are seen at a grazing angle, with noise along the rays, must not lean."""

import numpy as np
import pytest
from test_planes import planes

from dcreg_ros.voxels.map import VoxelMap

HEIGHT, NOISE, SEEDS = 1.0, 0.02, 40
"""Of the LiDAR above the floor, and of its ranges [m]; and maps that are made."""


def leans(distance, spacing, wide, rays, seed):
    """How far planes lean towards the sensor [rad] on a floor seen in rings `spacing` apart [m].

    Rings lie from `distance` on over `wide` metres; where these are more than planes can reach,
    only those in the middle are looked at.
    """
    rng = np.random.default_rng(seed)
    rings = np.arange(0.0, wide, spacing)
    begin, aside = rng.uniform(-0.5, 0.5, 2)
    along = np.repeat(distance + begin + rings, 20)
    across = aside + rng.uniform(-1.0, 1.0, len(along))
    points = np.c_[along, across, np.full(len(along), -HEIGHT)]
    ways = points / np.linalg.norm(points, axis=1, keepdims=True)
    voxels = VoxelMap(0.5)
    voxels.insert(points + ways * rng.normal(0.0, NOISE, (len(points), 1)), np.eye(4), rays)
    found, middles = planes(voxels)
    inner = np.abs(middles[:, 0] - along.mean()) < (0.25 * wide if wide > 4.0 else np.inf)
    return np.mean((found[:, 0] * np.sign(found[:, 2]))[inner])


@pytest.mark.parametrize(('distance', 'spacing'), [(20.0, 0.02), (4.0, 0.05), (1.5, 0.05)])
def test_a_strip_of_floor_does_not_lean_towards_the_sensor(distance, spacing):
    seen = np.array([
        [leans(distance, spacing, 1.25, rays, seed) for rays in (False, True)]
        for seed in range(SEEDS)])
    told, straight = np.abs(seen.mean(axis=0))
    error = seen.std(axis=0) / np.sqrt(SEEDS)
    assert told > 6.0 * error[0]
    assert straight < 0.3 * told + 2.0 * error[1]


def test_a_floor_full_of_points_needs_no_help():
    """What noise takes over the border of a neighbourhood, it also brings in."""
    seen = np.array([
        [leans(6.0, 0.05, 8.0, rays, seed) for rays in (False, True)] for seed in range(SEEDS)])
    strip = np.mean([leans(6.0, 0.05, 1.25, False, seed) for seed in range(SEEDS)])
    assert (np.abs(seen.mean(axis=0)) < 0.2 * strip).all(), (seen.mean(axis=0), strip)


def test_planes_of_exact_points_stay_as_they_are():
    rng = np.random.default_rng(0)
    floor = np.c_[rng.uniform(2.0, 6.0, 4000), rng.uniform(-2.0, 2.0, 4000), np.full(4000, -1.0)]
    with_rays, without = VoxelMap(0.5), VoxelMap(0.5)
    with_rays.insert(floor, np.eye(4))
    without.insert(floor, np.eye(4), rays=False)
    for a, b in zip(planes(with_rays), planes(without), strict=True):
        assert a == pytest.approx(b, abs=1e-5)


def test_a_plane_stays_one():
    """Unit normal, and the direction in which it was sampled least lies in it."""
    rng = np.random.default_rng(1)
    floor = np.c_[rng.uniform(2.0, 4.0, 900), rng.uniform(-2.0, 2.0, 900), np.full(900, -1.0)]
    ways = floor / np.linalg.norm(floor, axis=1, keepdims=True)
    voxels = VoxelMap(0.5)
    voxels.insert(floor + ways * rng.normal(0.0, 0.03, (900, 1)), np.eye(4))
    found, _ = planes(voxels)
    assert np.linalg.norm(found[:, :3], axis=1) == pytest.approx(np.ones(len(found)), abs=1e-5)
    assert np.abs(np.einsum('ij,ij->i', found[:, :3], found[:, 6:9])).max() < 2e-3
