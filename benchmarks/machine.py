# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a figure was measured on, and how tables of figures are printed."""

import os
import platform
from collections.abc import Sequence
from datetime import date
from importlib import metadata
from pathlib import Path

PACKAGES = ('numpy', 'numba', 'open3d', 'open3d-cpu', 'kiss-icp', 'genz-icp')
INSTALL = "pip install -e '.[benchmark]'"


def data_folder() -> Path | None:
    """Folder of the real recordings, or None: environment DCREG_ROS_DATA, else beside the repo."""
    default = Path(__file__).resolve().parents[2] / 'shared' / 'data'
    folder = Path(os.environ.get('DCREG_ROS_DATA', default))
    return folder if folder.is_dir() else None


def describe() -> str:
    """Two lines: machine with its load, and versions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    versions = [f'Python {platform.python_version()}']
    for name in PACKAGES:
        try:
            versions.append(f'{name} {metadata.version(name)}')
        except metadata.PackageNotFoundError:
            continue
    return (
        f'{date.today()}, {_processor()}, {cores} cores, {load()}\n{", ".join(versions)}'
    )


def load() -> str:
    """Load of the machine over the last minute: above the cores in use, times are too long."""
    return f'load {os.getloadavg()[0]:.1f}'


def _processor() -> str:
    cpuinfo = Path('/proc/cpuinfo')
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(':')[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


def print_table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool
) -> None:
    """Print rows of texts under a title, in aligned columns or in Markdown."""
    print(f'\n{title}\n')
    print(table_text(header, rows, markdown))
    print(flush=True)


def table_text(header: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool) -> str:
    """Rows of texts in aligned columns or in Markdown."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    ends = ('| ', ' |') if markdown else ('  ', '')
    between = ' | ' if markdown else '  '

    def line(cells: Sequence[str]) -> str:
        first = cells[0].ljust(widths[0])
        rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return ends[0] + between.join([first, *rest]) + ends[1]

    rule = '|' + '|'.join(['---', *['---:'] * (len(header) - 1)]) + '|'
    first = rule if markdown else '  ' + '-' * (len(line(header)) - 2)
    return '\n'.join([line(header), first, *map(line, rows)])
