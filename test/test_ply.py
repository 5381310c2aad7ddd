# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PLY files of all encodings, written by hand with struct."""

import struct
import sys

import numpy as np
import pytest

from dcreg_ros.io.ply import read_ply
from dcreg_ros.io.sources import open_source

NAMES = {'f': 'float', 'd': 'double', 'I': 'uint', 'i': 'int', 'B': 'uchar', 'H': 'ushort'}
FIELDS = [('x', 'f'), ('y', 'f'), ('z', 'f'), ('ring', 'H'), ('timestamp', 'd')]
ROWS = [(1.0, 2.0, 3.0, 7, 1700000000.25), (4.0, 5.0, 6.0, 8, 1700000000.30)]


def ply(fields, rows, encoding, number=None):
    lines = ['ply', f'format {encoding} 1.0', 'comment by hand']
    lines.append(f'element vertex {len(rows) if number is None else number}')
    lines += [f'property {NAMES[code]} {name}' for name, code in fields] + ['end_header', '']
    if encoding == 'ascii':
        data = ''.join(' '.join(repr(value) for value in row) + '\n' for row in rows).encode()
    else:
        order = '<' if 'little' in encoding else '>'
        codes = order + ''.join(code for _, code in fields)
        data = b''.join(struct.pack(codes, *row) for row in rows)
    return '\n'.join(lines).encode() + data


def write(folder, *arguments):
    path = folder / 'cloud.ply'
    path.write_bytes(ply(*arguments))
    return path


encodings = pytest.mark.parametrize(
    'encoding', ['ascii', 'binary_little_endian', 'binary_big_endian']
)


@encodings
@pytest.mark.parametrize('number', [0, 1, 2])
def test_fields(tmp_path, encoding, number):
    columns = read_ply(write(tmp_path, FIELDS, ROWS[:number], encoding))
    assert list(columns) == [name for name, _ in FIELDS]
    for index, (name, code) in enumerate(FIELDS):
        assert columns[name].shape == (number,)
        assert columns[name].dtype.newbyteorder('=') == np.dtype(code)
        np.testing.assert_array_equal(columns[name], [row[index] for row in ROWS[:number]])


@encodings
def test_scan(tmp_path, encoding):
    (scan,) = open_source(write(tmp_path, FIELDS, ROWS, encoding))
    np.testing.assert_array_equal(scan.points, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_allclose(scan.times, [0.0, 0.05], atol=1e-6)
    assert (scan.stamp, scan.name) == (0.0, 'cloud.ply')


def test_double_precision_is_kept(tmp_path):
    fields = [('x', 'd'), ('y', 'd'), ('z', 'd')]
    (scan,) = open_source(write(tmp_path, fields, [(1e6 + 1e-7, 2.0, 3.0)], 'ascii'))
    assert scan.points[0, 0] == 1e6 + 1e-7


def test_cloudcompare_names(tmp_path):
    fields = [('x', 'f'), ('y', 'f'), ('z', 'f'), ('scalar_time', 'f')]
    rows = [(1.0, 2.0, 3.0, 0.0), (1.0, 2.0, 4.0, 0.1)]
    (scan,) = open_source(write(tmp_path, fields, rows, 'binary_little_endian'))
    np.testing.assert_allclose(scan.times, [0.0, 0.1], atol=1e-8)


def test_faces_are_ignored(tmp_path):
    path = tmp_path / 'mesh.ply'
    path.write_text(
        'ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\n'
        'property float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n'
        '0 0 1\n1 0 1\n0 1 1\n3 0 1 2\n'
    )
    (scan,) = open_source(path)
    np.testing.assert_array_equal(scan.points, [[0, 0, 1], [1, 0, 1], [0, 1, 1]])


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'no ply',
        ply(FIELDS, ROWS, 'binary_little_endian')[:-1],
        ply(FIELDS, ROWS, 'binary_little_endian', 3),
        ply(FIELDS, ROWS, 'ascii', 3),
        ply(FIELDS, [('a', 2.0, 3.0, 7, 1.0)], 'ascii'),
    ],
)
def test_damaged(tmp_path, content):
    path = tmp_path / 'cloud.ply'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'cloud\.ply'):
        read_ply(path)


def test_no_coordinates(tmp_path):
    with pytest.raises(ValueError, match=r"cloud\.ply: .*'z'"):
        list(open_source(write(tmp_path, FIELDS[:2], [(1.0, 2.0)], 'ascii')))


def test_without_trimesh(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'trimesh.exchange.ply', None)
    with pytest.raises(ImportError, match='pip install trimesh'):
        read_ply(write(tmp_path, FIELDS, ROWS, 'ascii'))


def test_real_pair(data_folder):
    scans = list(open_source(data_folder / 'pair'))
    assert [scan.name for scan in scans] == ['source.ply', 'target.ply']
    assert scans[0].points.shape == (69792, 3)
    assert np.isfinite(scans[0].points).all()
    assert [scan.times for scan in scans] == [None, None]
