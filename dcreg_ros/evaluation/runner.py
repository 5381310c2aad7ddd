# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The odometry over a whole recording, without ROS and as fast as it can."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.config import OdometryConfig
from dcreg_ros.evaluation.diagnostics_log import DiagnosticsTable, tabulate
from dcreg_ros.evaluation.trajectory import Trajectory
from dcreg_ros.io.prior_source import PriorSource
from dcreg_ros.io.scan import Scan
from dcreg_ros.odometry.external import ExternalOdometry, NoMotion
from dcreg_ros.odometry.frame import Frame
from dcreg_ros.odometry.odometry import LidarOdometry
from dcreg_ros.odometry.preprocess import middle_of_sweep
from dcreg_ros.odometry.prior import MotionPrior

_logger = logging.getLogger(__name__)


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
    with_prior : int
        How many scans another odometry foresaw.
    without_prior : list of (str, str)
        Name of each scan that it could not, and why; not of the first, which needs none.
    interrupted : bool
        Whether Ctrl-C ended the run before the recording did.
    """

    frames: list[Frame] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    with_prior: int = 0
    without_prior: list[tuple[str, str]] = field(default_factory=list)
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
    prior: PriorSource | None = None,
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
    prior : PriorSource, optional
        Another odometry that foresees the scans, in place of constant velocity.

    Returns
    -------
    OdometryRun
        Ctrl-C ends the run early and keeps what was done so far.

    Raises
    ------
    ValueError
        If it is not known where the LiDAR sits on what the prior is the odometry of.
    """
    odometry = LidarOdometry(config or OdometryConfig())
    foreseen = None if prior is None else _Foreseen(prior)
    run = OdometryRun()
    try:
        for scan in progress(source) if progress else source:
            if late := odometry.why_late(scan.stamp):  # before the prior is asked for it
                run.skipped.append((scan.name, late))
                continue
            guess = None if foreseen is None else foreseen.predict(scan, run)
            start = time.perf_counter()
            try:
                frame = odometry.process(scan.points, scan.times, scan.stamp, guess)
            except ValueError as error:
                run.skipped.append((scan.name, str(error)))
                continue
            run.seconds.append(time.perf_counter() - start)
            if foreseen is not None:
                foreseen.follow(frame, scan)
            run.frames.append(frame)
            run.names.append(scan.name)
    except KeyboardInterrupt:
        run.interrupted = True
    return run


class _Foreseen:
    """Priors of scans in turn; of the other odometry each reads all up to it, and one beyond."""

    def __init__(self, source: PriorSource) -> None:
        self._source = source
        self._poses = iter(source)
        self._following = next(self._poses, None)
        self._external = ExternalOdometry()
        self._motion = MotionPrior(self._external)

    def predict(self, scan: Scan, run: OdometryRun) -> NDArray[np.float64] | None:
        """Return the prior of a scan, and count in `run` whether there is one."""
        child_lidar = self._source.child_lidar(scan.frame_id)
        middle = middle_of_sweep(scan.times)
        self._read_up_to(scan.stamp + middle)
        try:
            guess = self._motion.predict(scan.stamp, middle, child_lidar)
        except NoMotion as reason:
            run.without_prior.append((scan.name, str(reason)))
            return None
        run.with_prior += guess is not None
        return guess

    def follow(self, frame: Frame, scan: Scan) -> None:
        self._motion.follow(frame, middle_of_sweep(scan.times))

    def _read_up_to(self, moment: float) -> None:
        while (following := self._following) is not None:
            if following[0] > moment and self._external.covers(moment):
                return
            try:
                self._external.add(*following)
            except ValueError as error:
                _logger.warning('%s: a pose left out: %s', self._source.name, error)
            self._following = next(self._poses, None)
