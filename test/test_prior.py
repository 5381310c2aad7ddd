# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Another odometry as prior: its poses between their stamps, and what a scan gets of them."""

import numpy as np
import pytest
from reference_icp import errors, pose
from scipy.linalg import expm, logm
from scipy.spatial.transform import Rotation, Slerp

import dcreg_ros
from dcreg_ros.geometry.se3 import exp_se3, inverse
from dcreg_ros.odometry.external import MAX_AHEAD, MEMORY, ExternalOdometry, NoMotion
from dcreg_ros.odometry.motion import MotionModel
from dcreg_ros.odometry.preprocess import middle_of_sweep
from dcreg_ros.odometry.prior import MotionPrior
from dcreg_ros.simulation.lidar import LidarModel
from dcreg_ros.simulation.recording import simulate

START = 1_700_000_000.0
TWIST = np.array([0.3, -0.2, 0.5, 1.5, 0.2, -0.1])
"""Of a steady motion [rad/s, m/s]."""


def generator(twist):
    """The matrix (4, 4) whose exponential is the motion of a twist ``[w, v]``."""
    x, y, z = twist[:3]
    out = np.zeros((4, 4))
    out[:3, :3] = [[0, -z, y], [z, 0, -x], [-y, x, 0]]
    out[:3, 3] = twist[3:]
    return out


def steady(times, twist=TWIST, begin=None):
    """Odometry of a steady motion that is at `begin` at START."""
    external = ExternalOdometry()
    origin = pose(x=4.0, y=-2.0, yaw=70.0) if begin is None else begin
    for time in times:
        external.add(START + time, origin @ expm(generator(twist) * time))
    return external


# Between poses


def test_between_two_poses_the_twist_is_constant():
    first, second = pose(x=1.0, yaw=10.0), pose(x=1.5, y=0.3, z=-0.1, roll=5.0, yaw=45.0)
    external = ExternalOdometry()
    external.add(10.0, first)
    external.add(10.25, second)
    half = external.motion(10.0, 10.1)
    expected = expm(0.4 * logm(np.linalg.inv(first) @ second)).real
    np.testing.assert_allclose(half, expected, atol=1e-12)
    slerp = Slerp([10.0, 10.25], Rotation.from_matrix([first[:3, :3], second[:3, :3]]))
    turned = (slerp(10.0).inv() * slerp(10.1)).as_matrix()
    np.testing.assert_allclose(half[:3, :3], turned, atol=1e-12)


def test_a_steady_motion_is_told_between_any_two_times():
    rng = np.random.default_rng(0)
    external = steady(np.cumsum(rng.uniform(0.002, 0.06, 400)))
    for start, end in np.sort(rng.uniform(0.1, 10.0, (50, 2))):
        expected = expm(generator(TWIST) * (end - start))
        found = external.motion(START + start, START + end)
        np.testing.assert_allclose(found, expected, atol=1e-5)  # a double of 1.7e9 s


def test_at_a_stamp_the_pose_is_that_of_the_message():
    external = ExternalOdometry()
    poses = [pose(x=0.1 * k, yaw=7.0 * k) for k in range(5)]
    for k, one in enumerate(poses):
        external.add(0.25 * k, one)
    np.testing.assert_array_equal(external.motion(0.25, 0.75), inverse(poses[1]) @ poses[3])


def test_what_comes_later_changes_nothing():
    times = np.arange(0.0, 1.0, 0.02)
    early, late = steady(times[:30]), steady(times)
    span = START + 0.211, START + 0.507
    np.testing.assert_array_equal(early.motion(*span), late.motion(*span))


def test_beyond_the_newest_pose_the_velocity_goes_on_for_a_moment():
    external = steady(np.arange(0.0, 0.5, 0.02))  # ends at 0.48
    assert external.covers(START + 0.48) and not external.covers(START + 0.481)
    found = external.motion(START + 0.3, START + 0.55)
    np.testing.assert_allclose(found, expm(generator(TWIST) * 0.25), atol=1e-5)
    with pytest.raises(NoMotion, match=r'ends 0\.12\d s before the scan'):
        external.motion(START + 0.3, START + 0.48 + 1.2 * MAX_AHEAD)


# Where it cannot be told


def test_without_poses_there_is_no_motion():
    with pytest.raises(NoMotion, match='no odometry yet'):
        ExternalOdometry().motion(0.0, 0.1)


