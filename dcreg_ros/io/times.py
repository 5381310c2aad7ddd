# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When each point of a scan was measured: one rule for messages and files.

Drivers disagree on name, type, unit and origin of that field: Ouster ``t`` (uint32, ns after the
header stamp), Velodyne ``time`` (float32, s, negative where the stamp is the end of the scan),
Hesai and RoboSense ``timestamp`` (float64, s since 1970), Livox ``timestamp`` (float64, ns since
1970 or since power-on) and ``offset_time`` (uint32, ns).
"""

import functools
import logging
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

TIME_FIELDS = ('t', 'time', 'timestamp', 'time_stamp', 'offset_time', 'ts')
"""Names that are taken for point times, in the order of preference."""

SECONDS = {'s': 1.0, 'ms': 1e-3, 'us': 1e-6, 'ns': 1e-9}

MAX_SPAN = 2.0
"""No LiDAR takes longer than this for one scan [s]."""

_MIN_SPAN = 5e-4
# A factor of 1000, so that one unit fits; below 0.95 s, or a point at zero among dates in seconds
# would look like a scan in nanoseconds.
_GUESSED_SPAN = (9e-4, 9e-1)
_MIN_RATE = 1e4  # points per second
_EPOCH = (946684800.0, 4102444800.0)  # the years 2000 to 2100, in seconds since 1970
_OTHER_CLOCK = 0.5  # s between stamp and scan, beyond the scan itself

_logger = logging.getLogger(__name__)


@functools.cache
def _log_once(level: int, text: str) -> None:
    """Log what would otherwise be repeated with every scan."""
    _logger.log(level, text)


def choose_time_field(names: Iterable[str], wanted: str = '') -> str:
    """Return which field holds the point times, empty where none does.

    Parameters
    ----------
    names : iterable of str
        Fields there are.
    wanted : str
        Field to use; empty: the first of :data:`TIME_FIELDS` there is.

    Raises
    ------
    ValueError
        If `wanted` is not among `names`.
    """
    names = list(names)
    if wanted and wanted not in names:
        raise ValueError(f'no time field {wanted!r}; there are: {", ".join(names)}')
    found = wanted or next((name for name in TIME_FIELDS if name in names), '')
    if not found:
        _log_once(logging.INFO, f'no point times among the fields {", ".join(names)}: no deskew')
    return found


def relative_times(
    raw: NDArray,
    usable: NDArray[np.bool_],
    *,
    stamp: float | None,
    unit: str = 'auto',
    name: str = 'time',
) -> NDArray[np.float64] | None:
    """Turn a field of point times into seconds after the stamp of the scan.

    Times that count from another clock than the stamp (a sensor without time synchronisation)
    are counted from the earliest point instead, with a warning. Times that cannot be right give
    None, with one warning: a scan without deskew is better than no scan.

    Parameters
    ----------
    raw : (N,) integer or float array
        The field as it is.
    usable : (N,) bool array
        Rows with a measurement; drivers leave anything in the others. Those get the time of
        the first usable point. What is not finite in the others is NaN afterwards.
    stamp : float or None
        Time of the scan [s]; None if it has none, as in files.
    unit : str
        ``s``, ``ms``, ``us``, ``ns``, or ``auto``: from the type, size and span of the values.
    name : str
        Of the field, for the log.

    Returns
    -------
    times : (N,) float64 array or None
        Seconds after `stamp`, or, without one, after the first point where `raw` is absolute.

    Raises
    ------
    ValueError
        If `unit` is none of those.
    """
    if unit not in ('auto', *SECONDS):
        raise ValueError(f'time_unit = {unit!r} is not one of auto, {", ".join(SECONDS)}')
    broken = usable & ~np.isfinite(raw)
    usable = usable & ~broken
    incomplete = bool(broken.any())
    whole = bool(usable.all())
    values = raw if whole else raw[usable]
    if values.size == 0 and incomplete:
        _warn_of(name, 'not finite')
        return None
    if values.size == 0:
        return np.zeros(len(raw))
    low, high = values.min().item(), values.max().item()
    if low == high and values.size > 1:
        _warn_of(name, 'all the same')
        return None
    if unit == 'auto':
        unit = _guess_unit(raw.dtype, low, high, values.size)
    scale = SECONDS[unit]
    if (high - low) * scale > MAX_SPAN:
        _warn_of(name, f'more than {MAX_SPAN:g} s apart, read as {unit}')
        return None
    origin, meaning = _origin(low * scale, high * scale, stamp, name)
    _log_once(logging.INFO, f'point times: field {name!r} in {unit}, {meaning}')
    if raw.dtype.itemsize < 8:
        raw = raw.astype(np.float64)
    first = raw.dtype.type(low)
    # Of 64-bit fields the difference to the first point is exact, while its float is not.
    times = ((raw if whole else np.where(usable, raw, first)) - first) * scale
    times += low * scale - origin
    if incomplete:
        _log_once(logging.WARNING, f'some point times in field {name!r} are not finite: '
                  'their points are left out while the LiDAR moves')
        times[broken] = np.nan
    return times


def _warn_of(name: str, why: str) -> None:
    _log_once(logging.WARNING, f'the point times in field {name!r} are {why}: no deskew')


def _guess_unit(dtype: np.dtype, low: float, high: float, count: int) -> str:
    """Return the unit in which values look like dates, or span a plausible scan.

    Integers are nanoseconds and floats seconds unless that is implausible; then the unit counts
    that makes them span a usual scan. A fraction of a scan must not be stretched to a whole one:
    it has too few points for that.
    """
    if dtype.itemsize == 8:
        for unit, scale in SECONDS.items():
            if _EPOCH[0] < low * scale < _EPOCH[1] and (high - low) * scale <= MAX_SPAN:
                return unit
    natural = 's' if dtype.kind == 'f' else 'ns'
    span = high - low
    shortest, longest = _GUESSED_SPAN
    if span * SECONDS[natural] < _MIN_SPAN:
        longest = min(longest, count / _MIN_RATE)
    elif span * SECONDS[natural] <= MAX_SPAN:
        return natural
    for unit, scale in SECONDS.items():
        if shortest < span * scale <= longest:
            return unit
    return natural


def _origin(low: float, high: float, stamp: float | None, name: str) -> tuple[float, str]:
    """Return what times from `low` to `high` [s] are counted from, and that in words."""
    reach = high - low + _OTHER_CLOCK
    if stamp is None:
        if abs(low) > reach:
            return low, 'counted from the first point'
        return 0.0, 'as they are'
    origin, meaning = 0.0, 'counted from the header stamp'
    if abs(low - stamp) < abs(low):
        origin, meaning = stamp, 'absolute'
    if abs(low - origin) <= reach:
        return origin, meaning
    _log_once(
        logging.WARNING,
        f'the point times in field {name!r} are of another clock than the header stamp: '
        'the first point is taken to be at the stamp',
    )
    return low, 'counted from the first point'
