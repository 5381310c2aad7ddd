# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded scans through player, node and recorder are the same as through the offline runner."""

import numpy as np
import pytest

pytest.importorskip('rclpy')

from live_graph import FIRST_START, corridor_scan, running_node, start
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import PointCloud2, PointField

from dcreg_ros.config import NodeConfig
from dcreg_ros.evaluation.diagnostics_log import read_diagnostics
from dcreg_ros.evaluation.runner import run_odometry
from dcreg_ros.io.sources import open_source
from dcreg_ros.io.tum import write_tum
from dcreg_ros.ros.messages import cloud_message
from dcreg_ros.ros.player import read_sent
from dcreg_ros.ros.playlist import cdr_stamp, read_outgoing
from dcreg_ros.ros.stamps import nanoseconds, time_message

pytestmark = pytest.mark.ros


def write_pcd(path, points):
    header = (
        'VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\n'
        f'WIDTH {len(points)}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {len(points)}\n'
        'DATA binary\n'
    )
    path.write_bytes(header.encode() + points.astype('<f4').tobytes())


def play_into_node(source, count, tmp_path):
    """Play in lock-step; returns what the recorder wrote, and what was sent."""
    # Best effort loses large clouds on a busy machine, and every scan counts here.
    reliable = ('-p', 'qos_overrides./points.subscription.reliability:=reliable')
    with running_node(tmp_path, *reliable) as (process, _):
        recorder = start('recorder', '-o', tmp_path / 'recorded', '--count', count)
        log = tmp_path / 'sent.csv'
        player = start('player', source, '--rate', 0, '--wait-for-odometry', '--log', log)
        output, _ = player.communicate(timeout=FIRST_START)
        assert player.returncode == 0, output
        recorder.communicate(timeout=30)
        assert process.poll() is None
    return tmp_path / 'recorded', read_sent(log)


def linked_corridor(data_folder, tmp_path, numbers):
    """Some scans of the recorded corridor, in a folder of their own."""
    source = tmp_path / 'scans'
    source.mkdir()
    for i in numbers:
        (source / f'{i:02}.pcd').symlink_to(data_folder / 'corridor' / f'{i:02}.pcd')
    return source


def assert_same_as_offline(source, tmp_path):
    run = run_odometry(open_source(source), NodeConfig())
    folder, sent = play_into_node(source, len(run.frames), tmp_path)
    write_tum(tmp_path / 'offline.tum', run.stamps, run.poses)
    ours, theirs = (np.loadtxt(p) for p in (folder / 'poses.tum', tmp_path / 'offline.tum'))
    np.testing.assert_array_equal(ours[:, 0], theirs[:, 0])
    # Positions bit for bit; the files' quaternions went through a matrix and back.
    np.testing.assert_array_equal(ours[:, 1:4], theirs[:, 1:4])
    np.testing.assert_allclose(ours[:, 4:], theirs[:, 4:], rtol=0, atol=1e-15)
    assert all(one.answered for one in sent)
    table = read_diagnostics(folder / 'diagnostics.csv')
    np.testing.assert_array_equal(table.masks, run.table.masks)
    np.testing.assert_allclose(table.conditions, run.table.conditions, rtol=1e-5)


def test_node_and_offline_runner_agree_on_made_up_scans(tmp_path):
    source = tmp_path / 'scans'
    source.mkdir()
    for i in range(8):
        write_pcd(source / f'{i:02}.pcd', corridor_scan(i, y=0.02 * i))
    assert_same_as_offline(source, tmp_path)


def test_node_and_offline_runner_agree_on_the_real_corridor(data_folder, tmp_path):
    source = linked_corridor(data_folder, tmp_path, range(7, 30))
    assert_same_as_offline(source, tmp_path)


def recorded_cloud(index):
    """A cloud with more fields than the package reads."""
    message = cloud_message(corridor_scan(index, count=50), time_message(10**9 + index), 'lidar')
    message.fields = [
        *message.fields[:2],
        PointField(name='z', offset=8, datatype=PointField.FLOAT32, count=1),
        PointField(name='ring', offset=12, datatype=PointField.UINT16, count=1),
    ]
    raw = np.zeros((50, 16), np.uint8)
    raw[:, :12] = np.frombuffer(message.data, np.uint8).reshape(50, 12)
    raw[:, 12] = index
    message.point_step, message.row_step = 16, 16 * 50
    message.data = raw.tobytes()
    return message


def test_a_recording_is_played_byte_for_byte(tmp_path):
    rosbag2 = pytest.importorskip('rosbags.rosbag2')
    typesys = pytest.importorskip('rosbags.typesys')
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    recorded = [recorded_cloud(i) for i in range(3)]
    with rosbag2.Writer(tmp_path / 'bag', version=9) as writer:
        connection = writer.add_connection(
            '/points', 'sensor_msgs/msg/PointCloud2', typestore=store
        )
        for i, message in enumerate(recorded):
            writer.write(connection, i, serialize_message(message))
    outgoing = list(read_outgoing(tmp_path / 'bag'))
    assert [deserialize_message(o.payload, PointCloud2) for o in outgoing] == recorded
    assert [o.stamp for o in outgoing] == [nanoseconds(m.header.stamp) for m in recorded]


def test_stamp_of_serialized_message():
    message = PointCloud2()
    message.header.stamp.sec, message.header.stamp.nanosec = 1_700_000_000, 123_456_789
    assert cdr_stamp(serialize_message(message)) == 1_700_000_000_123_456_789


def test_files_become_messages_with_their_points(tmp_path):
    points = corridor_scan(0, count=20)
    points[3] = np.nan
    write_pcd(tmp_path / '0.pcd', points)
    write_pcd(tmp_path / '1.pcd', points)
    first, second = read_outgoing(tmp_path, period=0.5)
    assert (first.stamp, second.stamp) == (0, 500_000_000)
    assert (second.payload.width, second.payload.is_dense) == (20, False)
    sent = np.frombuffer(second.payload.data, '<f4').reshape(-1, 3)
    np.testing.assert_array_equal(sent, points.astype('<f4'))


def test_player_says_when_nobody_listens(tmp_path):
    write_pcd(tmp_path / '0.pcd', corridor_scan(0))
    player = start('player', tmp_path, '--discovery-timeout', 0.5)
    output, _ = player.communicate(timeout=60)
    assert player.returncode == 1
    assert 'no subscription of /points within 0.5 s' in output


def test_broken_scan_of_the_real_corridor_crashes_nothing(data_folder, tmp_path):
    """Scan 06 has 6 k points and a blob: whatever becomes of the pose, everybody lives."""
    source = linked_corridor(data_folder, tmp_path, range(3, 12))
    assert_same_as_offline(source, tmp_path)


def test_real_corridor_is_ill_conditioned_along_its_axis_at_first(data_folder, tmp_path):
    source = linked_corridor(data_folder, tmp_path, range(7, 30))
    run = run_odometry(open_source(source), NodeConfig())
    # The turn at the door, 28 degrees from one scan to the next, loses it for three scans.
    past_the_door = run.frames[4:]
    assert {frame.status for frame in past_the_door} == {'tracking'}
    # It runs along y of the sensor. From about its tenth scan on doors and corners hold y as well:
    # the way back agrees with the way there to centimetres.
    said = [frame.degeneracy.ill_conditioned[4] for frame in past_the_door]
    assert np.mean(said[:7]) > 0.8
    assert not any(frame.degeneracy.mask[4] for frame in past_the_door[7:])
