# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The offline runner: the loop itself, and `dcreg odometry` with all it writes."""

import dataclasses

import numpy as np
import pytest

import dcreg_ros
from dcreg_ros.commands.main import main
from dcreg_ros.config import NodeConfig
from dcreg_ros.config_file import load_config
from dcreg_ros.evaluation.diagnostics_log import read_diagnostics
from dcreg_ros.evaluation.runner import run_odometry
from dcreg_ros.evaluation.trajectory import Trajectory
from dcreg_ros.evaluation.trajectory_error import ate
from dcreg_ros.io.tum import read_tum
from dcreg_ros.simulation.recording import simulate

OUTPUTS = {'poses.tum', 'diagnostics.csv', 'config.yaml', 'trajectory.png'}


@pytest.fixture(scope='module')
def recording():
    return simulate('room', num_scans=12, seed=3)


@pytest.fixture(scope='module')
def run(recording):
    return run_odometry(recording.scans)


@pytest.fixture
def pcd_folder(tmp_path, recording):
    """Scans as ASCII files, which have no stamps; the third of five is broken."""
    folder = tmp_path / 'scans'
    folder.mkdir()
    for index, scan in enumerate(recording.scans[:5]):
        count = len(scan.points)
        header = (
            'VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\n'
            f'WIDTH {count}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {count}\nDATA ascii\n'
        )
        rows = '\n'.join(' '.join(f'{value:.6f}' for value in point) for point in scan.points)
        text = 'this is no point cloud\n' if index == 2 else header + rows + '\n'
        (folder / f'{index:02d}.pcd').write_text(text)
    return folder


# The loop


def test_every_scan_gives_a_frame(recording, run):
    assert run.names == [scan.name for scan in recording.scans]
    assert run.stamps.tolist() == recording.stamps.tolist()
    assert [frame.status for frame in run.frames] == ['first'] + ['tracking'] * 11
    assert len(run.seconds) == 12
    assert not run.skipped and not run.interrupted
    assert len(run.table) == 12


def test_the_trajectory_is_that_of_the_simulation(recording, run):
    truth = Trajectory(recording.stamps, recording.poses)
    assert truth.path_length > 0.3
    assert ate(run.trajectory, truth, 'first_pose').translation.max() < 0.05


def test_the_loop_adds_nothing_to_the_odometry(recording, run):
    odometry = dcreg_ros.LidarOdometry()
    for scan, pose in zip(recording.scans, run.poses, strict=True):
        frame = odometry.process(scan.points, scan.times, scan.stamp)
        np.testing.assert_array_equal(frame.pose, pose)


def test_the_configuration_is_used(recording):
    config = dcreg_ros.OdometryConfig(
        preprocess=dcreg_ros.config.PreprocessConfig(voxel_size=2.0, min_keypoints=0))
    coarse = run_odometry(recording.scans[:2], config)
    fine = run_odometry(recording.scans[:2])
    assert coarse.frames[1].num_keypoints < 0.5 * fine.frames[1].num_keypoints


def test_a_scan_that_cannot_be_used_is_named_and_the_run_goes_on(recording):
    flat = dataclasses.replace(recording.scans[1], points=np.zeros((5, 2)), name='flat')
    run = run_odometry([recording.scans[0], flat, recording.scans[2]])
    assert run.names == [recording.scans[0].name, recording.scans[2].name]
    assert [name for name, _ in run.skipped] == ['flat']
    assert '(5, 2)' in run.skipped[0][1]


def test_a_scan_sent_twice_or_overtaken_is_left_out(recording, run):
    scans = recording.scans
    again = [*scans[:6], scans[5], scans[7], scans[6], *scans[8:]]
    found = run_odometry(again)
    in_turn = run_odometry([*scans[:6], *scans[7:]])
    np.testing.assert_array_equal(found.poses, in_turn.poses)
    assert [name for name, _ in found.skipped] == [scans[5].name, scans[6].name]
    assert all('is not after that before' in why for _, why in found.skipped)


def test_an_empty_scan_does_not_end_the_run(recording):
    empty = dataclasses.replace(
        recording.scans[1], points=np.zeros((0, 3)), times=np.zeros(0), name='empty'
    )
    run = run_odometry([recording.scans[0], empty, recording.scans[2]])
    assert len(run.frames) + len(run.skipped) == 3
    assert run.frames[-1].status == 'tracking'


