# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Odometry on simulated drives with known truth, and on a robot's bad days."""

import dataclasses

import numpy as np
import pytest
from reference_icp import errors, pose
from scipy.spatial.transform import Rotation

import dcreg_ros
from dcreg_ros.config import OdometryConfig, RegistrationConfig
from dcreg_ros.geometry.se3 import exp_se3, inverse, log_se3
from dcreg_ros.odometry.motion import MAX_EXTRAPOLATION, MotionModel
from dcreg_ros.simulation.lidar import LidarModel
from dcreg_ros.simulation.recording import simulate


@pytest.fixture(scope='module')
def room():
    return simulate('room', num_scans=40, lidar=LidarModel(columns=512), seed=1)


def run(recording, config=None):
    odometry = dcreg_ros.LidarOdometry(config)
    return [odometry.process(scan.points, scan.times, scan.stamp) for scan in recording.scans]


def drift(frames, recording):
    """Largest translation [m] and rotation [deg] between estimate and truth."""
    both = [errors(np.linalg.inv(truth) @ frame.pose)
            for truth, frame in zip(recording.odometry_poses, frames, strict=True)]
    return np.max(both, axis=0)


@pytest.mark.parametrize('stamp_at', ['start', 'middle', 'end'])
def test_furnished_room_is_followed_wherever_the_stamp_lies(stamp_at):
    recording = simulate(
        'room', num_scans=40, seed=1, lidar=LidarModel(columns=512, stamp_at=stamp_at))
    frames = run(recording)
    translation, angle = drift(frames, recording)
    assert translation < 0.05 and angle < 1.0
    assert [frame.status for frame in frames] == ['first'] + ['tracking'] * 39
    # Twist in the child frame: linear before angular.
    truth = recording.twists[20]
    assert frames[20].twist == pytest.approx(np.r_[truth[3:], truth[:3]], abs=0.1)


def test_corridor_without_ends_is_weak_along_x_and_nowhere_else_lost():
    recording = simulate('tunnel', num_scans=25, lidar=LidarModel(columns=512), seed=2)
    frames = run(recording)
    weak = [frame.degeneracy.weak_axes for frame in frames[1:]]
    assert sum('x' in axes for axes in weak) >= 23
    last = inverse(recording.odometry_poses[-1]) @ frames[-1].pose
    assert np.abs(last[1:3, 3]).max() < 0.05
    sigma = np.sqrt(np.diag(frames[-1].covariance))
    assert sigma[0] > 5 * sigma[1] and sigma[0] > 5 * sigma[2]


def test_covariance_is_positive_definite_grows_and_is_in_the_order_of_ros(room):
    frames = run(room)
    for frame in frames:
        assert (frame.covariance == frame.covariance.T).all() or np.allclose(
            frame.covariance, frame.covariance.T, rtol=1e-12)
        assert np.linalg.eigvalsh(frame.covariance).min() > 0
        assert np.linalg.eigvalsh(frame.twist_covariance).min() > 0
    traces = [np.trace(frame.covariance[:3, :3]) for frame in frames]
    assert traces[-1] > traces[1] > traces[0]


def test_same_scans_give_the_same_bits(room):
    one = OdometryConfig(registration=dataclasses.replace(
        OdometryConfig().registration, threads=1))
    for first, second in zip(run(room), run(room, one), strict=True):
        assert (first.pose == second.pose).all()
        assert (first.covariance == second.covariance).all()


def test_points_that_are_not_finite_go_with_their_times(room):
    clean, dirty = dcreg_ros.LidarOdometry(), dcreg_ros.LidarOdometry()
    for scan in room.scans[:10]:
        points = np.insert(scan.points, [5, 100, 2000], np.nan, axis=0)
        times = np.insert(scan.times, [5, 100, 2000], [0.05, np.nan, 0.0])
        expected = clean.process(scan.points, scan.times, scan.stamp)
        assert (dirty.process(points, times, scan.stamp).pose == expected.pose).all()


def test_empty_scans_coast_and_are_survived(room):
    odometry = dcreg_ros.LidarOdometry()
    first = odometry.process(np.empty((0, 3)), np.empty(0), room.scans[0].stamp - 0.1)
    assert first.status == 'first' and 'no points' in first.reason
    for k, scan in enumerate(room.scans):
        empty = k in (20, 21)
        points = np.full((3, 3), np.nan) if empty else scan.points
        frame = odometry.process(points, scan.times[:3] if empty else scan.times, scan.stamp)
        assert frame.status == ('first' if k == 0 else 'coasting' if empty else 'tracking')
        assert bool(frame.reason) == empty
        assert frame.recovery == ('found again after 2 scans, 0.3 s' if k == 22 else '')
    translation, angle = errors(np.linalg.inv(room.odometry_poses[-1]) @ frame.pose)
    assert translation < 0.05 and angle < 1.0


def test_scans_that_are_missing_are_bridged_by_time(room):
    odometry = dcreg_ros.LidarOdometry()
    for k, scan in enumerate(room.scans):
        if k % 7 not in (5, 6):
            frame = odometry.process(scan.points, scan.times, scan.stamp)
            truth = room.odometry_poses[k]
    translation, angle = errors(np.linalg.inv(truth) @ frame.pose)
    assert translation < 0.05 and angle < 1.0


def test_stamps_that_stand_still_mean_evenly_spaced_scans(room):
    odometry = dcreg_ros.LidarOdometry()
    for scan in room.scans:
        frame = odometry.process(scan.points, scan.times)
    translation, angle = errors(np.linalg.inv(room.odometry_poses[-1]) @ frame.pose)
    assert translation < 0.05 and angle < 1.0


