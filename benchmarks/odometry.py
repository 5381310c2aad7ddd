# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""This odometry beside KISS-ICP and GenZ-ICP: time, accuracy, memory and scaling."""

import argparse

import corridor
import machine
import numpy as np
import scaling
import sequences
from measures import accuracy, flagged
from runs import Run, alone, alternate, peak_memory
from sequences import MEANING, SIMULATED, Sequence
from systems import (
    GENZ,
    GENZ_DESKEW,
    KISS,
    MAX_RANGE,
    MIN_RANGE,
    OURS,
    PACKAGES,
    Ours,
    available,
)

import dcreg_ros
from dcreg_ros.io.pointcloud2 import decode_pointcloud2

VOXELS = (1.0, 0.5)
SCANS = 150
PARTS = ('drive', *SIMULATED, 'corridor', 'scaling')


def main() -> None:
    arguments = _arguments()
    print(machine.describe())
    print(f'ranges {MIN_RANGE} to {MAX_RANGE} m and voxel size equal for all, the rest as shipped')
    names = available((OURS, KISS, GENZ))
    for name in (KISS, GENZ):
        if name not in names:
            print(f'{name} is not installed and left out; {machine.INSTALL} brings it')
    dcreg_ros.warm_up()
    chosen = arguments.sequence or PARTS
    if 'drive' in chosen:
        drive(names, arguments)
    for name in SIMULATED:
        if name in chosen:
            scans = 50 if arguments.quick else SCANS
            simulation(names, SIMULATED[name](scans), arguments)
    if 'corridor' in chosen:
        real_corridor(names, arguments)
    if 'scaling' in chosen:
        scaling.report(names, arguments.quick, arguments.markdown)
    print(machine.load())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--quick', action='store_true', help='fewer scans and rounds')
    parser.add_argument(
        '--sequence', nargs='+', choices=PARTS, metavar='NAME',
        help=f'only some of: {", ".join(PARTS)}')
    parser.add_argument('--markdown', action='store_true', help='print tables in Markdown')
    return parser.parse_args()


def drive(names: list[str], arguments: argparse.Namespace) -> None:
    """Time and memory on a recorded drive; it has no truth."""
    sequence = sequences.recorded('drive')
    if sequence is None:
        print('drive: no real data; set DCREG_ROS_DATA. Timing is on the simulated scenes only')
        return
    size = int(np.median([len(scan.points) for scan in sequence.scans]))
    for voxel in VOXELS:
        runs = alternate(names, sequence.scans, voxel, 2 if arguments.quick else 5)
        memory = {name: peak_memory(name, sequence.scans, voxel) for name in names}
        rows = [
            [*row, f'{memory[row[0]][0]:.0f}', f'{memory[row[0]][1]:.0f}']
            for row in time_rows(runs)
        ]
        machine.print_table(
            f'drive, {len(sequence.scans)} scans of {size} points, voxel {voxel} m '
            f'({machine.load()})',
            [*TIME_HEADER, 'peak MB', 'idle MB'], rows, arguments.markdown)
    decoding(sequence)


TIME_HEADER = [
    'system', 'median ms', 'p95 ms', 'p95/median', 'CPU ms', 'median/ours', 'p95/ours', 'CPU/ours']


def time_rows(runs: dict[str, Run]) -> list[list[str]]:
    """Milliseconds per scan of each system, and how many times ours that is."""
    ours, ours_cpu = runs[OURS].milliseconds, np.array(runs[OURS].cpu)
    rows = []
    for name, run in runs.items():
        median, p95 = np.median(run.milliseconds), np.percentile(run.milliseconds, 95)
        # Scan by scan: whatever else the machine does falls on both of a pair.
        ratio = np.median(run.milliseconds / ours)
        rows.append([
            name, f'{median:.1f}', f'{p95:.1f}', f'{p95 / median:.2f}',
            f'{1e3 * np.median(run.cpu):.1f}', f'{ratio:.2f}',
            f'{p95 / np.percentile(ours, 95):.2f}', f'{np.median(run.cpu / ours_cpu):.2f}'])
    return rows


