# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where scans come from: files, folders of files and recordings, all alike."""

import logging
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from dcreg_ros.config import InputConfig
from dcreg_ros.io.bags import BagSource
from dcreg_ros.io.fields import points_and_times
from dcreg_ros.io.pcd import read_pcd
from dcreg_ros.io.ply import read_ply
from dcreg_ros.io.scan import Scan, ScanSource, seconds

DEFAULT_PERIOD = 0.1
FILE_FRAME = 'lidar'

_READERS = {'.pcd': read_pcd, '.ply': read_ply}
_ROSBAG2_FILES = ('.mcap', '.db3')
_EXPECTED = 'a folder of .pcd or .ply files, one such file, a .bag, an .mcap, a .db3 or a rosbag2'

_logger = logging.getLogger(__name__)


def open_source(
    path: str | Path,
    topic: str | None = None,
    input_config: InputConfig | None = None,
    period: float = DEFAULT_PERIOD,
) -> ScanSource:
    """Open scans of any kind.

    Parameters
    ----------
    path : str or Path
        A PCD or PLY file, a folder of them (read in natural order: 2 before 10), a ``.bag`` file
        or a folder of such pieces, a rosbag2 folder, or one ``.mcap`` or ``.db3`` file.
    topic : str, optional
        Topic of a recording; without it, the only one of PointCloud2.
    input_config : InputConfig, optional
        How fields become points and times.
    period : float
        Time between files [s], which carry no stamp: the stamp is index times period, whatever
        the names of the files are.

    Returns
    -------
    source : ScanSource
        An iterable of :class:`dcreg_ros.io.scan.Scan` with a length.

    Raises
    ------
    ValueError
        If there is nothing to read at `path`, or the topic is not there or not unique; the text
        says what was expected.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f'{path} does not exist; expected {_EXPECTED}')
    files = list(path.iterdir()) if path.is_dir() else [path]
    if path.is_dir() and (path / 'metadata.yaml').exists():
        return BagSource([path], topic, input_config)
    clouds = _of_type(files, _READERS)
    if clouds:
        if topic:
            raise ValueError(f'{path} holds files, which have no topic {topic!r}')
        return FileSource(path.name, clouds, input_config, period)
    for types in (('.bag',), _ROSBAG2_FILES):
        pieces = _of_type(files, types)
        if pieces:
            return BagSource(pieces, topic, input_config)
    raise ValueError(f'nothing to read in {path}; expected {_EXPECTED}')


class FileSource:
    """One scan per file, in the order given; see :func:`open_source` for the stamps.

    Files that cannot be read are skipped, with a warning each, and counted in `skipped`; a single
    file that cannot be read is an error.
    """

    topic = ''

    def __init__(
        self,
        name: str,
        paths: Sequence[Path],
        input_config: InputConfig | None = None,
        period: float = DEFAULT_PERIOD,
    ) -> None:
        self.name = name
        self.skipped = 0
        self._paths = list(paths)
        self._config = input_config or InputConfig()
        self._period = period

    def __len__(self) -> int:
        """Return how many files there are, unreadable ones included."""
        return len(self._paths)

    def __iter__(self) -> Iterator[Scan]:
        """Yield the scans that can be read.

        Raises
        ------
        ValueError, OSError
            If the only file there is cannot be read.
        """
        self.skipped = 0
        for index, path in enumerate(self._paths):
            try:
                scan = self._read(index, path)
            except (ValueError, OSError) as error:
                if len(self._paths) == 1:
                    raise
                self.skipped += 1
                _logger.warning('%s: file %s skipped: %s', self.name, path.name, error)
                continue
            yield scan

    def _read(self, index: int, path: Path) -> Scan:
        columns = _READERS[path.suffix.lower()](path)
        try:
            points, times = points_and_times(
                columns, time_field=self._config.time_field, time_unit=self._config.time_unit
            )
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from None
        # To whole nanoseconds, as a ROS message carries it, so that a node gets the same stamp.
        stamp = seconds(round(index * self._period * 1e9))
        return Scan(stamp, points, times, FILE_FRAME, path.name)


def _of_type(paths: Sequence[Path], suffixes: Collection[str]) -> list[Path]:
    """Return the files with any of the suffixes, numbers in their names sorted as numbers."""
    chosen = [path for path in paths if path.suffix.lower() in suffixes and path.is_file()]
    return sorted(chosen, key=lambda path: _natural_key(path.name))


def _natural_key(name: str) -> list[tuple[int, str]]:
    parts = re.split(r'(\d+)', name)
    return [(int(part), '') if part.isdecimal() else (-1, part) for part in parts]