@pytest.mark.parametrize('back', [0.0, 0.4])
def test_a_late_scan_is_refused_and_changes_nothing(room, back):
    odometry, other = dcreg_ros.LidarOdometry(), dcreg_ros.LidarOdometry()
    for scan in room.scans[:10]:
        odometry.process(scan.points, scan.times, scan.stamp)
        other.process(scan.points, scan.times, scan.stamp)
    with pytest.raises(ValueError, match='is not after that before'):
        odometry.process(room.scans[5].points, None, room.scans[9].stamp - back)
    after, expected = (
        o.process(room.scans[10].points, room.scans[10].times, room.scans[10].stamp)
        for o in (odometry, other))
    assert (after.pose == expected.pose).all()


def test_a_recording_that_starts_again_is_followed(room):
    odometry = dcreg_ros.LidarOdometry()
    for scan in room.scans[:20] + room.scans[:20]:
        frame = odometry.process(scan.points, scan.times, scan.stamp)
        assert frame.status != 'coasting'
    translation, _ = errors(np.linalg.inv(room.odometry_poses[19]) @ frame.pose)
    assert translation < 0.05


@pytest.mark.parametrize('gap', [1.5, 30.0])
def test_after_a_gap_the_mean_is_not_taken_for_the_velocity(room, gap):
    """It stands for a while and goes on as before: the mean over the gap is next to nothing."""
    odometry = dcreg_ros.LidarOdometry()
    for k, scan in enumerate(room.scans[:30]):
        frame = odometry.process(scan.points, scan.times, scan.stamp + gap * (k >= 20))
        if k < 20:
            continue
        w, v = np.split(room.twists[k], 2)
        off = frame.twist - np.r_[v, w]
        assert (np.abs(off) < 3.5 * np.sqrt(np.diag(frame.twist_covariance))).all()
        translation, _ = errors(np.linalg.inv(room.odometry_poses[k]) @ frame.pose)
        assert translation < 3.0 * np.sqrt(np.trace(frame.covariance[:3, :3]))
    assert np.sqrt(np.diag(frame.twist_covariance))[0] < 0.2  # known again


def test_times_none_of_which_is_finite_are_as_good_as_none(room):
    with_none, with_nan = dcreg_ros.LidarOdometry(), dcreg_ros.LidarOdometry()
    for scan in room.scans[:5]:
        nan = np.full(len(scan.points), np.nan)
        expected = with_none.process(scan.points, None, scan.stamp).pose
        assert (with_nan.process(scan.points, nan, scan.stamp).pose == expected).all()


def test_prior_replaces_the_prediction(room):
    odometry = dcreg_ros.LidarOdometry()
    odometry.process(room.scans[0].points, room.scans[0].times, room.scans[0].stamp)
    far = pose(x=500.0)
    frame = odometry.process(
        room.scans[1].points, room.scans[1].times, room.scans[1].stamp, prior=far)
    assert frame.status == 'coasting'
    assert frame.pose == pytest.approx(far, abs=1e-6)


def test_reset_starts_again(room):
    odometry = dcreg_ros.LidarOdometry()
    before = [odometry.process(s.points, s.times, s.stamp).pose for s in room.scans[:5]]
    odometry.reset()
    assert len(odometry.map_points()) == 0
    after = [odometry.process(s.points, s.times, s.stamp).pose for s in room.scans[:5]]
    assert all((a == b).all() for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    'arguments, text',
    [
        ({'points': np.zeros((4, 2))}, r'points should have shape \(N, 3\)'),
        ({'times': np.zeros(3)}, r'times should have shape \(4,\)'),
        ({'stamp': np.nan}, 'stamp = nan'),
        ({'prior': np.zeros((4, 4))}, 'prior is not a rigid transform'),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, text):
    with pytest.raises(ValueError, match=text):
        dcreg_ros.LidarOdometry().process(**({'points': np.ones((4, 3))} | arguments))


def test_query_plane_is_refused_with_the_reason():
    with pytest.raises(ValueError, match=r'registration\.association should be "map_plane"'):
        dcreg_ros.LidarOdometry(OdometryConfig(registration=RegistrationConfig()))


def test_motion_model_extrapolates_by_time_and_not_for_ever():
    model = MotionModel()
    twist = np.array([0.0, 0.0, 0.5, 1.0, 0.0, 0.0])
    for time in (0.0, 0.1, 0.2):
        model.correct(time, exp_se3(twist * time))
    assert model.twist == pytest.approx(twist)
    assert model.predict(0.5, 0.0, None)[0] == pytest.approx(exp_se3(twist * 0.5))
    assert model.predict(99.0, 0.0, None)[0] == pytest.approx(
        exp_se3(twist * (0.2 + MAX_EXTRAPOLATION)))


def test_exponential_and_logarithm_agree_with_scipy():
    rng = np.random.default_rng(0)
    for scale in (1e-9, 1e-4, 0.1, 1.0, 3.1):
        axis = rng.normal(size=3)
        twist = np.r_[scale * axis / np.linalg.norm(axis), rng.normal(size=3)]
        transform = exp_se3(twist)
        assert transform[:3, :3] == pytest.approx(
            Rotation.from_rotvec(twist[:3]).as_matrix(), abs=1e-12)
        assert log_se3(transform) == pytest.approx(twist, abs=1e-8)
