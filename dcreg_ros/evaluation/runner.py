# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The odometry over a whole recording, without ROS and as fast as it can."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.config import OdometryConfig
from dcreg_ros.evaluation.diagnostics_log import DiagnosticsTable, tabulate
from dcreg_ros.evaluation.trajectory import Trajectory
from dcreg_ros.io.scan import Scan
from dcreg_ros.odometry.frame import Frame
from dcreg_ros.odometry.odometry import LidarOdometry


@dataclass
class OdometryRun:
    """What came out of a recording.

    Attributes
    ----------
    frames : list of Frame
        One per processed scan.
    names : list of str
        Name of each of these scans.
    seconds : list of float
        Time that processing each of them took, by the clock on the wall [s].
    skipped : list of (str, str)
        Name of each scan that could not be processed, and why.
    interrupted : bool
        Whether Ctrl-C ended the run before the recording did.
    """

    frames: list[Frame] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    interrupted: bool = False

    @property
    def stamps(self) -> NDArray[np.float64]:
        """(N,) stamps [s]."""
        return np.array([frame.stamp for frame in self.frames])

    @property
    def poses(self) -> NDArray[np.float64]:
        """(N, 4, 4) poses ``T_odom_lidar`` [m]."""
        return np.array([frame.pose for frame in self.frames]).reshape(-1, 4, 4)

    @property
    def trajectory(self) -> Trajectory:
        """Stamps and poses."""
        return Trajectory(self.stamps, self.poses)

    @property
    def table(self) -> DiagnosticsTable:
        """One row of diagnostics per frame."""
        return tabulate(self.frames, self.names)


def run_odometry(
    source: Iterable[Scan],
    config: OdometryConfig | None = None,
    progress: Callable[[Iterable[Scan]], Iterable[Scan]] | None = None,
) -> OdometryRun:
    """Run a fresh odometry over all scans of a source.

    Parameters
    ----------
    source : iterable of Scan
        In order of time.
    config : OdometryConfig, optional
        A ``NodeConfig`` fits too.
    progress : callable, optional
        Wraps the iterable to show how far it is, as ``tqdm`` does.

    Returns
    -------
    OdometryRun
        Ctrl-C ends the run early and keeps what was done so far.
    """
    odometry = LidarOdometry(config or OdometryConfig())
    run = OdometryRun()
    try:
        for scan in progress(source) if progress else source:
            start = time.perf_counter()
            try:
                frame = odometry.process(scan.points, scan.times, scan.stamp)
            except ValueError as error:
                run.skipped.append((scan.name, str(error)))
                continue
            run.seconds.append(time.perf_counter() - start)
            run.frames.append(frame)
            run.names.append(scan.name)
    except KeyboardInterrupt:
        run.interrupted = True
    return run
