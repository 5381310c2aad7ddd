# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of one scan, in a line for the person who drives."""

import math

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.degeneracy.report import AXES, DegeneracyReport
from dcreg_ros.odometry.frame import Frame
from dcreg_ros.registration.result import RegistrationResult

Array = NDArray[np.float64]

WORTH_NAMING = 0.1
"""Least share of a mode along another axis that is said as well."""


def explain(outcome: Frame | RegistrationResult) -> str:
    """Say which directions of a scan are weak, and how well they and the rest are known.

    Parameters
    ----------
    outcome : Frame or RegistrationResult
        Of one scan.

    Returns
    -------
    str
        As in "weak: x, 97 % x, sigma 0.41 m, condition 63; the rest sigma < 0.01 m, 0.2 deg".
        Sigma is the standard deviation of this registration alone.
    """
    result = outcome.registration if isinstance(outcome, Frame) else outcome
    if result is None:
        return 'the first scan starts the map'
    report = result.degeneracy
    if report is None or result.failure_reason:
        return f'not registered: {result.failure_reason}'
    sigmas = direction_sigmas(report, result.covariance)
    rest = _rest(sigmas, ~report.mask)
    if not report.mask.any():
        return f'all directions are observable: sigma {rest}'
    weak = '; '.join(_mode(report, sigmas, i) for i in np.flatnonzero(report.mask).tolist())
    return f'weak: {weak}' + (f'; the rest sigma {rest}' if rest else '')


def direction_sigmas(report: DegeneracyReport, covariance: Array) -> Array:
    """Standard deviation (6,) [rad, m] along each mode of a report.

    Parameters
    ----------
    report : DegeneracyReport
        With the modes.
    covariance : (6, 6) float array
        Of rotation [rad] before translation [m], body frame.
    """
    variances = [
        mode @ covariance[block, block] @ mode
        for block, modes in ((slice(0, 3), report.directions[:3]),
                             (slice(3, 6), report.directions[3:]))
        for mode in modes]
    return np.sqrt(np.maximum(variances, 0.0))


def _mode(report: DegeneracyReport, sigmas: Array, i: int) -> str:
    """Name, shares, sigma and condition of the mode of axis `i`."""
    names = AXES[:3] if i < 3 else AXES[3:]
    shares = report.contributions[i]
    said = [
        f'{100.0 * shares[k]:.0f} % {names[k]}'
        for k in np.argsort(-shares, kind='stable')
        if k == i % 3 or shares[k] >= WORTH_NAMING]
    sigma = f'{np.rad2deg(sigmas[i]):.2g} deg' if i < 3 else f'{sigmas[i]:.2g} m'
    return f'{AXES[i]}, {", ".join(said)}, sigma {sigma}, condition {report.conditions[i]:.3g}'


def _rest(sigmas: Array, known: NDArray[np.bool_]) -> str:
    """Round bounds that all known directions stay below, empty where there are none."""
    bounds = []
    if known[3:].any():
        bounds.append(f'< {_round_up(float(sigmas[3:][known[3:]].max())):g} m')
    if known[:3].any():
        bounds.append(f'< {_round_up(float(np.rad2deg(sigmas[:3][known[:3]].max()))):g} deg')
    return ', '.join(bounds)


def _round_up(value: float) -> float:
    """Next number above with one digit."""
    if not value > 0.0:
        return 0.0
    exponent = math.floor(math.log10(value))
    return float(f'{(math.floor(value / 10.0**exponent) + 1) * 10.0**exponent:.1g}')
