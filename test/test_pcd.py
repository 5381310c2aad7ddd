# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PCD files of all encodings, written by hand with struct, and by Open3D where it is installed."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcreg_ros.config import InputConfig
from dcreg_ros.io.lzf import decompress
from dcreg_ros.io.pcd import read_pcd
from dcreg_ros.io.sources import open_source

KINDS = {'f': 'F', 'd': 'F', 'b': 'I', 'h': 'I', 'i': 'I', 'q': 'I'}
XYZ = [('x', 'f', 1), ('y', 'f', 1), ('z', 'f', 1)]
POINTS = [(1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (-7.5, 8.25, float('nan'))]


def header(fields, number, encoding, **changes):
    entries = {
        'VERSION': '0.7',
        'FIELDS': ' '.join(name for name, _, _ in fields),
        'SIZE': ' '.join(str(struct.calcsize(code)) for _, code, _ in fields),
        'TYPE': ' '.join(KINDS.get(code, 'U') for _, code, _ in fields),
        'COUNT': ' '.join(str(count) for _, _, count in fields),
        'WIDTH': number,
        'HEIGHT': 1,
        'VIEWPOINT': '0 0 0 1 0 0 0',
        'POINTS': number,
        'DATA': encoding,
        **changes,
    }
    lines = [f'{key} {value}' for key, value in entries.items() if value is not None]
    return ('# .PCD v0.7 - Point Cloud Data file format\n' + '\n'.join(lines) + '\n').encode()


def literals(data):
    """Return an LZF stream that holds `data` in literal runs only."""
    runs = [data[start : start + 32] for start in range(0, len(data), 32)]
    return b''.join(bytes([len(run) - 1]) + run for run in runs)


def body(fields, rows, encoding):
    """Pack rows of values; a field of count n takes n of them."""
    if encoding == 'ascii':
        return ''.join(' '.join(repr(value) for value in row) + '\n' for row in rows).encode()
    codes = [code for _, code, count in fields for _ in range(count)]
    if encoding == 'binary':
        return b''.join(struct.pack('<' + ''.join(codes), *row) for row in rows)
    table, start = b'', 0
    for _, code, count in fields:
        for row in rows:
            table += struct.pack(f'<{count}{code}', *row[start : start + count])
        start += count
    packed = literals(table)
    return struct.pack('<II', len(packed), len(table)) + packed


def write(folder, fields, rows, encoding, name='cloud.pcd', **changes):
    path = folder / name
    path.write_bytes(header(fields, len(rows), encoding, **changes) + body(fields, rows, encoding))
    return path


def xyz(columns):
    return np.column_stack([columns['x'], columns['y'], columns['z']])


encodings = pytest.mark.parametrize('encoding', ['ascii', 'binary', 'binary_compressed'])


@encodings
@pytest.mark.parametrize('number', [1, 2, 3])
def test_points(tmp_path, encoding, number):
    columns = read_pcd(write(tmp_path, XYZ, POINTS[:number], encoding))
    assert list(columns) == ['x', 'y', 'z']
    assert {column.dtype for column in columns.values()} == {np.dtype('f4')}
    np.testing.assert_array_equal(xyz(columns), POINTS[:number])


@encodings
def test_padding_with_counts_and_other_types(tmp_path, encoding):
    fields = [*XYZ, ('_', 'B', 4), ('intensity', 'f', 1), ('ring', 'H', 1), ('_', 'B', 10)]
    rows = [(*point, *[1] * 4, 0.5, 15 + i, *[2] * 10) for i, point in enumerate(POINTS)]
    columns = read_pcd(write(tmp_path, fields, rows, encoding))
    assert list(columns) == ['x', 'y', 'z', 'intensity', 'ring']
    np.testing.assert_array_equal(xyz(columns), POINTS)
    np.testing.assert_array_equal(columns['ring'], [15, 16, 17])
    np.testing.assert_array_equal(columns['intensity'], [0.5] * 3)


@pytest.mark.parametrize('encoding', ['ascii', 'binary_compressed'])
def test_padding_that_is_declared_but_not_stored(tmp_path, encoding):
    fields = [*XYZ, ('_', 'B', 4), ('ring', 'H', 1)]
    stored = [*XYZ, ('ring', 'H', 1)]
    rows = [(*point, 7) for point in POINTS]
    path = tmp_path / 'cloud.pcd'
    path.write_bytes(header(fields, 3, encoding) + body(stored, rows, encoding))
    columns = read_pcd(path)
    np.testing.assert_array_equal(xyz(columns), POINTS)
    np.testing.assert_array_equal(columns['ring'], [7, 7, 7])


@encodings
def test_several_values_per_point(tmp_path, encoding):
    fields = [('normal', 'd', 3), *XYZ, ('_', 'B', 0)]  # Ouster drivers write COUNT 0
    rows = [(0.1 + i, 0.2, 0.3, *point) for i, point in enumerate(POINTS)]
    columns = read_pcd(write(tmp_path, fields, rows, encoding))
    assert list(columns) == ['normal', 'x', 'y', 'z']
    np.testing.assert_array_equal(columns['normal'], [row[:3] for row in rows])
    np.testing.assert_array_equal(xyz(columns), POINTS)


@encodings
@pytest.mark.parametrize(
    'changes',
    [
        {'WIDTH': 0},
        {'WIDTH': 0, 'POINTS': 0},
        {'WIDTH': 0, 'HEIGHT': 0, 'POINTS': None},
        {'POINTS': None},
        {'POINTS': 0},
        {'WIDTH': 1, 'HEIGHT': 3},
        {'COUNT': None},
        {'VIEWPOINT': None, 'VERSION': '.7'},
    ],
)
def test_headers_that_leave_something_out(tmp_path, encoding, changes):
    columns = read_pcd(write(tmp_path, XYZ, POINTS, encoding, **changes))
    np.testing.assert_array_equal(xyz(columns), POINTS)


def test_windows_lines_blank_lines_and_spaces(tmp_path):
    path = write(tmp_path, XYZ, [], 'ascii', POINTS=2, WIDTH=2)
    text = path.read_bytes() + b' 1  2\t3 \n\n4 5 nan\n'
    path.write_bytes(text.replace(b'\n', b'\r\n'))
    np.testing.assert_array_equal(xyz(read_pcd(path)), [[1, 2, 3], [4, 5, np.nan]])


@encodings
def test_empty(tmp_path, encoding):
    assert xyz(read_pcd(write(tmp_path, XYZ, [], encoding))).shape == (0, 3)
    path = tmp_path / 'no_data.pcd'
    path.write_bytes(header(XYZ, 0, encoding))
    assert xyz(read_pcd(path)).shape == (0, 3)


@encodings
def test_every_truncation_is_an_error(tmp_path, encoding):
    path = write(tmp_path, XYZ, [(1.0, 2.0, 3.0)] * 3, encoding)
    whole = path.read_bytes()
    for length in range(len(whole)):
        if encoding == 'ascii' and length > len(whole) - 4:
            break  # a digit short of 3.0 is a number as well
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r'cloud\.pcd: '):
            read_pcd(path)


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        ({'DATA': 'zipped'}, "DATA 'zipped' is not one of ascii, binary, binary_compressed"),
        ({'SIZE': '4 4'}, '3 FIELDS, 2 SIZE, 3 TYPE and 3 COUNT'),
        ({'SIZE': '4 4 3'}, "field 'z' has TYPE F, SIZE 3"),
        ({'TYPE': 'F F X'}, "field 'z' has TYPE X"),
        ({'COUNT': '1 1 -1'}, "field 'z' has TYPE F, SIZE 4 and COUNT -1"),
        ({'FIELDS': None}, '0 FIELDS'),
        ({'POINTS': 'many'}, 'POINTS many is not a number'),
        ({'POINTS': 10**15}, 'truncated: 36 bytes, expected 1000000000000000 points'),
        ({'WIDTH': -3, 'POINTS': None}, 'WIDTH -3 is not a number'),
    ],
)
def test_wrong_headers(tmp_path, changes, text):
    path = tmp_path / 'cloud.pcd'
    path.write_bytes(header(XYZ, 3, 'binary', **changes) + body(XYZ, POINTS, 'binary'))
    with pytest.raises(ValueError, match=rf'cloud\.pcd: .*{text}'):
        read_pcd(path)


