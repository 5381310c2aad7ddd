# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points and times out of a ``sensor_msgs/PointCloud2``, and into the bytes of one.

Works on any object with the attributes of the message, so that rclpy and rosbags can both be
read and neither is needed. Each field is a strided view of the buffer, copied once.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.io.fields import COORDINATES, points_and_times, require_coordinates
from dcreg_ros.io.scan import seconds
from dcreg_ros.io.times import choose_time_field

# sensor_msgs/PointField; 9 and 10 are new in ROS 2 Lyrical.
DATATYPES = {
    1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 8: 'f8', 9: 'i8', 10: 'u8',
}  # fmt: skip
FLOAT32 = 7


class PackedPoints(NamedTuple):
    """What a PointCloud2 message needs to know of its points.

    Attributes
    ----------
    data : (N * point_step,) uint8 array
        Little-endian, without padding.
    fields : list of (name, offset, datatype, count)
        Arguments of ``sensor_msgs/PointField``.
    point_step : int
        Bytes per point.
    """

    data: NDArray[np.uint8]
    fields: list[tuple[str, int, int, int]]
    point_step: int


def decode_pointcloud2(
    message: Any,
    time_field: str = '',
    time_unit: str = 'auto',
    stamp: float | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the points of a message, and when each was measured.

    Parameters
    ----------
    message : sensor_msgs/PointCloud2, of any library
        Any layout: fields are found by name, offset and datatype; rows may be padded.
    time_field : str
        Name of the field of point times; empty: one of
        :data:`dcreg_ros.io.times.TIME_FIELDS`, if there is one.
    time_unit : str
        ``s``, ``ms``, ``us``, ``ns``, or ``auto`` for a guess from type and span.
    stamp : float or None
        Time of the scan [s]; None: that of the header.

    Returns
    -------
    points : (N, 3) float64 array
        Metres, sensor frame, in the order of the message; NaN rows are kept.
    times : (N,) float64 array or None
        Seconds after the stamp. None where there are none, or where they cannot be right
        (constant, not finite, seconds apart), which is logged once.

    Raises
    ------
    ValueError
        If the message is malformed, or ``x``, ``y``, ``z`` or `time_field` is missing or of a
        type it cannot have; the text names the field and what was expected.
    """
    if stamp is None:
        stamp = stamp_seconds(message.header.stamp)
    fields = {field.name: field for field in message.fields}
    require_coordinates(fields)
    name = choose_time_field(fields, time_field)
    buffer, shape, strides = _layout(message)
    order = '>' if message.is_bigendian else '<'
    columns = {}
    for wanted in (*COORDINATES, name) if name else COORDINATES:
        dtype = np.dtype(order + _type_code(fields[wanted], message.point_step))
        if 0 in shape:
            columns[wanted] = np.empty(shape, dtype)
        else:
            columns[wanted] = np.ndarray(shape, dtype, buffer, fields[wanted].offset, strides)
    return points_and_times(columns, time_field=name, time_unit=time_unit, stamp=stamp)


def stamp_seconds(stamp: Any) -> float:
    """Return a ``builtin_interfaces/Time`` in seconds."""
    return seconds(int(stamp.sec) * 10**9 + int(stamp.nanosec))


def pack_points(
    points: NDArray[np.floating], times: NDArray[np.floating] | None = None
) -> PackedPoints:
    """Return points as the bytes and fields of a PointCloud2.

    Parameters
    ----------
    points : (N, 3) float array
        Metres; written as float32 ``x``, ``y``, ``z``.
    times : (N,) float array, optional
        Seconds after the stamp; written as float32 ``time``, as Velodyne drivers do.

    Raises
    ------
    ValueError
        If the shapes are others.
    """
    points = np.asarray(points)
    names = [*COORDINATES]
    columns = [points] if times is None else [points, np.reshape(times, (-1, 1))]
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f'points should be of shape (N, 3), not {points.shape}')
    if times is not None:
        names.append('time')
        if np.shape(times) != (len(points),):
            raise ValueError(f'times should be of shape ({len(points)},), not {np.shape(times)}')
    packed = np.concatenate(columns, axis=1, dtype='<f4', casting='same_kind')
    fields = [(name, 4 * index, FLOAT32, 1) for index, name in enumerate(names)]
    return PackedPoints(packed.reshape(-1).view(np.uint8), fields, 4 * len(names))


def _layout(message: Any) -> tuple[NDArray[np.uint8], tuple[int, int], tuple[int, int]]:
    """Return buffer, shape (height, width) and strides, after checking that they fit."""
    height, width, step = message.height, message.width, message.point_step
    packed = width * step
    # One row needs no row_step, and some drivers leave it out.
    row_step = packed if height <= 1 else message.row_step
    if row_step < packed:
        raise ValueError(
            f'row_step = {row_step} is too small: {width} points of {step} bytes take {packed}'
        )
    buffer = _bytes(message.data)
    expected = (height - 1) * row_step + packed if height and width else 0
    if buffer.size < expected:
        raise ValueError(
            f'data has {buffer.size} bytes, expected {expected} for {height} x {width} points '
            f'with point_step = {step}, row_step = {row_step}'
        )
    return buffer, (height, width), (row_step, step)


def _bytes(data: Any) -> NDArray[np.uint8]:
    """Return the bytes of a message without a copy where that is possible."""
    if isinstance(data, list | tuple | np.ndarray):
        return np.ascontiguousarray(data, np.uint8)
    return np.frombuffer(data, np.uint8)


def _type_code(field: Any, point_step: int) -> str:
    """Return the numpy type of a PointField, without byte order, after checking that it fits."""
    if field.datatype not in DATATYPES:
        raise ValueError(
            f'field {field.name!r} has the unknown datatype {field.datatype}, expected '
            f'{min(DATATYPES)} to {max(DATATYPES)}'
        )
    if field.count < 1:
        raise ValueError(f'field {field.name!r} has count = {field.count}, expected 1')
    code = DATATYPES[field.datatype]
    end = field.offset + field.count * int(code[1])
    if end > point_step:
        raise ValueError(
            f'field {field.name!r} ends at byte {end}, beyond point_step = {point_step}'
        )
    return code
