# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read PCD files as the Point Cloud Library, Open3D and ROS tools write them.

No library on PyPI reads all of them: the closest one loses points of truncated files without a
word, and stops at fields of COUNT 0 (real Ouster files have them) and at files of one point.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.io.lzf import decompress

_KINDS = {'F': 'f', 'I': 'i', 'U': 'u'}
_ENCODINGS = ('ascii', 'binary', 'binary_compressed')
_PADDING = '_'
_LONGEST_HEADER = 65536  # bytes; other files end before they are all searched


class _Field(NamedTuple):
    name: str
    dtype: np.dtype
    repeats: int

    @property
    def size(self) -> int:
        return self.dtype.itemsize * self.repeats


class _Header(NamedTuple):
    fields: list[_Field]
    num_points: int | None  # None: as many as there are data
    encoding: str

    @property
    def size(self) -> int:
        return sum(field.size for field in self.fields)


def read_pcd(path: str | Path) -> dict[str, NDArray]:
    """Return the fields of a PCD file of any encoding.

    Parameters
    ----------
    path : str or Path
        Any of ``DATA ascii``, ``binary`` and ``binary_compressed``; with padding fields, with
        ``WIDTH 0``; organised clouds come back as a list. VIEWPOINT is not applied.

    Returns
    -------
    fields : dict of str to (N,) or (N, COUNT) arrays
        In the order and the types of the file, without padding.

    Raises
    ------
    ValueError
        If the file is not PCD, or truncated; the text names the file and what was expected.
    OSError
        If it cannot be opened.
    """
    content = Path(path).read_bytes()
    try:
        header, body = _split(content)
        columns = {'ascii': _ascii, 'binary': _binary, 'binary_compressed': _compressed}[
            header.encoding
        ](header, body)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    return {
        name: values[:, 0] if values.shape[1] == 1 else values for name, values in columns.items()
    }


def _split(content: bytes) -> tuple[_Header, memoryview]:
    """Return the parsed header and the rest."""
    entries: dict[str, list[str]] = {}
    end = 0
    while 'DATA' not in entries:
        start, end = end, content.find(b'\n', end) + 1
        if end == 0 or end > _LONGEST_HEADER:
            raise ValueError('not a PCD file: no line DATA that ends the header')
        words = content[start:end].decode('latin-1').split()
        if words and not words[0].startswith('#'):
            entries[words[0].upper()] = words[1:]
    return _parse(entries), memoryview(content)[end:]


def _parse(entries: Mapping[str, list[str]]) -> _Header:
    names = entries.get('FIELDS') or entries.get('COLUMNS') or []  # COLUMNS before version 0.6
    sizes, kinds = entries.get('SIZE', []), entries.get('TYPE', [])
    counts = entries.get('COUNT', ['1'] * len(names))
    if not names or not len(names) == len(sizes) == len(kinds) == len(counts):
        raise ValueError(
            f'header has {len(names)} FIELDS, {len(sizes)} SIZE, {len(kinds)} TYPE and '
            f'{len(counts)} COUNT, expected as many of each'
        )
    fields = []
    for name, size, kind, count in zip(names, sizes, kinds, counts, strict=True):
        try:
            dtype = np.dtype('<' + _KINDS[kind] + size)
            fields.append(_Field(name, dtype, _natural(count)))
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                f'field {name!r} has TYPE {kind}, SIZE {size} and COUNT {count}, which is no type'
            ) from None
    encoding = ' '.join(entries['DATA']).lower()
    if encoding not in _ENCODINGS:
        raise ValueError(f'DATA {encoding!r} is not one of {", ".join(_ENCODINGS)}')
    return _Header(fields, _num_points(entries), encoding)


