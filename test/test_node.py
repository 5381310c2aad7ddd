# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node in a live graph: another process sends clouds over DDS and hears what comes back."""

import numpy as np
import pytest

pytest.importorskip('rclpy')

from builtin_interfaces.msg import Time
from live_graph import NODE, Graph, corridor_scan, running_node, stamp, values
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, SetParameters
from std_srvs.srv import Trigger

from dcreg_ros.config import NodeConfig
from dcreg_ros.io.pointcloud2 import decode_pointcloud2
from dcreg_ros.parameters import describe

pytestmark = pytest.mark.ros


@pytest.fixture(scope='module')
def process(tmp_path_factory):
    arguments = ('-p', 'publish.diagnostics_period:=0.2', '-p', 'publish.map_period:=0.1')
    with running_node(tmp_path_factory.mktemp('node'), *arguments) as (process, _):
        yield process


@pytest.fixture(scope='module')
def live(process):
    graph = Graph()
    graph.wait_for_node(process)
    yield graph
    graph.close()


@pytest.fixture
def graph(live, process):
    """The graph as new: the map is forgotten, and nothing heard yet."""
    response = live.call(Trigger, f'{NODE}/reset', Trigger.Request())
    assert response.success
    for heard in live.heard.values():
        heard.clear()
    yield live
    assert process.poll() is None, 'the node died'


def drive(graph, number=5, step=0.02):
    """Drive sidewards through the corridor, which has no features along x."""
    return [graph.register(corridor_scan(i, y=step * i), stamp(i)) for i in range(number)]


def weak_axes(graph, when):
    """Weak axes of one scan, as `~/degeneracy` tells."""
    heard = graph.heard[f'{NODE}/degeneracy']
    message = graph.wait(lambda: next((m for m in heard if m.header.stamp == when), None))
    return values(message.status[0])['weak'].split()


def set_parameter(graph, name, value):
    fields = {
        float: ('double_value', ParameterType.PARAMETER_DOUBLE),
        str: ('string_value', ParameterType.PARAMETER_STRING),
    }
    field, kind = fields[type(value)]
    request = SetParameters.Request()
    request.parameters = [Parameter(name=name, value=ParameterValue(type=kind, **{field: value}))]
    return graph.call(SetParameters, f'{NODE}/set_parameters', request).results[0]


def test_odometry_has_stamps_frames_and_motion(graph):
    messages = drive(graph)
    for i, message in enumerate(messages):
        assert message.header.stamp == stamp(i)
        assert message.header.frame_id == 'odom'
        assert message.child_frame_id == 'lidar'
    last = messages[-1]
    assert last.pose.pose.position.y == pytest.approx(0.08, abs=0.01)
    assert last.pose.pose.position.z == pytest.approx(0.0, abs=0.01)
    assert last.pose.pose.orientation.w == pytest.approx(1.0, abs=1e-3)
    assert last.twist.twist.linear.y == pytest.approx(0.2, abs=0.1)


def test_covariances_are_spd_and_in_ros_order(graph):
    last = drive(graph)[-1]
    for covariance in (last.pose.covariance, last.twist.covariance):
        matrix = np.reshape(covariance, (6, 6))
        np.testing.assert_array_equal(matrix, matrix.T)
        assert np.linalg.eigvalsh(matrix).min() > 0.0
    # x y z rotX rotY rotZ: along the corridor nothing is known, everything else is.
    sigmas = np.sqrt(np.diag(np.reshape(last.pose.covariance, (6, 6))))
    assert np.argmax(sigmas[:3]) == 0
    assert sigmas[0] > 10 * sigmas[1:].max()


def test_weak_axis_is_named_per_scan_and_in_diagnostics(graph):
    drive(graph)
    assert 'x' in weak_axes(graph, stamp(4))
    assert not {'y', 'z', 'yaw'} & set(weak_axes(graph, stamp(4)))
    last = f'{stamp(4).sec}.{stamp(4).nanosec:09d}'
    status = graph.next_status('Observability', lambda s: values(s).get('stamp') == last)
    assert status.name == 'registration_node: Observability'
    assert status.level == b'\x01'
    assert status.message.startswith('weak: ') and 'x, ' in status.message
    facts = values(status)
    assert facts['x.weak'] == 'true' and facts['y.weak'] == 'false'
    direction = np.array(facts['x.direction'].split(), float)
    assert direction[0] > 0.99
    assert float(facts['x.condition']) > 10.0
    assert 'x' in facts['weak']


