# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's cylinder, number by number, and a twin made here against an independent route."""

import numpy as np
import pytest
from reference_icp import errors, pose, register, schur_spectra, sparse_cylinder

import dcreg_ros
from dcreg_ros.io.sources import open_source

GUESS = pose(x=0.2, y=0.8, z=0.5, roll=0.1, pitch=0.1, yaw=2.0)

# iteration: matches, RMSE [m], condition of S_R, condition of S_t (authors' logs)
TABLE = {
    0: (197, 0.316698, 7.0989, 26.8056),
    1: (428, 0.156919, 2.6368, 10.4104),
    2: (602, 0.112256, 3.0697, 14.7683),
    3: (848, 0.067201, 2.6335, 21.6062),
    4: (875, 0.036115, 2.0855, 13.1602),
    9: (882, 0.031571, 2.0098, 11.7362),
}


@pytest.fixture(scope='module')
def cylinder(data_folder):
    (scan,) = open_source(data_folder / 'shifted_cylinder' / 'cloud.pcd')
    assert len(scan.points) == 7562
    return scan.points


@pytest.mark.parametrize('mitigation, rotation_error', [('dcreg', 0.050719), ('none', 0.050720)])
def test_every_iteration_of_the_paper(cylinder, mitigation, rotation_error):
    config = dcreg_ros.RegistrationConfig(mitigation=mitigation)
    result = dcreg_ros.register(cylinder, cylinder, GUESS, config)
    assert result.converged and result.iterations == 10
    for iteration, (matches, rmse, rotation, translation) in TABLE.items():
        entry = result.history[iteration]
        assert entry.num_matches == matches
        assert entry.rmse == pytest.approx(rmse, rel=1e-4)
        assert entry.degeneracy.condition_rotation == pytest.approx(rotation, rel=1e-4)
        assert entry.degeneracy.condition_translation == pytest.approx(translation, rel=1e-4)
    translation_error, angle = errors(result.transform)
    assert translation_error == pytest.approx(0.027120, abs=1e-5)
    assert angle == pytest.approx(rotation_error, abs=1e-5)
    assert result.rmse == pytest.approx(0.031571, abs=1e-5)


def test_characterisation_of_the_first_iteration(cylinder):
    result = dcreg_ros.register(cylinder, cylinder, GUESS)
    report = result.history[0].degeneracy
    assert report.weak_axes == ('z',)
    spectrum = np.concatenate([np.sort(report.eigenvalues[:3]), np.sort(report.eigenvalues[3:])])
    logged = [422.505, 1447.74, 2999.32, 0.629416, 5.60185, 16.8719]
    assert spectrum == pytest.approx(logged, rel=1e-5)
    degrees = np.rad2deg(report.angles)
    assert degrees[[5, 3, 0]] == pytest.approx([0.43, 11.71, 11.82], abs=0.005)
    # The logs give shares of absolute components; ours are of squared ones.
    shares = np.abs(report.directions) / np.abs(report.directions).sum(axis=1, keepdims=True)
    assert 100 * shares[0] == pytest.approx([81.96, 17.13, 0.90], abs=0.011)
    assert 100 * shares[5, 2] == pytest.approx(99.09, abs=0.01)
    assert report.contributions.sum(axis=1) == pytest.approx(np.ones(6))


def test_twin_agrees_with_numpy_and_scipy_in_every_iteration():
    cloud = sparse_cylinder()
    expected, history = register(cloud, cloud, GUESS)
    result = dcreg_ros.register(
        cloud, cloud, GUESS, dcreg_ros.RegistrationConfig(mitigation='none'))
    assert result.iterations == len(history) > 3
    for entry, (matches, rmse, hessian) in zip(result.history, history, strict=True):
        assert entry.num_matches == matches
        assert entry.rmse == pytest.approx(rmse, rel=1e-4)
        rotation, translation = schur_spectra(hessian)
        report = entry.degeneracy
        assert np.sort(report.eigenvalues[:3]) == pytest.approx(rotation, rel=1e-4)
        assert np.sort(report.eigenvalues[3:]) == pytest.approx(translation, rel=1e-4)
    assert result.transform == pytest.approx(expected, abs=1e-5)


def test_twin_neighbourhoods_are_as_collinear_as_the_papers():
    from scipy.spatial import cKDTree

    cloud = sparse_cylinder()
    _, rows = cKDTree(cloud).query(cloud, 5)
    near = cloud[rows] - cloud[rows].mean(axis=1, keepdims=True)
    spread = np.linalg.svd(near, compute_uv=False)
    assert np.mean(spread[:, 1] < 1e-5 * spread[:, 0]) > 0.1
