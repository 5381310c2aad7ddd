# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PointCloud2: fields by name, offset and type, against bytes packed with struct."""

import array
import itertools
import logging
import math
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcreg_ros.io import times as times_module
from dcreg_ros.io.pointcloud2 import decode_pointcloud2, pack_points

STAMP = 1700000000.25
CODES = {'b': 1, 'B': 2, 'h': 3, 'H': 4, 'i': 5, 'I': 6, 'f': 7, 'd': 8, 'q': 9, 'Q': 10}


@pytest.fixture(autouse=True)
def _log_again():
    times_module._log_once.cache_clear()


def message(fields, rows, *, step=None, height=1, row_padding=0, big=False, stamp=STAMP):
    """Pack rows of values with struct; fields are (name, offset, struct code)."""
    order = '>' if big else '<'
    step = step or max(offset + struct.calcsize(code) for _, offset, code in fields)
    width = len(rows) // height if height else 0
    data = bytearray(b'\xa5' * (height * (width * step + row_padding)))
    for index, row in enumerate(rows):
        start = (index // width) * (width * step + row_padding) + (index % width) * step
        for (_, offset, code), value in zip(fields, row, strict=True):
            struct.pack_into(order + code, data, start + offset, value)
    return SimpleNamespace(
        header=SimpleNamespace(
            stamp=SimpleNamespace(sec=int(stamp), nanosec=round(stamp % 1 * 1e9)),
            frame_id='lidar',
        ),
        height=height,
        width=width,
        fields=[
            SimpleNamespace(name=name, offset=offset, datatype=CODES[code], count=1)
            for name, offset, code in fields
        ],
        is_bigendian=big,
        point_step=step,
        row_step=width * step + row_padding,
        data=bytes(data),
        is_dense=False,
    )


XYZ = [('x', 0, 'f'), ('y', 4, 'f'), ('z', 8, 'f')]


def timed(code, values, *, name='time', stamp=STAMP):
    """Return a message whose points have these times."""
    rows = [(1.0 + index, 2.0, 3.0, value) for index, value in enumerate(values)]
    return message([*XYZ, (name, 12, code)], rows, stamp=stamp)


@st.composite
def layouts(draw):
    """Draw fields in any order, with gaps, of mixed types; rows; padding and byte order."""
    names = draw(st.permutations(['x', 'y', 'z', 't', 'ring', 'intensity']))
    fields, offset = [], 0
    for name in names:
        code = draw(
            st.sampled_from('fd' if name in 'xyz' else 'I' if name == 't' else 'BHfdbhiIqQ')
        )
        offset += draw(st.integers(0, 5))
        fields.append((name, offset, code))
        offset += struct.calcsize(code)
    height, width = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    single = st.floats(-1e6, 1e6, width=32) | st.just(math.nan) | st.just(math.inf)
    rows = []
    for _ in range(height * width):
        row = []
        for name, _, code in fields:
            if name == 't':
                row.append(draw(st.integers(0, 100_000_000)))
            else:
                row.append(draw(single if code in 'fd' else st.integers(0, 100)))
        rows.append(tuple(row))
    step = offset + draw(st.integers(0, 16))
    options = {'row_padding': draw(st.integers(0, 9)), 'big': draw(st.booleans())}
    return fields, rows, {'step': step, 'height': height, **options}


@given(layouts())
def test_any_layout_comes_back(layout):
    fields, rows, options = layout
    points, times = decode_pointcloud2(message(fields, rows, **options))
    column = {name: [row[i] for row in rows] for i, (name, _, _) in enumerate(fields)}
    expected = np.array([column['x'], column['y'], column['z']]).T
    np.testing.assert_array_equal(points, expected)
    assert points.dtype == np.float64
    usable = np.isfinite(expected).all(axis=1) & expected.any(axis=1)
    ticks = np.array(column['t'])
    if usable.sum() > 1 and np.ptp(ticks[usable]) >= 500_000:
        np.testing.assert_allclose(times[usable], ticks[usable] * 1e-9, atol=1e-12)
    assert times is None or np.isfinite(times).all()


@pytest.mark.parametrize(
    'buffer',
    [
        bytes,
        bytearray,
        memoryview,
        list,
        lambda data: array.array('B', data),
        lambda data: np.frombuffer(data, np.uint8),
        lambda data: np.repeat(np.frombuffer(data, np.uint8), 2)[::2],
    ],
)
def test_any_buffer(buffer):
    cloud = message(XYZ, [(1.0, 2.0, 3.0), (4.0, 5.0, 6.0)])
    cloud.data = buffer(cloud.data)
    points, times = decode_pointcloud2(cloud)
    np.testing.assert_array_equal(points, [[1, 2, 3], [4, 5, 6]])
    assert times is None


def test_message_of_rclpy():
    messages = pytest.importorskip('sensor_msgs.msg')
    points = np.random.default_rng(2).normal(size=(50, 3)).astype(np.float32)
    packed = pack_points(points, np.linspace(-0.1, 0.0, 50))
    cloud = messages.PointCloud2(height=1, width=50, point_step=packed.point_step)
    cloud.data = array.array('B', packed.data.tobytes())
    cloud.header.stamp.sec = 1700000000
    cloud.fields = [
        messages.PointField(name=name, offset=offset, datatype=datatype, count=count)
        for name, offset, datatype, count in packed.fields
    ]
    decoded, times = decode_pointcloud2(cloud)
    np.testing.assert_array_equal(decoded, points)
    np.testing.assert_allclose(times, np.linspace(-0.1, 0.0, 50), atol=1e-8)


def test_result_does_not_share_memory_with_the_message():
    cloud = message(XYZ, [(1.0, 2.0, 3.0)])
    cloud.data = np.frombuffer(cloud.data, np.uint8).copy()
    points, _ = decode_pointcloud2(cloud)
    cloud.data[:] = 0
    np.testing.assert_array_equal(points, [[1, 2, 3]])


@pytest.mark.parametrize(('height', 'width'), [(1, 0), (0, 0), (0, 5), (3, 0)])
def test_empty(height, width):
    cloud = message([*XYZ, ('t', 12, 'I')], [])
    cloud.height, cloud.width, cloud.data, cloud.row_step = height, width, b'', width * 16
    points, times = decode_pointcloud2(cloud)
    assert points.shape == (0, 3)
    assert times.shape == (0,)


def test_missing_row_step_of_a_single_row():
    cloud = message(XYZ, [(1.0, 2.0, 3.0)])
    cloud.row_step = 0
    assert decode_pointcloud2(cloud)[0].shape == (1, 3)


def _remove(name):
    def change(cloud):
        cloud.fields = [field for field in cloud.fields if field.name != name]

    return change


def _set(index=None, **values):
    def change(cloud):
        target = cloud if index is None else cloud.fields[index]
        for key, value in values.items():
            setattr(target, key, value)

    return change


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        (_remove('x'), r"no field 'x'; there are: y, z, t"),
        (_remove('z'), r"no field 'z'"),
        (_set(fields=[]), r"no field 'x'; there are: none"),
        (_set(data=b'\0' * 47), r'data has 47 bytes, expected 48'),
        (_set(data=b''), r'data has 0 bytes'),
        (_set(width=4), r'expected 64'),
        (_set(height=2, row_step=47), r'row_step = 47 is too small'),
        (_set(0, datatype=0), r"'x' has the unknown datatype 0"),
        (_set(1, datatype=99), r"'y' has the unknown datatype 99"),
        (_set(2, count=0), r"'z' has count = 0"),
        (_set(2, offset=13), r"'z' ends at byte 17, beyond point_step = 16"),
        (_set(3, offset=100), r"'t' ends at byte 104"),
        (_set(0, datatype=5), r"'x' is of type int32, expected float32 or float64"),
    ],
)
def test_malformed(change, text):
    cloud = message([*XYZ, ('t', 12, 'I')], [(1.0, 2.0, 3.0, 7)] * 3)
    change(cloud)
    with pytest.raises(ValueError, match=text):
        decode_pointcloud2(cloud)


