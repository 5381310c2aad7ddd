# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results as ROS messages: stamps, frames, order of covariances, statuses, markers."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip('rclpy')

from builtin_interfaces.msg import Time
from scipy.spatial.transform import Rotation
from visualization_msgs.msg import Marker

from dcreg_ros.config import NodeConfig
from dcreg_ros.degeneracy.analysis import analyze_degeneracy
from dcreg_ros.degeneracy.report import AXES
from dcreg_ros.io.pointcloud2 import decode_pointcloud2
from dcreg_ros.io.poses import stamped_pose
from dcreg_ros.odometry.frame import Frame
from dcreg_ros.parameters import describe
from dcreg_ros.registration.covariance import PoseUncertainty
from dcreg_ros.registration.result import RegistrationResult
from dcreg_ros.ros import diagnostics, messages
from dcreg_ros.ros.extrinsics import base_pose, base_pose_covariance, base_twist
from dcreg_ros.ros.health import EVENTS, Health
from dcreg_ros.ros.markers import RING_RADIUS, degeneracy_markers
from dcreg_ros.ros.parameters import descriptor
from dcreg_ros.ros.stamps import nanoseconds, stamp_text, time_message

STAMP = Time(sec=1_700_000_000, nanosec=123_456_789)


def rigid(rotation_vector, translation):
    transform = np.eye(4)
    transform[:3, :3] = Rotation.from_rotvec(rotation_vector).as_matrix()
    transform[:3, 3] = translation
    return transform


def spd(seed):
    factor = np.random.default_rng(seed).normal(size=(6, 6))
    return 0.01 * (factor @ factor.T + np.eye(6))


def make_report(weak=('x',), direction=None):
    mask = np.array([axis in weak for axis in AXES])
    directions = np.vstack([np.eye(3), np.eye(3)])
    if direction is not None:
        directions[np.flatnonzero(mask)] = direction
    return dataclasses.replace(
        analyze_degeneracy(np.eye(6)),
        mask=mask,
        conditions=np.where(mask, 63.0, 1.5),
        directions=directions,
        contributions=directions**2,
    )


def make_frame(report=None, status='tracking', reason='', **changes):
    report = make_report() if report is None else report
    covariance = np.diag([1e-6, 1e-6, 1e-6, 0.41**2, 1e-4, 1e-4])
    known = PoseUncertainty(covariance, np.zeros((6, 6)), covariance)
    match = RegistrationResult(
        np.eye(4), True, 4, 0.02, 0.9, 800, '', np.eye(6), covariance, report, (), known, known
    )
    values = {
        'stamp': 1.0,
        'pose': rigid([0.1, -0.2, 2.5], [1.0, 2.0, 3.0]),
        'covariance': spd(1),
        'twist': np.arange(1.0, 7.0),
        'twist_covariance': spd(2),
        'registration': match,
        'degeneracy': report,
        'status': status,
        'reason': reason,
        'num_points': 1000,
        'num_keypoints': 900,
        'timings': {'register': 0.01},
    }
    return Frame(**values | changes)


BLIND = make_frame(
    status='first', reason='no points within range yet', registration=None, degeneracy=None
)
"""What a LiDAR that sees nothing from the start gives, for ever."""


def level(status):
    return int.from_bytes(status.level, 'little')


def test_odometry_is_the_frame_number_by_number():
    frame = make_frame()
    message = messages.odometry_message(frame, STAMP, 'odom', 'lidar')
    assert message.header.stamp == STAMP
    assert (message.header.frame_id, message.child_frame_id) == ('odom', 'lidar')
    np.testing.assert_allclose(stamped_pose(message)[1], frame.pose, atol=1e-15)
    assert message.pose.pose.orientation.w >= 0.0
    np.testing.assert_array_equal(np.reshape(message.pose.covariance, (6, 6)), frame.covariance)
    twist = message.twist.twist
    vectors = [getattr(v, axis) for v in (twist.linear, twist.angular) for axis in 'xyz']
    np.testing.assert_array_equal(vectors, frame.twist)
    np.testing.assert_array_equal(
        np.reshape(message.twist.covariance, (6, 6)), frame.twist_covariance
    )