def decoding(sequence: Sequence) -> None:
    """Time from the bytes of a PointCloud2 to the array that the tables above start from."""
    messages = [sequences.as_message(scan) for scan in sequence.scans]
    times = scaling.milliseconds(lambda k: decode_pointcloud2(messages[k % len(messages)]), 30)
    print(f'decoding such a PointCloud2: median {np.median(times):.2f} ms')


def simulation(names: list[str], sequence: Sequence, arguments: argparse.Namespace) -> None:
    """Accuracy and time on one simulated sequence, without and with wheels."""
    voxel = VOXELS[-1]
    truth = sequence.truth(0.0)
    runs = alternate(names, sequence.scans, voxel, 1)
    table = time_rows(runs)
    for name in available((GENZ_DESKEW,)):
        runs[name] = alternate([name], sequence.scans, voxel, 1)[name]
    rows = [accuracy_row(name, run, sequence) for name, run in runs.items()]
    moved = sequences.wheel_motions(truth, 1000 + len(sequence.scans))
    wheels = Run(poses=list(accumulate(moved)))
    rows.append(accuracy_row('wheels alone', wheels, sequence))
    helped = alone(Ours(voxel), sequence.scans, moved)
    rows.append(accuracy_row(f'{OURS} with wheels', helped, sequence))
    print(f'\n{sequence.name}: {MEANING[sequence.name]}; {len(sequence.scans)} scans of '
          f'{len(sequence.scans[0].points)} points, voxel {voxel} m ({machine.load()})')
    machine.print_table('Accuracy', ACCURACY_HEADER, rows, arguments.markdown)
    machine.print_table('Time per scan', TIME_HEADER, table, arguments.markdown)


ACCURACY_HEADER = [
    'system', 'ATE m', 'end m', 'in weak m', 'end deg', 'max across m', 'max across deg',
    'flagged', 'pose at']
INSTANTS = {0.0: 'start', 0.5: 'middle', 1.0: 'end'}


def accuracy_row(name: str, run: Run, sequence: Sequence) -> list[str]:
    """Texts under ACCURACY_HEADER."""
    # The peers do not say which instant of a sweep their poses are of: the best one is taken.
    phases = sequences.PHASES if name in PACKAGES else (0.0,)
    found = accuracy(np.array(run.poses), sequence, phases)
    share = flagged(run.frames, sequence.weak) if run.frames and len(sequence.weak) else None
    degrees = np.degrees([found.end_rotation, found.across_rotation])
    return [
        name, f'{found.ate:.3f}', f'{found.end:.3f}', f'{found.end_weak:.3f}',
        f'{degrees[0]:.2f}', f'{found.across:.3f}', f'{degrees[1]:.2f}',
        '' if share is None else f'{100.0 * share:.0f} %', INSTANTS[found.phase]]


def accumulate(moved: np.ndarray) -> np.ndarray:
    """Poses (N, 4, 4) of motions from scan to scan."""
    poses = [np.eye(4)]
    for motion in moved[1:]:
        poses.append(poses[-1] @ motion)
    return np.array(poses)


def real_corridor(names: list[str], arguments: argparse.Namespace) -> None:
    """Forwards against backwards through the recorded corridor."""
    sequence = sequences.recorded('corridor', first=corridor.FIRST)
    if sequence is None:
        print('corridor: no real data; set DCREG_ROS_DATA')
        return
    rows = corridor.rows(names, sequence, VOXELS[-1])
    machine.print_table(
        f'Recorded corridor, {len(sequence.scans)} scans, forwards against backwards, '
        f'voxel {VOXELS[-1]} m',
        corridor.HEADER, rows, arguments.markdown)
    machine.print_table(
        f'The same from each of the first {corridor.STARTS} scans on: how far apart',
        corridor.STARTS_HEADER, corridor.start_rows(names, sequence, VOXELS[-1]),
        arguments.markdown)


if __name__ == '__main__':
    main()
