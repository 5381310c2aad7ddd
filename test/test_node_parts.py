# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parts of the node that need no graph: worker, prior, and TF (with a stand-in for it)."""

import logging
import sys
import threading
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from live_graph import wheels
from nav_msgs.msg import Odometry

from dcreg_ros.config import FramesConfig
from dcreg_ros.ros.log import forward_to_ros
from dcreg_ros.ros.prior import PriorInput
from dcreg_ros.ros.transforms import Transforms
from dcreg_ros.ros.worker import NewestOnlyWorker


class Bench:
    """A worker whose work waits for permission."""

    def __init__(self):
        self.done, self.failures = [], []
        self.permission = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.worker = NewestOnlyWorker(self._work, lambda job, e: self.failures.append((job, e)))

    def _work(self, job):
        self.begun.release()
        assert self.permission.acquire(timeout=10.0)
        if job < 0:
            raise KeyError(job)
        self.done.append(job)

    def finish(self):
        self.permission.release(100)
        self.begun.acquire(timeout=10.0)
        self.worker.stop()


def test_the_newest_job_wins_and_the_others_are_reported_dropped():
    bench = Bench()
    assert bench.worker.put(1) is False
    assert bench.begun.acquire(timeout=10.0)
    assert [bench.worker.put(job) for job in (2, 3, 4)] == [False, True, True]
    bench.finish()
    assert bench.done == [1, 4]


def test_a_job_that_fails_does_not_end_the_thread():
    bench = Bench()
    bench.worker.put(-1)
    assert bench.begun.acquire(timeout=10.0)
    bench.worker.put(5)
    bench.finish()
    assert bench.done == [5]
    ((job, error),) = bench.failures
    assert job == -1 and isinstance(error, KeyError)


class Buffer:
    def __init__(self):
        self.known = FakeTf.known

    def can_transform(self, target, source, _):
        return (target, source) in self.known

    def lookup_transform(self, target, source, _):
        return self.known[target, source]


class Listener:
    def __init__(self, buffer, node):
        FakeTf.listening += 1

    def unregister(self):
        FakeTf.listening -= 1


class FakeTf:
    """As much of tf2_ros as the node uses."""

    known, sent, listening = {}, [], 0


@pytest.fixture
def tf(monkeypatch):
    module = ModuleType('tf2_ros')
    module.Buffer, module.TransformListener = Buffer, Listener
    module.TransformBroadcaster = lambda node: SimpleNamespace(sendTransform=FakeTf.sent.append)
    monkeypatch.setitem(sys.modules, 'tf2_ros', module)
    FakeTf.known, FakeTf.sent, FakeTf.listening = {}, [], 0
    return FakeTf


def test_without_base_frame_the_lidar_itself_is_published():
    transforms = Transforms(None, FramesConfig())
    assert transforms.ready('lidar')
    assert transforms.base_lidar('lidar') is None
    assert transforms.child_frame('lidar') == 'lidar'


def test_the_extrinsic_is_waited_for_and_looked_up_once(tf):
    transforms = Transforms(None, FramesConfig(base_frame='base_link'))
    assert tf.listening == 1
    assert not transforms.ready('lidar')
    found = TransformStamped()
    found.transform.translation.z = 1.5
    found.transform.rotation.z = found.transform.rotation.w = np.sqrt(0.5)
    tf.known['base_link', 'lidar'] = found
    assert transforms.ready('lidar')
    assert tf.listening == 0
    expected = [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1.5], [0, 0, 0, 1]]
    np.testing.assert_allclose(transforms.base_lidar('lidar'), expected, atol=1e-12)
    assert transforms.child_frame('lidar') == 'base_link'
    tf.known.clear()
    assert transforms.ready('lidar')
    assert not transforms.ready('another_lidar')
    assert tf.listening == 1


def test_several_transforms_are_looked_for_until_all_are_found(tf):
    transforms = Transforms(None, FramesConfig(base_frame='base_link'))
    np.testing.assert_array_equal(transforms.find('lidar', 'lidar'), np.eye(4))
    assert transforms.find('wheels', 'lidar') is None
    assert not transforms.ready('lidar')
    tf.known['wheels', 'lidar'] = found = TransformStamped()
    found.transform.translation.x, found.transform.rotation.w = -0.5, 1.0
    assert transforms.find('wheels', 'lidar')[0, 3] == -0.5
    assert tf.listening == 1
    tf.known['base_link', 'lidar'] = found
    assert transforms.ready('lidar')
    assert tf.listening == 0


def test_a_cloud_in_the_base_frame_needs_no_transform(tf):
    transforms = Transforms(None, FramesConfig(base_frame='base_link'))
    assert transforms.ready('base_link')
    assert transforms.base_lidar('base_link') is None


