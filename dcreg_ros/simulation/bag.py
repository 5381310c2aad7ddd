# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording as a rosbag2 that any ROS 2 tool can play."""

import csv
from collections.abc import Callable, Iterator
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from dcreg_ros.degeneracy.report import AXES
from dcreg_ros.io.pointcloud2 import pack_points
from dcreg_ros.io.scan import Scan
from dcreg_ros.io.tum import write_tum
from dcreg_ros.simulation.recording import FRAME, Recording

POINTS_TOPIC = '/points'
TRUTH_TOPIC = '/ground_truth'
WHEELS_TOPIC = '/wheels'
TRUTH_FRAME = 'odom'
WHEELS_FRAME = 'wheels'
TRUTH_POSES = 'ground_truth.tum'
TRUTH_WEAK = 'weak_directions.csv'
STORAGES = {'sqlite3': StoragePlugin.SQLITE3, 'mcap': StoragePlugin.MCAP}

# Read by every distribution from Humble on; 9 writes QoS profiles that Humble cannot parse.
_BAG_VERSION: Final = 8
_TYPES = get_typestore(Stores.ROS2_HUMBLE)


def check_target(path: str | Path, storage: str = 'sqlite3') -> None:
    """Check that a bag can be written before it is simulated.

    Raises
    ------
    ValueError
        If `path` exists or there is no such storage.
    """
    if storage not in STORAGES:
        raise ValueError(f'storage {storage!r} is not one of {", ".join(STORAGES)}')
    if Path(path).exists():
        raise ValueError(f'{path} exists already; name another path or remove it')


def write_bag(recording: Recording, path: str | Path, storage: str = 'sqlite3') -> None:
    """Write scans and truth as a rosbag2.

    The bag holds ``/points`` (sensor_msgs/PointCloud2 with float32 x, y, z and ``time`` in seconds
    after the stamp), ``/ground_truth`` (nav_msgs/Odometry at the same stamps, in the frame of the
    first pose) and ``/wheels`` (nav_msgs/Odometry of bad wheels). Beside its files lie the true
    poses as ``ground_truth.tum`` and the weak axes as ``weak_directions.csv``. Scans and truth are
    logged when the turn is complete, wheels at their stamps.

    Parameters
    ----------
    recording : Recording
        From :func:`~dcreg_ros.simulation.recording.simulate`.
    path : str or Path
        Folder to make.
    storage : str
        ``sqlite3`` or ``mcap``.

    Raises
    ------
    ValueError
        If `path` exists or there is no such storage.
    """
    check_target(path, storage)
    path = Path(path)
    messages = sorted(_messages(recording), key=itemgetter(0))
    with Writer(path, version=_BAG_VERSION, storage_plugin=STORAGES[storage]) as writer:
        connections = {
            topic: writer.add_connection(topic, kind, typestore=_TYPES)
            for topic, kind in (
                (POINTS_TOPIC, 'sensor_msgs/msg/PointCloud2'),
                (TRUTH_TOPIC, 'nav_msgs/msg/Odometry'),
                (WHEELS_TOPIC, 'nav_msgs/msg/Odometry'),
            )
        }
        for logged, topic, make in messages:
            connection = connections[topic]
            writer.write(connection, logged, _TYPES.serialize_cdr(make(), connection.msgtype))
    write_tum(path / TRUTH_POSES, recording.stamps, recording.odometry_poses)
    with open(path / TRUTH_WEAK, 'w', newline='', encoding='utf-8') as file:
        table = csv.writer(file, lineterminator='\n')
        table.writerow(['stamp', *AXES])
        for stamp, mask in zip(recording.stamps, recording.masks, strict=True):
            table.writerow([f'{stamp:.9f}', *mask.astype(int)])