def test_rounding_does_not_make_a_covariance_asymmetric():
    skewed = spd(3)
    skewed[0, 5] *= 1.0 + 1e-15
    message = messages.odometry_message(make_frame(covariance=skewed), STAMP, 'odom', 'lidar')
    sent = np.reshape(message.pose.covariance, (6, 6))
    np.testing.assert_array_equal(sent, sent.T)


BASE_LIDAR = rigid([0.3, -0.4, 1.2], [0.5, -0.3, 1.1])


def test_base_starts_at_the_origin_and_keeps_its_distance_to_the_lidar():
    np.testing.assert_allclose(base_pose(np.eye(4), BASE_LIDAR), np.eye(4), atol=1e-15)
    pose = rigid([0.2, 0.1, -1.0], [4.0, -2.0, 0.5])
    lidar_again = base_pose(pose, BASE_LIDAR) @ BASE_LIDAR
    np.testing.assert_allclose(lidar_again, BASE_LIDAR @ pose, atol=1e-14)


def perturbed(pose, error):
    """Pose with an error x y z rotX rotY rotZ about fixed axes."""
    out = pose.copy()
    out[:3, 3] += error[:3]
    out[:3, :3] = Rotation.from_rotvec(error[3:]).as_matrix() @ pose[:3, :3]
    return out


def test_covariance_of_the_base_is_that_of_moved_samples():
    pose, covariance = rigid([0.2, 0.1, -1.0], [4.0, -2.0, 0.5]), spd(4)
    moved = base_pose(pose, BASE_LIDAR)
    jacobian = np.empty((6, 6))
    for i, error in enumerate(1e-6 * np.eye(6)):
        other = base_pose(perturbed(pose, error), BASE_LIDAR)
        turned = Rotation.from_matrix(other[:3, :3] @ moved[:3, :3].T).as_rotvec()
        jacobian[:, i] = np.concatenate([other[:3, 3] - moved[:3, 3], turned]) / 1e-6
    np.testing.assert_allclose(
        base_pose_covariance(pose, covariance, BASE_LIDAR),
        jacobian @ covariance @ jacobian.T,
        rtol=1e-4,
        atol=1e-8,
    )


def test_twist_of_the_base_is_its_motion_in_a_moment():
    twist, moment = np.array([1.0, -0.5, 0.2, 0.3, -0.2, 0.7]), 1e-6
    step = rigid(twist[3:] * moment, twist[:3] * moment)
    moved = base_pose(step, BASE_LIDAR)
    expected = np.concatenate([moved[:3, 3], Rotation.from_matrix(moved[:3, :3]).as_rotvec()])
    found, covariance = base_twist(twist, spd(5), BASE_LIDAR)
    np.testing.assert_allclose(found, expected / moment, rtol=1e-4)
    assert np.linalg.eigvalsh(covariance).min() > 0.0


def test_odometry_of_the_base_and_map_share_a_frame():
    # A wall seen by the LiDAR stays where it is, whichever frame is published.
    frame = make_frame()
    wall_lidar = np.array([[2.0, 1.0, 0.5]])
    wall_map = wall_lidar @ frame.pose[:3, :3].T + frame.pose[:3, 3]
    odometry = messages.odometry_message(frame, STAMP, 'odom', 'base_link', BASE_LIDAR)
    base = stamped_pose(odometry)[1] @ BASE_LIDAR
    expected = wall_lidar @ base[:3, :3].T + base[:3, 3]
    cloud = messages.map_message(wall_map.astype('f4'), STAMP, 'odom', BASE_LIDAR)
    assert cloud.header.frame_id == 'odom'
    np.testing.assert_allclose(decode_pointcloud2(cloud)[0], expected, atol=1e-5)


def test_cloud_keeps_points_and_times():
    points = np.random.default_rng(0).normal(size=(10, 3)).astype('f4')
    times = np.linspace(0.0, 0.09, 10)
    message = messages.cloud_message(points, STAMP, 'lidar', times)
    found, found_times = decode_pointcloud2(message)
    np.testing.assert_array_equal(found, points)
    np.testing.assert_allclose(found_times, times, atol=1e-8)
    assert message.is_dense
    assert messages.cloud_message(np.empty((0, 3)), STAMP, 'lidar').width == 0