@pytest.mark.parametrize('content', [b'', b'\n' * 100_000, bytes(range(256)) * 1000, b'DATA'])
def test_other_files(tmp_path, content):
    path = tmp_path / 'cloud.pcd'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='not a PCD file'):
        read_pcd(path)


def test_a_word_in_place_of_a_number(tmp_path):
    path = tmp_path / 'cloud.pcd'
    path.write_bytes(header(XYZ, 1, 'ascii') + b'1 2 three\n')
    with pytest.raises(ValueError, match=r'cloud\.pcd: .*three'):
        read_pcd(path)


@encodings
def test_point_times(tmp_path, encoding):
    stamp = 1700000000.25
    fields = [*XYZ, ('timestamp', 'd', 1)]
    rows = [(*point, stamp + 0.05 * i) for i, point in enumerate(POINTS[:2])]
    (scan,) = open_source(write(tmp_path, fields, rows, encoding))
    np.testing.assert_allclose(scan.times, [0.0, 0.05], atol=1e-6)
    fields = [*XYZ, ('t', 'I', 1), ('when', 'f', 1)]
    rows = [(*point, 50_000_000 * i, 0.02 * i) for i, point in enumerate(POINTS[:2])]
    path = write(tmp_path, fields, rows, encoding)
    (scan,) = open_source(path)
    np.testing.assert_allclose(scan.times, [0.0, 0.05], atol=1e-9)
    (scan,) = open_source(path, input_config=InputConfig(time_field='when', time_unit='ms'))
    np.testing.assert_allclose(scan.times, [0.0, 2e-5], atol=1e-9)


