# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All kernels are compiled before the first scan: later it would stop the node for a second."""

import subprocess
import sys
from pathlib import Path

import pytest
from numba import config
from numba.core import caching

from dcreg_ros.kernel_cache import ensure_cache

DRIVE = """
import sys
from numba.core.dispatcher import Dispatcher
import dcreg_ros
from dcreg_ros.simulation.lidar import LidarModel
from dcreg_ros.simulation.recording import simulate

def compiled():
    return {
        (name, key): len(value.signatures)
        for name, module in list(sys.modules.items())
        if name.startswith('dcreg_ros') and not name.startswith('dcreg_ros.simulation')
        for key, value in vars(module).items() if isinstance(value, Dispatcher)}

config = dcreg_ros.OdometryConfig(
    preprocess=dcreg_ros.config.PreprocessConfig(min_range=float(sys.argv[1])))
recordings = [
    simulate(scene, 30, LidarModel(columns=512), 1)
    for scene in ('corridor', 'tunnel', 'sparse_field', 'stairs')]
dcreg_ros.warm_up(config)
before = compiled()
odometry = dcreg_ros.LidarOdometry(config)
stamp = 0.0
for recording in recordings:
    for scan in recording.scans:
        stamp += 0.1
        odometry.process(scan.points, scan.times, stamp)
odometry.map_points()
late = [key for key, count in compiled().items() if count > before.get(key, 0)]
print(len(before), late)
assert len(before) > 30 and not late
"""


@pytest.mark.parametrize('min_range', [0.5, 4.0])
def test_a_drive_compiles_nothing_more(min_range):
    """Four scenes, one after the other: what fits no map is searched for as well."""
    done = subprocess.run(
        [sys.executable, '-c', DRIVE, str(min_range)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_where_kernels_can_be_kept_nowhere_they_are_compiled_all_the_same(monkeypatch, caplog):
    """As numba says in a container that can only be read; the file system of a test cannot."""
    def refuse(_):
        raise RuntimeError('cannot cache function: no locator available')

    monkeypatch.setattr(caching, 'FunctionCache', refuse)
    monkeypatch.setattr(config, 'CACHE_DIR', '')
    ensure_cache()
    assert Path(config.CACHE_DIR).is_dir() and not list(Path(config.CACHE_DIR).iterdir())
    assert 'NUMBA_CACHE_DIR' in caplog.text
    Path(config.CACHE_DIR).rmdir()