def read_weak_directions(
    path: str | Path,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return what :func:`write_bag` noted about the weak axes.

    Parameters
    ----------
    path : str or Path
        The folder of the bag.

    Returns
    -------
    stamps : (N,) float array
        In seconds.
    masks : (N, 6) bool array
        True where an axis (roll, pitch, yaw, x, y, z) is truly weak.

    Raises
    ------
    ValueError
        If the folder holds no such table.
    """
    file = Path(path) / TRUTH_WEAK
    if not file.is_file():
        raise ValueError(f'{file} is missing: {path} is not a simulated bag')
    table = np.loadtxt(file, delimiter=',', skiprows=1, ndmin=2)
    return table[:, 0], table[:, 1:].astype(bool)


def _messages(recording: Recording) -> Iterator[tuple[int, str, Callable[[], Any]]]:
    """Yield when each message is logged [ns], its topic, and what makes it: scans are large."""
    wheels = recording.wheels
    for stamp, pose, twist in zip(wheels.stamps, wheels.poses, wheels.twists, strict=True):
        make = partial(_odometry, stamp, WHEELS_FRAME, pose, twist)
        yield _nanoseconds(stamp), WHEELS_TOPIC, make
    rows = zip(recording.scans, recording.odometry_poses, recording.twists, strict=True)
    for scan, pose, twist in rows:
        logged = _nanoseconds(scan.stamp + recording.lidar.latency)
        yield logged, POINTS_TOPIC, partial(_cloud, scan)
        yield logged, TRUTH_TOPIC, partial(_odometry, scan.stamp, TRUTH_FRAME, pose, twist)


def _message(kind: str, **fields: Any) -> Any:
    return _TYPES.types[kind](**fields)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def _header(stamp: float, frame: str) -> Any:
    seconds, nanoseconds = divmod(_nanoseconds(stamp), 10**9)
    time = _message('builtin_interfaces/msg/Time', sec=seconds, nanosec=nanoseconds)
    return _message('std_msgs/msg/Header', stamp=time, frame_id=frame)


def _cloud(scan: Scan) -> Any:
    """Return a scan as sensor_msgs/PointCloud2."""
    packed = pack_points(scan.points, scan.times)
    return _message(
        'sensor_msgs/msg/PointCloud2',
        header=_header(scan.stamp, scan.frame_id),
        height=1,
        width=len(scan.points),
        fields=[
            _message(
                'sensor_msgs/msg/PointField', name=name, offset=offset, datatype=kind, count=count
            )
            for name, offset, kind, count in packed.fields
        ],
        is_bigendian=False,
        point_step=packed.point_step,
        row_step=packed.point_step * len(scan.points),
        data=packed.data,
        is_dense=True,
    )


def _odometry(
    stamp: float, frame: str, pose: NDArray[np.float64], twist: NDArray[np.float64]
) -> Any:
    """Return ``T_frame_lidar`` (4, 4) and the body twist (6,) as nav_msgs/Odometry."""

    def triple(kind: str, values: NDArray[np.float64]) -> Any:
        return _message(kind, **dict(zip('xyz', map(float, values), strict=True)))

    x, y, z, w = map(float, Rotation.from_matrix(pose[:3, :3]).as_quat())
    pose_message = _message(
        'geometry_msgs/msg/Pose',
        position=triple('geometry_msgs/msg/Point', pose[:3, 3]),
        orientation=_message('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w),
    )
    twist_message = _message(
        'geometry_msgs/msg/Twist',
        linear=triple('geometry_msgs/msg/Vector3', twist[3:]),
        angular=triple('geometry_msgs/msg/Vector3', twist[:3]),
    )
    known = np.zeros(36)
    return _message(
        'nav_msgs/msg/Odometry',
        header=_header(stamp, frame),
        child_frame_id=FRAME,
        pose=_message('geometry_msgs/msg/PoseWithCovariance', pose=pose_message, covariance=known),
        twist=_message(
            'geometry_msgs/msg/TwistWithCovariance', twist=twist_message, covariance=known
        ),
    )
