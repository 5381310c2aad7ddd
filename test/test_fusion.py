# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a scan and its prediction tell together, against least squares in information form."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcreg_ros.config import RegistrationConfig
from dcreg_ros.geometry.se3 import local, retract
from dcreg_ros.odometry.fusion import fuse
from dcreg_ros.registration.covariance import PoseUncertainty
from dcreg_ros.registration.register import register
from dcreg_ros.registration.result import RegistrationResult

CONFIG = RegistrationConfig(min_sigma=1e-9, max_sigma=1e3)
TINY = 1e-5
"""Poses this near differ as vectors do."""
NOTHING = np.zeros((6, 6))
SEEDS = st.integers(0, 2**32 - 1)


def covariance(rng):
    root = rng.standard_normal((6, 6)) * rng.uniform(0.1, 3.0, (6, 1))
    return root @ root.T + 0.01 * np.eye(6)


def ahead(way):
    return retract(np.eye(4), np.array([0, 0, 0, way, 0, 0]))


def match_of(transform, own, share, guess) -> RegistrationResult:
    failed = register(np.zeros((0, 3)), np.zeros((0, 3)))
    both = PoseUncertainty(own, share, own + share @ guess @ share.T)
    return dataclasses.replace(
        failed, transform=transform, covariance=both.covariance, errors=both, trusted=both,
        failure_reason='')


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.booleans())
def test_together_they_are_what_least_squares_has_of_both(seed, held):
    """Whatever the registration has taken from the prediction already."""
    rng = np.random.default_rng(seed)
    own, guess = TINY**2 * covariance(rng), TINY**2 * covariance(rng)
    share = 0.2 * rng.standard_normal((6, 6)) if held else np.zeros((6, 6))
    seen = np.eye(6) - share
    truth = retract(np.eye(4), rng.standard_normal(6))
    measured = TINY * rng.standard_normal(6)
    apart = rng.standard_normal(6)
    off = seen @ apart  # one standard deviation of the prediction: no surprise
    foreseen = measured + apart / np.sqrt(off @ np.linalg.solve(guess, off))
    match = match_of(
        retract(truth, seen @ measured + share @ foreseen), seen @ own @ seen.T, share, guess)
    fused = fuse(match, retract(truth, foreseen), guess, False, CONFIG)

    wanted = np.linalg.inv(np.linalg.inv(own) + np.linalg.inv(guess))
    expected = wanted @ (np.linalg.solve(own, measured) + np.linalg.solve(guess, foreseen))
    assert local(truth, fused.transform) == pytest.approx(expected, abs=1e-2 * TINY)
    for found in (fused.covariance, fused.trusted.covariance):
        assert found == pytest.approx(wanted, rel=1e-4, abs=1e-5 * np.abs(wanted).max())


def test_a_firm_registration_stays_and_a_loose_one_follows():
    predicted = retract(np.eye(4), np.array([0, 0, 0, 0.1, 0.1, 0]))
    sigmas = np.array([1e-4, 1e-4, 1e-4, 0.6, 1e-3, 1e-3])
    guess = np.diag(np.repeat([0.01, 0.05], 3) ** 2)
    match = match_of(np.eye(4), np.diag(sigmas**2), NOTHING, guess)
    fused = fuse(match, predicted, guess, False, CONFIG)
    moved = local(match.transform, fused.transform)
    assert moved[3] == pytest.approx(0.1, rel=0.02)
    assert moved[4] == pytest.approx(0.0, abs=1e-4)
    assert fused.covariance[3, 3] < 0.05**2
    for found in (fused.errors, fused.trusted):
        assert found.guess_share[3, 3] > 0.98 and found.guess_share[4, 4] < 0.01


def test_errors_go_the_way_of_what_was_trusted():
    """Half-way to the prediction, whatever was trusted, half of what each of both errs is left."""
    guess, own = np.eye(6) * 0.05**2, np.eye(6) * 0.2**2
    match = match_of(np.eye(4), np.eye(6) * 0.05**2, NOTHING, guess)
    match = dataclasses.replace(match, errors=PoseUncertainty(own, NOTHING, own))
    fused = fuse(match, ahead(0.1), guess, False, CONFIG)
    assert local(np.eye(4), fused.transform)[3] == pytest.approx(0.05)
    assert fused.errors.own == pytest.approx(0.25 * own)
    assert fused.errors.guess_share == pytest.approx(0.5 * np.eye(6))
    assert fused.covariance == pytest.approx(0.25 * (own + guess))


def test_a_surprise_makes_the_prediction_count_less():
    covariance = np.eye(6) * 0.05**2
    match = match_of(np.eye(4), covariance, NOTHING, covariance)
    near, far = (
        local(np.eye(4), fuse(match, ahead(way), covariance, False, CONFIG).transform)[3]
        for way in (0.1, 1.0))
    assert near == pytest.approx(0.05, rel=1e-6)
    assert 0.0 < far < 0.05


def test_wheels_count_less_as_their_error_comes_again():
    covariance = np.eye(6) * 0.01**2
    match = match_of(np.eye(4), covariance, NOTHING, covariance)
    told, foreseen = (
        local(np.eye(4), fuse(match, ahead(0.01), covariance, by, CONFIG).transform)[3]
        for by in (True, False))
    assert foreseen == pytest.approx(0.005, rel=1e-6)
    assert told == pytest.approx(0.01 / 11.0, rel=1e-6)
