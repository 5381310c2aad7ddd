# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All kernels are compiled before the first scan: later it would stop the node for a second."""

import subprocess
import sys

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

recordings = [
    simulate(scene, 30, LidarModel(columns=512), 1)
    for scene in ('corridor', 'tunnel', 'sparse_field', 'stairs')]
dcreg_ros.warm_up()
before = compiled()
odometry = dcreg_ros.LidarOdometry()
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


def test_a_drive_compiles_nothing_more():
    """Four scenes, one after the other: what fits no map is searched for as well."""
    done = subprocess.run([sys.executable, '-c', DRIVE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
