# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scans out of recordings of ROS 1 and ROS 2, through rosbags; needs no ROS."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dcreg_ros.config import InputConfig
from dcreg_ros.io.pointcloud2 import decode_pointcloud2, stamp_seconds
from dcreg_ros.io.scan import Scan

POINTCLOUD2 = 'sensor_msgs/msg/PointCloud2'

_logger = logging.getLogger(__name__)


class BagSource:
    """The messages of one PointCloud2 topic of a recording, in the order they were recorded.

    Messages that cannot be decoded are skipped, with a warning each, and counted in `skipped`.

    Parameters
    ----------
    paths : sequence of Path
        One rosbag2 (folder, ``.mcap`` or ``.db3``), or one or more ``.bag`` files.
    topic : str, optional
        Which topic; without it there must be only one of PointCloud2.
    input_config : InputConfig, optional
        How fields become points and times.

    Raises
    ------
    ValueError
        If the recording cannot be read, or has no such topic, or several to choose from; the text
        lists those there are.
    ImportError
        If rosbags is not installed.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        topic: str | None = None,
        input_config: InputConfig | None = None,
    ) -> None:
        self.name = paths[0].name
        self.skipped = 0
        self._paths = list(paths)
        self._config = input_config or InputConfig()
        with self.open_reader() as reader:
            self.topic = choose_topic(self.name, reader, topic, POINTCLOUD2, 'point clouds')
            self._length = reader.topics[self.topic].msgcount

    def __len__(self) -> int:
        """Return how many messages the topic has, unreadable ones included."""
        return self._length

    def __iter__(self) -> Iterator[Scan]:
        """Yield the scans that can be decoded."""
        self.skipped = 0
        index = -1
        try:
            with self.open_reader() as reader:
                connections = reader.topics[self.topic].connections
                for index, (connection, _, data) in enumerate(reader.messages(connections)):
                    scan = self._scan(reader, connection.msgtype, data, index)
                    if scan is not None:
                        yield scan
        except Exception as error:  # a damaged file may provoke anything in the reader
            _logger.warning('%s: cannot be read after message %d: %r', self.name, index, error)
        lost = self._length - index - 1
        if lost > 0:
            self.skipped += lost
            _logger.warning('%s: %d of %d messages are missing', self.name, lost, self._length)

    @contextmanager
    def open_reader(self) -> Iterator[Any]:
        """Open the recording itself, for those who want its bytes."""
        try:
            from rosbags.highlevel import AnyReader
            from rosbags.typesys import Stores, get_typestore
        except ImportError:
            raise ImportError('reading recordings needs rosbags: pip install rosbags') from None
        ros1 = self._paths[0].suffix == '.bag'
        store = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_HUMBLE)
        try:
            reader = AnyReader(self._paths, default_typestore=store)
            reader.open()
        except Exception as error:
            raise ValueError(f'{self._paths[0]}: not a readable recording: {error}') from error
        try:
            yield reader
        finally:
            reader.close()

    def _scan(self, reader: Any, msgtype: str, data: bytes, index: int) -> Scan | None:
        name = f'{self.topic} {index}'
        try:
            message = reader.deserialize(data, msgtype)
            points, times = decode_pointcloud2(
                message, self._config.time_field, self._config.time_unit
            )
        except Exception as error:  # damaged bytes may provoke anything in the deserialiser
            self.skipped += 1
            _logger.warning('%s: message %s skipped: %s', self.name, name, error or repr(error))
            return None
        header = message.header
        return Scan(stamp_seconds(header.stamp), points, times, header.frame_id, name)


def choose_topic(name: str, reader: Any, topic: str | None, msgtype: str, noun: str) -> str:
    """Return `topic`, or the only one of its type, after checking that it is there.

    Parameters
    ----------
    name : str
        Of the recording, for the errors.
    reader : rosbags AnyReader
        Open.
    topic : str or None
        With or without its leading slash; None where there is only one.
    msgtype : str
        Which type it should be of.
    noun : str
        What people call its messages.

    Raises
    ------
    ValueError
        If there is no such topic, or several to choose from; the text lists those there are.
    """
    found = [key for key, info in reader.topics.items() if info.msgtype == msgtype]
    if not found:
        others = ', '.join(reader.topics) or 'none'
        raise ValueError(f'{name}: no topic of type {msgtype}; topics: {others}')
    if topic is None:
        if len(found) > 1:
            raise ValueError(f'{name}: several {noun}, choose a topic: {", ".join(found)}')
        return found[0]
    for candidate in (topic, f'/{topic}'):
        if candidate in found:
            return candidate
    raise ValueError(f'{name}: no {noun} on topic {topic!r}; there are: {", ".join(found)}')
