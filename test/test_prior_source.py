# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcreg odometry --prior`: wheels out of a recording, the frames between, and a file of poses."""

from types import SimpleNamespace

import numpy as np
import pytest
from reference_icp import pose
from scipy.spatial.transform import Rotation

from dcreg_ros.commands.main import main
from dcreg_ros.config import NodeConfig
from dcreg_ros.config_file import load_config
from dcreg_ros.evaluation.runner import run_odometry
from dcreg_ros.io.poses import rigid_transform
from dcreg_ros.io.prior_source import TumOdometry, open_prior
from dcreg_ros.io.sources import FileSource, open_source
from dcreg_ros.io.static_transforms import StaticTransforms
from dcreg_ros.io.tum import read_tum, write_tum
from dcreg_ros.simulation.lidar import LidarModel
from dcreg_ros.simulation.recording import simulate

BASE_LIDAR = pose(x=0.4, y=-0.1, z=1.2, pitch=10.0, yaw=30.0)
MAST_LIDAR = pose(z=0.3, yaw=-20.0)


@pytest.fixture(scope='module')
def recording():
    return simulate('square_tunnel', num_scans=30, seed=3, lidar=LidarModel(columns=512))


# Transforms


def xyz(values):
    return SimpleNamespace(**dict(zip('xyz', values, strict=True)))


def xyzw(values):
    return SimpleNamespace(**dict(zip('xyzw', values, strict=True)))


def tf_message(*rows):
    """A TFMessage of rows (parent, child, transform)."""
    return SimpleNamespace(
        transforms=[
            SimpleNamespace(
                header=SimpleNamespace(frame_id=parent), child_frame_id=child,
                transform=SimpleNamespace(
                    translation=xyz(matrix[:3, 3]),
                    rotation=xyzw(Rotation.from_matrix(matrix[:3, :3]).as_quat())))
            for parent, child, matrix in rows
        ]
    )  # fmt: skip


@pytest.mark.parametrize('length', [1.0, 1.0 + 1e-3, -1.0])
def test_position_and_quaternion_make_a_transform(length):
    matrix = pose(1.0, 2.0, 3.0, 10.0, 20.0, 130.0)
    quaternion = length * Rotation.from_matrix(matrix[:3, :3]).as_quat()
    found = rigid_transform(xyz([1.0, 2.0, 3.0]), xyzw(quaternion))
    np.testing.assert_allclose(found, matrix, atol=1e-12)


@pytest.mark.parametrize(
    ('position', 'quaternion', 'text'),
    [
        ([0, 0, 0], [0, 0, 0, 0], 'length 0, expected 1'),
        ([0, 0, 0], [0, 0, 0, 2.0], 'length 2, expected 1'),
        ([np.nan, 0, 0], [0, 0, 0, 1], 'not finite'),
        ([0, 0, 0], [0, np.inf, 0, 1], 'not finite'),
    ],
)
def test_numbers_that_are_no_pose_are_refused(position, quaternion, text):
    with pytest.raises(ValueError, match=text):
        rigid_transform(xyz(position), xyzw(quaternion))


def test_static_transforms_lead_from_any_frame_to_any_other():
    base_mast, base_camera = np.array(BASE_LIDAR), pose(x=1.0, roll=90.0)
    static = StaticTransforms()
    static.add(tf_message(('base', 'mast', pose(x=9.0)), ('base', 'camera', base_camera)))
    static.add(tf_message(('/mast', 'lidar', MAST_LIDAR), ('base', 'mast', base_mast)))
    for target, source, expected in (
        ('base', 'lidar', base_mast @ MAST_LIDAR),
        ('lidar', 'base', np.linalg.inv(base_mast @ MAST_LIDAR)),
        ('camera', 'lidar', np.linalg.inv(base_camera) @ base_mast @ MAST_LIDAR),
        ('mast', 'mast', np.eye(4)),
        ('unheard', 'unheard', np.eye(4)),
    ):
        np.testing.assert_allclose(static.find(target, source), expected, atol=1e-12)
    assert static.find('base', 'unheard') is None
    assert static.find('unheard', 'lidar') is None


def test_a_loop_of_transforms_ends():
    static = StaticTransforms()
    static.add(tf_message(('a', 'b', np.eye(4)), ('b', 'a', np.eye(4))))
    assert static.find('a', 'c') is None
    np.testing.assert_array_equal(static.find('a', 'b'), np.eye(4))


def test_a_transform_that_is_none_is_named():
    broken = tf_message(('base', 'lidar', np.eye(4)))
    broken.transforms[0].transform.rotation = xyzw([0, 0, 0, 0])
    with pytest.raises(ValueError, match=r"'base' <- 'lidar': quaternion"):
        StaticTransforms().add(broken)


