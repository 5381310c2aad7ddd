# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulate a corridor (or take a recording), play it into the real node, and compare with truth.

Node, player and recorder are processes in a ROS graph of their own. Ends with a table and a
picture: what came out, how late, how far off, and which directions were found weak.
"""

import importlib
import shutil
import signal
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np

from dcreg_ros.config import NodeConfig
from dcreg_ros.evaluation.live import LiveRun, play_live, running_node
from dcreg_ros.evaluation.live_report import Truth, common_masks, read_truth, report
from dcreg_ros.evaluation.plots import plot_run
from dcreg_ros.evaluation.processes import ProcessFailure
from dcreg_ros.evaluation.trajectory import associate
from dcreg_ros.io.sources import open_source

SCENE = 'corridor'
BAG = 'bag'
PICTURE = 'trajectory.png'


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what `dcreg demo` takes."""
    parser.add_argument(
        '--source', metavar='PATH', help='play this recording instead (see `dcreg odometry -h`)'
    )
    parser.add_argument('--topic', help='point clouds of a bag, where it has several')
    parser.add_argument(
        '-o', '--output', metavar='DIR', default='demo', help='folder (default: %(default)s)'
    )
    parser.add_argument(
        '--scans', type=int, metavar='N', help='simulate only the first N (default: all)'
    )


def run(arguments: Namespace) -> int:
    """Run it; return 1 where the node died or said nothing."""
    for extra in ('matplotlib', 'tqdm'):  # missed now rather than at the end
        importlib.import_module(extra)
    if arguments.source and arguments.scans is not None:
        raise ValueError('--scans shortens the simulation; with --source there is none')
    if arguments.source:
        open_source(arguments.source, arguments.topic)  # complains of what cannot be read
    began = time.monotonic()
    folder = Path(arguments.output)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PICTURE).unlink(missing_ok=True)
    try:
        with _terminated_like_interrupted(), running_node(folder) as processes:
            # The node loads its kernels while the corridor is simulated.
            if arguments.source:
                source = Path(arguments.source)
            else:
                source = _simulate(folder / BAG, arguments.scans)
            live = play_live(processes, source, folder, arguments.topic, _say)
    except ProcessFailure as error:
        print(f'dcreg demo: {error}', file=sys.stderr)
        return 1
    truth = read_truth(source)
    title = source.name if arguments.source else 'Simulated corridor, seen by the live node'
    _draw(folder / PICTURE, live, truth, title)
    print('\n'.join(report(live, truth)))
    print(f'\nall of it is in {folder}/, the picture is {folder / PICTURE}')
    print(f'{time.monotonic() - began:.0f} s in all')
    return 0


def _draw(path: Path, live: LiveRun, truth: Truth | None, title: str) -> None:
    known: dict = {}
    if truth is not None:
        estimate, true = associate(live.described, truth.trajectory)
        start = estimate.poses[0] @ np.linalg.inv(true.poses[0])
        stamps, _, masks = common_masks(live, truth)
        known['truth'] = true.moved(start)
        if len(stamps) == len(live.table):
            known['truth_masks'] = masks
    threshold = NodeConfig().registration.condition_threshold
    plot_run(path, live.described, live.table, condition_threshold=threshold, title=title, **known)


def _simulate(bag: Path, num_scans: int | None) -> Path:
    from tqdm import tqdm

    from dcreg_ros.simulation.bag import TRUTH_WEAK, write_bag
    from dcreg_ros.simulation.recording import simulate

    if bag.exists():
        if not (bag / TRUTH_WEAK).is_file():
            raise ValueError(f'{bag} exists and is not a simulated bag; name another folder')
        shutil.rmtree(bag)
    _say(f'simulating the scene {SCENE!r}')
    recording = simulate(
        SCENE, num_scans, progress=lambda scans: tqdm(scans, unit='scan', disable=None)
    )
    write_bag(recording, bag)
    duration = recording.stamps[-1] - recording.stamps[0]
    _say(f'{len(recording.scans)} scans, {duration:.1f} s, are in {bag}')
    return bag


def _say(text: str) -> None:
    print(f'dcreg demo: {text}', file=sys.stderr, flush=True)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that no process is left."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
