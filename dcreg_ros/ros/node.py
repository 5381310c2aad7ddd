# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 node: point clouds in, odometry with its weak directions out."""

import logging
import math
import signal
import sys
import threading
import time
import traceback
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

import dcreg_ros
from dcreg_ros.io.pointcloud2 import decode_pointcloud2, stamp_seconds
from dcreg_ros.io.times import choose_time_field
from dcreg_ros.odometry.frame import Frame
from dcreg_ros.odometry.order import why_late
from dcreg_ros.odometry.preprocess import middle_of_sweep
from dcreg_ros.ros import diagnostics, messages, parameters
from dcreg_ros.ros.health import Health
from dcreg_ros.ros.log import forward_to_ros
from dcreg_ros.ros.markers import degeneracy_markers
from dcreg_ros.ros.prior import PriorInput
from dcreg_ros.ros.qos import advertise, subscribe_to_sensor
from dcreg_ros.ros.stamps import stamp_text
from dcreg_ros.ros.transforms import Transforms
from dcreg_ros.ros.worker import NewestOnlyWorker

NAME = 'registration_node'
LOG_PERIOD = 5.0
"""Least time between two log lines about the same kind of trouble [s]."""

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class RegistrationNode(Node):
    """Registers each scan on `points` and publishes where the LiDAR is, and how surely.

    The executor's thread takes messages and answers services, a worker's does everything else, so
    that neither parameters nor /clock wait for a registration.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(NAME, **arguments)
        # Everybody's diagnostics are on one topic, where robots are told apart by namespace.
        self._status_name = self.get_fully_qualified_name().lstrip('/')
        self._log_handler = forward_to_ros(self.get_logger())
        self._config = self._applied = parameters.declare_parameters(self)
        self._transforms = Transforms(self, self._config.frames)
        self._health = Health(self._now())
        self._logged: dict[str, float] = {}
        self._lidar_frame: str | None = None
        self._last_stamp: float | None = None
        self._last_map = -math.inf
        self._reset_wanted = threading.Event()
        self._odometry = self._load_odometry()
        self._prior = self._subscribe_to_prior() if self._config.input.use_prior else None
        self._worker = NewestOnlyWorker(self._process, self._failed)
        self._advertise()
        self._subscription = subscribe_to_sensor(
            self,
            PointCloud2,
            'points',
            self._receive,
            incompatible=lambda text: self._note('incompatible', text),
            lost=lambda text, number: self._note('lost', text, number),
        )
        self.get_logger().info(f'waiting for scans on {self._subscription.topic_name}')

    def close(self) -> None:
        """End the worker; call it before the context is shut down."""
        if self._prior is not None:
            self._prior.stop()
        self._worker.stop()
        logging.getLogger('dcreg_ros').removeHandler(self._log_handler)
        self.destroy_node()

    def _load_odometry(self) -> dcreg_ros.LidarOdometry:
        self.get_logger().info('loading kernels; a first start compiles them (a minute or a few)')
        started = time.perf_counter()
        dcreg_ros.warm_up(self._config)
        if not self.context.ok():
            raise ExternalShutdownException
        self.get_logger().info(f'kernels ready after {time.perf_counter() - started:.1f} s')
        return dcreg_ros.LidarOdometry(self._config)

    def _subscribe_to_prior(self) -> PriorInput:
        wait = self._config.input.prior_wait
        prior = PriorInput(self, self._transforms, wait, self._note)
        self.get_logger().info(f'odometry on {prior.topic} predicts the scans')
        return prior

    def _advertise(self) -> None:
        self._odometry_publisher = advertise(self, Odometry, 'odometry')
        self._degeneracy_publisher = advertise(self, DiagnosticArray, '~/degeneracy')
        self._marker_publisher = advertise(self, MarkerArray, '~/degeneracy_markers', depth=1)
        self._map_publisher = advertise(self, PointCloud2, '~/local_map', depth=1)
        self._diagnostics_publisher = advertise(self, DiagnosticArray, '/diagnostics')
        self.create_timer(self._config.publish.diagnostics_period, self._publish_diagnostics)
        self.create_service(Trigger, '~/reset', self._reset)
        self.add_on_set_parameters_callback(self._set_parameters)

    def _receive(self, message: PointCloud2) -> None:
        """Take a scan, on the executor's thread: decide whether it is one to work on."""
        self._health.received(self._now())
        frame_id = message.header.frame_id
        if self._lidar_frame is None:
            self._lidar_frame = frame_id
            if not frame_id:
                self.get_logger().warning('the scans have no frame_id: nor will the twist have')
        if frame_id != self._lidar_frame:
            self._note(
                'other_frame',
                f'scan in frame {frame_id!r} ignored, those before were in {self._lidar_frame!r}: '
                'call ~/reset if the LiDAR was exchanged',
            )
        elif not self._transforms.ready(frame_id):
            base = self._config.frames.base_frame
            self._note('waiting', f'waiting for the transform {base!r} <- {frame_id!r} on /tf')
        else:
            if self._prior is not None:
                self._prior.join(frame_id)
            if self._in_turn(message.header.stamp) and self._worker.put(message):
                self._health.count('dropped')

    def _in_turn(self, stamp: Any) -> bool:
        """Return whether a scan is not late; what else its stamp does is noted."""
        now, last = stamp_seconds(stamp), self._last_stamp
        if why := why_late(now, last):
            self._note('late', f'scan left out: {why}')
            return False
        self._last_stamp = now
        if last is not None and now < last:
            text = f'scan {stamp_text(stamp)} is {last - now:.3f} s before the one before it'
            self._note('backwards', text + ': call ~/reset if a recording starts again')
        return True

    def _process(self, message: PointCloud2) -> None:
        """Register one scan and publish the result, on the worker's thread."""
        started = time.perf_counter()
        self._apply_requests()
        header = message.header
        stamp = stamp_text(header.stamp)
        try:
            points, times, time_field = self._decode(message)
        except ValueError as error:
            self._note('malformed', f'scan {stamp} cannot be decoded: {error}')
            return
        decoded = time.perf_counter()
        frame, waited = self._register(points, times, stamp_seconds(header.stamp))
        registered = time.perf_counter()
        if frame.num_points == 0:
            self._note('empty', f'scan {stamp} has no finite point within range')
        self._publish(header, frame)
        finished = time.perf_counter()
        timings = {'decode': decoded - started, **frame.timings}
        timings |= {'publish': finished - registered, 'total': finished - started - waited}
        now = self._now()
        self._health.processed(now, frame, header.frame_id, stamp, time_field, timings)

    def _register(self, points: Any, times: Any, stamp: float) -> tuple[Frame, float]:
        """Register a scan; also how long its prior was waited for [s], which is not work."""
        if self._prior is None:
            return self._odometry.process(points, times, stamp), 0.0
        began = time.perf_counter()
        middle = middle_of_sweep(times)
        prior = self._prior.predict(stamp, middle)
        waited = time.perf_counter() - began
        frame = self._odometry.process(points, times, stamp, prior)
        self._prior.follow(frame, middle)
        if prior is not None:
            self._health.count('with_prior')
        return frame, waited

    def _decode(self, message: PointCloud2) -> tuple[Any, Any, str]:
        settings = self._config.input
        points, times = decode_pointcloud2(message, settings.time_field, settings.time_unit)
        if times is None:
            return points, None, ''
        names = [field.name for field in message.fields]
        return points, times, choose_time_field(names, settings.time_field)

    def _apply_requests(self) -> None:
        if self._config is not self._applied:
            self._applied = self._config
            self._odometry.reconfigure(self._applied)
        if self._reset_wanted.is_set():
            self._reset_wanted.clear()
            self._odometry.reset()
            if self._prior is not None:
                self._prior.reset()

    def _publish(self, header: Any, frame: Frame) -> None:
        base_lidar = self._transforms.base_lidar(header.frame_id)
        odom_frame = self._config.frames.odom_frame
        child_frame = self._transforms.child_frame(header.frame_id)
        odometry = messages.odometry_message(
            frame, header.stamp, odom_frame, child_frame, base_lidar
        )
        self._odometry_publisher.publish(odometry)
        self._transforms.broadcast(odometry)
        if self._degeneracy_publisher.get_subscription_count() > 0:
            text = stamp_text(header.stamp)
            status = diagnostics.observability(frame, header.frame_id, text, self._status_name)
            self._degeneracy_publisher.publish(
                diagnostics.array([status], header.stamp, header.frame_id)
            )
        if self._marker_publisher.get_subscription_count() > 0:
            self._marker_publisher.publish(
                degeneracy_markers(frame.degeneracy, header.stamp, header.frame_id)
            )
        self._publish_map(header.stamp, base_lidar)

    def _publish_map(self, stamp: Any, base_lidar: Any) -> None:
        now = self._now()
        # A simulated clock may jump back.
        due = not 0.0 <= now - self._last_map < self._config.publish.map_period
        if due and self._map_publisher.get_subscription_count() > 0:
            self._last_map = now
            points = self._odometry.map_points()
            odom_frame = self._config.frames.odom_frame
            self._map_publisher.publish(
                messages.map_message(points, stamp, odom_frame, base_lidar)
            )

    def _failed(self, message: PointCloud2, error: Exception) -> None:
        if not self.context.ok():
            return  # publishers fail while the node is shut down
        stamp = stamp_text(message.header.stamp)
        self._health.count('failed', f'scan {stamp} failed: {error!r}')
        self.get_logger().error(
            f'scan {stamp} failed, the node goes on:\n'
            + ''.join(traceback.format_exception(error))
        )

    def _publish_diagnostics(self) -> None:
        statuses = diagnostics.diagnostics(
            self._health.snapshot(self._now()),
            self._status_name,
            self._subscription.topic_name,
            self._config.input.stale_after,
        )
        now = self.get_clock().now().to_msg()
        self._diagnostics_publisher.publish(diagnostics.array(statuses, now))

    def _set_parameters(self, values: list[Any]) -> Any:
        try:
            self._config = parameters.changed(self._config, values)
        except ValueError as error:
            return parameters.result(error)
        return parameters.result()

    def _reset(self, _: Any, response: Any) -> Any:
        self._lidar_frame = None
        self._last_stamp = None
        self._reset_wanted.set()
        response.success = True
        response.message = 'the next scan starts a new map, at the origin'
        return response

    def _note(self, event: str, text: str, number: int = 1) -> None:
        self._health.count(event, text, number)
        now = time.monotonic()
        if now - self._logged.get(event, -math.inf) >= LOG_PERIOD:
            self._logged[event] = now
            self.get_logger().warning(text)

    def _now(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9


def main(arguments: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; return the exit code of the process."""
    _interrupt_once()
    node = None
    try:
        rclpy.init(args=arguments)
        node = RegistrationNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (ValueError, RuntimeError, ParameterException) as error:
        if node is not None:
            raise
        rclpy.logging.get_logger(NAME).fatal(str(error))
        return 1
    finally:
        if node is not None:
            node.close()
        rclpy.try_shutdown()
        _ignore_signals()  # rclpy has put back the handlers that it found
    return 0


def _interrupt_once() -> None:
    """Let the first SIGINT or SIGTERM raise KeyboardInterrupt, and ignore those that follow.

    Ctrl-C under ``ros2 launch`` comes twice, from the terminal and from launch, and the second
    must not break into the clean-up. rclpy's own handlers call this one after they have woken
    the executor.
    """

    def handler(*_: Any) -> None:
        _ignore_signals()
        raise KeyboardInterrupt

    for number in ENDING_SIGNALS:
        signal.signal(number, handler)


def _ignore_signals() -> None:
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


if __name__ == '__main__':
    sys.exit(main())
