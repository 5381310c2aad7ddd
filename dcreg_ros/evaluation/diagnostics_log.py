# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One row per scan: what the odometry knew, as a CSV file any spreadsheet opens."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.degeneracy.report import AXES, names_of
from dcreg_ros.odometry.frame import Frame

POSE_AXES = ('x', 'y', 'z', 'roll', 'pitch', 'yaw')
"""Order of the covariance of a pose (nav_msgs/Odometry)."""

_TEXT = ('name', 'status', 'reason', 'weak', 'ill_conditioned')
_WHOLE = ('num_points', 'num_keypoints', 'num_matches', 'iterations')
_NUMBERS = ('fitness', 'rmse')
_CONDITIONS = tuple(f'condition_{axis}' for axis in AXES)
_EIGENVALUES = tuple(f'eigenvalue_{axis}' for axis in AXES)
_SCAN_SIGMAS = tuple(f'scan_sigma_{axis}' for axis in POSE_AXES)
_POSE_SIGMAS = tuple(f'pose_sigma_{axis}' for axis in POSE_AXES)


class DiagnosticsTable:
    """Rows of diagnostics, and the columns that are asked for most as arrays.

    Parameters
    ----------
    rows : sequence of mappings
        Column name to value, as :func:`row_of` makes them. Missing numbers are nan.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows = [dict(row) for row in rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    @property
    def columns(self) -> list[str]:
        """Every column of any row, in order of appearance: stages of the clock come last."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def column(self, name: str) -> NDArray[Any]:
        """(N,) array of one column; nan where a row has no such number.

        Raises
        ------
        ValueError
            If no row has it.
        """
        if self.rows and name not in self.columns:
            raise ValueError(f'no column {name!r} among {", ".join(self.columns)}')
        missing: Any = '' if name in _TEXT else np.nan
        return np.array([row.get(name, missing) for row in self.rows])

    @property
    def stamps(self) -> NDArray[np.float64]:
        """(N,) stamps [s]."""
        return self.column('stamp')

    @property
    def conditions(self) -> NDArray[np.float64]:
        """(N, 6) condition of each direction in the order of ``AXES``; nan without a match."""
        return self._block(_CONDITIONS)

    @property
    def eigenvalues(self) -> NDArray[np.float64]:
        """(N, 6) Schur eigenvalues in the order of ``AXES``; nan without a match."""
        return self._block(_EIGENVALUES)

    @property
    def masks(self) -> NDArray[np.bool_]:
        """(N, 6) weak directions in the order of ``AXES``; none of them without a match."""
        return self._named('weak')

    @property
    def ill_conditioned(self) -> NDArray[np.bool_]:
        """(N, 6) directions whose condition is above the threshold, in the order of ``AXES``."""
        return self._named('ill_conditioned')

    def _named(self, column: str) -> NDArray[np.bool_]:
        names = [str(row.get(column, '')).split() for row in self.rows]
        return np.array([[axis in marked for axis in AXES] for marked in names]).reshape(-1, 6)

    def _block(self, names: tuple[str, ...]) -> NDArray[np.float64]:
        return np.array([[row[name] for name in names] for row in self.rows]).reshape(-1, 6)


def row_of(frame: Frame, name: str) -> dict[str, Any]:
    """Everything worth keeping of one frame, under the names of the CSV columns.

    Parameters
    ----------
    frame : Frame
        What the odometry returned.
    name : str
        Name of the scan, for people.

    Returns
    -------
    dict
        ``weak`` holds the weak axes by name, separated by blanks, ``ill_conditioned`` those whose
        condition is above the threshold. ``scan_sigma_*`` [m, rad] are
        the standard deviations of this registration alone in the LiDAR frame, ``pose_sigma_*``
        those of the accumulated pose in the odom frame. ``ms_*`` are milliseconds of each stage.
    """
    match, report = frame.registration, frame.degeneracy
    empty = np.full(6, np.nan)
    row: dict[str, Any] = {
        'stamp': float(frame.stamp),
        'name': name,
        'status': frame.status,
        'reason': frame.reason,
        'num_points': frame.num_points,
        'num_keypoints': frame.num_keypoints,
        'num_matches': match.num_matches if match else 0,
        'fitness': match.fitness if match else np.nan,
        'rmse': match.rmse if match else np.nan,
        'iterations': match.iterations if match else 0,
        'converged': bool(match and match.converged),
        'weak': ' '.join(report.weak_axes) if report else '',
        'ill_conditioned': ' '.join(names_of(report.ill_conditioned)) if report else '',
    }
    row.update(zip(_CONDITIONS, report.conditions if report else empty, strict=True))
    row.update(zip(_EIGENVALUES, report.eigenvalues if report else empty, strict=True))
    scan_sigmas = np.roll(_sigmas(match.covariance), 3) if match else empty
    row.update(zip(_SCAN_SIGMAS, scan_sigmas, strict=True))
    row.update(zip(_POSE_SIGMAS, _sigmas(frame.covariance), strict=True))
    row.update({f'ms_{stage}': 1e3 * seconds for stage, seconds in frame.timings.items()})
    return row


def tabulate(frames: Sequence[Frame], names: Sequence[str]) -> DiagnosticsTable:
    """Make the table of a run: :func:`row_of` each frame."""
    return DiagnosticsTable([row_of(*pair) for pair in zip(frames, names, strict=True)])


def write_diagnostics(path: str | Path, table: DiagnosticsTable) -> None:
    """Write a table as CSV; numbers keep every digit."""
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, table.columns, restval='nan')
        writer.writeheader()
        for row in table:
            writer.writerow({name: _text(value) for name, value in row.items()})


def read_diagnostics(path: str | Path) -> DiagnosticsTable:
    """Read what :func:`write_diagnostics` wrote.

    Raises
    ------
    ValueError
        If the file is not such a table; the text names the file and the row.
    """
    with open(path, newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        header = reader.fieldnames or []
        missing = [name for name in ('stamp', 'weak', *_CONDITIONS) if name not in header]
        if missing:
            raise ValueError(f'{path} is no diagnostics table: column {missing[0]!r} is missing')
        rows = []
        for number, row in enumerate(reader, start=2):
            try:
                rows.append({key: _value(key, text) for key, text in row.items()})
            except (TypeError, ValueError, KeyError):
                raise ValueError(f'{path}, line {number}: not a row of diagnostics') from None
    return DiagnosticsTable(rows)


def _sigmas(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(np.maximum(np.diag(covariance), 0.0))


def _text(value: Any) -> str:
    # The shortest digits that give the same double again.
    return repr(float(value)) if isinstance(value, float) else str(value)


def _value(name: str, text: str) -> Any:
    if name in _TEXT:
        return text
    if name in _WHOLE:
        return int(text)
    if name == 'converged':
        return {'True': True, 'False': False}[text]
    return float(text)
