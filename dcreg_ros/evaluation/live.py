# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The real node, fed by a player and watched by a recorder: three processes, one ROS graph."""

import csv
import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.evaluation.diagnostics_log import DiagnosticsTable, read_diagnostics
from dcreg_ros.evaluation.processes import Processes, private_graph
from dcreg_ros.evaluation.trajectory import Trajectory
from dcreg_ros.io.tum import read_tum

OUTPUTS = ('poses.tum', 'diagnostics.csv', 'arrivals.csv', 'health.csv', 'sent.csv')
"""What player and recorder write, beside the log of each process."""

SETTLE = 2.5
"""Seconds from the last scan until recording ends: its odometry and one /diagnostics more."""

HEARING = 'hearing the node'
"""What the recorder says once nothing that the node says is lost to it."""

_START_TIMEOUT = 600.0  # s; a first start compiles
_PLAY_TIMEOUT = 24 * 3600.0  # s


@dataclass(frozen=True)
class LiveRun:
    """What went into a node, and what came out.

    Attributes
    ----------
    sent, arrived : dict of int to int
        Monotonic time [ns] at which the scan of a stamp [ns] was published, and at which its
        odometry arrived.
    trajectory : Trajectory
        Every odometry, by stamp.
    table : DiagnosticsTable
        One row for each odometry whose weak directions were published too, by stamp.
    health : dict of str to dict
        Last values of each status on /diagnostics.
    """

    sent: dict[int, int]
    arrived: dict[int, int]
    trajectory: Trajectory
    table: DiagnosticsTable
    health: dict[str, dict[str, str]]

    @property
    def start(self) -> float:
        """Stamp of the first scan that was published [s]."""
        return 1e-9 * min(self.sent)

    @property
    def latencies(self) -> NDArray[np.float64]:
        """(N,) seconds from publishing a scan to receiving its odometry."""
        both = self.sent.keys() & self.arrived.keys()
        return 1e-9 * np.array(sorted(self.arrived[stamp] - self.sent[stamp] for stamp in both))

    @property
    def described(self) -> Trajectory:
        """The poses that have a row in `table`, one for each row."""
        index = np.searchsorted(self.trajectory.stamps, self.table.stamps)
        return self.trajectory[index]


RELIABLE = ('--ros-args', '-p', 'qos_overrides./points.subscription.reliability:=reliable')
"""Best effort loses large clouds between two processes of one machine."""


@contextmanager
def running_node(folder: Path) -> Iterator[Processes]:
    """Start the node in a graph of its own; it and whatever else is started ends with the context.

    Parameters
    ----------
    folder : Path
        For the logs.

    Raises
    ------
    ModuleNotFoundError
        If there is no ROS.
    """
    importlib.import_module('rclpy')  # here and now rather than in three logs
    with Processes(folder, private_graph()) as processes:
        processes.start('node', 'dcreg_ros.ros.node', *RELIABLE)
        yield processes


def play_live(
    processes: Processes,
    source: Path,
    folder: Path,
    topic: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> LiveRun:
    """Play a recording in real time into a running node, and record what it says.

    Parameters
    ----------
    processes : Processes
        From :func:`running_node`.
    source : Path
        Anything ``open_source`` reads.
    folder : Path
        For :data:`OUTPUTS`.
    topic : str, optional
        Of a recording with several point clouds.
    say : callable
        Told what is going on.

    Returns
    -------
    LiveRun

    Raises
    ------
    ProcessFailure
        If the node died, a process failed, or nothing came out; with the end of the log.
    """
    for name in OUTPUTS:
        (folder / name).unlink(missing_ok=True)
    processes.start('recorder', 'dcreg_ros.ros.recorder', '-o', str(folder))
    say('waiting for the node; its very first start compiles the kernels (a minute or a few)')
    # What is said before the recorder hears it would look like drops.
    processes.wait_for_word('recorder', HEARING, _START_TIMEOUT, alive=('node',))
    say('playing in real time')
    arguments = [str(source), '--log', str(folder / 'sent.csv')]
    arguments += ['--topic', topic] if topic else []
    processes.start('player', 'dcreg_ros.ros.player', *arguments)
    processes.wait('player', _PLAY_TIMEOUT, alive=('node', 'recorder'))
    say('played; waiting for the last answer')
    time.sleep(SETTLE)
    processes.check('node', 'recorder')
    processes.stop('recorder')
    try:
        run = read_live_run(folder)
    except (ValueError, OSError) as error:
        raise processes.failure('recorder', f'left nothing to read ({error})') from None
    if len(run.trajectory) == 0:
        raise processes.failure('node', 'published no odometry')
    return run


def read_live_run(folder: Path) -> LiveRun:
    """Read what :func:`play_live` left in a folder.

    Raises
    ------
    OSError, ValueError
        If a file is missing or is not what it should be.
    """
    stamps, poses = read_tum(folder / 'poses.tum')
    order = np.argsort(stamps, kind='stable')
    trajectory = Trajectory(stamps[order], poses[order])
    rows: list[dict] = []
    if len(trajectory):
        known = set(stamps.tolist())
        rows = [
            row for row in read_diagnostics(folder / 'diagnostics.csv') if row['stamp'] in known
        ]
        rows.sort(key=lambda row: row['stamp'])
    health: dict[str, dict[str, str]] = {}
    for row in _read_csv(folder / 'health.csv'):
        health.setdefault(row['status'], {})[row['key']] = row['value']
    return LiveRun(
        sent={int(r['stamp_ns']): int(r['sent_ns']) for r in _read_csv(folder / 'sent.csv')},
        arrived={
            int(r['stamp_ns']): int(r['arrival_ns']) for r in _read_csv(folder / 'arrivals.csv')
        },
        trajectory=trajectory,
        table=DiagnosticsTable(rows),
        health=health,
    )


def _read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))
