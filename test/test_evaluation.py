# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trajectory errors, spans, the diagnostics table and the picture, against independent values."""

import itertools
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dcreg_ros.degeneracy.report import AXES, DegeneracyReport
from dcreg_ros.evaluation.diagnostics_log import read_diagnostics, tabulate, write_diagnostics
from dcreg_ros.evaluation.plots import COLOURS, plot_run
from dcreg_ros.evaluation.spans import score_masks, weak_spans
from dcreg_ros.evaluation.trajectory import Trajectory, align, associate
from dcreg_ros.evaluation.trajectory_error import ate, error_in_axes, rpe
from dcreg_ros.odometry.frame import Frame
from dcreg_ros.registration.covariance import PoseUncertainty
from dcreg_ros.registration.result import RegistrationResult


def pose(position=(0.0, 0.0, 0.0), degrees=(0.0, 0.0, 0.0)):
    result = np.eye(4)
    result[:3, :3] = Rotation.from_euler('xyz', degrees, degrees=True).as_matrix()
    result[:3, 3] = position
    return result


def straight(num=11, step=1.0):
    stamps = 0.1 * np.arange(num)
    return Trajectory(stamps, np.array([pose((step * index, 0, 0)) for index in range(num)]))


def wandering(seed, num=60):
    rng = np.random.default_rng(seed)
    positions = np.cumsum(rng.normal(size=(num, 3)), axis=0)
    angles = np.cumsum(rng.normal(scale=5.0, size=(num, 3)), axis=0)
    poses = np.array([pose(*pair) for pair in zip(positions, angles, strict=True)])
    return Trajectory(0.1 * np.arange(num), poses)


def disturbed(truth, seed, sigma=0.2):
    rng = np.random.default_rng(seed)
    noise = [
        pose(*pair)
        for pair in zip(
            rng.normal(scale=sigma, size=(len(truth), 3)),
            rng.normal(scale=2.0, size=(len(truth), 3)),
            strict=True,
        )
    ]
    return Trajectory(truth.stamps, truth.poses @ np.array(noise))


# Trajectories and their association


def test_trajectory_rejects_what_is_none():
    with pytest.raises(ValueError, match='do not fit'):
        Trajectory(np.zeros(2), np.tile(np.eye(4), (3, 1, 1)))
    with pytest.raises(ValueError, match='increasing'):
        Trajectory(np.array([1.0, 0.0]), np.tile(np.eye(4), (2, 1, 1)))
    with pytest.raises(ValueError, match='finite'):
        Trajectory(np.array([0.0, np.nan]), np.tile(np.eye(4), (2, 1, 1)))


def test_path_length_of_a_straight_line():
    assert straight(11, 0.5).path_length == pytest.approx(5.0)


def test_association_by_stamp_uses_each_truth_once():
    truth = straight(5)  # 0.0 .. 0.4 s
    stamps = np.array([-0.5, 0.099, 0.102, 0.304, 0.35, 0.4])
    estimate = Trajectory(stamps, np.tile(np.eye(4), (6, 1, 1)))
    found, matched = associate(estimate, truth, tolerance=0.01)
    assert found.stamps.tolist() == [0.099, 0.304, 0.4]
    assert matched.stamps == pytest.approx([0.1, 0.3, 0.4])


def test_association_without_common_time_names_both_ranges():
    late = Trajectory(straight().stamps + 100.0, straight().poses)
    with pytest.raises(ValueError, match=r'100\.000 .*truth \(0\.000'):
        ate(late, straight())


def test_association_with_a_single_pose():
    found, _ = associate(straight(1), straight(1))
    assert len(found) == 1


# Absolute error


def test_ate_is_zero_for_the_same_path_in_another_world():
    truth = wandering(1)
    error = ate(truth.moved(pose((5, -3, 2), (20, -40, 130))), truth)
    assert error.rmse == pytest.approx(0.0, abs=1e-12)
    assert error.rotation_rmse == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize('seed', range(5))
