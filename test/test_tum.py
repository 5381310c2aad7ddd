# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TUM trajectories: digits, signs of quaternions, and files that are none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dcreg_ros.io.tum import read_tum, write_tum


def random_poses(number, seed, size=1e3):
    generator = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (number, 1, 1))
    poses[:, :3, :3] = Rotation.random(number, random_state=seed).as_matrix()
    poses[:, :3, 3] = generator.normal(scale=size, size=(number, 3))
    return poses


@given(st.integers(1, 20), st.integers(0, 1000), st.sampled_from([1e-3, 1.0, 1e4]))
def test_poses_come_back(tmp_path_factory, number, seed, size):
    path = tmp_path_factory.mktemp('tum') / 'poses.txt'
    stamps = 1700000000.0 + np.arange(number) * 0.1
    poses = random_poses(number, seed, size)
    write_tum(path, stamps, poses)
    again_stamps, again_poses = read_tum(path)
    np.testing.assert_array_equal(again_stamps, stamps)
    np.testing.assert_allclose(again_poses, poses, rtol=1e-9, atol=1e-10)


def test_layout_of_a_line(tmp_path):
    pose = np.eye(4)
    pose[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]  # 90 degrees about z
    pose[:3, 3] = [1.0, -2.0, 1 / 3]
    write_tum(tmp_path / 'poses.txt', [1700000000.123456], [pose])
    (line,) = (tmp_path / 'poses.txt').read_text().splitlines()
    words = line.split()
    assert words[:3] == ['1700000000.123456001', '1.0', '-2.0']
    assert float(words[3]) == 1 / 3
    np.testing.assert_allclose([float(word) for word in words[4:]], [0, 0, 0.5**0.5, 0.5**0.5])


def test_quaternions_have_positive_w(tmp_path):
    write_tum(tmp_path / 'poses.txt', np.arange(50.0), random_poses(50, 4))
    assert (np.loadtxt(tmp_path / 'poses.txt')[:, 7] >= 0).all()


def test_nothing(tmp_path):
    write_tum(tmp_path / 'poses.txt', [], [])
    stamps, poses = read_tum(tmp_path / 'poses.txt')
    assert (stamps.shape, poses.shape) == ((0,), (0, 4, 4))


def test_comments_and_single_lines(tmp_path):
    (tmp_path / 'poses.txt').write_text('# stamp tx ty tz qx qy qz qw\n\n5 1 2 3 0 0 0 2\n')
    stamps, poses = read_tum(tmp_path / 'poses.txt')
    np.testing.assert_array_equal(stamps, [5])
    np.testing.assert_array_equal(
        poses[0], [[1, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]
    )


@pytest.mark.parametrize(
    'text', ['1 2 3\n', '1 2 3 4 5 6 7 eight\n', '1 2 3 4 0 0 0 0\n', '1 2 3 4 0 0 0 1\n1 2\n']
)
def test_other_files(tmp_path, text):
    (tmp_path / 'poses.txt').write_text(text)
    with pytest.raises(ValueError, match=r'poses\.txt: '):
        read_tum(tmp_path / 'poses.txt')


def test_wrong_arguments(tmp_path):
    path = tmp_path / 'poses.txt'
    for stamps, poses in [([1.0], np.eye(4)), ([1.0, 2.0], [np.eye(4)]), (1.0, [np.eye(4)])]:
        with pytest.raises(ValueError, match='should be of shape'):
            write_tum(path, stamps, poses)
    for stamps, poses in [([np.nan], [np.eye(4)]), ([1.0], [np.full((4, 4), np.nan)])]:
        with pytest.raises(ValueError, match='not finite'):
            write_tum(path, stamps, poses)
    assert not path.exists()