def test_the_other_statuses_tell_input_registration_and_timing(graph):
    drive(graph, 3)
    message = graph.wait(lambda: graph.heard['/diagnostics'] and graph.heard['/diagnostics'][-1])
    names = [status.name for status in message.status]
    parts = ('Input', 'Registration', 'Observability', 'Timing')
    assert names == [f'registration_node: {part}' for part in parts]
    facts = values(graph.next_status('Input', lambda s: s.level == b'\x00'))
    assert facts['topic'] == '/points'
    assert int(facts['processed']) >= 3
    assert values(graph.next_status('Registration'))['status'] == 'tracking'
    timing = values(graph.next_status('Timing'))
    assert {'decode', 'register', 'total', 'median', 'p95'} <= set(timing)


def test_markers_point_along_the_weak_axis(graph):
    drive(graph)
    heard = graph.heard[f'{NODE}/degeneracy_markers']
    message = graph.wait(lambda: next((m for m in heard if len(m.markers) > 1), None))
    arrows = [m for m in message.markers if m.type == m.ARROW and m.action == m.ADD]
    assert message.markers[0].action == message.markers[0].DELETEALL
    assert {m.header.frame_id for m in message.markers} == {'lidar'}
    tips = sorted(arrow.points[1].x for arrow in arrows if abs(arrow.points[1].x) > 2.5)
    assert len(tips) == 2 and tips[0] == pytest.approx(-tips[1])
    assert 'x weak' in [m.text for m in message.markers]


def test_local_map_is_in_the_odom_frame(graph):
    heard = graph.heard[f'{NODE}/local_map']
    # It comes with a scan, once in a period, and the first may come before we are known to listen.
    for i in range(200):
        if heard:
            break
        graph.register(corridor_scan(i, y=0.02 * min(i, 5)), stamp(i))
    message = graph.wait(lambda: heard and heard[-1])
    points, _ = decode_pointcloud2(message)
    assert message.header.frame_id == 'odom'
    assert len(points) > 100
    assert np.abs(points[:, 1]).max() == pytest.approx(1.5, abs=0.05)


def test_no_kind_of_bad_scan_kills_the_node(graph):
    drive(graph, 3)
    good = corridor_scan(0)
    graph.send(good, stamp(3), point_step=5)
    status = graph.next_status('Input', lambda s: s.level == b'\x02')
    assert 'cannot be decoded' in status.message
    graph.send(good, stamp(4), fields=[])
    graph.next_status('Input', lambda s: "no field 'x'" in s.message)
    graph.send(np.empty((0, 3)), stamp(5))
    status = graph.next_status('Input', lambda s: 'no finite point' in s.message)
    assert status.level >= b'\x01'
    graph.send(np.full((100, 3), np.nan), stamp(6))
    graph.next_status('Input', lambda s: 'no finite point' in s.message)
    graph.send(good, stamp(7), frame_id='other_lidar')
    status = graph.next_status('Input', lambda s: 'other_lidar' in s.message)
    assert values(status)['other_frame'] == '1'
    graph.send(good, stamp(1))
    graph.next_status('Input', lambda s: 'is not after that before' in s.message)
    graph.send(good, stamp(-20))
    graph.next_status('Input', lambda s: 'before the one before it' in s.message)
    assert graph.odometry_of(stamp(-20)).header.stamp == stamp(-20)
    assert graph.register(corridor_scan(8), stamp(8)).header.stamp == stamp(8)
    assert values(graph.next_status('Input'))['malformed'] == '2'


def counts(graph, *events):
    """How often events happened so far."""
    facts = values(graph.next_status('Input'))
    return np.array([int(facts[event]) for event in events])