@pytest.mark.parametrize('stamp', [0, 1, 999_999_999, 1_700_000_000_123_456_789])
def test_stamps_are_exact(stamp):
    assert nanoseconds(time_message(stamp)) == stamp
    assert stamp_text(time_message(stamp)).replace('.', '').lstrip('0') == str(stamp).lstrip('0')


def test_weak_translation_is_two_arrows_and_a_name():
    direction = np.array([0.8, 0.6, 0.0])
    markers = degeneracy_markers(make_report(direction=direction), STAMP, 'lidar').markers
    assert markers[0].action == Marker.DELETEALL
    arrows = [m for m in markers[1:] if m.type == Marker.ARROW]
    tips = np.array([[m.points[1].x, m.points[1].y, m.points[1].z] for m in arrows])
    np.testing.assert_allclose(tips, [3.0 * direction, -3.0 * direction])
    assert [m.text for m in markers if m.text] == ['x weak']
    assert all(m.header.stamp == STAMP and m.header.frame_id == 'lidar' for m in markers)


def test_weak_rotation_is_a_ring_about_its_axis():
    axis = np.array([0.6, 0.0, 0.8])
    markers = degeneracy_markers(make_report(('roll',), axis), STAMP, 'lidar').markers
    ring = next(m for m in markers if m.type == Marker.LINE_STRIP)
    points = np.array([[p.x, p.y, p.z] for p in ring.points])
    np.testing.assert_allclose(points @ axis, 0.0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), RING_RADIUS)
    np.testing.assert_allclose(points[0], points[-1], atol=1e-12)


@pytest.mark.parametrize('report', [None, make_report(())])
def test_nothing_weak_clears_the_markers(report):
    markers = degeneracy_markers(report, STAMP, 'lidar').markers
    assert [m.action for m in markers] == [Marker.DELETEALL]


def test_marker_identities_do_not_collide():
    markers = degeneracy_markers(make_report(AXES), STAMP, 'lidar').markers[1:]
    assert len({(m.ns, m.id) for m in markers}) == len(markers) == 3 * 2 + 3 * 3


@pytest.mark.parametrize(
    ('frame', 'expected', 'words'),
    [
        (None, 3, 'no scan yet'),
        (make_frame(make_report(())), 0, 'all directions are observable'),
        (make_frame(), 1, 'weak: x, 100 % x, sigma 0.41 m, condition 63; the rest sigma < 0.02 m'),
        (make_frame(make_report(AXES)), 2, 'weak: roll'),
        (make_frame(status='first', registration=None, degeneracy=None), 0, 'first scan'),
        (make_frame(status='coasting', reason='fog', degeneracy=None), 2, 'fog'),
        (BLIND, 2, 'not registered: no points within range yet'),
    ],
)
def test_observability_levels(frame, expected, words):
    status = diagnostics.observability(frame, 'lidar', '1.0', 'node')
    assert level(status) == expected
    assert words in status.message
    assert status.name == 'node: Observability'
    assert all(isinstance(pair.value, str) for pair in status.values)


def statuses(health, now):
    return diagnostics.diagnostics(health.snapshot(now), 'node', '/points', 3.0)


def input_status(health, now):
    return statuses(health, now)[0]


def give(health, now, frame):
    """A result of the scan that came in 0.1 s ago."""
    health.received(now - 0.1)
    health.processed(now, frame, 'lidar', '0.0', 't', {'total': 0.1})


def test_silence_is_a_warning_and_then_an_error():
    health = Health(0.0)
    assert level(input_status(health, 0.1)) == 1
    health.received(1.0)
    levels = [level(input_status(health, now)) for now in (1.5, 4.5, 7.5)]
    assert levels == [0, 1, 2]


@pytest.mark.parametrize(('dropped', 'expected'), [(1, 0), (3, 1), (6, 2)])
def test_dropped_scans_raise_the_level(dropped, expected):
    health = Health(0.0)
    for _ in range(10):
        health.received(0.5)
    health.count('dropped', number=dropped)
    status = input_status(health, 1.0)
    assert level(status) == expected
    assert {pair.key: pair.value for pair in status.values}['dropped'] == str(dropped)


