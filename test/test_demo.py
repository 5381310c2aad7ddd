# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`dcreg demo`: the whole of it on a few scans, how it fails, and the table on made-up runs."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dcreg_ros.commands.main import main
from dcreg_ros.degeneracy.report import AXES
from dcreg_ros.evaluation.diagnostics_log import DiagnosticsTable
from dcreg_ros.evaluation.live import LiveRun, read_live_run
from dcreg_ros.evaluation.live_report import Truth, read_truth, report
from dcreg_ros.evaluation.processes import Processes, ProcessFailure
from dcreg_ros.evaluation.runner import run_odometry
from dcreg_ros.evaluation.trajectory import Trajectory
from dcreg_ros.io.sources import open_source

REPOSITORY = Path(__file__).parents[1]
FIRST_START = 240.0
"""Seconds that a first compilation of all kernels may take on a slow machine."""


# The command itself


def start_demo(folder, *arguments):
    path = os.pathsep.join([str(REPOSITORY), os.environ.get('PYTHONPATH', '')])
    return subprocess.Popen(
        [sys.executable, '-m', 'dcreg_ros.commands.main', 'demo', '-o', str(folder), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {'PYTHONPATH': path.rstrip(os.pathsep)},
        # A test run in the background of a shell has Ctrl-C ignored, and would hand that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


@contextlib.contextmanager
def killed_at_the_end(process):
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def children_of(folder, module='dcreg_ros.ros.'):
    """Return the ids of processes of a demo in `folder`: they have its logs open."""
    found = []
    for entry in Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError):
            command = (entry / 'cmdline').read_bytes().replace(b'\0', b' ').decode()
            log = os.readlink(entry / 'fd' / '1')
            if module in command and log.startswith(str(folder)):
                found.append(int(entry.name))
    return found


def wait_for_child(process, folder, module):
    end = time.monotonic() + FIRST_START
    while not (found := children_of(folder, module)):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.05)
    return found[0]


def rows_of(text):
    """Return the first column of the table with the rest of each line."""
    pairs = (re.match(r' {2,4}(\S+(?: \S+)?) {2,}(\S.*)', line) for line in text.splitlines())
    return {pair[1]: pair[2] for pair in pairs if pair}


@pytest.fixture(scope='module')
def demo(tmp_path_factory):
    """Return folder, output and errors of a demo with few scans."""
    for name in ('rclpy', 'rosbags', 'matplotlib', 'tqdm'):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp('demo')
    with killed_at_the_end(start_demo(folder, '--scans', '20')) as process:
        output, errors = process.communicate(timeout=FIRST_START)
        assert process.returncode == 0, errors
    return folder, output, errors


@pytest.mark.ros
@pytest.mark.slow
def test_the_demo_ends_with_a_table(demo):
    _, output, _ = demo
    rows = rows_of(output)
    assert rows['scans in'] == '20'
    assert int(rows['poses out']) + int(rows['drops'].split()[0]) == 20
    assert int(rows['poses out']) >= 15
    assert float(rows['ATE'].split()[0]) < 0.1
    assert rows['end drift'].startswith('0.')
    median, p95 = map(float, re.findall(r'([\d.]+) ms', rows['latency']))
    assert 0.0 < median <= p95
    assert re.search(r'weak +flagged +truly +precision +recall', output)


@pytest.mark.ros
@pytest.mark.slow
def test_the_demo_leaves_its_files_and_no_process(demo):
    folder, output, _ = demo
    assert str(folder / 'trajectory.png') in output
    assert (folder / 'trajectory.png').read_bytes().startswith(b'\x89PNG')
    assert {'bag', 'poses.tum', 'diagnostics.csv', 'node.log'} <= set(os.listdir(folder))
    assert children_of(folder) == []


@pytest.mark.ros
@pytest.mark.slow
def test_the_live_node_says_what_the_offline_runner_says(demo):
    folder, _, _ = demo
    live = read_live_run(folder)
    if len(live.trajectory) < len(live.sent):
        pytest.skip('this machine was too busy to take every scan')
    offline = run_odometry(open_source(folder / 'bag'))
    np.testing.assert_allclose(live.trajectory.poses, offline.poses, atol=1e-9)
    np.testing.assert_array_equal(live.table.masks, offline.table.masks)