def test_broadcast_is_the_pose_of_the_odometry(tf):
    message = Odometry(child_frame_id='lidar')
    message.header.frame_id, message.header.stamp.sec = 'odom', 7
    message.pose.pose.position.x = 2.0
    message.pose.pose.orientation.w = 1.0
    frames = FramesConfig(base_frame='lidar', publish_tf=True)
    Transforms(None, frames).broadcast(message)
    (sent,) = tf.sent
    assert (sent.header, sent.child_frame_id) == (message.header, 'lidar')
    assert sent.transform.translation.x == 2.0
    assert sent.transform.rotation.w == 1.0


@pytest.mark.parametrize('base_frame', ['', 'base_link'])
def test_a_frame_of_two_parents_is_warned_of(tf, base_frame):
    said = []
    node = SimpleNamespace(get_logger=lambda: SimpleNamespace(warning=said.append))
    Transforms(node, FramesConfig(base_frame=base_frame, publish_tf=True))
    assert [text.split(':')[0] for text in said] == (
        [] if base_frame else ['publish_tf without base_frame']
    )


def test_nothing_is_broadcast_unless_asked_for(tf):
    Transforms(None, FramesConfig()).broadcast(Odometry())
    assert not tf.sent


def test_missing_tf2_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, 'tf2_ros', None)
    monkeypatch.setenv('ROS_DISTRO', 'humble')
    with pytest.raises(RuntimeError, match='ros-humble-tf2-ros-py'):
        Transforms(None, FramesConfig(base_frame='base_link'))


class Prior:
    """A PriorInput on a stand-in for a node, and what it noted."""

    def __init__(self, wait=0.0):
        self.notes = []
        node = SimpleNamespace(
            resolve_topic_name=lambda topic: f'/{topic}', create_subscription=self._subscribe
        )
        transforms = Transforms(None, FramesConfig())
        self.input = PriorInput(node, transforms, wait, lambda *note: self.notes.append(note))

    def _subscribe(self, message_type, topic, callback, *_, **__):
        self.say = callback
        return SimpleNamespace(topic_name=f'/{topic}')

    def follow(self, when):
        """A scan that found the LiDAR at the origin."""
        frame = SimpleNamespace(
            stamp=when, pose=np.eye(4), twist=np.zeros(6), status='tracking', reason=''
        )
        self.input.follow(frame, 0.0)


def test_a_prior_waits_for_its_transform_and_says_so(tf):
    prior = Prior()
    prior.input.join('lidar')
    prior.follow(1.0)
    for k in range(11):
        prior.say(wheels(Time(sec=1, nanosec=k * 10_000_000), 0.1 * k, child='base_link'))
    assert prior.input.predict(1.05, 0.0) is None
    ((kind, text),) = prior.notes
    assert kind == 'no_prior'
    assert "scan 1.050 has no prior from /prior: waiting for the transform 'base_link' <-" in text
    found = TransformStamped()  # the LiDAR looks to the left
    found.transform.rotation.z = found.transform.rotation.w = np.sqrt(0.5)
    tf.known['base_link', 'lidar'] = found
    prior.input.join('lidar')
    moved = prior.input.predict(1.05, 0.0)
    np.testing.assert_allclose(moved[:3, 3], [0.0, -0.5, 0.0], atol=1e-9)


def test_a_prior_without_a_frame_is_refused(tf):
    prior = Prior()
    prior.follow(1.0)
    prior.say(wheels(Time(sec=1), 0.0, child=''))
    prior.input.join('lidar')
    assert prior.input.predict(1.0, 0.0) is None
    assert 'its child_frame_id is empty' in prior.notes[-1][1]


@pytest.mark.parametrize('ending', ['odometry', 'shutdown'])
def test_whoever_waits_for_a_prior_is_woken(ending):
    prior, found = Prior(wait=60.0), []
    prior.input.join('lidar')
    prior.follow(1.0)
    prior.say(wheels(Time(sec=1), 0.0))
    thread = threading.Thread(target=lambda: found.append(prior.input.predict(1.1, 0.0)))
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    if ending == 'shutdown':
        prior.input.stop()
    else:
        prior.say(wheels(Time(sec=1, nanosec=200_000_000), 0.4))
    thread.join(10.0)
    assert not thread.is_alive()
    if ending == 'odometry':
        np.testing.assert_allclose(found[0][:3, 3], [0.2, 0.0, 0.0], atol=1e-9)
    else:
        assert found == [None]


def test_the_log_of_the_package_goes_to_ros():
    lines = []
    logger = SimpleNamespace(
        info=lambda text: lines.append(('info', text)),
        warning=lambda text: lines.append(('warning', text)),
        error=lambda text: lines.append(('error', text)),
    )
    handler = forward_to_ros(logger)
    try:
        ours = logging.getLogger('dcreg_ros.io.times')
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            ours.log(level, 'level %d', level)
    finally:
        logging.getLogger('dcreg_ros').removeHandler(handler)
    assert lines == [('info', 'level 20'), ('warning', 'level 30'), ('error', 'level 40')]