def test_ate_agrees_with_scipy(seed):
    truth = wandering(seed)
    estimate = disturbed(truth, seed + 100).moved(pose((5, -3, 2), (20, -40, 130)))
    target, source = truth.positions, estimate.positions
    turn, distance = Rotation.align_vectors(
        target - target.mean(axis=0), source - source.mean(axis=0)
    )
    error = ate(estimate, truth)
    assert error.rmse == pytest.approx(distance / math.sqrt(len(truth)), rel=1e-9)
    angles = [
        (Rotation.from_matrix(true[:3, :3]).inv() * turn * Rotation.from_matrix(found[:3, :3]))
        .magnitude() for true, found in zip(truth.poses, estimate.poses, strict=True)
    ]  # fmt: skip
    assert error.rotation == pytest.approx(angles, abs=1e-9)


def test_first_pose_alignment_leaves_a_yaw_error_as_an_arc():
    truth = straight(11)
    estimate = truth.moved(pose((7, 7, 7)))
    turned = Trajectory(
        truth.stamps,
        np.array([pose((7, 7, 7)) @ (pose(degrees=(0, 0, 2.0)) @ p) for p in truth.poses]),
    )
    assert ate(estimate, truth, 'first_pose').rmse == pytest.approx(0.0, abs=1e-12)
    # The first pose carries the turn, so taking it away takes all of it away.
    assert ate(turned, truth, 'first_pose').rmse == pytest.approx(0.0, abs=1e-12)
    turned.poses[0] = pose((7, 7, 7))
    end = ate(turned, truth, 'first_pose')
    assert end.translation[-1] == pytest.approx(2 * 10.0 * math.sin(math.radians(1.0)))
    assert end.rotation[-1] == pytest.approx(math.radians(2.0))


def test_umeyama_has_no_scale():
    truth = straight(11)
    doubled = straight(11, step=2.0)
    # Centred on each other, the errors are the distances from the middle: -5 .. 5 m.
    expected = math.sqrt(np.mean(np.arange(-5, 6) ** 2))
    assert ate(doubled, truth).rmse == pytest.approx(expected)


def test_a_straight_line_leaves_no_turn_to_chance():
    error = ate(straight().moved(pose((1, 2, 3), (0, 0, 90))), straight())
    assert error.rmse == pytest.approx(0.0, abs=1e-9)
    assert error.rotation_rmse == pytest.approx(0.0, abs=1e-6)


def test_standing_still_can_be_aligned():
    still = Trajectory(np.arange(5.0), np.tile(pose((1, 2, 3)), (5, 1, 1)))
    error = ate(still.moved(pose((4, 4, 4), (0, 0, 50))), still)
    assert error.rmse == pytest.approx(0.0, abs=1e-12)
    assert error.rotation_rmse == pytest.approx(0.0, abs=1e-7)


def test_a_mirrored_path_is_not_made_to_fit_by_a_reflection():
    truth = wandering(3)
    mirrored = Trajectory(truth.stamps, truth.poses.copy())
    mirrored.poses[:, 1, 3] *= -1.0
    aligned = align(mirrored, truth)
    assert np.linalg.det(aligned.poses[0, :3, :3]) == pytest.approx(1.0)
    assert ate(mirrored, truth).rmse > 0.5


def test_unknown_alignment_is_named():
    with pytest.raises(ValueError, match='sim3'):
        ate(straight(), straight(), alignment='sim3')


# Relative error


def test_rpe_by_frames_sees_a_scale_error_as_its_share_of_each_step():
    error = rpe(straight(11, step=1.03), straight(11), delta=2, unit='frames')
    assert error.translation == pytest.approx([0.06] * 5)
    assert error.stamps == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_rpe_over_distance_agrees_with_scipy():
    truth = wandering(4, num=200)
    estimate = disturbed(truth, 5, sigma=0.02)
    error = rpe(estimate, truth, delta=8.0)
    lengths = np.linalg.norm(np.diff(estimate.positions, axis=0), axis=1)
    ends, travelled = [], 0.0
    for index, length in enumerate(lengths, start=1):
        travelled += length
        if travelled >= 8.0:
            ends.append(index)
            travelled = 0.0
    assert error.stamps == pytest.approx(truth.stamps[ends[1:]])
    for found, (start, stop) in enumerate(itertools.pairwise(ends)):
        turns = [Rotation.from_matrix(t.poses[[start, stop], :3, :3]) for t in (truth, estimate)]
        moves = [
            turn[0].inv().apply(t.positions[stop] - t.positions[start])
            for turn, t in zip(turns, (truth, estimate), strict=True)
        ]
        true_turn, turn = ((turn[0].inv() * turn[1]) for turn in turns)
        assert error.translation[found] == pytest.approx(np.linalg.norm(moves[1] - moves[0]))
        assert error.rotation[found] == pytest.approx(
            (true_turn.inv() * turn).magnitude(), abs=1e-9
        )


