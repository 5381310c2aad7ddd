# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node with the odometry of wheels, in a live graph: good, late, broken and missing."""

import importlib.util
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')

from live_graph import NODE, Graph, corridor_scan, running_node, stamp, values, wheels
from nav_msgs.msg import Odometry
from scipy.spatial.transform import Rotation
from std_srvs.srv import Trigger

from dcreg_ros.config import NodeConfig
from dcreg_ros.evaluation.runner import run_odometry
from dcreg_ros.io.poses import stamped_pose
from dcreg_ros.ros.messages import cloud_message
from dcreg_ros.ros.stamps import time_message
from dcreg_ros.simulation.lidar import LidarModel
from dcreg_ros.simulation.recording import simulate

pytestmark = pytest.mark.ros

WAIT = 0.4
RELIABLE = [
    word
    for topic in ('points', 'prior')
    for word in ('-p', f'qos_overrides./{topic}.subscription.reliability:=reliable')
]
"""Every message counts where results are compared bit for bit."""


@pytest.fixture(scope='module')
def live(tmp_path_factory):
    arguments = ('-p', 'input.use_prior:=true', '-p', f'input.prior_wait:={WAIT}')
    arguments += ('-p', 'publish.diagnostics_period:=0.2')
    with running_node(tmp_path_factory.mktemp('node'), *arguments, *RELIABLE) as (process, _):
        graph = Graph()
        graph.prior = graph.node.create_publisher(Odometry, 'prior', 200)
        graph.wait_for_node(process)
        graph.wait(lambda: graph.prior.get_subscription_count() == 1)
        yield graph
        graph.close()
        assert process.poll() is None, 'the node died'


@pytest.fixture
def graph(live):
    assert live.call(Trigger, f'{NODE}/reset', Trigger.Request()).success
    for heard in live.heard.values():
        heard.clear()
    return live


def counts(graph):
    """Scans with a prior and without one, and messages refused, so far."""
    facts = values(graph.next_status('Input'))
    return np.array([int(facts[key]) for key in ('with_prior', 'no_prior', 'prior_refused')])


def said(graph):
    """All that the diagnostics said since the test began."""
    return ' '.join(s.message for m in graph.heard['/diagnostics'] for s in m.status)


class Recorded:
    """The wheels of a simulation for the offline runner."""

    name = 'wheels'

    def __init__(self, recording):
        self.rows = list(zip(recording.wheels.stamps, recording.wheels.poses, strict=True))

    def __iter__(self):
        return iter(self.rows)

    def child_lidar(self, lidar_frame):
        return np.eye(4)


def as_message(when, matrix):
    message = wheels(time_message(round(when * 1e9)), 0.0)
    place, turned = message.pose.pose.position, message.pose.pose.orientation
    place.x, place.y, place.z = map(float, matrix[:3, 3])
    turned.x, turned.y, turned.z, turned.w = map(
        float, Rotation.from_matrix(matrix[:3, :3]).as_quat())
    return message


def test_wheels_lead_through_a_tunnel_as_they_do_offline(graph):
    recording = simulate('square_tunnel', 60, LidarModel(columns=512), seed=5)
    # As a message carries it: a quaternion of unit length is not the matrix to the last bit.
    messages = [as_message(*row) for row in Recorded(recording).rows]
    offline = Recorded(recording)
    offline.rows = [stamped_pose(message) for message in messages]
    expected = run_odometry(recording.scans, NodeConfig(), prior=offline)
    assert expected.with_prior == 59

    ours = []
    for scan in recording.scans:
        while messages and stamped_pose(messages[0])[0] <= scan.stamp + 0.1:
            graph.prior.publish(messages.pop(0))
        when = time_message(round(scan.stamp * 1e9))
        graph.points.publish(cloud_message(scan.points, when, 'lidar', scan.times))
        place = graph.odometry_of(when).pose.pose.position
        ours.append([place.x, place.y, place.z])
    np.testing.assert_array_equal(ours, expected.poses[:, :3, 3])

    truth = recording.odometry_poses[-1, :3, 3]
    alone = run_odometry(recording.scans, NodeConfig()).poses[-1, :3, 3]
    assert abs(alone[0] - truth[0]) > 3.0
    assert abs(ours[-1][0] - truth[0]) < 0.2 * abs(alone[0] - truth[0])
    assert np.abs(ours[-1] - truth)[1:].max() < 0.05