def test_before_the_first_pose_there_is_no_motion():
    with pytest.raises(NoMotion, match=r'begins 0\.200 s after'):
        steady([0.0, 0.1]).motion(START - 0.2, START + 0.05)


def test_a_velocity_needs_a_past():
    with pytest.raises(NoMotion, match='only begun'):
        steady([0.0, 0.02]).motion(START + 0.01, START + 0.05)


def test_nothing_is_told_across_a_gap():
    external = steady([*np.arange(0.0, 1.0, 0.02), *np.arange(1.6, 3.0, 0.02)])  # 0.98 to 1.6
    for start, end in ((0.5, 1.3), (0.9, 1.7), (1.1, 1.2), (1.3, 2.0)):
        with pytest.raises(NoMotion, match=r'gap of 0\.620 s'):
            external.motion(START + start, START + end)
    for start, end in ((0.5, 0.98), (1.6, 2.0)):
        external.motion(START + start, START + end)


@pytest.mark.parametrize('away', [pose(x=300.0), pose(yaw=170.0)])
def test_nothing_is_told_across_a_jump(away):
    external = ExternalOdometry()
    for k in range(50):
        external.add(0.02 * k, (away if k >= 25 else np.eye(4)) @ pose(x=0.03 * k))
    with pytest.raises(NoMotion, match=r'jumped by .* within 0\.020 s'):
        external.motion(0.3, 0.6)
    for start, end in ((0.3, 0.48), (0.5, 0.8)):
        np.testing.assert_allclose(
            external.motion(start, end), pose(x=1.5 * (end - start)), atol=1e-12)


def test_a_fast_car_and_clumsy_stamps_are_no_jumps():
    external = ExternalOdometry()
    times = np.cumsum(np.tile([0.001, 0.039], 50))  # two at a time, as a serial line hands over
    for k, time in enumerate(times):
        external.add(time, pose(x=0.04 * k))
    external.motion(0.5, 1.5)
    fast = steady(np.arange(0.0, 2.0, 0.1), np.array([0.0, 0.0, 0.0, 45.0, 0.0, 0.0]))
    fast.motion(START + 0.5, START + 1.5)


def test_a_pose_that_cannot_be_used_is_refused_and_the_others_stay():
    external = steady([0.0, 0.1, 0.2])
    expected = external.motion(START, START + 0.15)
    broken = np.eye(4)
    broken[0, 3] = np.nan
    for time, bad, text in (
        (0.3, broken, 'not finite'),
        (np.nan, np.eye(4), 'not finite'),
        (0.2, np.eye(4), 'not after'),
        (0.15, np.eye(4), 'not after'),
    ):
        with pytest.raises(ValueError, match=text):
            external.add(START + time, bad)
    np.testing.assert_array_equal(external.motion(START, START + 0.15), expected)


def test_a_recording_that_starts_again_is_followed():
    external = steady(np.arange(10.0, 12.0, 0.02))
    for k in range(20):
        external.add(START + 0.02 * k, pose(x=0.1 * k))
    assert not external.covers(START + 10.0)
    np.testing.assert_allclose(external.motion(START + 0.1, START + 0.2), pose(x=0.5), atol=1e-5)


def test_memory_is_bounded():
    external = ExternalOdometry()
    for k in range(20_000):
        external.add(0.01 * k, np.eye(4))
    assert len(external._entries) <= MEMORY / 0.01 + 2
    external.motion(0.01 * k - 0.9 * MEMORY, 0.01 * k)


# The prior of a scan


def frame_at(stamp, pose_at_stamp, twist):
    """Result of a scan; the twist is ``[w, v]``."""
    return dcreg_ros.Frame(
        stamp=stamp, pose=pose_at_stamp, covariance=np.eye(6), twist=np.r_[twist[3:], twist[:3]],
        twist_covariance=np.eye(6), registration=None, degeneracy=None, status='tracking',
        reason='', num_points=1, num_keypoints=1, timings={})


