# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every detection and every mitigation in scenes whose weak directions are known.

``python benchmarks/degeneracy.py --write`` writes the tables into ``docs/degeneracy.md`` and the
pictures beside it; without ``--write`` it prints the tables.
"""

import argparse
import os
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import degeneracy_plots
from detection import detect
from detection_tables import Table, detection_tables
from fresh import SCENES
from machine import describe, print_table, table_text
from mitigation import COURSES, FIRM_STARTS, OPEN_STARTS, drives, starts
from mitigation_tables import drive_tables, start_tables
from tqdm import tqdm

import dcreg_ros

SIGMAS, COLUMNS = (0.01, 0.02, 0.04), (256, 512, 1024)
SEEDS, START_SEEDS, DRIVE_SEEDS, FIRM_SEEDS = 20, 40, 5, 10
"""Firm courses are driven more often: what they lose is less than one drive scatters."""
DOCUMENT = Path(__file__).resolve().parents[1] / 'docs' / 'degeneracy.md'
BEGIN, END = '<!-- begin of what the command writes -->', '<!-- end of what the command writes -->'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='a tenth of the trials')
    parser.add_argument('--markdown', action='store_true', help='tables as in the docs')
    parser.add_argument('--write', action='store_true', help='into docs/, with pictures')
    parser.add_argument('--workers', type=int, default=2)
    options = parser.parse_args()
    # Read by numpy when the workers load it: two pools of threads on two cores only wait.
    os.environ['OPENBLAS_NUM_THREADS'] = '1'
    seeds, start_seeds, drive_seeds, firm_seeds = (
        (2, 4, 1, 1) if options.quick else (SEEDS, START_SEEDS, DRIVE_SEEDS, FIRM_SEEDS))
    began = time.perf_counter()
    dcreg_ros.warm_up()
    with ProcessPoolExecutor(options.workers, get_context('spawn')) as pool:
        trials = _run(pool, detect, [
            (scene, columns, SIGMAS, seeds) for scene in SCENES for columns in COLUMNS])
        started = _run(pool, starts, [
            (scene, start_seeds) for scene in (*OPEN_STARTS, *FIRM_STARTS)])
        driven = _run(pool, drives, [
            (name, seed) for name, course in COURSES.items()
            for seed in range(drive_seeds if course.weak else firm_seeds)])
    tables = [*detection_tables(trials), *start_tables(started), *drive_tables(driven)]
    took = f'{(time.perf_counter() - began) / 60.0:.1f} minutes'
    if options.write:
        quick = ' --quick' if options.quick else ''
        write(f'`python benchmarks/degeneracy.py --write{quick}`, {took}.', tables)
        degeneracy_plots.detections(DOCUMENT.with_name('detections.png'), trials)
        degeneracy_plots.mitigations(DOCUMENT.with_name('mitigations.png'), started, driven)
        print(f'written to {DOCUMENT.parent}')
    else:
        for table in tables:
            print_table(*table, options.markdown)
    print(f'{describe()}\n{took}')


def _run(pool: Executor, kernel: Callable[[Any], list[Any]], jobs: list[Any]) -> list[Any]:
    """All results of jobs that each return a list, with a progress bar."""
    parts = tqdm(pool.map(kernel, jobs), total=len(jobs), desc=kernel.__name__)
    return [result for part in parts for result in part]


def write(command: str, tables: list[Table]) -> None:
    """Replace what stands between the markers of the document."""
    head, rest = DOCUMENT.read_text(encoding='utf-8').split(BEGIN)
    tail = rest.split(END)[1]
    machine = '\n'.join(describe().splitlines())
    parts = [command, machine]
    for title, header, rows in tables:
        parts += [f'**{title}**', table_text(header, rows, markdown=True)]
    body = '\n\n'.join(parts)
    DOCUMENT.write_text(f'{head}{BEGIN}\n\n{body}\n\n{END}{tail}', encoding='utf-8')


if __name__ == '__main__':
    main()
