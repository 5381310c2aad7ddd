# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded scans as messages to be published."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensor_msgs.msg import PointCloud2, PointField

from dcreg_ros.io.bags import BagSource
from dcreg_ros.io.sources import DEFAULT_PERIOD, open_source
from dcreg_ros.ros.messages import byte_array, cloud_message
from dcreg_ros.ros.stamps import NANOSECONDS, nanoseconds, time_message


@dataclass(frozen=True)
class Outgoing:
    """A scan to be published.

    Attributes
    ----------
    stamp : int
        Nanoseconds.
    payload : PointCloud2 or bytes
        Bytes are a serialized PointCloud2, sent as they were recorded.
    """

    stamp: int
    payload: Any


def read_outgoing(
    path: str | Path, topic: str | None = None, period: float = DEFAULT_PERIOD
) -> Iterator[Outgoing]:
    """Yield the scans of any source as messages.

    Those of a ROS 2 recording are its own bytes, so that every field is there as recorded; those
    of files are float32 coordinates, and times where the files have them.

    Parameters
    ----------
    path : str or Path
        What :func:`dcreg_ros.io.sources.open_source` reads.
    topic : str, optional
        Of a recording with several point clouds.
    period : float
        Time between files, which have no stamps [s].
    """
    source = open_source(path, topic, period=period)
    if isinstance(source, BagSource):
        yield from _read_bag(source)
        return
    for scan in source:
        stamp = round(scan.stamp * NANOSECONDS)
        message = cloud_message(scan.points, time_message(stamp), scan.frame_id, scan.times)
        yield Outgoing(stamp, message)


def _read_bag(source: BagSource) -> Iterator[Outgoing]:
    with source.open_reader() as reader:
        connections = reader.topics[source.topic].connections
        for connection, _, data in reader.messages(connections):
            if reader.is2:
                yield Outgoing(cdr_stamp(data), bytes(data))
            else:
                yield _from_ros1(reader.deserialize(data, connection.msgtype))


def cdr_stamp(data: bytes) -> int:
    """Return the header stamp [ns] of a serialized message that begins with a header."""
    order = '<' if data[1] & 1 else '>'
    seconds, rest = struct.unpack_from(order + 'iI', data, 4)
    return int(seconds) * NANOSECONDS + int(rest)


def _from_ros1(recorded: Any) -> Outgoing:
    message = PointCloud2()
    stamp = nanoseconds(recorded.header.stamp)
    message.header.stamp = time_message(stamp)
    message.header.frame_id = recorded.header.frame_id
    message.fields = [
        PointField(name=f.name, offset=f.offset, datatype=f.datatype, count=f.count)
        for f in recorded.fields
    ]
    for name in ('height', 'width', 'point_step', 'row_step'):
        setattr(message, name, int(getattr(recorded, name)))
    message.is_bigendian = bool(recorded.is_bigendian)
    message.is_dense = bool(recorded.is_dense)
    message.data = byte_array(recorded.data)
    return Outgoing(stamp, message)
