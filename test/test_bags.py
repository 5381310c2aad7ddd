# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings written by rosbags, and folders of files, as sources of scans."""

import logging
import sqlite3
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from dcreg_ros.config import InputConfig
from dcreg_ros.io.bags import POINTCLOUD2
from dcreg_ros.io.pointcloud2 import pack_points
from dcreg_ros.io.scan import Scan
from dcreg_ros.io.sources import open_source

rosbag1 = pytest.importorskip('rosbags.rosbag1')
rosbag2 = pytest.importorskip('rosbags.rosbag2')
typesys = pytest.importorskip('rosbags.typesys')

FORMATS = ['rosbag1', 'sqlite3', 'mcap']
formats = pytest.mark.parametrize('kind', FORMATS)
STAMPS = [1700000000.0 + 0.1 * i for i in range(4)]
TIMES = np.array([0.0, 0.05, 0.1])


def points_of(index):
    return np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]) + index


def make_cloud(store, index, broken=False):
    """Return a PointCloud2 in the types of `store`; a broken one has too few bytes."""
    types = store.types
    packed = pack_points(points_of(index), TIMES)
    time = types['builtin_interfaces/msg/Time'](int(STAMPS[index]), round(STAMPS[index] % 1 * 1e9))
    header = types['std_msgs/msg/Header']
    sequence = {'seq': index} if 'seq' in header.__dataclass_fields__ else {}
    return types[POINTCLOUD2](
        header=header(**sequence, stamp=time, frame_id='os_sensor'),
        height=1,
        width=3,
        fields=[types['sensor_msgs/msg/PointField'](*field) for field in packed.fields],
        is_bigendian=False,
        point_step=packed.point_step,
        row_step=3 * packed.point_step,
        data=packed.data[:-1] if broken else packed.data,
        is_dense=True,
    )


def write_bag(folder, kind, topics=('/points',), broken=(), garbage=()):
    """Write four scans per topic, and a string beside them; return the path."""
    ros1 = kind == 'rosbag1'
    stores = typesys.Stores
    store = typesys.get_typestore(stores.ROS1_NOETIC if ros1 else stores.ROS2_HUMBLE)
    path = folder / ('run.bag' if ros1 else 'run')
    if ros1:
        writer, serialize = rosbag1.Writer(path), store.serialize_ros1
    else:
        plugin = rosbag2.StoragePlugin[kind.upper()]
        writer = rosbag2.Writer(path, version=8, storage_plugin=plugin)
        serialize = store.serialize_cdr
    with writer:
        text = writer.add_connection('/chatter', 'std_msgs/msg/String', typestore=store)
        message = store.types['std_msgs/msg/String']('hello')
        writer.write(text, 1, serialize(message, 'std_msgs/msg/String'))
        for topic in topics:
            clouds = writer.add_connection(topic, POINTCLOUD2, typestore=store)
            for index in range(len(STAMPS)):
                data = serialize(make_cloud(store, index, index in broken), POINTCLOUD2)
                # The time of recording is not the stamp.
                data = bytes(data)[:9] if index in garbage else data
                writer.write(clouds, int(index * 1e8) + 7, data)
    return path


@formats
def test_scans_of_a_recording(tmp_path, kind):
    source = open_source(write_bag(tmp_path, kind))
    assert (source.topic, len(source)) == ('/points', 4)
    for _ in range(2):  # again, from the start
        scans = list(source)
        assert len(scans) == 4
        for index, scan in enumerate(scans):
            assert isinstance(scan, Scan)
            assert scan.stamp == pytest.approx(STAMPS[index], abs=1e-6)
            assert scan.frame_id == 'os_sensor'
            assert scan.name == f'/points {index}'
            np.testing.assert_array_equal(scan.points, points_of(index))
            np.testing.assert_allclose(scan.times, TIMES, atol=1e-7)
    assert source.skipped == 0


@formats
def test_choice_of_topic(tmp_path, kind):
    path = write_bag(tmp_path, kind, topics=('/front', '/rear'))
    with pytest.raises(ValueError, match=r'several point clouds.*: /front, /rear'):
        open_source(path)
    for topic in ('/rear', 'rear'):
        source = open_source(path, topic)
        assert (source.topic, len(list(source))) == ('/rear', 4)
    for topic in ('/chatter', '/nothing', ''):
        with pytest.raises(ValueError, match=r'there are: /front, /rear'):
            open_source(path, topic)


@formats
def test_no_clouds(tmp_path, kind):
    with pytest.raises(ValueError, match=r'no topic of type .*PointCloud2; topics: /chatter'):
        open_source(write_bag(tmp_path, kind, topics=()))


@formats
def test_damaged_messages_are_skipped_and_counted(tmp_path, kind, caplog):
    source = open_source(write_bag(tmp_path, kind, broken=(1,), garbage=(3,)))
    assert [scan.name for scan in source] == ['/points 0', '/points 2']
    assert (len(source), source.skipped) == (4, 2)
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert 'message /points 1 skipped: data has 47 bytes, expected 48' in warnings[0]
    assert 'message /points 3 skipped: ' in warnings[1]
    assert len(list(source)) == source.skipped == 2  # counted afresh