def test_damage_in_fields_that_are_not_needed_does_no_harm():
    cloud = message([*XYZ, ('rgb', 12, 'I')], [(1.0, 2.0, 3.0, 7)])
    cloud.fields[3].datatype = 0
    cloud.fields[3].offset = 1000
    assert decode_pointcloud2(cloud)[0].shape == (1, 3)


SWEEP = [0.0, 0.025, 0.0999]
ZOO = {
    'Ouster': ('t', 'I', [0, 25_000_000, 99_900_000], SWEEP),
    'Velodyne': ('time', 'f', SWEEP, SWEEP),
    'Velodyne, stamped at the end': ('time', 'f', [-0.1, -0.05, 0.0], [-0.1, -0.05, 0.0]),
    'Hesai': ('timestamp', 'd', [STAMP + t for t in SWEEP], SWEEP),
    'Hesai, stamped at the end': ('timestamp', 'd', [STAMP - 0.1, STAMP - 0.05], [-0.1, -0.05]),
    'Livox': ('timestamp', 'd', [(STAMP + t) * 1e9 for t in SWEEP], SWEEP),
    'Livox, integer': ('timestamp', 'Q', [round((STAMP + t) * 1e9) for t in SWEEP], SWEEP),
    'Livox, offsets': ('offset_time', 'I', [0, 25_000_000, 99_900_000], SWEEP),
    'milliseconds': ('time_stamp', 'f', [0.0, 25.0, 99.9], SWEEP),
    'microseconds since 1970': ('ts', 'd', [(STAMP + t) * 1e6 for t in SWEEP], SWEEP),
}


