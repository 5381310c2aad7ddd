# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run the odometry over recorded scans without ROS, as fast as it can.

Writes poses.tum (TUM format, the LiDAR in the odom frame), diagnostics.csv (one row per scan),
config.yaml (every parameter as it was used) and trajectory.png.
"""

import importlib
import logging
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

import dcreg_ros
from dcreg_ros.config import NodeConfig
from dcreg_ros.config_file import dump_config, load_config
from dcreg_ros.degeneracy.report import AXES
from dcreg_ros.evaluation.diagnostics_log import write_diagnostics
from dcreg_ros.evaluation.plots import plot_run
from dcreg_ros.evaluation.runner import OdometryRun, run_odometry
from dcreg_ros.evaluation.spans import weak_spans
from dcreg_ros.io.prior_source import PriorSource, open_prior
from dcreg_ros.io.scan import Scan, ScanSource
from dcreg_ros.io.sources import DEFAULT_PERIOD, open_source
from dcreg_ros.io.tum import write_tum
from dcreg_ros.parameters import with_values

BRIDGE = 2
"""Scans without a weak direction that do not end a span in the summary."""

_MOST_LINES = 12


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what `dcreg odometry` takes."""
    parser.add_argument(
        'source',
        help='folder of .pcd or .ply files, one such file, a rosbag2, .mcap, .db3 or .bag',
    )
    parser.add_argument('--topic', help='point clouds of a bag, where it has several')
    parser.add_argument(
        '--prior',
        metavar='TOPIC',
        help='odometry of the robot (nav_msgs/Odometry in the bag) that predicts each scan; or a '
        'file of LiDAR poses in the TUM format',
    )
    parser.add_argument('--config', metavar='FILE', help='parameters, as `dcreg config` prints')
    parser.add_argument(
        '-o', '--output', metavar='DIR', required=True, help='folder for the results'
    )
    parser.add_argument(
        '--period',
        type=float,
        default=DEFAULT_PERIOD,
        metavar='S',
        help='time between files, which carry no stamps [s] (default: %(default)s)',
    )


def run(arguments: Namespace) -> int:
    """Run it; return 1 where no scan could be processed, 130 after Ctrl-C."""
    for extra in ('matplotlib', 'tqdm'):  # missed now rather than at the end of a long run
        importlib.import_module(extra)
    if not arguments.period > 0.0:
        raise ValueError(f'--period {arguments.period:g} should be positive')
    config = load_config(arguments.config) if arguments.config else NodeConfig()
    source = open_source(arguments.source, arguments.topic, config.input, arguments.period)
    prior = open_prior(arguments.prior, source) if arguments.prior else None
    if config.input.use_prior and prior is None:
        print('input.use_prior is true, but no --prior says which odometry', file=sys.stderr)
    config = with_values(config, {'input.use_prior': prior is not None})
    folder = Path(arguments.output)
    folder.mkdir(parents=True, exist_ok=True)
    print('loading kernels; the very first run compiles them (a minute or a few)', file=sys.stderr)
    dcreg_ros.warm_up(config)
    with _collected_warnings() as warnings:
        result = run_odometry(source, config, lambda scans: _bar(scans, len(source)), prior)
    written = write_outputs(folder, result, config, title=source.name)
    print('\n'.join(summary(source, result, warnings, prior)))
    print(f'written to {folder}: {", ".join(written)}')
    if result.interrupted:
        return 130
    return 0 if result.frames else 1


