# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Association "map plane", what a robot runs: the plane of the map cell at or nearest to a query.

Which plane that is depends on the cell a query is in and on nothing else. It is looked up again
only when the query has moved by a part of a cell: else some queries would change planes with every
step, however small, and the iteration would not come to rest.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dcreg_ros.config import RegistrationConfig
from dcreg_ros.geometry.se3 import local
from dcreg_ros.inner_loop import inner_loop
from dcreg_ros.registration.edges import EDGE, NARROWER, NOISY, level
from dcreg_ros.registration.large_planes import (
    LARGE,
    MATCH,
    NOTHING,
    find_large_planes,
)
from dcreg_ros.registration.linearize import (
    CHUNKS,
    INFORMATION,
    NOISE,
    SUMS,
    NormalEquations,
    add_match,
    add_noise,
    add_square,
    jacobian,
    unpack,
)
from dcreg_ros.registration.map_lookup import keep_fits, look_up
from dcreg_ros.registration.standing import TALL
from dcreg_ros.registration.threads import sum_parts
from dcreg_ros.voxels.layout import SUSPECT_TILT
from dcreg_ros.voxels.map import PLANE, VoxelMap
from dcreg_ros.voxels.nearest import offsets_within
from dcreg_ros.voxels.planes import make_scratch

MIN_SCALE = 0.03
"""Least scale of the robust loss [m]: below the noise of common sensors nothing is an outlier."""
MAX_NOISE = 0.1
"""Standard deviation of a residual [m] above which it is no noise."""
ROUNDING = 1e-9
"""What a reach in cells may lack for being a quotient."""
DOUBT = 3.0
"""Standard deviations of the guess that a residual may owe to it."""
SETTLED = 0.1
"""Doubt [m] below which the loss counts as narrow."""
FADING = 0.5
"""How much of that doubt is left after an iteration."""
NOISE2 = 0.02**2
"""Variance of a residual [m^2] against which that from the tilt or thickness of a plane counts."""
SUSPECT_NOISE = 0.5
"""Share of the information of planes that may be of two surfaces that counts as noise."""
THIN = 0.05**2
"""Most thickness [m^2] of a pole that says something: streaks of points on a wall, and corners,
look like thick ones."""
CUT = 3.0
"""Scales beyond which a residual is left out altogether."""
_NO_PLANES = np.empty((0, LARGE))


class MapPlaneMatcher:
    """Matches of one source cloud against a voxel map.

    The robust loss (Geman-McClure) is as wide for each match as its residual may be: by the noise
    of the iteration before, and by how far the guess may be off along the normal. One width for
    all would leave out the few matches that tell of a motion as soon as the many others fit.

    Parameters
    ----------
    source : (N, 3) float64 array
        Finite points, source frame [m].
    voxels : VoxelMap
        The target.
    config : RegistrationConfig
        `search_radius`, `plane_tolerance` and `threads` are used.
    guess_covariance : (6, 6) float array, optional
        Of the first transform, ``[rotation, translation]``, body frame [rad^2, m^2]; by default it
        may be off by the search radius.
    """

    def __init__(
        self, source: NDArray[np.float64], voxels: VoxelMap, config: RegistrationConfig,
        guess_covariance: NDArray[np.float64] | None = None,
    ) -> None:
        self._source = source
        self._map = voxels
        self._tolerance = config.plane_tolerance
        self._threads = config.threads
        self._noise = MAX_NOISE
        if guess_covariance is None:
            guess_covariance = np.diag(np.repeat([0.0, config.search_radius / DOUBT], 3) ** 2)
        self._doubt = DOUBT**2 * guess_covariance
        self._last: NDArray[np.float64] | None = None
        # Row n is the match of point n, row N + n its other match where that is to a pole.
        self._scale2 = np.zeros(2 * len(source))
        self._slope = np.zeros(2 * len(source))
        self._offsets = offsets_within(int(config.search_radius / voxels.cell_size + ROUNDING))
        self._place = np.full((len(source), 3), np.inf)
        self._plane = np.zeros((2 * len(source), MATCH))
        self._plane[:, 10] = NOTHING
        self._usable = np.zeros(2 * len(source), np.bool_)
        self._fits = np.zeros((len(source), PLANE), np.float32)
        self._fitted = np.full(len(source), -1)
        self._large = _NO_PLANES
        self._found = False
        self._edge = math.inf

    @property
    def settled(self) -> bool:
        """Whether the loss is about as narrow as it will be."""
        return float(np.trace(self._doubt[3:, 3:])) < SETTLED**2

    def linearize(self, transform: NDArray[np.float64]) -> NormalEquations:
        """Match the source at `transform` (4, 4), ``T_target_source``, and sum the equations."""
        if self._last is not None:
            moved = local(self._last, transform)
            self._doubt = FADING**2 * self._doubt + np.outer(moved, moved)
        self._last = transform
        self._find_large(transform)
        parts = self._match(
            transform, self._large, max(MIN_SCALE, 3.0 * self._noise) ** 2)
        equations = NormalEquations(*unpack(parts))
        if equations.weight > 0.0:
            self._noise = min(self._noise, math.sqrt(equations.error2 / equations.weight))
        return equations

    def _find_large(self, transform: NDArray[np.float64]) -> None:
        """Find large planes, and their edges once it is known where the scan is."""
        stale = False
        if not self._found:
            self._match(transform, _NO_PLANES, 0.0)
            self._large = find_large_planes(self._plane[:len(self._source)])
            self._found = stale = True
        edge = min(EDGE, NOISY * self._noise)
        if self.settled and edge < NARROWER * self._edge:
            self._large = level(
                self._plane[:len(self._source)], self._large, transform, self._map.cell_size, edge)
            self._edge, stale = edge, True
        if stale:  # all is looked up again
            self._place[:] = np.inf

    def _match(
        self, transform: NDArray[np.float64], large: NDArray[np.float64], least2: float
    ) -> NDArray[np.float64]:
        """Look up the planes, and sum the parts unless the scale of the loss is 0."""
        target = self._map
        parts = sum_parts(
            _linearize, self._threads, transform, self._source, target.rows, target.masks,
            target.cells, target.cell_size, self._offsets, self._tolerance, least2,
            root_of(self._doubt), self._scale2, self._slope, self._place, self._plane,
            self._usable, self._fits, self._fitted, large)
        # Until here the map was only read: what its threads see does not depend on their order.
        keep_fits(target.cells, self._fits, self._fitted)
        return parts