def test_ctrl_c_keeps_what_is_done(recording):
    def interrupted():
        yield from recording.scans[:3]
        raise KeyboardInterrupt

    run = run_odometry(interrupted())
    assert run.interrupted
    assert len(run.frames) == 3


def test_progress_sees_every_scan(recording):
    seen = []

    def progress(scans):
        for scan in scans:
            seen.append(scan.name)
            yield scan

    run_odometry(recording.scans[:4], progress=progress)
    assert seen == [scan.name for scan in recording.scans[:4]]


def test_an_empty_source_gives_an_empty_run():
    run = run_odometry([])
    assert run.poses.shape == (0, 4, 4)
    assert len(run.table) == 0


# The command


def test_a_bag_becomes_four_files(tmp_path, recording, run, capsys):
    pytest.importorskip('rosbags')
    pytest.importorskip('matplotlib')
    from dcreg_ros.simulation.bag import write_bag

    bag, output = tmp_path / 'bag', tmp_path / 'results' / 'deep'
    write_bag(recording, bag)
    output.mkdir(parents=True)
    (output / 'notes.txt').write_text('mine')
    (output / 'poses.tum').write_text('old')
    assert main(['odometry', str(bag), '-o', str(output)]) == 0

    assert {path.name for path in output.iterdir()} == OUTPUTS | {'notes.txt'}
    assert (output / 'notes.txt').read_text() == 'mine'
    stamps, poses = read_tum(output / 'poses.tum')
    np.testing.assert_allclose(stamps, recording.stamps, atol=1e-9)
    np.testing.assert_allclose(poses, run.poses, atol=1e-9)
    table = read_diagnostics(output / 'diagnostics.csv')
    np.testing.assert_array_equal(table.masks, run.table.masks)
    np.testing.assert_array_equal(table.conditions, run.table.conditions)
    assert load_config(output / 'config.yaml') == NodeConfig()
    assert (output / 'trajectory.png').read_bytes().startswith(b'\x89PNG')
    text = capsys.readouterr().out
    assert '12 scans, 12 poses' in text
    assert 'median' in text and 'p95' in text
    assert 'last pose' in text


def test_the_configuration_that_was_used_is_written(tmp_path, pcd_folder):
    pytest.importorskip('matplotlib')
    (tmp_path / 'mine.yaml').write_text(
        '/**:\n  ros__parameters:\n    registration:\n      condition_threshold: 25.0\n'
    )
    arguments = ['odometry', str(pcd_folder), '--config', str(tmp_path / 'mine.yaml')]
    assert main([*arguments, '-o', str(tmp_path / 'out')]) == 0
    written = load_config(tmp_path / 'out' / 'config.yaml')
    assert written.registration.condition_threshold == 25.0


def test_files_have_stamps_by_period_and_broken_ones_are_named(tmp_path, pcd_folder, capsys):
    pytest.importorskip('matplotlib')
    output = tmp_path / 'out'
    assert main(['odometry', str(pcd_folder), '-o', str(output), '--period', '0.25']) == 0
    stamps, _ = read_tum(output / 'poses.tum')
    assert stamps == pytest.approx([0.0, 0.25, 0.75, 1.0])  # the broken one has its time
    text = capsys.readouterr().out
    assert '5 scans, 4 poses' in text
    assert 'skipped        1' in text
    assert '02.pcd' in text


def test_a_source_that_is_none_ends_with_a_line(tmp_path, capsys):
    assert main(['odometry', str(tmp_path / 'nowhere'), '-o', str(tmp_path / 'out')]) == 2
    error = capsys.readouterr().err
    assert 'nowhere does not exist' in error
    assert 'Traceback' not in error


def test_a_period_without_meaning_is_refused(tmp_path, pcd_folder, capsys):
    arguments = ['odometry', str(pcd_folder), '-o', str(tmp_path / 'out'), '--period', '0']
    assert main(arguments) == 2
    assert '--period 0' in capsys.readouterr().err


def test_the_real_corridor_runs_to_its_end(tmp_path, data_folder, capsys):
    pytest.importorskip('matplotlib')
    arguments = ['odometry', str(data_folder / 'corridor'), '--period', '0.5']
    assert main([*arguments, '-o', str(tmp_path)]) == 0
    table = read_diagnostics(tmp_path / 'diagnostics.csv')
    assert len(table) == 30
    assert '30 scans, 30 poses' in capsys.readouterr().out
    assert np.isfinite(read_tum(tmp_path / 'poses.tum')[1]).all()