@pytest.mark.parametrize(
    'event', ['malformed', 'empty', 'other_frame', 'late', 'backwards', 'waiting']
)
def test_trouble_is_told_once_and_counted_for_ever(event):
    health = Health(0.0)
    health.received(0.5)
    health.count(event, 'what happened')
    status = input_status(health, 1.0)
    assert level(status) >= 1 and 'what happened' in status.message
    later = input_status(health, 2.0)
    assert level(later) == 0
    assert {pair.key: pair.value for pair in later.values}[event] == '1'


def test_failed_scans_and_slow_scans_show():
    health = Health(0.0)
    for stamp in (0.0, 0.1, 0.2):
        frame = make_frame(stamp=stamp)
        health.processed(0.5, frame, 'lidar', '0.0', 't', {'decode': 0.01, 'total': 0.09})
    health.count('failed', 'scan 1.0 failed: bad')
    _, registration, _, timing = statuses(health, 1.0)
    assert (level(registration), registration.message) == (2, 'scan 1.0 failed: bad')
    assert level(timing) == 1
    assert {p.key: p.value for p in timing.values}['scan_period'] == '100.000 ms'


def test_a_lidar_that_is_blind_from_the_start_is_an_error():
    health = Health(0.0)
    give(health, 0.5, BLIND)
    _, registration, observed, _ = statuses(health, 1.0)
    assert [level(registration), level(observed)] == [2, 2]
    assert registration.message == 'not registered: no points within range yet'


def test_results_get_stale_and_keep_their_values():
    health = Health(0.0)
    give(health, 1.0, make_frame())
    fresh, stale = statuses(health, 3.9)[1:3], statuses(health, 4.5)[1:3]
    assert [level(status) for status in fresh] == [0, 1]
    assert [level(status) for status in stale] == [3, 3]
    assert {status.message for status in stale} == {'no scan registered for 3.5 s'}
    assert [status.values for status in stale] == [status.values for status in fresh]
    give(health, 5.0, make_frame())
    assert [level(status) for status in statuses(health, 5.1)[1:3]] == [0, 1]


def test_scans_that_fail_are_an_error_however_long():
    health = Health(0.0)
    give(health, 1.0, make_frame())
    health.count('failed', 'scan 1.0 failed: bad')
    _, registration, observed, _ = statuses(health, 9.0)
    assert (level(registration), registration.message) == (2, 'scan 1.0 failed: bad')
    assert level(observed) == 3


@pytest.mark.parametrize('registered', [False, True])
def test_scans_of_which_nothing_becomes_are_an_error(registered):
    health = Health(0.0)
    if registered:
        give(health, 1.0, make_frame())
    for now in (1.1, 2.0, 3.0, 4.0, 4.5):
        health.received(now)
        health.count('waiting', 'waiting for the transform')
    assert level(input_status(health, 4.0)) == 1
    health.count('waiting', 'waiting for the transform')
    status = input_status(health, 4.6)
    assert level(status) == 2
    seconds = 3.6 if registered else 3.5
    text = f'no scan registered for {seconds} s; waiting for the transform'
    assert status.message == text


def test_after_a_silence_the_node_gets_its_time():
    health = Health(0.0)
    give(health, 1.0, make_frame())
    health.received(100.0)
    found, registration, _, _ = statuses(health, 100.1)
    assert [level(found), level(registration)] == [0, 3]


def test_silence_is_not_told_twice():
    health = Health(0.0)
    health.received(1.0)
    assert input_status(health, 9.0).message == 'silent for 8.0 s'


def test_health_refuses_an_event_nobody_reports():
    with pytest.raises(ValueError, match=EVENTS[0]):
        Health(0.0).count('recieved')


def test_descriptors_hold_range_choices_unit_and_whether_live():
    found = {info.name: descriptor(info) for info, _ in describe(NodeConfig())}
    threshold = found['registration.condition_threshold']
    limits = threshold.floating_point_range[0]
    assert (limits.from_value, limits.to_value) == (1.0, 1e6)
    assert not threshold.read_only
    iterations = found['registration.max_iterations']
    assert iterations.integer_range[0].to_value == 1000
    assert iterations.read_only
    assert '[m]' in found['map.voxel_size'].description
    assert found['registration.mitigation'].additional_constraints.startswith('one of: none, ')