def root_of(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrix (6, 6) ``L`` with ``L L^T`` the covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return np.ascontiguousarray(vectors * np.sqrt(np.maximum(values, 0.0)))


@njit(cache=True, nogil=True)
def _linearize(
    transform, source, rows, masks, cells, cell_size, offsets, tolerance, least2, doubt, scale2,
    slope, place, plane, usable, fits, fitted, large, parts, first, stride,
):
    """Fill rows of `parts` (CHUNKS, SUMS); `place` to `usable` are kept between iterations.

    Planes fitted on the way are left in `fits` (N, PLANE), their rows of the map in `fitted` (N,).
    """
    n = source.shape[0]
    width = 2 * ((max(offsets[-1].max(), TALL) + 3) // 4) + 1
    around, scratch = np.empty((width, width, width), np.int64), make_scratch()
    for part in range(first, CHUNKS, stride):
        start, end = n * part // CHUNKS, n * (part + 1) // CHUNKS
        for i in range(start, end):
            look_up(
                transform, source[i], rows, masks, cells, cell_size, offsets, tolerance, place,
                plane, usable, fits, fitted, large, i, around, scratch)
        if least2 > 0.0:
            _sum(
                transform, source, least2, doubt, scale2, slope, plane, usable, start, end,
                parts[part])


@inner_loop
def _sum(transform, source, least2, doubt, scale2, slope, plane, usable, start, end, sums):
    """Add the matches of source rows `start` to `end` to `sums` (SUMS,)."""
    for i in range(start, end):
        for row in range(i, 2 * source.shape[0], source.shape[0]):
            slope[row] = 0.0
            if usable[row]:
                _add(
                    transform, source[i], least2, doubt, scale2, slope, plane[row], row, sums)


@inner_loop
def _add(t, p, least2, doubt, scale2, slope, q, i, sums):
    """Add one match, whose row is `i`, to `sums` (SUMS,)."""
    x = t[0, 0] * p[0] + t[0, 1] * p[1] + t[0, 2] * p[2] + t[0, 3] - q[3]
    y = t[1, 0] * p[0] + t[1, 1] * p[1] + t[1, 2] * p[2] + t[1, 3] - q[4]
    z = t[2, 0] * p[0] + t[2, 1] * p[1] + t[2, 2] * p[2] + t[2, 3] - q[5]
    r = q[0] * x + q[1] * y + q[2] * z
    s2 = least2 + q[11] + _variance_along(p, t, q, doubt)
    scale2[i] = s2
    if r * r < CUT * CUT * s2:
        minor = q[6] * x + q[7] * y + q[8] * z
        major2 = x * x + y * y + z * z - r * r - minor * minor
        # The farther from the middle of a plane, the more its tilt is felt.
        trust = NOISE2 / (NOISE2 + q[11] + q[9] * minor * minor + q[10] * major2)
        inlying = s2 / (s2 + r * r)
        f = slope[i] = math.sqrt(trust) * inlying
        add_match(sums, p, t, q, r, f * r, f)
        if q[11] > 0.0:  # thick as it is, a pole tells where it stands
            trust = 1.0 if q[11] < THIN else 0.0
        worth = trust * inlying
        j = jacobian(p, t, q[0], q[1], q[2])
        add_square(sums, INFORMATION, worth, j)
        sums[SUMS - 1] += worth
        add_noise(sums, p, t, q, worth)
        if q[9] >= SUSPECT_TILT:  # perhaps no surface at all, and then all it says is noise
            add_square(sums, NOISE, SUSPECT_NOISE * worth, j)


@inner_loop
def _variance_along(point, rotation, normal, root):
    """Variance of the distance of `point` along `normal` for a pose with covariance ``L L^T``."""
    j0, j1, j2, j3, j4, j5 = jacobian(point, rotation, normal[0], normal[1], normal[2])
    total = 0.0
    for k in range(6):
        part = (root[0, k] * j0 + root[1, k] * j1 + root[2, k] * j2 + root[3, k] * j3
                + root[4, k] * j4 + root[5, k] * j5)
        total += part * part
    return total
