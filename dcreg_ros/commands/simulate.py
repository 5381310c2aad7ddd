# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write a rosbag2 of a LiDAR that drives through a made-up world, with the truth about it."""

import dataclasses
from argparse import ArgumentParser, Namespace
from pathlib import Path

from dcreg_ros.degeneracy.report import AXES
from dcreg_ros.simulation.bag import STORAGES, check_target, write_bag
from dcreg_ros.simulation.recording import Recording, simulate
from dcreg_ros.simulation.scenes import SCENES, make_scene


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what `dcreg simulate` takes."""
    parser.add_argument('scene', nargs='?', help='name of a scene, see --list')
    parser.add_argument('-o', '--output', type=Path, metavar='BAG', help='folder to write')
    parser.add_argument('--scans', type=int, help='how many (default: the whole drive)')
    parser.add_argument('--seed', type=int, default=0, help='of noise and dropout (default: 0)')
    parser.add_argument(
        '--storage', choices=list(STORAGES), default='sqlite3', help='default: sqlite3'
    )
    parser.add_argument(
        '--noise', type=float, metavar='M', help='standard deviation of a range in metres'
    )
    parser.add_argument('--list', action='store_true', help='list the scenes and leave')


def run(arguments: Namespace) -> int:
    """Simulate a scene into a bag, and say what was written.

    Raises
    ------
    ValueError
        If no scene or output is named, the scene is unknown, the output exists, or a number is out
        of its range.
    """
    if arguments.list:
        print(scene_list())
        return 0
    if not arguments.scene or not arguments.output:
        raise ValueError(f'name a scene, and an output with -o; scenes: {", ".join(SCENES)}')
    # Only here: a list needs no progress bar.
    from tqdm import tqdm

    scene = make_scene(arguments.scene)
    check_target(arguments.output, arguments.storage)
    lidar = scene.lidar
    if arguments.noise is not None:
        lidar = dataclasses.replace(lidar, range_sigma=arguments.noise)
    recording = simulate(
        scene,
        arguments.scans,
        lidar,
        arguments.seed,
        progress=lambda indices: tqdm(indices, desc=scene.name, unit='scan'),
    )
    write_bag(recording, arguments.output, arguments.storage)
    print(summary(recording))
    print(f'written to {arguments.output}')
    return 0


def scene_list() -> str:
    """Return one line per scene: its name and what it is."""
    width = max(map(len, SCENES))
    return '\n'.join(
        f'{name:{width}}  {(build.__doc__ or "").strip().splitlines()[0].removeprefix("Return ")}'
        for name, build in SCENES.items()
    )


def summary(recording: Recording) -> str:
    """Return the length of a recording and how often each axis is truly weak, for people."""
    counts = recording.masks.sum(axis=0)
    total = len(recording.scans)
    weak = [f'{axis} in {n}' for axis, n in zip(AXES, counts, strict=True) if n]
    span = recording.stamps[-1] - recording.stamps[0]
    return f'{total} scans over {span:.1f} s; truly weak: {", ".join(weak) or "nothing"}'
