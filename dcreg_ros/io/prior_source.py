# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Another odometry out of a recording or a file, as the prior of scans."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.io.bags import BagSource, choose_topic
from dcreg_ros.io.poses import stamped_pose
from dcreg_ros.io.scan import ScanSource
from dcreg_ros.io.static_transforms import StaticTransforms
from dcreg_ros.io.tum import read_tum

Matrix = NDArray[np.float64]

ODOMETRY = 'nav_msgs/msg/Odometry'
TF = 'tf2_msgs/msg/TFMessage'
TF_STATIC = '/tf_static'

_logger = logging.getLogger(__name__)


class PriorSource(Protocol):
    """Poses in the order of recording; may be iterated more than once.

    Attributes
    ----------
    name : str
        Topic, or name of the file.
    """

    name: str

    def __iter__(self) -> Iterator[tuple[float, Matrix]]:
        """Yield stamp [s] and pose (4, 4) [m] of the child frame."""

    def child_lidar(self, lidar_frame: str) -> Matrix:
        """Return ``T_child_lidar`` (4, 4) [m].

        Raises
        ------
        ValueError
            If it is not known; the text names both frames.
        """


def open_prior(name: str, source: ScanSource) -> PriorSource:
    """Open another odometry.

    Parameters
    ----------
    name : str
        A file of poses of the LiDAR in the TUM format, or a topic of nav_msgs/Odometry in the
        recording that `source` reads.
    source : ScanSource
        Of the scans.

    Raises
    ------
    ValueError
        If there is no such file or topic; the text says which topics there are.
    """
    if Path(name).is_file():
        return TumOdometry(Path(name))
    if isinstance(source, BagSource):
        return BagOdometry(source, name)
    raise ValueError(
        f'prior {name!r}: no such file, and {source.name} has no topics; expected a TUM file'
    )


class TumOdometry:
    """Poses of the LiDAR itself from a file in the TUM format, which names no frames."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._stamps, self._poses = read_tum(path)

    def __iter__(self) -> Iterator[tuple[float, Matrix]]:
        """Yield the rows."""
        yield from zip(self._stamps.tolist(), self._poses, strict=True)

    def child_lidar(self, lidar_frame: str) -> Matrix:
        """Return the identity."""
        return np.eye(4)


class BagOdometry:
    """The messages of a topic of nav_msgs/Odometry; frames are joined by ``/tf_static``.

    Messages that cannot be used are left out, with a warning each: malformed ones, and those of
    another child frame than the first.
    """

    def __init__(self, source: BagSource, topic: str) -> None:
        self._source = source
        self._static = StaticTransforms()
        with source.open_reader() as reader:
            self.name = choose_topic(source.name, reader, topic, ODOMETRY, 'odometry')
            for message in self._messages(reader, TF_STATIC, TF):
                self._static.add(message)
            first = next(self._messages(reader, self.name, ODOMETRY), None)
        self._child = '' if first is None else first.child_frame_id

    def __iter__(self) -> Iterator[tuple[float, Matrix]]:
        """Yield what can be used."""
        with self._source.open_reader() as reader:
            for index, message in enumerate(self._messages(reader, self.name, ODOMETRY)):
                try:
                    if message.child_frame_id != self._child:
                        raise ValueError(f'child frame {message.child_frame_id!r}')
                    yield stamped_pose(message)
                except ValueError as error:
                    _logger.warning('%s %d left out: %s', self.name, index, error)

    def child_lidar(self, lidar_frame: str) -> Matrix:
        """Return what ``/tf_static`` tells."""
        found = self._static.find(self._child, lidar_frame)
        if found is None:
            raise ValueError(
                f'{self.name} is odometry of the frame {self._child!r}, the scans are in '
                f'{lidar_frame!r}, and {TF_STATIC} of {self._source.name} joins them not'
            )
        return found

    def _messages(self, reader: Any, topic: str, kind: str) -> Iterator[Any]:
        connections = [c for c in reader.connections if (c.topic, c.msgtype) == (topic, kind)]
        if not connections:
            return  # rosbags would take none for all
        for connection, _, data in reader.messages(connections):
            try:
                message = reader.deserialize(data, connection.msgtype)
            except Exception as error:  # damaged bytes may provoke anything in the deserialiser
                _logger.warning('%s: a message left out: %r', topic, error)
                continue
            yield message