# Recordings


def write_wheels(path, recording, base_lidar=None, mess=()):
    """Write scans, and wheels of a frame `base` where `base_lidar` is given."""
    rosbag2 = pytest.importorskip('rosbags.rosbag2')
    from dcreg_ros.simulation import bag

    def wheels(writer):
        topic = writer.add_connection('/odom', 'nav_msgs/msg/Odometry', typestore=bag._TYPES)
        rows = zip(recording.wheels.stamps, recording.wheels.poses, strict=True)
        for k, (stamp, one) in enumerate(rows):
            if base_lidar is not None:
                one = pose(x=7.0, yaw=50.0) @ base_lidar @ one @ np.linalg.inv(base_lidar)
            message = bag._odometry(stamp, 'odom', one, np.zeros(6))
            message.child_frame_id = 'lidar' if base_lidar is None else 'base'
            if k in mess:
                mess[k](message)
            data = bag._TYPES.serialize_cdr(message, topic.msgtype)
            writer.write(topic, round(stamp * 1e9), data)

    with rosbag2.Writer(path, version=8) as writer:
        clouds = writer.add_connection(
            '/points', 'sensor_msgs/msg/PointCloud2', typestore=bag._TYPES)
        wheels(writer)
        for scan in recording.scans:
            data = bag._TYPES.serialize_cdr(bag._cloud(scan), clouds.msgtype)
            writer.write(clouds, round(scan.stamp * 1e9), data)
        if base_lidar is not None:
            write_static(writer, bag)
    return path


def write_static(writer, bag):
    """Base to mast to LiDAR, so that the way from one to the other is of two steps."""
    topic = writer.add_connection('/tf_static', 'tf2_msgs/msg/TFMessage', typestore=bag._TYPES)
    base_mast = BASE_LIDAR @ np.linalg.inv(MAST_LIDAR)
    transforms = []
    for parent, child, matrix in (('base', 'mast', base_mast), ('mast', 'lidar', MAST_LIDAR)):
        vector = dict(zip('xyz', map(float, matrix[:3, 3]), strict=True))
        turned = Rotation.from_matrix(matrix[:3, :3]).as_quat()
        transform = bag._message(
            'geometry_msgs/msg/Transform',
            translation=bag._message('geometry_msgs/msg/Vector3', **vector),
            rotation=bag._message(
                'geometry_msgs/msg/Quaternion',
                **dict(zip('xyzw', map(float, turned), strict=True))))
        transforms.append(
            bag._message(
                'geometry_msgs/msg/TransformStamped', header=bag._header(0.0, parent),
                child_frame_id=child, transform=transform))
    message = bag._message('tf2_msgs/msg/TFMessage', transforms=transforms)
    writer.write(topic, 0, bag._TYPES.serialize_cdr(message, topic.msgtype))


def run(path, prior):
    source = open_source(path, '/points')
    return run_odometry(source, NodeConfig(), prior=open_prior(prior, source))


def test_odometry_of_the_base_is_as_good_as_that_of_the_lidar(tmp_path, recording):
    direct = run(write_wheels(tmp_path / 'direct', recording), '/odom')
    joined = run(write_wheels(tmp_path / 'joined', recording, BASE_LIDAR), 'odom')
    assert (direct.with_prior, direct.without_prior) == (29, [])
    assert (joined.with_prior, joined.without_prior) == (29, [])
    # The base stands still where the drive begins: 1.9 m follow.
    assert recording.odometry_poses[-1, 0, 3] > 1.9
    np.testing.assert_allclose(joined.poses, direct.poses, atol=1e-4)


def test_a_file_of_poses_serves_as_well(tmp_path, recording):
    wheels = recording.wheels
    write_tum(tmp_path / 'wheels.tum', wheels.stamps, wheels.poses)
    path = write_wheels(tmp_path / 'bag', recording)
    from_bag, from_file = run(path, '/odom'), run(path, str(tmp_path / 'wheels.tum'))
    assert from_file.with_prior == 29
    np.testing.assert_allclose(from_file.poses, from_bag.poses, atol=1e-6)


def test_frames_that_nothing_joins_are_named_before_anything_is_done(tmp_path, recording, capsys):
    path = write_wheels(
        tmp_path / 'bag', recording,
        mess={k: lambda m: setattr(m, 'child_frame_id', 'base_link') for k in range(1000)})
    words = ['odometry', str(path), '--prior', '/odom', '-o', str(tmp_path / 'out')]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "'base_link'" in error and "'lidar'" in error and '/tf_static' in error
    assert not (tmp_path / 'out' / 'poses.tum').exists()


