# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read PLY files, through trimesh."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_CLOUDCOMPARE = 'scalar_'


def read_ply(path: str | Path) -> dict[str, NDArray]:
    """Return the vertex properties of a PLY file, ascii or binary of either byte order.

    Parameters
    ----------
    path : str or Path
        Faces and other elements are not looked at.

    Returns
    -------
    fields : dict of str to (N,) arrays
        In the types of the file; the ``scalar_`` that CloudCompare puts before names is removed.

    Raises
    ------
    ValueError
        If the file is not PLY, or truncated; the text names the file.
    OSError
        If it cannot be opened.
    ImportError
        If trimesh is not installed.
    """
    try:
        from trimesh.exchange.ply import load_ply
    except ImportError:
        raise ImportError('reading PLY needs trimesh: pip install trimesh') from None
    with open(path, 'rb') as file:
        try:
            vertex = load_ply(file)['metadata']['_ply_raw']['vertex']
        except Exception as error:  # whatever a damaged file provokes
            raise ValueError(f'{path}: not a readable PLY file: {error!r}') from error
    return _columns(path, vertex)


def _columns(path: str | Path, vertex: dict) -> dict[str, NDArray]:
    """Return one array per property of trimesh's raw element."""
    length = vertex['length']
    columns = {}
    for name, code in vertex['properties'].items():
        if '$LIST' in code:
            continue  # several values per vertex
        column = vertex['data'][name].reshape(-1) if length else np.empty(0, code)
        if len(column) != length or column.dtype == object:
            raise ValueError(f'{path}: truncated: not all of {length} vertices have {name!r}')
        columns[name.removeprefix(_CLOUDCOMPARE)] = column
    return columns