def _num_points(entries: Mapping[str, list[str]]) -> int | None:
    """Return POINTS, else WIDTH times HEIGHT, else None: writers set either to zero."""
    numbers = {}
    for key in ('POINTS', 'WIDTH', 'HEIGHT'):
        words = entries.get(key) or ['0']
        try:
            numbers[key] = _natural(words[0])
        except ValueError:
            raise ValueError(f'{key} {words[0]} is not a number of points') from None
    return numbers['POINTS'] or numbers['WIDTH'] * numbers['HEIGHT'] or None


def _natural(word: str) -> int:
    value = int(word)
    if value < 0:
        raise ValueError
    return value


def _ascii(header: _Header, body: memoryview) -> dict[str, NDArray]:
    # PCL writes no columns for padding, other tools do; duplicates need names of their own.
    lines = [line for line in bytes(body).decode('latin-1').splitlines() if line.strip()]
    columns = len(lines[0].split()) if lines else 0
    fields = header.fields
    if columns != sum(field.repeats for field in fields):
        fields = [field for field in fields if field.name != _PADDING]
    expected = sum(field.repeats for field in fields)
    if lines and columns != expected:
        raise ValueError(f'{columns} values in the first row, expected {expected}')
    number = len(lines) if header.num_points is None else header.num_points
    if len(lines) < number:
        raise ValueError(f'truncated: {len(lines)} of {number} points')
    types = [(f'{i}', field.dtype, (field.repeats,)) for i, field in enumerate(fields)]
    table = np.zeros(0, types)
    if number:
        table = np.loadtxt(lines[:number], types, comments=None, ndmin=1)
    return _named(fields, [table[f'{i}'] for i in range(len(fields))])


def _binary(header: _Header, body: memoryview) -> dict[str, NDArray]:
    number = _check_length(header, len(body), header.size)
    columns = []
    offset = 0
    for field in header.fields:
        shape, strides = (number, field.repeats), (header.size, field.dtype.itemsize)
        empty = number * field.repeats == 0
        columns.append(
            np.empty(shape, field.dtype)
            if empty
            else np.ndarray(shape, field.dtype, body, offset, strides)
        )
        offset += field.size
    return _named(header.fields, columns)


def _compressed(header: _Header, body: memoryview) -> dict[str, NDArray]:
    """Decompress, then read field after field: the table is stored by columns."""
    if len(body) == 0 and header.num_points is None:
        return _binary(header, body)  # an empty cloud
    if len(body) < 8:
        raise ValueError('truncated: no sizes of the compressed data')
    packed, size = (int(number) for number in np.frombuffer(body[:8], '<u4'))
    if len(body) - 8 < packed:
        raise ValueError(f'truncated: {len(body) - 8} of {packed} compressed bytes')
    table = decompress(np.frombuffer(body[8 : 8 + packed], np.uint8), size)
    # PCL stores no padding here, other tools do; the size tells.
    fields = [field for field in header.fields if field.name != _PADDING]
    if header.num_points is not None and size == header.num_points * header.size:
        fields = header.fields
    number = _check_length(header, size, sum(field.size for field in fields))
    columns = []
    offset = 0
    for field in fields:
        end = offset + number * field.size
        columns.append(table[offset:end].view(field.dtype).reshape(number, field.repeats))
        offset = end
    return _named(fields, columns)


def _check_length(header: _Header, available: int, point_size: int) -> int:
    """Return how many points there are, after checking that they are all there."""
    if point_size == 0:
        raise ValueError('the points have no fields')
    if header.num_points is None:
        number, rest = divmod(available, point_size)
        if rest:
            raise ValueError(f'truncated: {available} bytes are no multiple of {point_size}')
        return number
    if available < header.num_points * point_size:
        raise ValueError(
            f'truncated: {available} bytes, expected {header.num_points} points of {point_size}'
        )
    return header.num_points


def _named(fields: list[_Field], columns: list[NDArray]) -> dict[str, NDArray]:
    """Return the columns that hold something, under their names."""
    return {
        field.name: column
        for field, column in zip(fields, columns, strict=True)
        if field.name != _PADDING and field.repeats
    }