def test_a_scan_waits_for_wheels_that_are_late(graph):
    start = 1_700_100_000
    for k in range(10):
        graph.prior.publish(wheels(stamp(k, 0.02, start), 0.0))
    graph.register(corridor_scan(0), stamp(1, start=start))
    before = counts(graph)
    for k in range(2, 6):
        graph.send(corridor_scan(k), stamp(k, start=start))
        graph.spin(0.25 * WAIT)
        assert stamp(k, start=start) not in [m.header.stamp for m in graph.heard['odometry']]
        # At its stamp: clouds without times are of one instant.
        graph.prior.publish(wheels(stamp(k, start=start), 0.1 * (k - 1)))
        x = graph.odometry_of(stamp(k, start=start)).pose.pose.position.x
        assert x == pytest.approx(0.1 * (k - 1), abs=0.02)
    assert (counts(graph) - before).tolist() == [4, 0, 0]


def test_wheels_that_died_are_waited_for_once_and_named(graph):
    start = 1_700_200_000
    for k in range(10):
        graph.prior.publish(wheels(stamp(k, 0.02, start), 0.0))
    graph.register(corridor_scan(0), stamp(1, start=start))
    before = counts(graph)
    began = time.monotonic()
    for k in range(4, 12):  # 0.12 s after the last of the wheels, which is not believed so long
        graph.register(corridor_scan(k), stamp(k, start=start))
    assert time.monotonic() - began < 8 * WAIT
    status = graph.next_status('Input', lambda s: 'no prior' in s.message)
    assert status.level == b'\x01'
    assert 'from /prior: the odometry ends' in status.message
    assert (counts(graph) - before).tolist() == [0, 8, 0]
    assert values(graph.next_status('Registration'))['status'] == 'tracking'


def test_broken_odometry_is_refused_and_the_rest_is_used(graph):
    start = 1_700_300_000
    before = counts(graph)
    graph.register(corridor_scan(0), stamp(0, start=start))
    for k in range(30):
        x = np.nan if k == 7 else 0.02 * k
        orientation = {'w': 0.0} if k == 12 else {}
        graph.prior.publish(wheels(stamp(k, 0.02, start), x, **orientation))
    graph.prior.publish(wheels(stamp(3, 0.02, start), 0.0))
    for k in range(1, 6):
        x = graph.register(corridor_scan(k), stamp(k, start=start)).pose.pose.position.x
        assert x == pytest.approx(0.1 * k, abs=0.03)
    assert (counts(graph) - before).tolist() == [5, 0, 3]
    assert 'odometry on /prior refused: stamp ' in said(graph)


def test_a_jump_of_the_wheels_is_not_followed(graph):
    start = 1_700_400_000
    before = counts(graph)
    graph.register(corridor_scan(0), stamp(0, start=start))
    for k in range(30):
        graph.prior.publish(wheels(stamp(k, 0.02, start), 0.02 * k + 30.0 * (k > 12)))
    xs = [graph.register(corridor_scan(k), stamp(k, start=start)).pose.pose.position.x
          for k in range(1, 6)]  # fmt: skip
    assert np.abs(np.array(xs) - 0.1 * np.arange(1, 6)).max() < 0.05
    assert (counts(graph) - before).tolist() == [4, 1, 0]
    assert 'jumped by 30.02 m' in said(graph)


def test_the_way_from_wheels_to_lidar_is_never_made_up(graph):
    start = 1_700_500_000
    graph.register(corridor_scan(0), stamp(0, start=start))
    for k in range(30):
        graph.prior.publish(wheels(stamp(k, 0.02, start), 0.1 * k, child='base_link'))
    graph.register(corridor_scan(1), stamp(1, start=start))
    status = graph.next_status('Input', lambda s: "'base_link' <- 'lidar'" in s.message)
    assert status.level == b'\x01'
    if importlib.util.find_spec('tf2_ros') is None:
        assert 'needs tf2_ros' in status.message
    graph.prior.publish(wheels(stamp(30, 0.02, start), 3.0))
    status = graph.next_status('Input', lambda s: 'more than one publisher' in s.message)
    assert "frame 'lidar', that before of 'base_link'" in status.message
