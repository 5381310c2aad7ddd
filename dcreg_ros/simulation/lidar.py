# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A spinning LiDAR."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.simulation.trajectory import Trajectory

_STAMP_PHASE = {'start': 0.0, 'middle': 0.5, 'end': 1.0}


class Surfaces(Protocol):
    """Anything rays can be cast into."""

    def raycast(
        self, origins: NDArray[np.float64], directions: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return ranges (N,) and normals (N, 3)."""
        ...


@dataclass(frozen=True)
class LidarModel:
    """What a spinning LiDAR measures, and how well.

    Attributes
    ----------
    channels : int
        Beams, equally spaced in elevation.
    lowest, highest : float
        Elevation of the outer beams [deg].
    columns : int
        Firings in one turn; all beams of a column fire at once.
    rate : float
        Turns per second [Hz].
    min_range, max_range : float
        Returns outside are absent [m].
    range_sigma : float
        Standard deviation of the Gaussian noise of a range [m].
    dropout : float
        Share of returns that are lost at random.
    stamp_at : str
        ``start``, ``middle`` or ``end``: which instant of a turn its stamp is.
    """

    channels: int = 16
    lowest: float = -15.0
    highest: float = 15.0
    columns: int = 1024
    rate: float = 10.0
    min_range: float = 0.3
    max_range: float = 100.0
    range_sigma: float = 0.015
    dropout: float = 0.01
    stamp_at: str = 'start'

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        ValueError
            Naming the first field that is out of its range.
        """
        rules = {
            'channels': self.channels >= 1,
            'columns': self.columns >= 1,
            'rate': self.rate > 0.0,
            'highest': -90.0 < self.lowest <= self.highest < 90.0,
            'max_range': 0.0 <= self.min_range < self.max_range,
            'range_sigma': self.range_sigma >= 0.0,
            'dropout': 0.0 <= self.dropout < 1.0,
            'stamp_at': self.stamp_at in _STAMP_PHASE,
        }
        for name, holds in rules.items():
            if not holds:
                raise ValueError(f'lidar {name} = {getattr(self, name)!r} is out of its range')

    @property
    def period(self) -> float:
        """Time of one turn [s]."""
        return 1.0 / self.rate

    @property
    def latency(self) -> float:
        """Time from the stamp to the end of the turn, when the scan can be had [s]."""
        return (1.0 - _STAMP_PHASE[self.stamp_at]) * self.period

    def column_times(self) -> NDArray[np.float64]:
        """Return when each column fires, (columns,) s relative to the stamp."""
        phase = np.arange(self.columns) / self.columns - _STAMP_PHASE[self.stamp_at]
        return phase * self.period

    def beams(self) -> NDArray[np.float64]:
        """Return unit directions (columns, channels, 3), sensor frame.

        A turn begins at the back and runs counter-clockwise seen from above.
        """
        azimuth = -np.pi + 2.0 * np.pi * np.arange(self.columns) / self.columns
        elevation = np.radians(np.linspace(self.lowest, self.highest, self.channels))
        across = np.cos(elevation)[None, :]
        return np.stack(
            [
                np.cos(azimuth)[:, None] * across,
                np.sin(azimuth)[:, None] * across,
                np.broadcast_to(np.sin(elevation), (self.columns, self.channels)),
            ],
            axis=-1,
        )


@dataclass(frozen=True)
class Sweep:
    """One turn of the LiDAR, as measured and as it truly was.

    Attributes
    ----------
    points : (N, 3) float array
        Measured, each in the sensor frame of its own time [m]; in the order of firing.
    times : (N,) float array
        Seconds relative to the stamp.
    surface_points : (N, 3) float array
        Where the beams truly met a surface, all in the LiDAR frame at the stamp [m].
    surface_normals : (N, 3) float array
        Unit normals there, facing the sensor, same frame.
    """

    points: NDArray[np.float64]
    times: NDArray[np.float64]
    surface_points: NDArray[np.float64]
    surface_normals: NDArray[np.float64]


def sweep(
    scene: Surfaces,
    lidar: LidarModel,
    trajectory: Trajectory,
    stamp: float,
    rng: np.random.Generator,
    distort: bool = True,
) -> Sweep:
    """Turn the LiDAR once while it moves.

    Parameters
    ----------
    scene : Scene
        What is seen.
    lidar : LidarModel
        What sees.
    trajectory : Trajectory
        How it moves; `stamp` is a time of it.
    stamp : float
        Time of the sweep [s]; where in the turn that is, the model says.
    rng : numpy.random.Generator
        Noise and dropout. As many numbers are drawn whatever is hit.
    distort : bool
        False: the whole turn is taken at the stamp, with all times zero.

    Returns
    -------
    Sweep
    """
    beams = lidar.beams()
    times = lidar.column_times() if distort else np.zeros(lidar.columns)
    noise = lidar.range_sigma * rng.standard_normal(beams.shape[:2])
    kept = rng.random(beams.shape[:2]) >= lidar.dropout

    poses = trajectory.poses(stamp + times)
    directions = np.einsum('cij,cbj->cbi', poses[:, :3, :3], beams)
    origins = np.broadcast_to(poses[:, None, :3, 3], beams.shape)
    ranges, normals = scene.raycast(origins.reshape(-1, 3), directions.reshape(-1, 3))
    ranges, normals = ranges.reshape(kept.shape), normals.reshape(beams.shape)
    measured = ranges + noise
    kept &= (measured >= lidar.min_range) & (measured <= lidar.max_range)

    at_stamp = trajectory.poses(stamp)[0]
    hits = (origins + np.where(kept, ranges, 0.0)[..., None] * directions)[kept]
    return Sweep(
        points=(np.where(kept, measured, 0.0)[..., None] * beams)[kept],
        times=np.broadcast_to(times[:, None], kept.shape)[kept],
        surface_points=(hits - at_stamp[:3, 3]) @ at_stamp[:3, :3],
        surface_normals=normals[kept] @ at_stamp[:3, :3],
    )
