# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node as a process: how it starts, refuses to, and ends."""

import importlib.util
import signal
import time

import pytest

pytest.importorskip('rclpy')

import rclpy.qos
from live_graph import (
    FIRST_START,
    Graph,
    corridor_scan,
    running_node,
    stamp,
    start,
    stop,
    wheels,
)
from nav_msgs.msg import Odometry
from sensor_msgs.msg import PointCloud2

from dcreg_ros.evaluation.live import HEARING

pytestmark = pytest.mark.ros


def wait_for_line(process, log, text):
    end = time.monotonic() + FIRST_START
    while text not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, f'no {text!r} in the log'
        time.sleep(0.05)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_node_cleanly_however_many_come(tmp_path, number):
    with running_node(tmp_path) as (process, log):
        wait_for_line(process, log, 'waiting for scans on /points')
        for _ in range(5):
            # Under `ros2 launch` Ctrl-C comes from the terminal and from launch.
            process.send_signal(number)
            time.sleep(0.01)
        code, _ = stop(process, number)
        assert code == 0
        assert 'Traceback' not in log.read_text()


@pytest.mark.parametrize(
    ('argument', 'words'),
    [
        ('registration.condition_threshold:=abc', 'should be of type float'),
        ('registration.condition_threshold:=0.5', 'outside [1, 1e+06]'),
        ('registration.condition_treshold:=10.0', "mean 'registration.condition_threshold'"),
        ('registration.mitigation:=magic', 'is not one of none'),
        ('qos_overrides./points.subscription.reliability:=relieble', 'relieble'),
    ],
)
def test_a_wrong_parameter_is_a_clear_end(argument, words):
    process = start('node', '--ros-args', '-p', argument)
    output, _ = process.communicate(timeout=FIRST_START)
    assert process.returncode == 1
    assert words in output
    assert 'Traceback' not in output


def test_a_file_that_is_not_there_is_a_clear_end():
    process = start('node', '--ros-args', '--params-file', 'nowhere.yaml')
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert 'nowhere.yaml' in output
    assert 'Traceback' not in output


@pytest.mark.skipif(
    importlib.util.find_spec('tf2_ros') is not None, reason='tf2_ros is installed'
)
@pytest.mark.parametrize('argument', ['frames.base_frame:=base_link', 'frames.publish_tf:=true'])
def test_tf_without_tf2_names_the_package_to_install(argument, monkeypatch):
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    process = start('node', '--ros-args', '-p', argument)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert 'apt install ros-jazzy-tf2-ros-py' in output
    assert argument.split(':=')[0] in output


def test_a_file_gives_parameters_and_whole_numbers_are_floats(tmp_path):
    path = tmp_path / 'config.yaml'
    path.write_text(
        '/**:\n  ros__parameters:\n    use_sim_time: false\n'
        '    registration: {condition_threshold: 12}\n    frames: {odom_frame: world}\n'
        '    qos_overrides: {/points: {subscription: {reliability: reliable}}}\n'
    )
    with running_node(tmp_path, '--params-file', path, '-r', 'points:=cloud') as (process, log):
        wait_for_line(process, log, 'waiting for scans on /cloud')


def test_robots_are_told_apart_by_namespace(tmp_path):
    robot = ('--ros-args', '-r', '__ns:=/robot')
    with running_node(tmp_path, *robot[1:]) as (process, log):
        wait_for_line(process, log, 'waiting for scans on /robot/points')
        graph = Graph()
        recorders = [
            start('recorder', '-o', tmp_path / name, *arguments)
            for name, arguments in (('same', robot), ('other', ()))
        ]
        try:
            status = graph.next_status('Input')
            assert status.name == 'robot/registration_node: Input'
            graph.spin(5.0)
        finally:
            said = [stop(recorder)[1] for recorder in recorders]
            graph.close()
    assert [HEARING in words for words in said] == [True, False]
    assert 'robot/registration_node: Timing,' in (tmp_path / 'same/health.csv').read_text()


def test_a_publisher_of_another_qos_is_reported(tmp_path):
    override = 'qos_overrides./points.subscription.reliability:=reliable'
    with running_node(tmp_path, '-p', override) as (process, log):
        graph = Graph()
        try:
            best_effort = rclpy.qos.qos_profile_sensor_data
            graph.node.create_publisher(PointCloud2, 'points', best_effort)
            wait_for_line(process, log, 'offers another RELIABILITY')
            status = graph.next_status('Input', lambda s: 'qos_overrides' in s.message)
            assert status.level == b'\x02'
        finally:
            graph.close()


def test_a_stopped_clock_and_a_best_effort_publisher_and_an_end_while_waiting(tmp_path):
    arguments = ('-p', 'input.use_prior:=true', '-p', 'input.prior_wait:=1.0')
    arguments += ('-p', 'use_sim_time:=true')
    with running_node(tmp_path, *arguments) as (process, log):
        graph = Graph()
        best_effort = rclpy.qos.qos_profile_sensor_data
        prior = graph.node.create_publisher(Odometry, 'prior', best_effort)
        try:
            graph.wait_for_node(process, clock_runs=False)
            graph.wait(lambda: prior.get_subscription_count() == 1)
            for k in range(2):
                graph.register(corridor_scan(k), stamp(k))
            assert 'has no prior from /prior: no odometry yet' in log.read_text()
            for k in range(20):
                prior.publish(wheels(stamp(k, 0.02), 0.02 * k))
                graph.executor.spin_once(timeout_sec=0.01)
            x = [graph.register(corridor_scan(k), stamp(k)).pose.pose.position.x for k in (2, 3)]
            assert x[1] - x[0] == pytest.approx(0.1, abs=0.02)
            graph.send(corridor_scan(9), stamp(9))
            graph.spin(0.2)
            began = time.monotonic()
            code, _ = stop(process, signal.SIGINT)
            assert code == 0
            assert time.monotonic() - began < 10.0
            assert 'Traceback' not in log.read_text()
        finally:
            graph.close()
