# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A ROS graph for tests: the node in a process of its own, and a test that talks to it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import MarkerArray

from dcreg_ros.ros.messages import cloud_message

REPOSITORY = Path(__file__).parents[1]
DOMAIN = 1 + os.getpid() % 101
NODE = '/registration_node'
FIRST_START = 240.0
"""Seconds that a first compilation of all kernels may take on a slow machine."""


def environment():
    """Variables of a process in the graph of this test run, which nobody else is in."""
    here = os.pathsep.join([str(REPOSITORY), os.environ.get('PYTHONPATH', '')])
    return os.environ | {
        'PYTHONPATH': here.rstrip(os.pathsep),
        'PYTHONUNBUFFERED': '1',
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'ROS_DOMAIN_ID': str(DOMAIN),
    }


def start(module, *arguments, log=subprocess.PIPE):
    """Start ``python -m dcreg_ros.ros.<module>``."""
    command = [sys.executable, '-m', f'dcreg_ros.ros.{module}', *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=log, stderr=subprocess.STDOUT, text=True, env=environment()
    )


def stop(process, signal_number=signal.SIGINT):
    """Send a signal, and return exit code and output."""
    if process.poll() is None:
        process.send_signal(signal_number)
    try:
        output, _ = process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
    return process.returncode, output


@contextlib.contextmanager
def running_node(tmp_path, *arguments):
    """Run the node until the end of the block; yields its process and its log file."""
    log = tmp_path / 'node.log'
    with open(log, 'w') as file:
        process = start('node', '--ros-args', *arguments, log=file)
        try:
            yield process, log
        finally:
            stop(process)
            sys.stdout.write(log.read_text())


class Graph:
    """The other side of the node: publishes scans, keeps what comes back."""

    def __init__(self):
        os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=DOMAIN)
        self.node = rclpy.create_node('test', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.heard = defaultdict(list)
        self.points = self.node.create_publisher(PointCloud2, 'points', 10)
        for message_type, topic in (
            (Odometry, 'odometry'),
            (DiagnosticArray, f'{NODE}/degeneracy'),
            (MarkerArray, f'{NODE}/degeneracy_markers'),
            (PointCloud2, f'{NODE}/local_map'),
            (DiagnosticArray, '/diagnostics'),  # last: who hears those hears all
        ):
            self.node.create_subscription(message_type, topic, self.heard[topic].append, 100)

    def close(self):
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def wait(self, condition, timeout=20.0, what='the node'):
        """Spin until a condition holds, and return what it is then."""
        end = time.monotonic() + timeout
        while not (result := condition()):
            if time.monotonic() > end:
                raise AssertionError(f'waited {timeout} s for {what}')
            self.executor.spin_once(timeout_sec=0.05)
        return result

    def spin(self, seconds):
        """Let time pass."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end, seconds + 10.0)

    def wait_for_node(self, process, clock_runs=True):
        """Wait until both sides know each other."""

        def known():
            if process.poll() is not None:
                raise AssertionError(f'the node ended with {process.returncode}')
            return (
                self.points.get_subscription_count() == 1
                and self.node.count_publishers('odometry') == 1
            )

        self.wait(known, FIRST_START)
        if clock_runs:
            self.next_status('Input')
        self.spin(0.5)

    def send(self, points, stamp, frame_id='lidar', **changes):
        """Publish points (N, 3), with any field of the message changed."""
        message = cloud_message(points, stamp, frame_id)
        for name, value in changes.items():
            setattr(message, name, value)
        self.points.publish(message)

    def odometry_of(self, stamp, timeout=20.0):
        """Wait for the odometry of a stamp."""
        return self.wait(
            lambda: next((m for m in self.heard['odometry'] if m.header.stamp == stamp), None),
            timeout,
            f'the odometry of {stamp}',
        )

    def register(self, points, stamp, **arguments):
        """Publish a scan and wait for its odometry."""
        self.send(points, stamp, **arguments)
        return self.odometry_of(stamp)

    def next_status(self, name, condition=lambda status: True):
        """Wait for a status on /diagnostics that is not yet there and fulfils a condition."""
        heard = self.heard['/diagnostics']
        old = len(heard)

        def found():
            statuses = (s for message in heard[old:] for s in message.status)
            return next((s for s in statuses if s.name.endswith(name) and condition(s)), None)

        return self.wait(found, what=f'status {name}')

    def call(self, service_type, name, request):
        """Call a service and return its response."""
        client = self.node.create_client(service_type, name)
        self.wait(client.service_is_ready, what=name)
        future = client.call_async(request)
        self.wait(future.done, what=name)
        self.node.destroy_client(client)
        return future.result()


def values(status):
    """Keys and values of a status."""
    return {pair.key: pair.value for pair in status.values}


def stamp(index, period=0.1, start=1_700_000_000):
    """Stamp of a scan, with nanoseconds that a float of seconds cannot hold."""
    nanoseconds = round(index * period * 1e9) + 7
    return Time(sec=start + nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def wheels(when, x, child='lidar', **orientation):
    """Odometry that has come as far as `x`."""
    message = Odometry(child_frame_id=child)
    message.header.stamp = when
    message.header.frame_id = 'wheels'
    message.pose.pose.position.x = float(x)
    message.pose.pose.orientation.w = 1.0
    for name, value in orientation.items():
        setattr(message.pose.pose.orientation, name, value)
    return message


def corridor_scan(seed, y=0.0, count=6000):
    """Points (N, 3) on walls, floor and ceiling of an endless corridor along x, seen from `y`."""
    rng = np.random.default_rng(seed)
    along = rng.uniform(-12.0, 12.0, count)
    across = rng.uniform(-1.0, 1.0, count)
    side = rng.integers(0, 4, count)
    walls = np.stack([along, np.where(side == 0, 1.5, -1.5), 1.2 * across], axis=1)
    flats = np.stack([along, 1.5 * across, np.where(side == 2, 1.2, -1.2)], axis=1)
    points = np.where((side < 2)[:, None], walls, flats) - [0.0, y, 0.0]
    return points + rng.normal(0.0, 0.004, points.shape)