@pytest.mark.parametrize('sensor', ZOO)
def test_time_fields_of_drivers(sensor):
    name, code, values, expected = ZOO[sensor]
    _, times = decode_pointcloud2(timed(code, values, name=name))
    np.testing.assert_allclose(times, expected, atol=1e-6)


def test_integer_microseconds_of_a_whole_scan_and_of_a_packet():
    whole = np.linspace(0, 100_000, 20_000).astype(int)
    _, times = decode_pointcloud2(timed('I', whole, name='t'))
    np.testing.assert_allclose(times, whole * 1e-6, atol=1e-12)
    packet = np.linspace(0, 300_000, 400).astype(int)  # ns: too few points for 0.3 s
    _, times = decode_pointcloud2(timed('I', packet, name='t'))
    np.testing.assert_allclose(times, packet * 1e-9, atol=1e-12)


@pytest.mark.parametrize(('unit', 'scale'), [('s', 1), ('ms', 1e-3), ('us', 1e-6), ('ns', 1e-9)])
def test_unit_can_be_given(unit, scale):
    cloud = timed('d', [0.0, 0.5, 1.0])
    _, times = decode_pointcloud2(cloud, time_unit=unit)
    np.testing.assert_allclose(times, [0.0, 0.5 * scale, scale], atol=1e-15)


def test_unknown_unit():
    with pytest.raises(ValueError, match=r"time_unit = 'min' is not one of auto, s, ms, us, ns"):
        decode_pointcloud2(timed('f', SWEEP), time_unit='min')


def test_field_can_be_given():
    cloud = message([*XYZ, ('t', 12, 'I'), ('when', 16, 'f')], [(1.0, 2.0, 3.0, 0, 0.05)] * 2)
    cloud.data = cloud.data[:36] + struct.pack('<f', 0.07)
    _, times = decode_pointcloud2(cloud, time_field='when')
    np.testing.assert_allclose(times, [0.05, 0.07], rtol=1e-6)
    with pytest.raises(ValueError, match=r"no time field 'tme'; there are: x, y, z, t, when"):
        decode_pointcloud2(cloud, time_field='tme')


def test_stamp_can_be_given():
    cloud = timed('d', [STAMP, STAMP + 0.1], name='timestamp')
    _, times = decode_pointcloud2(cloud, stamp=STAMP + 0.1)
    np.testing.assert_allclose(times, [-0.1, 0.0], atol=1e-6)


@pytest.mark.parametrize('stamp', [0.0, 0.1, 2.0, 3600.0, STAMP])
def test_absolute_and_relative_are_told_apart_in_simulated_time(stamp):
    _, relative = decode_pointcloud2(timed('d', SWEEP, stamp=stamp))
    np.testing.assert_allclose(relative, SWEEP, atol=1e-6)
    _, absolute = decode_pointcloud2(timed('d', [stamp + t for t in SWEEP], stamp=stamp))
    np.testing.assert_allclose(absolute, SWEEP, atol=1e-6)


def test_another_clock_counts_from_the_first_point_and_says_so_once(caplog):
    for _ in range(3):
        _, times = decode_pointcloud2(timed('d', [(1234.5 + t) * 1e9 for t in SWEEP]))
    np.testing.assert_allclose(times, SWEEP, atol=1e-9)
    warnings = [record for record in caplog.records if record.levelname == 'WARNING']
    assert len(warnings) == 1 and 'another clock' in warnings[0].getMessage()


@pytest.mark.parametrize(
    ('code', 'values', 'why'),
    [
        ('f', [0.05] * 4, 'all the same'),
        ('f', [math.nan, math.inf], 'not finite'),
        ('d', [0.0, 1e30], 'apart'),
        ('d', [0.0, STAMP], 'apart'),
        ('I', [0, 4_000_000_000], 'apart'),
    ],
)
def test_implausible_times_are_left_out_and_said_once(caplog, code, values, why):
    for _ in range(3):
        points, times = decode_pointcloud2(timed(code, values, name='t'))
        assert times is None
        assert len(points) == len(values)
    assert [r.levelname for r in caplog.records if r.levelname == 'WARNING'] == ['WARNING']
    assert why in caplog.text
    assert "'t'" in caplog.text


