# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What registrations report with every detection, by the exact information of each scan."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from fresh import fresh, places

from dcreg_ros.config import OdometryConfig
from dcreg_ros.degeneracy.detections import REFERENCES
from dcreg_ros.geometry.se3 import local, retract
from dcreg_ros.registration.register import register
from dcreg_ros.simulation.truth import Tolerance, WeakDirections

DETECTIONS = tuple(REFERENCES)
BLOCKWISE = ('schur',)
"""Detections that test either block with the other free, and name the axes of both by that."""
GUESS = np.repeat([0.01, 0.05], 3)
"""Standard deviation of the guess [rad, m]."""
UNITS = np.repeat([Tolerance.rotation, Tolerance.translation], 3)
"""What makes rotations and translations comparable: the tolerances of the truth."""
BORDER = 2.0
"""Within this factor of the tolerance a motion is neither clearly weak nor clearly firm."""


class Verdict(NamedTuple):
    """Weak axes (6,) and weak twists (k, 6) that a detection reports."""

    mask: Any
    twists: Any


@dataclass(frozen=True)
class Trial:
    """One registration: where, at what noise [m] and density, what is true and what was said.

    `by_normals` is the truth that takes no account of slim poles; `plain` (6,) is the error of a
    registration that holds nothing, in tolerances.
    """

    scene: str
    columns: int
    sigma: float
    truth: WeakDirections
    by_normals: WeakDirections
    verdicts: dict[str, Verdict]
    plain: Any

    @property
    def clear(self) -> bool:
        """Whether no motion is near the tolerance."""
        return bool(np.all((self.truth.sigmas < 1.0 / BORDER) | (self.truth.sigmas > BORDER)))


Job = tuple[str, int, tuple[float, ...], int]
"""Scene, columns of the LiDAR, noises [m], seeds."""


def detect(job: Job) -> list[Trial]:
    """Register fresh scans to fresh maps with every detection, else as a drive does."""
    name, columns, sigmas, seeds = job
    lidar, beams, pool = places(name, columns)
    config = replace(OdometryConfig().registration, threads=1)
    unheld = replace(config, mitigation='none')
    out = []
    for sigma in sigmas:
        for seed in range(seeds):
            rng = np.random.default_rng([seed, columns, round(1e4 * sigma)])
            place = pool[seed * len(pool) // seeds]
            pose, keypoints, voxels = fresh(lidar, beams, place, sigma, rng)
            guess = retract(pose, GUESS * rng.standard_normal(6))
            verdicts = {}
            for detection in DETECTIONS:
                result = register(
                    keypoints, voxels, guess, replace(config, detection=detection),
                    guess_covariance=np.diag(GUESS**2))
                if not result.failure_reason:
                    report = result.degeneracy
                    verdicts[detection] = Verdict(report.mask, report.weak_twists)
            plain = register(keypoints, voxels, guess, unheld)
            error = np.abs(local(pose, plain.transform)) / UNITS
            out.append(Trial(
                name, columns, sigma, place.truth, place.by_normals, verdicts, error))
    return out


def true_mask(trial: Trial, detection: str) -> Any:
    """Weak axes (6,) that a detection should report: of blocks where it tests blocks."""
    return trial.truth.schur_mask if detection in BLOCKWISE else trial.truth.mask


class Counts(NamedTuple):
    """Axes (6,) found, called weak wrongly, and missed."""

    found: Any
    false: Any
    missed: Any

    def scores(self, axes: Any = slice(None)) -> tuple[float, float, float]:
        """Precision, recall and F1 of some axes; NaN where nothing is or is called weak."""
        found, false, missed = (float(np.sum(part[axes])) for part in self)
        return (
            _ratio(found, found + false), _ratio(found, found + missed),
            _ratio(2.0 * found, 2.0 * found + false + missed))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float('nan')


def count(trials: Iterable[Trial], detection: str) -> Counts:
    """Compare what a detection says with the truth, axis by axis."""
    pairs = [
        (trial.verdicts[detection].mask, true_mask(trial, detection))
        for trial in trials if detection in trial.verdicts]
    said, true = np.array(pairs, dtype=bool).reshape(-1, 2, 6).swapaxes(0, 1)
    return Counts(*(np.sum(part, axis=0) for part in (said & true, said & ~true, ~said & true)))


def plain_errors(trials: Iterable[Trial], detection: str) -> list[float]:
    """How wrong axes are where nothing holds them: RMS in tolerances.

    Of those rightly called weak, wrongly, missed, and rightly called known. An alarm that is
    false by the exact points of a scan may still be one about its matches.
    """
    told = [trial for trial in trials if detection in trial.verdicts]
    said = np.array([trial.verdicts[detection].mask for trial in told])
    true = np.array([true_mask(trial, detection) for trial in told])
    errors = np.array([trial.plain for trial in told])
    groups = (said & true, said & ~true, ~said & true, ~said & ~true)
    return [float(np.sqrt(np.mean(errors[g] ** 2))) if g.any() else np.nan for g in groups]


def subspaces(trials: Iterable[Trial], detection: str) -> tuple[float, Any]:
    """Share of trials with as many weak motions as there are, and their angles [deg]."""
    agreed, angles = [], []
    for trial in trials:
        if detection in trial.verdicts:
            found, true = trial.verdicts[detection].twists, trial.truth.twists
            agreed.append(len(found) == len(true))
            if agreed[-1] and len(true):
                angles.append(np.degrees(angle_between(found, true)))
    return float(np.mean(agreed)) if agreed else float('nan'), np.array(angles)


def angle_between(first: Any, second: Any) -> float:
    """Largest principal angle [rad] between two spans of twists (k, 6), tolerances as units."""
    a, b = (np.linalg.qr((twists / UNITS).T)[0] for twists in (first, second))
    # By the sine: the cosine cannot tell angles below 1e-8 apart.
    return float(np.arcsin(min(1.0, np.linalg.norm(b - a @ (a.T @ b), 2))))