@pytest.mark.ros
@pytest.mark.slow
def test_a_source_without_truth_has_no_rows_of_truth(demo, tmp_path, capsys):
    bag = tmp_path / 'recording'
    shutil.copytree(demo[0] / 'bag', bag)
    for name in ('ground_truth.tum', 'weak_directions.csv'):
        (bag / name).unlink()
    assert main(['demo', '--source', str(bag), '-o', str(tmp_path / 'out')]) == 0
    output = capsys.readouterr().out
    rows = rows_of(output)
    assert rows['scans in'] == '20'
    assert 'latency' in rows
    assert 'ATE' not in rows and 'end drift' not in rows
    assert 'truly' not in output
    assert (tmp_path / 'out' / 'trajectory.png').is_file()


@pytest.mark.ros
@pytest.mark.slow
def test_a_dead_node_ends_the_demo_with_the_end_of_its_log(demo, tmp_path):
    process = start_demo(tmp_path, '--source', str(demo[0] / 'bag'))
    with killed_at_the_end(process):
        wait_for_child(process, tmp_path, 'ros.player')
        os.kill(wait_for_child(process, tmp_path, 'ros.node'), signal.SIGKILL)
        _, errors = process.communicate(timeout=60.0)
    assert process.returncode == 1
    assert 'the node ended with signal SIGKILL' in errors
    assert '| [INFO]' in errors
    assert 'Traceback' not in errors
    assert children_of(tmp_path) == []


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.parametrize(('number', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_demo_leaves_no_process(demo, tmp_path, number, code):
    process = start_demo(tmp_path, '--source', str(demo[0] / 'bag'))
    with killed_at_the_end(process):
        wait_for_child(process, tmp_path, 'ros.recorder')
        process.send_signal(number)
        process.communicate(timeout=60.0)
    assert process.returncode == code
    assert children_of(tmp_path) == []


def test_a_folder_that_is_no_simulated_bag_is_not_removed(tmp_path, capsys):
    for name in ('rclpy', 'rosbags', 'matplotlib', 'tqdm'):
        pytest.importorskip(name)
    (tmp_path / 'bag').mkdir()
    (tmp_path / 'bag' / 'precious.txt').write_text('mine')
    assert main(['demo', '-o', str(tmp_path), '--scans', '2']) == 2
    assert 'not a simulated bag' in capsys.readouterr().err
    assert (tmp_path / 'bag' / 'precious.txt').read_text() == 'mine'
    assert children_of(tmp_path) == []


def test_scans_and_source_exclude_each_other(tmp_path, capsys):
    arguments = ['demo', '--source', str(tmp_path), '--scans', '3', '-o', str(tmp_path / 'out')]
    assert main(arguments) == 2
    assert '--scans' in capsys.readouterr().err


# Processes


def test_the_end_of_the_log_is_in_the_error(tmp_path):
    with Processes(tmp_path, {}) as processes:
        processes.start('nobody', 'dcreg_ros.no_such_module')
        with pytest.raises(ProcessFailure, match=r'(?s)nobody ended with code 1.*no_such_module'):
            processes.wait('nobody', 30.0)


def test_a_process_is_waited_for(tmp_path):
    with Processes(tmp_path, {'GREETING': 'hello'}) as processes:
        processes.start('short', 'this')
        processes.wait('short', 30.0)
        assert 'Namespaces' in processes.tail('short')


def test_leaving_the_context_ends_what_ignores_ctrl_c(tmp_path, monkeypatch):
    monkeypatch.setattr('dcreg_ros.evaluation.processes.GRACE', 0.2)
    (tmp_path / 'stubborn.py').write_text(
        'import signal, time\n'
        'signal.signal(signal.SIGINT, signal.SIG_IGN)\n'
        "print('deaf')\n"
        'time.sleep(600)\n'
    )
    with pytest.raises(KeyError), Processes(tmp_path, {'PYTHONPATH': str(tmp_path)}) as processes:
        processes.start('stubborn', 'stubborn')
        while 'deaf' not in processes.tail('stubborn'):
            time.sleep(0.02)
        assert children_of(tmp_path, 'stubborn')
        raise KeyError
    assert children_of(tmp_path, 'stubborn') == []


def test_a_word_is_waited_for(tmp_path):
    (tmp_path / 'slow.py').write_text(
        'import time\ntime.sleep(0.5)\nprint("here I am")\ntime.sleep(1.0)\n')
    with Processes(tmp_path, {'PYTHONPATH': str(tmp_path)}) as processes:
        processes.start('slow', 'slow')
        processes.wait_for_word('slow', 'here I am', 30.0)
        processes.wait('slow', 30.0)
        with pytest.raises(ProcessFailure, match='slow ended with code 0'):
            processes.wait_for_word('slow', 'something else', 30.0)
        processes.start('server', 'http.server', '0')
        with pytest.raises(ProcessFailure, match="server did not say 'hello' within 0 s"):
            processes.wait_for_word('server', 'hello', 0.3)


def test_a_process_that_takes_too_long_is_named(tmp_path):
    with Processes(tmp_path, {}) as processes:
        processes.start('server', 'http.server', '0')
        with pytest.raises(ProcessFailure, match='server did not end within 0 s'):
            processes.wait('server', 0.3)


# The table, on a run with known errors


def made_up(num=50, missing=(7, 8)):
    """Drive 0.1 m per scan along x; the estimate is 2 % long, and the turn of the world 90 deg."""
    nanoseconds = [10**12 + 10**8 * index for index in range(num)]
    stamps = np.array(nanoseconds) / 1e9
    poses = np.tile(np.eye(4), (num, 1, 1))
    poses[:, 0, 3] = 0.1 * np.arange(num)
    masks = np.zeros((num, 6), dtype=bool)
    masks[20:40, AXES.index('x')] = True
    truth = Truth(Trajectory(stamps, poses), masks)

    turned = np.array([[0.0, -1, 0, 5], [1, 0, 0, 5], [0, 0, 1, 5], [0, 0, 0, 1]])
    estimate = poses.copy()
    estimate[:, 0, 3] *= 1.02
    kept = [index for index in range(num) if index not in missing]
    rows = [
        {'stamp': stamps[i], 'weak': 'roll x' if 30 <= i < 42 else 'roll',
         **{f'condition_{axis}': 1.0 for axis in AXES}} for i in kept
    ]  # fmt: skip
    live = LiveRun(
        sent=dict.fromkeys(nanoseconds, 10**9),
        arrived={nanoseconds[i]: 10**9 + 10**6 * (i + 1) for i in kept},
        trajectory=Trajectory(stamps[kept], turned @ estimate[kept]),
        table=DiagnosticsTable(rows),
        health={'registration_node: Input': {'dropped': '2', 'lost': '0'}},
    )
    return live, truth


def test_the_table_holds_what_is_known():
    live, truth = made_up()
    rows = rows_of('\n'.join(report(live, truth)))
    assert rows['scans in'] == '50'
    assert rows['poses out'] == '48'
    assert rows['drops'].startswith('2 ')
    assert 'dropped 2' in rows['drops']
    assert rows['path'] == '4.90 m'
    travelled = 0.1 * np.array([i for i in range(50) if i not in (7, 8)])
    expected = 0.02 * np.std(travelled)  # the best fit has the means on each other
    assert float(rows['ATE'].split()[0]) == pytest.approx(expected, abs=6e-4)
    assert rows['end drift'].startswith('0.098 m, 2.00 % of the path (along x +0.098 m')
    assert rows['latency'].startswith('median 26.5 ms, p95 47.6 ms')
    # 10 of 12 flagged scans are weak, 10 of 20 weak scans are flagged.
    assert re.fullmatch(
        r'3\.0-4\.1 s \(12 scans\) +2\.0-3\.9 s \(20 scans\) +0\.83 +0\.50', rows['x']
    )
    assert re.fullmatch(r'0\.0-4\.9 s \(48 scans\) +never +0\.00 +-', rows['roll'])
    assert 'y' not in rows


def test_without_truth_the_table_has_times_only():
    live, _ = made_up()
    rows = rows_of('\n'.join(report(live, None)))
    assert 'ATE' not in rows and 'path' not in rows
    assert rows['x'] == '3.0-4.1 s (12 scans)'


def test_only_simulated_bags_have_a_truth(tmp_path):
    pytest.importorskip('rosbags')
    assert read_truth(tmp_path) is None