def write_outputs(
    folder: Path, result: OdometryRun, config: NodeConfig, title: str = ''
) -> list[str]:
    """Write poses, diagnostics, configuration and picture; other files there are left alone.

    Parameters
    ----------
    folder : Path
        Exists.
    result : OdometryRun
        Without frames there is no picture.
    config : NodeConfig
        What was used.
    title : str
        Of the picture.

    Returns
    -------
    list of str
        Names of the files.
    """
    table = result.table
    write_tum(folder / 'poses.tum', result.stamps, result.poses)
    write_diagnostics(folder / 'diagnostics.csv', table)
    (folder / 'config.yaml').write_text(dump_config(config), encoding='utf-8')
    names = ['poses.tum', 'diagnostics.csv', 'config.yaml']
    if result.frames:
        threshold = config.registration.condition_threshold
        plot_run(
            folder / 'trajectory.png', result.trajectory, table,
            condition_threshold=threshold, title=title,
        )  # fmt: skip
        names.append('trajectory.png')
    return names


def summary(
    source: ScanSource,
    result: OdometryRun,
    warnings: list[str],
    prior: PriorSource | None = None,
) -> Iterator[str]:
    """Say in a few lines how it went; every scan that is missing is accounted for."""
    seconds = sum(result.seconds)
    read = len(result.frames) + len(result.skipped)
    yield f'{source.name}: {len(source)} scans, {len(result.frames)} poses'
    if result.interrupted:
        yield f'  stopped by Ctrl-C after {read + source.skipped} scans'
    unusable = source.skipped + len(result.skipped)
    yield f'  skipped        {unusable}'
    yield from _some([*warnings, *(f'{name}: {reason}' for name, reason in result.skipped)])
    if not result.frames:
        return
    coasting = [
        f'{name}: {frame.reason}'
        for name, frame in zip(result.names, result.frames, strict=True)
        if frame.status == 'coasting'
    ]
    if prior is not None:
        yield f'  with prior     {result.with_prior}, from {prior.name}'
        yield from _some([f'{name}: {reason}' for name, reason in result.without_prior])
    yield f'  not registered {len(coasting)}'
    yield from _some(coasting)
    median, p95 = 1e3 * np.percentile(result.seconds, (50, 95))
    yield f'  time per scan  median {median:.1f} ms, p95 {p95:.1f} ms, {seconds:.1f} s in all'
    spans = weak_spans(result.stamps, result.table.masks, bridge=BRIDGE)
    yield f'  weak spans     {len(spans)}'
    yield from _some([span.describe(result.stamps[0]) for span in spans])
    counts = zip(AXES, result.table.ill_conditioned.sum(axis=0), strict=True)
    named = [f'{axis} {count}' for axis, count in counts if count]
    yield f'  ill conditioned {", ".join(named) or "never"} (scans above the condition threshold)'
    yield f'  last pose      {describe_pose(result.poses[-1])}'


def describe_pose(pose: np.ndarray) -> str:
    """Return a (4, 4) pose in words: metres, and fixed-axis roll, pitch, yaw in degrees."""
    x, y, z = pose[:3, 3]
    roll, pitch, yaw = Rotation.from_matrix(pose[:3, :3]).as_euler('xyz', degrees=True)
    return (
        f'x {x:.3f}, y {y:.3f}, z {z:.3f} m, roll {roll:.2f}, pitch {pitch:.2f}, yaw {yaw:.2f} deg'
    )


def _some(lines: list[str]) -> Iterator[str]:
    for line in lines[:_MOST_LINES]:
        yield f'    {line}'
    if len(lines) > _MOST_LINES:
        yield f'    and {len(lines) - _MOST_LINES} more'


def _bar(scans: Iterable[Scan], total: int) -> Iterable[Scan]:
    from tqdm import tqdm

    return tqdm(scans, total=total, unit='scan', disable=None)  # None: only on a terminal


class _Collector(logging.Handler):
    def __init__(self, texts: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._texts = texts

    def emit(self, record: logging.LogRecord) -> None:
        self._texts.append(record.getMessage())


@contextmanager
def _collected_warnings() -> Iterator[list[str]]:
    """Keep what the readers warn of for the summary, where it does not tear the bar apart."""
    texts: list[str] = []
    logger, collector = logging.getLogger('dcreg_ros'), _Collector(texts)
    logger.addHandler(collector)
    try:
        yield texts
    finally:
        logger.removeHandler(collector)
