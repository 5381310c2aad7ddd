# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Record what the node says: ``python -m dcreg_ros.ros.recorder -o FOLDER``.

Writes ``poses.tum``, ``arrivals.csv``, ``diagnostics.csv`` (the table of the offline runner, as
far as the node publishes it) and ``health.csv`` (the last /diagnostics of the node).
"""

import argparse
import csv
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from dcreg_ros.degeneracy.report import AXES
from dcreg_ros.evaluation.diagnostics_log import DiagnosticsTable, write_diagnostics
from dcreg_ros.evaluation.live import HEARING
from dcreg_ros.io.poses import stamped_pose
from dcreg_ros.io.scan import seconds
from dcreg_ros.io.tum import write_tum
from dcreg_ros.ros.qos import reliable
from dcreg_ros.ros.stamps import nanoseconds

DEPTH = 1000
HEALTH_WAIT = 3.0
"""Longest wait for the diagnostics after the last scan [s]."""


@dataclass
class Recording:
    """What a node published.

    Attributes
    ----------
    poses : dict of int to (4, 4) float array
        Pose [m] under its stamp [ns], in the order of arrival.
    arrivals : dict of int to int
        Monotonic clock at the arrival of each odometry [ns], the clock of ``player.Sent``.
    rows : dict of int to dict
        A row of diagnostics under the stamp of its scan [ns], with columns as in
        :mod:`dcreg_ros.evaluation.diagnostics_log`.
    health : dict of str to dict
        Last values of each status on /diagnostics, with ``level`` (0 to 3) and ``message``.
    """

    poses: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    arrivals: dict[int, int] = field(default_factory=dict)
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    health: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def stamps(self) -> NDArray[np.float64]:
        """(N,) stamps of the poses [s]."""
        return np.array([seconds(stamp) for stamp in self.poses])

    @property
    def table(self) -> DiagnosticsTable:
        """One row per scan."""
        return DiagnosticsTable(list(self.rows.values()))

    def write(self, folder: str | Path) -> None:
        """Write all of it into a folder, which is made."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_tum(folder / 'poses.tum', self.stamps, np.array(list(self.poses.values())))
        write_diagnostics(folder / 'diagnostics.csv', self.table)
        _write_csv(folder / 'arrivals.csv', ('stamp_ns', 'arrival_ns'), self.arrivals.items())
        _write_csv(
            folder / 'health.csv',
            ('status', 'key', 'value'),
            ((name, *pair) for name, values in self.health.items() for pair in values.items()),
        )


class Recorder(Node):
    """Listens to one registration node.

    Parameters
    ----------
    node : str
        Name of that node, in the namespace of this one.
    """

    def __init__(self, node: str = 'registration_node', **arguments: Any) -> None:
        super().__init__('recorder', **arguments)
        self.recording = Recording()
        # As the node calls itself on /diagnostics: with its namespace.
        self._status_name = self.resolve_topic_name(node).lstrip('/')
        self.create_subscription(Odometry, 'odometry', self._odometry, reliable(DEPTH))
        self.create_subscription(
            DiagnosticArray, f'{node}/degeneracy', self._degeneracy, reliable(DEPTH)
        )
        self.create_subscription(DiagnosticArray, '/diagnostics', self._health, reliable(10))
        self.latest = self.latest_health = time.monotonic()

    def _odometry(self, message: Odometry) -> None:
        self.latest = time.monotonic()
        stamp = nanoseconds(message.header.stamp)
        self.recording.arrivals[stamp] = time.monotonic_ns()
        self.recording.poses[stamp] = stamped_pose(message)[1]

    def _degeneracy(self, message: DiagnosticArray) -> None:
        stamp = nanoseconds(message.header.stamp)
        values = {pair.key: pair.value for pair in message.status[0].values}
        self.recording.rows[stamp] = row_of_values(values, seconds(stamp))

    def _health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f'{self._status_name}: '):
                if not self.recording.health:
                    # A node makes known what it publishes in the order in which it is made, and a
                    # listener likewise, /diagnostics last: who hears those misses nothing else.
                    print(HEARING)
                self.latest_health = time.monotonic()
                level = str(int.from_bytes(status.level, 'little'))
                values = {pair.key: pair.value for pair in status.values}
                self.recording.health[status.name] = {
                    'level': level,
                    'message': status.message,
                    **values,
                }


def row_of_values(values: dict[str, str], stamp: float) -> dict[str, Any]:
    """Return the values of a message on ``~/degeneracy`` as a row of diagnostics.

    Parameters
    ----------
    values : dict of str to str
        Keys and values of the status.
    stamp : float
        Of the scan [s].
    """
    row: dict[str, Any] = {
        'stamp': stamp,
        'name': values.get('stamp', ''),
        'status': values.get('status', ''),
        'weak': values.get('weak', ''),
        'ill_conditioned': values.get('ill_conditioned', ''),
    }
    for quantity in ('condition', 'eigenvalue', 'sigma'):
        for axis in AXES:
            text = values.get(f'{axis}.{quantity}', 'nan')
            row[f'{quantity}_{axis}'] = float(text.split()[0])
    return row


def record(recorder: Recorder, count: int | None = None, idle: float | None = None) -> Recording:
    """Record until `count` poses came, or none for `idle` seconds after the first.

    It then waits a little for diagnostics that know of the last scan.
    """
    while recorder.context.ok() and not _complete(recorder, count, idle):
        rclpy.spin_once(recorder, timeout_sec=0.1)
    end = time.monotonic() + HEALTH_WAIT
    while recorder.context.ok() and time.monotonic() < end:
        if recorder.latest_health > recorder.latest:
            break
        rclpy.spin_once(recorder, timeout_sec=0.1)
    return recorder.recording


def _complete(recorder: Recorder, count: int | None, idle: float | None) -> bool:
    done = len(recorder.recording.poses)
    if count is not None and min(done, len(recorder.recording.rows)) >= count:
        return True
    return idle is not None and done > 0 and time.monotonic() - recorder.latest > idle


def _write_csv(path: Path, header: tuple[str, ...], rows: Any) -> None:
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def main(arguments: list[str] | None = None) -> int:
    """Record until Ctrl-C, SIGTERM, or what --count and --idle say."""
    arguments = sys.argv if arguments is None else arguments
    parser = argparse.ArgumentParser(prog='recorder', description=__doc__)
    parser.add_argument('-o', '--output', type=Path, required=True, metavar='FOLDER')
    parser.add_argument('--node', default='registration_node', help='name of the node')
    parser.add_argument('--count', type=int, help='stop after so many poses')
    parser.add_argument('--idle', type=float, metavar='S', help='stop after silence')
    options = parser.parse_args(remove_ros_args(arguments)[1:])
    rclpy.init(args=arguments)
    recorder = Recorder(options.node)
    try:
        record(recorder, options.count, options.idle)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        recorder.recording.write(options.output)
        rclpy.try_shutdown()
    print(f'{len(recorder.recording.poses)} poses recorded in {options.output}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