def test_rpe_does_not_depend_on_the_worlds():
    truth = wandering(6)
    estimate = disturbed(truth, 7)
    moved = estimate.moved(pose((9, 9, 9), (10, 20, 30)))
    assert rpe(moved, truth, 3, 'frames').translation == pytest.approx(
        rpe(estimate, truth, 3, 'frames').translation
    )


def test_an_estimate_that_stands_still_has_pairs_of_the_truth_only():
    still = Trajectory(straight().stamps, np.tile(np.eye(4), (11, 1, 1)))
    assert len(rpe(still, straight(), delta=2.0).translation) == 0
    error = rpe(still, straight(), delta=2.0, pairs_from_truth=True)
    assert error.translation == pytest.approx([2.0] * 4)


@pytest.mark.parametrize(('delta', 'unit'), [(0.0, 'm'), (1.5, 'frames'), (1.0, 'miles')])
def test_rpe_refuses_a_delta_without_meaning(delta, unit):
    with pytest.raises(ValueError, match='delta'):
        rpe(straight(), straight(), delta, unit)


# Errors along and across directions


def test_error_in_axes_turns_with_the_body():
    truth = Trajectory(
        np.arange(2.0), np.array([pose(), pose((0, 10, 0), (0, 0, 90))])
    )  # fmt: skip
    estimate = Trajectory(truth.stamps, truth.poses.copy())
    estimate.poses[1, :3, 3] += (0.3, -0.4, 0.0)  # looking along +y: 0.4 behind, 0.3 to the right
    along, across = error_in_axes(estimate, truth, [2.0, 0, 0])
    assert along[:, 0] == pytest.approx([0.0, -0.4])
    assert across == pytest.approx([0.0, 0.3])
    along, across = error_in_axes(estimate, truth, [1.0, 0, 0], frame='world')
    assert along[1, 0] == pytest.approx(0.3)
    assert across[1] == pytest.approx(0.4)


def test_error_across_a_plane_of_directions():
    truth = straight(2)
    estimate = Trajectory(truth.stamps, truth.poses.copy())
    estimate.poses[1, :3, 3] += (1.0, 2.0, 3.0)
    along, across = error_in_axes(estimate, truth, [[1, 0, 0], [1, 1, 0]])
    assert along[1] == pytest.approx([1.0, 3.0 / math.sqrt(2.0)])
    assert across[1] == pytest.approx(3.0)


def test_error_in_axes_refuses_a_zero_direction():
    with pytest.raises(ValueError, match='none of them zero'):
        error_in_axes(straight(), straight(), [[0, 0, 0]])


# Spans


def masks_of(text_by_axis, num):
    masks = np.zeros((num, 6), dtype=bool)
    for axis, text in text_by_axis.items():
        masks[:, AXES.index(axis)] = [letter == '#' for letter in text]
    return masks


def test_spans_of_one_axis():
    masks = masks_of({'x': '..###..#'}, 8)
    spans = weak_spans(4.0 + 0.5 * np.arange(8), masks)
    assert [(s.axis, s.first, s.last, s.start, s.end) for s in spans] == [
        ('x', 2, 4, 5.0, 6.0),
        ('x', 7, 7, 7.5, 7.5),
    ]
    assert spans[0].describe() == 'x weak from 5.0 s to 6.0 s, 3 scans'
    assert spans[0].describe(origin=4.0) == 'x weak from 1.0 s to 2.0 s, 3 scans'
    assert spans[1].describe() == 'x weak from 7.5 s to 7.5 s, 1 scan'