@pytest.mark.parametrize('middle', [0.05, 0.0, -0.05])
def test_the_odometry_comes_from_the_prior_to_the_middle_of_the_sweep(middle):
    """The wheels turn about a point beside the LiDAR, and the robot has just changed its speed."""
    child_lidar = pose(x=0.4, y=-0.1, z=1.2, pitch=10.0, yaw=30.0)
    external = steady(np.arange(0.0, 2.0, 0.02))
    prior, model = MotionPrior(external), MotionModel()
    at_middle, old_twist = pose(x=3.0, yaw=20.0), np.array([0.0, 0.1, -0.2, 0.4, 0.0, 0.1])
    model.correct(START + 0.9 + middle, np.eye(4))
    model.correct(START + 1.0 + middle, at_middle)
    prior.follow(
        frame_at(START + 1.0, at_middle @ exp_se3(-middle * old_twist), old_twist), middle)

    found = prior.predict(START + 1.1, middle, child_lidar)
    predicted, twist = model.predict(START + 1.1 + middle, middle, found)

    moved = np.linalg.inv(child_lidar) @ expm(generator(TWIST) * 0.1) @ child_lidar
    np.testing.assert_allclose(predicted, at_middle @ moved, atol=1e-5)
    np.testing.assert_allclose(generator(twist), logm(moved).real / 0.1, atol=1e-4)


def test_the_first_scan_has_no_prior_nor_has_one_after_a_reset():
    prior = MotionPrior(steady([0.0, 0.1]))
    assert not prior.begun and prior.predict(START, 0.0, np.eye(4)) is None
    prior.follow(frame_at(START, np.eye(4), np.zeros(6)), 0.0)
    assert prior.begun and prior.predict(START + 0.1, 0.0, np.eye(4)) is not None
    prior.reset()
    assert not prior.begun


def test_while_there_is_no_map_there_is_nothing_to_go_on_from():
    """A covered LiDAR on a robot that drives: the first scan that sees is the origin."""
    odometry, prior = dcreg_ros.LidarOdometry(), MotionPrior(steady(np.arange(0.0, 9.0, 0.02)))
    for k in range(20):
        stamp = START + 0.1 * k
        guess = prior.predict(stamp, 0.0, np.eye(4))
        frame = odometry.process(np.full((100, 3), np.nan), None, stamp, guess)
        prior.follow(frame, 0.0)
    assert (frame.pose == np.eye(4)).all() and frame.reason


@pytest.mark.parametrize('stamp', [START + 0.5, START + 0.3])
def test_scans_whose_stamps_do_not_advance_have_no_prior(stamp):
    prior = MotionPrior(steady(np.arange(0.0, 1.0, 0.02)))
    prior.follow(frame_at(START + 0.5, np.eye(4), np.zeros(6)), 0.05)
    with pytest.raises(NoMotion, match='do not advance'):
        prior.predict(stamp, 0.05, np.eye(4))


@pytest.mark.parametrize('stamp_at', ['start', 'middle', 'end'])
def test_where_the_scan_leaves_a_direction_open_the_wheels_speak_and_nowhere_else(stamp_at):
    """An endless tunnel: of the way nothing tells but wheels, and those say 3 % too much."""
    recording = simulate(
        'square_tunnel', num_scans=80, seed=3,
        lidar=LidarModel(columns=512, stamp_at=stamp_at))
    wheels = recording.wheels
    external = ExternalOdometry()
    for time, one in zip(wheels.stamps, wheels.poses, strict=True):
        external.add(time, one)
    prior, odometry, frames = MotionPrior(external), dcreg_ros.LidarOdometry(), []
    for scan in recording.scans:
        middle = middle_of_sweep(scan.times)
        guess = None if len(frames) == 1 else prior.predict(scan.stamp, middle, np.eye(4))
        frames.append(odometry.process(scan.points, scan.times, scan.stamp, guess))
        prior.follow(frames[-1], middle)

    assert sum('x' in frame.degeneracy.weak_axes for frame in frames[1:]) > 70
    truth = recording.odometry_poses[-1]
    error = frames[-1].pose[:3, 3] - truth[:3, 3]
    rolled = inverse(wheels.poses[0]) @ wheels.poses[np.searchsorted(
        wheels.stamps, recording.scans[-1].stamp)]
    assert 0.2 < rolled[0, 3] - truth[0, 3] < 0.3
    assert error[0] == pytest.approx(rolled[0, 3] - truth[0, 3], abs=0.1)
    assert np.abs(error[1:]).max() < 0.05
    assert errors(inverse(truth) @ frames[-1].pose)[1] < 0.5
    # The speed is steady: an error in it must not come back with the other sign.
    cruising = slice(40, 80)
    speeds = np.array([frame.twist[0] for frame in frames])[cruising]
    assert np.abs(speeds - 1.03 * recording.twists[cruising, 3]).max() < 0.15