def test_scans_that_come_late_are_left_out(graph):
    drive(graph, 4)
    before = counts(graph, 'late', 'backwards')
    graph.send(corridor_scan(3, y=0.06), stamp(3))  # sent again
    status = graph.next_status('Input', lambda s: 'is not after that before' in s.message)
    assert status.level == b'\x01'
    graph.send(corridor_scan(2, y=0.04), stamp(2))  # overtaken
    graph.next_status('Input', lambda s: int(values(s)['late']) == before[0] + 2)
    last = graph.register(corridor_scan(4, y=0.08), stamp(4))
    assert [m.header.stamp for m in graph.heard['odometry']] == [stamp(i) for i in range(5)]
    assert last.pose.pose.position.y == pytest.approx(0.08, abs=0.01)
    assert last.twist.twist.linear.y == pytest.approx(0.2, abs=0.1)
    assert (counts(graph, 'late', 'backwards') - before).tolist() == [2, 0]


def test_a_driver_that_fills_no_stamps_is_not_blamed(graph):
    before = counts(graph, 'late', 'backwards')
    for i in range(3):
        graph.send(corridor_scan(i, y=0.02 * i), Time())
        graph.wait(lambda number=i + 1: len(graph.heard['odometry']) == number)
    assert graph.heard['odometry'][-1].pose.pose.position.y == pytest.approx(0.04, abs=0.01)
    assert (counts(graph, 'late', 'backwards') - before).tolist() == [0, 0]


def test_weak_directions_follow_live_parameters(graph):
    assert set_parameter(graph, 'registration.detection', 'schur').successful
    drive(graph, 3)
    assert 'x' in weak_axes(graph, stamp(2))
    name = 'registration.condition_threshold'
    default = {info.name: value for info, value in describe(NodeConfig())}
    assert set_parameter(graph, name, 1e6).successful
    graph.register(corridor_scan(3), stamp(3))
    assert weak_axes(graph, stamp(3)) == []
    for changed in (name, 'registration.detection'):
        assert set_parameter(graph, changed, default[changed]).successful
    graph.register(corridor_scan(4), stamp(4))
    assert 'x' in weak_axes(graph, stamp(4))


def test_bad_parameters_are_refused_with_a_reason(graph):
    refusals = {
        'registration.condition_threshold': (0.5, 'registration.condition_threshold'),
        'registration.mitigation': ('magic', 'not one of none'),
        'frames.odom_frame': ('map', 'read-only'),
    }
    for name, (value, reason) in refusals.items():
        result = set_parameter(graph, name, value)
        assert not result.successful
        assert reason in result.reason


def test_every_parameter_is_described(graph):
    infos = [info for info, _ in describe(NodeConfig())]
    request = DescribeParameters.Request(names=[info.name for info in infos])
    response = graph.call(DescribeParameters, f'{NODE}/describe_parameters', request)
    for info, described in zip(infos, response.descriptors, strict=True):
        assert described.name == info.name
        assert info.doc in described.description
        assert described.read_only == (not info.live)
        for choice in info.choices:
            assert choice in described.additional_constraints
        if type(info.default) is float:
            limits = described.floating_point_range[0]
            assert (limits.from_value, limits.to_value) == (info.low, info.high)


def test_reset_starts_again_at_the_origin(graph):
    drive(graph)
    assert graph.call(Trigger, f'{NODE}/reset', Trigger.Request()).success
    again = graph.register(corridor_scan(9, y=0.5), stamp(9))
    position = again.pose.pose.position
    assert (position.x, position.y, position.z) == (0.0, 0.0, 0.0)


def test_a_flood_is_dropped_and_counted(graph):
    before = values(graph.next_status('Input'))

    def counts(status):
        return {key: int(values(status)[key]) - int(before[key]) for key in COUNTED}

    # Best effort may lose a whole flood on its way, and a fast node keep up with a small one.
    for k in range(10):
        for i in range(40):
            graph.send(corridor_scan(i % 3, count=60_000), stamp(40 * k + i))
            graph.executor.spin_once(timeout_sec=0.0)
        if counts(graph.next_status('Input'))['dropped']:
            break

    def settled(status):
        number = counts(status)
        return number['received'] == number['processed'] + number['dropped'] > 0

    assert counts(graph.next_status('Input', settled))['dropped'] > 0


COUNTED = ('received', 'processed', 'dropped')