def test_bridged_gaps_are_told():
    masks = masks_of({'x': '.##.#...#.', 'roll': '#.........'}, 10)
    spans = weak_spans(np.arange(10.0), masks, bridge=1)
    assert [(s.axis, s.first, s.last, s.num_weak) for s in spans] == [
        ('roll', 0, 0, 1),
        ('x', 1, 4, 3),
        ('x', 8, 8, 1),
    ]
    assert spans[1].describe() == 'x weak from 1.0 s to 4.0 s, 3 of 4 scans'


def test_no_weak_scan_no_span():
    assert weak_spans(np.arange(3.0), np.zeros((3, 6), dtype=bool)) == []
    assert weak_spans(np.zeros(0), np.zeros((0, 6), dtype=bool)) == []


def test_spans_refuse_masks_of_another_length():
    with pytest.raises(ValueError, match=r'should be \(3, 6\)'):
        weak_spans(np.arange(3.0), np.zeros((2, 6)))


def test_precision_and_recall_per_axis():
    found = masks_of({'x': '.####', 'yaw': '#....'}, 5)
    truth = masks_of({'x': '..##.', 'y': '#....'}, 5)
    score = {item.axis: item for item in score_masks(found, truth)}
    assert (score['x'].precision, score['x'].recall) == (0.5, 1.0)
    assert score['yaw'].precision == 0.0
    assert math.isnan(score['yaw'].recall)
    assert math.isnan(score['y'].precision)
    assert score['y'].recall == 0.0
    assert math.isnan(score['z'].precision)


# Table and picture


def report(conditions):
    conditions = np.asarray(conditions, dtype=float)
    rows = np.vstack([np.eye(3), np.eye(3)])
    return DegeneracyReport(
        mask=conditions > 10.0,
        ill_conditioned=conditions > 10.0,
        eigenvalues=1e4 / 3.0 / conditions,
        conditions=conditions,
        condition_rotation=conditions[:3].max(),
        condition_translation=conditions[3:].max(),
        condition_full=1e5,
        directions=rows,
        contributions=rows,
        angles=np.zeros(6),
        preconditioner=np.eye(6),
        weak_rotation=np.empty((0, 3)),
        weak_translation=np.empty((0, 3)),
        weak_twists=np.empty((0, 6)),
        anchor=np.zeros((6, 6)),
        projector=np.zeros((6, 6)),
        noise_share=np.zeros((6, 6)),
    )


def frame(stamp, position, conditions=None, status='tracking', reason=''):
    degeneracy = None if conditions is None else report(conditions)
    match = None
    if degeneracy is not None:
        covariance = np.diag([1.0, 4.0, 9.0, 16.0, 25.0, 36.0]) * 1e-4
        known = PoseUncertainty(covariance, np.zeros((6, 6)), covariance)
        match = RegistrationResult(
            transform=pose(position), converged=True, iterations=4, rmse=1.0 / 30.0,
            fitness=2.0 / 3.0, num_matches=1234, failure_reason='', hessian=np.eye(6),
            covariance=covariance, degeneracy=degeneracy, history=(), errors=known, trusted=known,
        )  # fmt: skip
    return Frame(
        stamp=stamp, pose=pose(position), covariance=np.diag(np.arange(1.0, 7.0) ** 2),
        twist=np.zeros(6), twist_covariance=np.eye(6), registration=match, degeneracy=degeneracy,
        status=status, reason=reason, num_points=28000, num_keypoints=1850,
        timings={'deskew': 0.001} if match is None else {'deskew': 0.001, 'register': 0.0125},
    )  # fmt: skip


def corridor_run(num=40):
    rng = np.random.default_rng(0)
    frames = [frame(1.7e9 + 1.0 / 3.0, (0, 0, 0), status='first')]
    for index in range(1, num):
        conditions = np.exp(rng.uniform(0.1, 1.5, size=6))
        if 10 <= index < 30:
            conditions[AXES.index('x')] = np.inf if index == 20 else 1e3
        frames.append(frame(1.7e9 + 1.0 / 3.0 + 0.1 * index, (0.2 * index, 0.01, 0), conditions))
    if num > 5:
        reason = 'too few, "3" matches'
        frames[5] = frame(frames[5].stamp, (1.0, 0, 0), None, 'coasting', reason)
    return frames