def test_messages_that_cannot_be_used_are_left_out_and_told_of(tmp_path, recording, caplog):
    def unfilled(message):
        message.pose.pose.orientation.w = 0.0
        message.pose.pose.orientation.z = 0.0

    def not_finite(message):
        message.pose.pose.position.x = np.nan

    def late(message):
        message.header.stamp.sec, message.header.stamp.nanosec = 1000, 0

    def of_another(message):
        message.child_frame_id = 'trailer'

    def of_tomorrow(message):
        message.header.stamp.sec = 1000 + 86_400

    mess = {10: unfilled, 20: not_finite, 30: late, 40: of_another, 60: of_tomorrow}
    found = run(write_wheels(tmp_path / 'bag', recording, mess=mess), '/odom')
    text = caplog.text
    for words in ('odom 10 left out: quaternion', 'odom 20 left out: position', 'not after',
                  "odom 40 left out: child frame 'trailer'"):  # fmt: skip
        assert words in text
    # After tomorrow's message the odometry begins anew, at 1.22 s: the scan before is at 1.15 s.
    assert len(found.frames) == 30
    assert [name for name, _ in found.without_prior] == ['/points 12']


def test_wheels_that_end_leave_the_scans_to_themselves(tmp_path, recording):
    class Short:
        name = 'wheels'

        def __iter__(self):
            rows = zip(recording.wheels.stamps, recording.wheels.poses, strict=True)
            return iter([row for row in rows if row[0] <= 1001.0])

        def child_lidar(self, lidar_frame):
            return np.eye(4)

    found = run_odometry(recording.scans, NodeConfig(), prior=Short())
    # Registered in the middle of the sweep, and 0.1 s are extrapolated: until 1001.05 s.
    assert found.with_prior == 10
    assert [name for name, _ in found.without_prior] == [s.name for s in recording.scans[11:]]
    assert found.without_prior[0][1].startswith('the odometry ends 0.15')
    assert {frame.status for frame in found.frames[1:]} == {'tracking'}


def test_a_topic_that_is_not_there_lists_those_there_are(tmp_path, recording):
    path = write_wheels(tmp_path / 'bag', recording)
    with pytest.raises(ValueError, match=r"no odometry on topic '/wheels'; there are: /odom"):
        open_prior('/wheels', open_source(path))
    files = FileSource('scans', [])
    with pytest.raises(ValueError, match=r"'/odom': no such file, and scans has no topics"):
        open_prior('/odom', files)


def test_tum_poses_are_those_of_the_lidar(tmp_path):
    write_tum(tmp_path / 'a.tum', [0.0, 0.5], [np.eye(4), pose(x=1.0, yaw=30.0)])
    odometry = open_prior(str(tmp_path / 'a.tum'), FileSource('scans', []))
    assert isinstance(odometry, TumOdometry) and odometry.name == 'a.tum'
    (first, _), (second, moved) = odometry
    assert (first, second) == (0.0, 0.5)
    np.testing.assert_allclose(moved, pose(x=1.0, yaw=30.0), atol=1e-12)
    np.testing.assert_array_equal(odometry.child_lidar('any'), np.eye(4))


# The command


def test_command_with_the_wheels_of_a_simulated_bag(tmp_path, recording, capsys):
    pytest.importorskip('rosbags')
    pytest.importorskip('matplotlib')
    from dcreg_ros.simulation.bag import write_bag

    write_bag(recording, tmp_path / 'bag')
    words = ['odometry', str(tmp_path / 'bag')]
    assert main([*words, '-o', str(tmp_path / 'without')]) == 0
    assert 'prior' not in capsys.readouterr().out
    assert main([*words, '--prior', '/wheels', '-o', str(tmp_path / 'with')]) == 0
    assert 'with prior     29, from /wheels' in capsys.readouterr().out
    ends = [read_tum(tmp_path / name / 'poses.tum')[1][-1, 0, 3] for name in ('without', 'with')]
    truth = recording.odometry_poses[-1, 0, 3]
    assert abs(ends[1] - truth) < 0.5 * abs(ends[0] - truth)
    used = [load_config(tmp_path / name / 'config.yaml').input for name in ('without', 'with')]
    assert [settings.use_prior for settings in used] == [False, True]


def test_command_says_that_a_configured_prior_is_not_named(tmp_path, recording, capsys):
    pytest.importorskip('matplotlib')
    from dcreg_ros.simulation.bag import write_bag

    write_bag(recording, tmp_path / 'bag')
    config = tmp_path / 'mine.yaml'
    config.write_text('/**:\n  ros__parameters:\n    input:\n      use_prior: true\n')
    words = ['odometry', str(tmp_path / 'bag'), '--config', str(config)]
    assert main([*words, '-o', str(tmp_path / 'out')]) == 0
    assert 'no --prior says which odometry' in capsys.readouterr().err
