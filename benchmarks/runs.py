# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run systems over a sequence in turn, and one system alone in a process to see its memory.

Run as a program, ``python runs.py SYSTEM VOXEL FOLDER``, it is that process.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence as Items
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from systems import MAKERS, OURS

PAUSE = 0.002
"""Seconds between two systems, in which the worker threads of the last one go to sleep."""


@dataclass
class Run:
    """What one system did with a sequence: poses of the first round, seconds of all rounds.

    `cpu` is summed over threads: what a scan costs a robot whose other cores are busy.
    """

    poses: list[Any] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    frames: list[Any] = field(default_factory=list)

    @property
    def milliseconds(self) -> Any:
        return 1e3 * np.array(self.seconds)


def alternate(names: Items[str], scans: Items[Any], voxel: float, rounds: int) -> dict[str, Run]:
    """Run systems scan by scan in turn, the order turning too.

    The first scan of each round makes the map of all of them and is not timed.
    """
    runs = {name: Run() for name in names}
    for number in range(rounds):
        systems = {name: MAKERS[name](voxel) for name in names}
        for k, scan in enumerate(scans):
            first = (k + number) % len(names)
            for name in [*names[first:], *names[:first]]:
                arguments = systems[name].prepare(scan.points, scan.times, scan.stamp)
                time.sleep(PAUSE)
                began, worked = time.perf_counter(), time.process_time()
                pose = systems[name].step(*arguments)
                seconds, cpu = time.perf_counter() - began, time.process_time() - worked
                if k > 0:
                    runs[name].seconds.append(seconds)
                    runs[name].cpu.append(cpu)
                if number == 0:
                    runs[name].poses.append(np.array(pose))
        if OURS in systems and number == 0:
            runs[OURS].frames = systems[OURS].frames
    return runs


def alone(system: Any, scans: Items[Any], moved: Any = None) -> Run:
    """Run one system over scans, with wheel motions (N, 4, 4) where given."""
    run = Run()
    for k, scan in enumerate(scans):
        arguments = system.prepare(scan.points, scan.times, scan.stamp)
        extra = () if moved is None else (moved[k],)
        began = time.perf_counter()
        pose = system.step(*arguments, *extra)
        run.seconds.append(time.perf_counter() - began)
        run.poses.append(np.array(pose))
    run.frames = getattr(system, 'frames', [])
    return run


def peak_memory(name: str, scans: Items[Any], voxel: float) -> tuple[float, float]:
    """Peak memory of one system in a process of its own: with the scans, and when made [MB]."""
    with tempfile.TemporaryDirectory() as folder:
        for k, scan in enumerate(scans):
            np.save(Path(folder, f'{k:06d}.npy'), scan.points)
        command = [sys.executable, __file__, name, str(voxel), folder]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    peak, idle = map(float, out.split()[-2:])
    return peak, idle


def _main() -> None:
    name, voxel, folder = sys.argv[1:]
    system = MAKERS[name](float(voxel))
    idle = _peak()
    for k, path in enumerate(sorted(Path(folder).iterdir())):
        system.step(*system.prepare(np.load(path), None, 0.1 * k))
    print(_peak(), idle)


def _peak() -> float:
    # Where there is a /proc, from there: getrusage of a child starts from what its parent held.
    status = Path('/proc/self/status')
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith('VmHWM'):
            return float(line.split()[1]) / 1024.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


if __name__ == '__main__':
    _main()