def test_rows_hold_what_the_frame_said():
    row = tabulate([frame(2.0, (0, 0, 0), [20, 2, 2, 50, 2, 2])], ['07.pcd']).rows[0]
    assert row['name'] == '07.pcd'
    assert row['weak'] == 'roll x'
    assert row['num_matches'] == 1234
    assert row['condition_x'] == 50.0
    assert row['ms_register'] == pytest.approx(12.5)
    # The registration speaks of rotation first, the pose of translation first.
    assert row['scan_sigma_roll'] == pytest.approx(0.01)
    assert row['scan_sigma_x'] == pytest.approx(0.04)
    assert row['pose_sigma_x'] == pytest.approx(1.0)
    assert row['pose_sigma_roll'] == pytest.approx(4.0)


def test_the_table_survives_the_file_digit_by_digit(tmp_path):
    frames = corridor_run()
    table = tabulate(frames, [f'{index:02d}.pcd' for index in range(len(frames))])
    write_diagnostics(tmp_path / 'diagnostics.csv', table)
    again = read_diagnostics(tmp_path / 'diagnostics.csv')
    assert again.columns == table.columns
    assert again.stamps.tolist() == table.stamps.tolist()
    for name in ('conditions', 'eigenvalues', 'masks'):
        np.testing.assert_array_equal(getattr(again, name), getattr(table, name))
    assert again.rows[5]['reason'] == 'too few, "3" matches'
    assert again.column('rmse')[1] == 1.0 / 30.0
    assert math.isnan(again.column('ms_register')[0])
    assert again.column('converged').tolist() == table.column('converged').tolist()


def test_a_file_that_is_no_table_is_named(tmp_path):
    (tmp_path / 'poses.csv').write_text('a,b\n1,2\n')
    with pytest.raises(ValueError, match=r"poses.csv .*'stamp' is missing"):
        read_diagnostics(tmp_path / 'poses.csv')


def test_a_broken_row_is_named(tmp_path):
    path = tmp_path / 'diagnostics.csv'
    table = tabulate(corridor_run(3), 'abc')
    write_diagnostics(path, table)
    path.write_text(path.read_text().replace(repr(float(table.stamps[1])), 'oops'))
    with pytest.raises(ValueError, match=r'diagnostics.csv, line 3'):
        read_diagnostics(path)


@pytest.mark.parametrize('with_truth', [False, True])
def test_the_picture_is_drawn(tmp_path, with_truth):
    image = pytest.importorskip('matplotlib.image')
    frames = corridor_run()
    table = tabulate(frames, [''] * len(frames))
    trajectory = Trajectory(table.stamps, np.array([f.pose for f in frames]))
    truth = {'truth': trajectory, 'truth_masks': table.masks} if with_truth else {}
    plot_run(tmp_path / 'run.png', trajectory, table, title='a run', **truth)
    pixels = image.imread(tmp_path / 'run.png')[:, :, :3]
    assert pixels.shape[0] > 700 and pixels.shape[1] > 1300
    vermilion = np.array([int(COLOURS['x'][i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    assert np.sum(np.all(np.abs(pixels - vermilion) < 0.01, axis=2)) > 1000


def test_a_single_scan_can_be_drawn(tmp_path):
    pytest.importorskip('matplotlib')
    table = tabulate([frame(5.0, (0, 0, 0), status='first')], ['only'])
    plot_run(tmp_path / 'one.png', Trajectory(table.stamps, np.eye(4)[None]), table)
    assert (tmp_path / 'one.png').stat().st_size > 10_000


def test_poses_and_rows_have_to_fit(tmp_path):
    table = tabulate(corridor_run(3), 'abc')
    with pytest.raises(ValueError, match='11 poses do not fit 3 rows'):
        plot_run(tmp_path / 'no.png', straight(), table)
