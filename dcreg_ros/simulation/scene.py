# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Surfaces, and what drives through them by default."""

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dcreg_ros.simulation.lidar import LidarModel
from dcreg_ros.simulation.primitives import Primitive
from dcreg_ros.simulation.raycast import RECTANGLE, cast
from dcreg_ros.simulation.trajectory import Trajectory


@dataclass(frozen=True)
class Scene:
    """A world of analytic surfaces.

    Attributes
    ----------
    name : str
        For people and files.
    primitives : tuple of Primitive
        What can be seen, world frame.
    trajectory : Trajectory
        The motion a recording of this scene has.
    lidar : LidarModel
        The LiDAR a recording of this scene has.
    """

    name: str
    primitives: tuple[Primitive, ...]
    trajectory: Trajectory
    lidar: LidarModel = field(default_factory=LidarModel)

    def raycast(
        self, origins: ArrayLike, directions: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Find what rays hit first.

        Parameters
        ----------
        origins : (N, 3) array_like
            World frame [m].
        directions : (N, 3) array_like
            Unit vectors, world frame.

        Returns
        -------
        ranges : (N,) float array
            Distances [m]; ``inf`` where nothing is hit.
        normals : (N, 3) float array
            Unit normals of the surfaces on the side of the origin, world frame; zeros without a
            hit.

        Raises
        ------
        ValueError
            If the shapes are not (N, 3) and equal.
        """
        origins = np.ascontiguousarray(origins, dtype=np.float64)
        directions = np.ascontiguousarray(directions, dtype=np.float64)
        if origins.ndim != 2 or origins.shape[1] != 3 or origins.shape != directions.shape:
            raise ValueError(
                f'origins {origins.shape} and directions {directions.shape} should both be (N, 3)'
            )
        kinds, rotations, centers, sizes, reaches = self._table
        return cast(kinds, rotations, centers, sizes, reaches, origins, directions)

    @cached_property
    def _table(self) -> tuple[NDArray[np.generic], ...]:
        """The primitives as the arrays the kernel reads."""
        count = len(self.primitives)
        return (
            np.array([p.kind for p in self.primitives], dtype=np.int64),
            np.array([p.rotation for p in self.primitives], dtype=float).reshape(count, 3, 3),
            np.array([p.center for p in self.primitives], dtype=float).reshape(count, 3),
            np.array([p.size for p in self.primitives], dtype=float).reshape(count, 3),
            np.array([_reach(p) for p in self.primitives], dtype=float),
        )


def _reach(primitive: Primitive) -> float:
    """Radius of a sphere around the primitive, with room for rounding."""
    size = primitive.size[:2] if primitive.kind == RECTANGLE else primitive.size
    return math.hypot(*size) * (1.0 + 1e-9)