def test_single_files_of_a_rosbag2(tmp_path):
    for kind, suffix in [('sqlite3', '.db3'), ('mcap', '.mcap')]:
        (tmp_path / kind).mkdir()
        path = write_bag(tmp_path / kind, kind)
        (file,) = path.glob(f'*{suffix}')
        (path / 'metadata.yaml').unlink()  # as after a crash of the recorder
        assert len(list(open_source(path))) == 4
        # Of a bare file without definitions the types are the usual ones.
        assert len(list(open_source(file))) == 4


def test_pieces_of_a_rosbag1(tmp_path):
    for piece in ('run_2', 'run_10'):
        (tmp_path / piece).mkdir()
        write_bag(tmp_path / piece, 'rosbag1').rename(tmp_path / f'{piece}.bag')
    source = open_source(tmp_path)
    assert len(source) == len(list(source)) == 8


def test_without_message_definitions(tmp_path):
    path = write_bag(tmp_path, 'sqlite3')
    (file,) = path.glob('*.db3')
    with sqlite3.connect(file) as database:
        tables = {row[0] for row in database.execute('SELECT name FROM sqlite_master')}
        if 'message_definitions' in tables:
            database.execute('DELETE FROM message_definitions')
    assert len(list(open_source(path))) == 4


@formats
def test_truncated_recording(tmp_path, kind):
    path = write_bag(tmp_path, kind)
    file = path if path.is_file() else next(f for f in path.iterdir() if f.suffix != '.yaml')
    content = file.read_bytes()
    for length in (0, 10, len(content) // 2, len(content) - 10):
        file.write_bytes(content[:length])
        try:
            source = open_source(path)
        except ValueError as error:
            assert 'run' in str(error)
            continue
        assert len(list(source)) + source.skipped == len(source)


def test_input_parameters_reach_the_decoder(tmp_path):
    path = write_bag(tmp_path, 'mcap')
    (first, *_) = open_source(path, input_config=InputConfig(time_unit='ms'))
    np.testing.assert_allclose(first.times, TIMES * 1e-3, atol=1e-9)
    source = open_source(path, input_config=InputConfig(time_field='no'))
    assert (list(source), source.skipped) == ([], 4)


def test_without_rosbags(tmp_path, monkeypatch):
    path = write_bag(tmp_path, 'mcap')
    monkeypatch.setitem(sys.modules, 'rosbags.highlevel', None)
    with pytest.raises(ImportError, match='pip install rosbags'):
        open_source(path)


def write_pcd(path: Path, number: int) -> None:
    header = (
        'VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\n'
        f'WIDTH {number}\nHEIGHT 1\nPOINTS {number}\nDATA binary\n'
    )
    path.write_bytes(header.encode() + struct.pack('<3f', 1.0, 2.0, 3.0) * number)


def test_folder_in_natural_order(tmp_path):
    for name, number in [('scan10.pcd', 3), ('scan2.pcd', 2), ('scan1.PCD', 1), ('10.pcd', 4)]:
        write_pcd(tmp_path / name, number)
    (tmp_path / 'readme.txt').write_text('not a scan')
    (tmp_path / 'old.pcd').mkdir()
    source = open_source(tmp_path)
    scans = list(source)
    assert [scan.name for scan in scans] == ['10.pcd', 'scan1.PCD', 'scan2.pcd', 'scan10.pcd']
    assert [len(scan.points) for scan in scans] == [4, 1, 2, 3]
    assert [scan.stamp for scan in scans] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert [scan.stamp for scan in open_source(tmp_path, period=0.5)] == [0.0, 0.5, 1.0, 1.5]
    assert (source.name, source.topic, len(source)) == (tmp_path.name, '', 4)


def test_damaged_file_is_skipped_and_counted(tmp_path, caplog):
    for index in range(3):
        write_pcd(tmp_path / f'{index}.pcd', 5)
    (tmp_path / '1.pcd').write_bytes((tmp_path / '1.pcd').read_bytes()[:-1])
    source = open_source(tmp_path)
    scans = list(source)
    assert [scan.name for scan in scans] == ['0.pcd', '2.pcd']
    assert [scan.stamp for scan in scans] == pytest.approx([0.0, 0.2])  # time goes on
    assert (len(source), source.skipped) == (3, 1)
    assert 'file 1.pcd skipped: ' in caplog.text
    assert 'truncated' in caplog.text
    with pytest.raises(ValueError, match='truncated'):
        list(open_source(tmp_path / '1.pcd'))


def test_nothing_to_read(tmp_path):
    with pytest.raises(ValueError, match=r'nowhere does not exist; expected a folder of \.pcd'):
        open_source(tmp_path / 'nowhere')
    (tmp_path / 'notes.txt').write_text('')
    for path in (tmp_path, tmp_path / 'notes.txt'):
        with pytest.raises(ValueError, match=r'nothing to read in .*; expected a folder of \.pcd'):
            open_source(path)
    for name in ('x.bag', 'x.mcap', 'x.db3'):
        (tmp_path / name).write_bytes(b'not a recording')
        with pytest.raises(ValueError, match='not a readable recording'):
            open_source(tmp_path / name)
