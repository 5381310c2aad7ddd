# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Play recorded scans into a ROS graph: ``python -m dcreg_ros.ros.player SOURCE``.

Unlike ``ros2 bag play`` it takes every source the package reads, needs nothing but rclpy, and can
wait for the odometry of each scan, so that none is dropped however slow the machine is.
"""

import argparse
import csv
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from nav_msgs.msg import Odometry
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import PointCloud2

from dcreg_ros.ros.playlist import Outgoing, read_outgoing
from dcreg_ros.ros.qos import advertise, reliable
from dcreg_ros.ros.stamps import NANOSECONDS, nanoseconds

SETTLE = 0.5
"""Seconds between the first match of publisher and subscription and the first scan: each side
discovers the other on its own, and a best-effort scan sent in between would be lost."""


@dataclass(frozen=True)
class Sent:
    """A scan that was published.

    Attributes
    ----------
    stamp : int
        Nanoseconds.
    sent : int
        Monotonic clock just before it was published [ns]; the same clock in every process.
    answered : bool
        Whether its odometry came back; False where nobody waited for it.
    """

    stamp: int
    sent: int
    answered: bool


class Player(Node):
    """Publishes scans on `points` and, where asked to, waits for their `odometry`."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__('player', **arguments)
        self._publisher = advertise(self, PointCloud2, 'points')
        self._subscription = self.create_subscription(
            Odometry, 'odometry', self._receive, reliable(100)
        )
        self._answered: set[int] = set()

    def wait_for_listener(self, timeout: float, with_odometry: bool) -> None:
        """Return once somebody listens, and speaks `odometry` where that is asked for.

        Raises
        ------
        TimeoutError
            If nobody does within `timeout` seconds.
        """
        end = time.monotonic() + timeout
        missing = ''
        while time.monotonic() < end:
            missing = ''
            if self._publisher.get_subscription_count() == 0:
                missing = f'subscription of {self._publisher.topic_name}'
            elif with_odometry and not self.count_publishers('odometry'):
                missing = f'publisher of {self._subscription.topic_name}'
            if not missing:
                time.sleep(SETTLE)
                return
            rclpy.spin_once(self, timeout_sec=0.1)
        raise TimeoutError(f'no {missing} within {timeout:g} s')

    def play(
        self, scans: Iterable[Outgoing], rate: float = 1.0, answer_timeout: float | None = None
    ) -> Iterator[Sent]:
        """Publish scans, yielding what was sent.

        Parameters
        ----------
        scans : iterable of Outgoing
            In the order of their stamps.
        rate : float
            Speed relative to the recording; 0 is as fast as possible.
        answer_timeout : float, optional
            Given, each scan waits for the odometry of the one before, but so long at most [s].
        """
        first: int | None = None
        started = 0.0
        for scan in scans:
            if first is None:
                first, started = scan.stamp, time.monotonic()
            if rate > 0.0:
                self._sleep_until(started + (scan.stamp - first) / NANOSECONDS / rate)
            sent = time.monotonic_ns()
            self._publisher.publish(scan.payload)
            answered = answer_timeout is not None and self._await(scan.stamp, answer_timeout)
            yield Sent(scan.stamp, sent, answered)

    def finish(self, timeout: float = 2.0) -> None:
        """Wait until the last scan has arrived: it would be lost with its publisher."""
        self._publisher.wait_for_all_acked(Duration(seconds=timeout))

    def _await(self, stamp: int, timeout: float) -> bool:
        end = time.monotonic() + timeout
        while stamp not in self._answered and time.monotonic() < end:
            rclpy.spin_once(self, timeout_sec=0.1)
        return stamp in self._answered

    def _sleep_until(self, moment: float) -> None:
        while (left := moment - time.monotonic()) > 0.0:
            if not self.context.ok():
                raise ExternalShutdownException
            time.sleep(min(left, 0.1))

    def _receive(self, message: Odometry) -> None:
        self._answered.add(nanoseconds(message.header.stamp))


def write_sent(path: str | Path, sent: Sequence[Sent]) -> None:
    """Write what was sent as CSV: stamp_ns, sent_ns (monotonic), answered."""
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(('stamp_ns', 'sent_ns', 'answered'))
        writer.writerows((s.stamp, s.sent, int(s.answered)) for s in sent)


def read_sent(path: str | Path) -> list[Sent]:
    """Read what :func:`write_sent` wrote."""
    with open(path, newline='', encoding='utf-8') as file:
        return [
            Sent(int(row['stamp_ns']), int(row['sent_ns']), row['answered'] == '1')
            for row in csv.DictReader(file)
        ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='player', description=__doc__)
    add = parser.add_argument
    add('source', help='recording, PCD or PLY file, or folder of them')
    add('--topic', help='topic of a recording with several point clouds')
    add('--period', type=float, default=0.1, help='time between files, which have no stamps [s]')
    add('--rate', type=float, default=1.0, help='relative speed; 0: as fast as possible')
    add('--wait-for-odometry', action='store_true', help='never send a scan before the odometry '
        'of the one before came')  # fmt: skip
    add('--answer-timeout', type=float, default=10.0, help='longest wait for one odometry [s]')
    add('--discovery-timeout', type=float, default=180.0, help='longest wait for a node to '
        'listen [s]; its first start compiles')  # fmt: skip
    add('--log', type=Path, help='CSV file for stamp and time of sending of each scan')
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Play a source; 1 if nobody listens or an answer is missing, 2 if it cannot be read."""
    arguments = sys.argv if arguments is None else arguments
    options = _parser().parse_args(remove_ros_args(arguments)[1:])
    rclpy.init(args=arguments)
    sent: list[Sent] = []
    try:
        player = Player()
        player.wait_for_listener(options.discovery_timeout, options.wait_for_odometry)
        answer_timeout = options.answer_timeout if options.wait_for_odometry else None
        scans = read_outgoing(options.source, options.topic, options.period)
        for one in player.play(scans, options.rate, answer_timeout):
            sent.append(one)
        player.finish()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except TimeoutError as error:
        print(f'player: {error}', file=sys.stderr)
        return 1
    except (ValueError, OSError) as error:
        print(f'player: error: {error}', file=sys.stderr)
        return 2
    finally:
        if options.log:
            write_sent(options.log, sent)
        rclpy.try_shutdown()
    unanswered = sum(not s.answered for s in sent) if options.wait_for_odometry else 0
    print(f'{len(sent)} scans played' + (f', {unanswered} without odometry' * bool(unanswered)))
    return 1 if unanswered else 0


if __name__ == '__main__':
    sys.exit(main())