@pytest.mark.parametrize('broken', [math.nan, math.inf, -math.inf])
def test_a_time_that_is_not_finite_is_that_of_its_point_alone(broken, caplog):
    for _ in range(2):
        _, times = decode_pointcloud2(timed('f', [0.0, broken, 0.1]))
    np.testing.assert_allclose(times, [0.0, math.nan, 0.1], atol=1e-8)
    warnings = [r.getMessage() for r in caplog.records if r.levelname == 'WARNING']
    assert len(warnings) == 1 and "some point times in field 'time'" in warnings[0]


def test_what_is_read_is_logged(caplog):
    caplog.set_level(logging.INFO)
    decode_pointcloud2(timed('I', [0, 100_000_000], name='t'))
    assert "field 't' in ns" in caplog.text
    decode_pointcloud2(message(XYZ, [(1.0, 2.0, 3.0)]))
    assert 'no point times among the fields x, y, z' in caplog.text


def test_rows_without_a_return_do_not_spoil_the_times():
    rows = [
        (1.0, 2.0, 3.0, STAMP),
        (math.nan, math.nan, math.nan, 0.0),
        (0.0, 0.0, 0.0, 0.0),
        (math.inf, 2.0, 3.0, math.nan),
        (4.0, 5.0, 6.0, STAMP + 0.1),
    ]
    points, times = decode_pointcloud2(message([*XYZ, ('timestamp', 12, 'd')], rows))
    assert np.isnan(points[1]).all()
    np.testing.assert_allclose(times[[0, 4]], [0.0, 0.1], atol=1e-6)
    assert np.isfinite(times).all()


def test_no_usable_row_at_all():
    points, times = decode_pointcloud2(timed('f', [0.1]))
    assert points.shape == (1, 3)
    np.testing.assert_allclose(times, [0.1], rtol=1e-6)
    cloud = message([*XYZ, ('t', 12, 'I')], [(math.nan, 0.0, 0.0, 9)] * 3)
    assert np.isfinite(decode_pointcloud2(cloud)[1]).all()


@given(st.integers(0, 2**64 - 1 - 10**8), st.lists(st.integers(0, 10**8), min_size=2))
def test_wide_integers_keep_their_differences(first, offsets):
    ticks = [first + offset for offset in offsets]
    _, times = decode_pointcloud2(timed('Q', ticks), time_unit='ns', stamp=first * 1e-9)
    if times is not None:
        expected = (np.array(offsets) - min(offsets)) * 1e-9
        np.testing.assert_allclose(times - times.min(), expected, atol=1e-12)


@pytest.mark.parametrize('with_times', [False, True])
def test_packed_points_come_back(with_times):
    points = np.random.default_rng(1).normal(size=(100, 3))
    times = np.linspace(0.0, 0.1, 100) if with_times else None
    packed = pack_points(points, times)
    assert packed.point_step == (16 if with_times else 12)
    assert packed.data.dtype == np.uint8
    cloud = message([(name, offset, 'f') for name, offset, _, _ in packed.fields], [])
    assert all(datatype == 7 and count == 1 for _, _, datatype, count in packed.fields)
    cloud.width, cloud.data = 100, packed.data
    again, when = decode_pointcloud2(cloud)
    np.testing.assert_array_equal(again, points.astype(np.float32))
    if with_times:
        np.testing.assert_allclose(when, times, atol=1e-8)
        assert struct.unpack_from('<4f', packed.data, 16) == pytest.approx([*points[1], times[1]])
    else:
        assert when is None


def test_packing_nothing_and_wrong_shapes():
    assert pack_points(np.empty((0, 3)), np.empty(0)).data.size == 0
    for points, times in [((3,), None), ((3, 4), None), ((3, 3), (2,)), ((3, 3), (3, 1))]:
        with pytest.raises(ValueError, match='should be of shape'):
            pack_points(np.zeros(points), None if times is None else np.zeros(times))


def test_every_byte_cut_is_noticed():
    cloud = message([*XYZ, ('t', 12, 'I')], [(1.0, 2.0, 3.0, 7)] * 2, height=2, row_padding=3)
    whole = cloud.data
    needed = len(whole) - 3  # the padding of the last row is not needed
    for length in itertools.chain(range(needed), [needed]):
        cloud.data = whole[:length]
        if length < needed:
            with pytest.raises(ValueError, match='bytes, expected'):
                decode_pointcloud2(cloud)
        else:
            assert decode_pointcloud2(cloud)[0].shape == (2, 3)