def test_lzf_of_liblzf():
    # Made by the C library from three equal points of four floats.
    packed = bytes.fromhex('0a0000c03f00002040000060200300902003e0130f019040')
    expected = struct.pack('<12f', *[1.5, 2.5, 3.5, 4.5] * 3)
    assert decompress(np.frombuffer(packed, np.uint8), 48).tobytes() == expected


def test_lzf_run_that_overlaps_itself():
    # One literal, then 7 + 255 + 2 copies of it.
    packed = np.array([0, 65, 0xE0, 255, 0], np.uint8)
    assert decompress(packed, 265).tobytes() == b'A' * 265


@pytest.mark.parametrize(
    ('packed', 'size'),
    [
        ([5, 65], 6),  # five literals missing
        ([0, 65, 0x20, 1], 4),  # copies from before the start
        ([0, 65, 0x20], 4),  # no distance
        ([0, 65, 0xE0], 4),  # no length
        ([0, 65, 0x20, 0], 3),  # longer than the data
        ([0, 65, 0x20, 0], 5),  # shorter
        ([0, 65], 2**32 - 1),
        ([], 1),
    ],
)
def test_damaged_lzf(packed, size):
    with pytest.raises(ValueError, match=r'damaged|cannot hold'):
        decompress(np.array(packed, np.uint8), size)


@given(st.binary(max_size=60), st.integers(0, 300))
@settings(max_examples=300)
def test_random_lzf_never_leaves_its_buffers(packed, size):
    try:
        data = decompress(np.frombuffer(packed, np.uint8), size)
    except ValueError:
        return
    assert data.size == size


@encodings
def test_open3d_files(tmp_path, encoding):
    try:
        import open3d
    except (ImportError, OSError) as error:  # absent, or without its system libraries
        pytest.skip(f'no open3d: {error}')
    points = np.random.default_rng(3).normal(size=(5000, 3)).round(1)
    path = str(tmp_path / 'cloud.pcd')
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
    open3d.io.write_point_cloud(
        path, cloud, write_ascii=encoding == 'ascii', compressed=encoding == 'binary_compressed'
    )
    assert f'DATA {encoding}\n'.encode() in (tmp_path / 'cloud.pcd').read_bytes()[:400]
    np.testing.assert_allclose(xyz(read_pcd(path)), points, atol=1e-6)


@pytest.mark.parametrize(
    ('name', 'number'),
    [
        ('corridor/06.pcd', 6281),
        ('corridor/00.pcd', 28221),
        ('drive/0000000000.pcd', 119978),
        ('shifted_cylinder/cloud.pcd', 7562),
    ],
)
def test_real_files(data_folder, name, number):
    columns = read_pcd(data_folder / name)
    assert xyz(columns).shape == (number, 3)
    assert np.isfinite(xyz(columns)).all()
    assert np.abs(xyz(columns)).max() < 300.0
    assert columns['intensity'].shape == (number,)


@pytest.mark.parametrize(('folder', 'number'), [('corridor', 30), ('drive', 22)])
def test_real_folders(data_folder, folder, number):
    source = open_source(data_folder / folder)
    names = [scan.name for scan in source]
    assert len(source) == len(names) == number
    assert names == sorted(names)
    assert source.skipped == 0
