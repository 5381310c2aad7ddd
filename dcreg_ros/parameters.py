# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Declare a parameter once: default, range, unit and description in one dataclass field.

The ROS parameters, the YAML file, the table in the docs and the error texts all come from here.
"""

import dataclasses
import difflib
import math
import numbers
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Config = TypeVar('Config')


@dataclass(frozen=True)
class ParameterInfo:
    """Everything known about one parameter.

    Attributes
    ----------
    name : str
        Dotted name, e.g. ``registration.search_radius``.
    default : bool, int, float or str
        Its type is the parameter's type.
    low, high : float or None
        Inclusive range of a number.
    choices : tuple of str
        Allowed values of a string; empty where any will do.
    unit : str
        SI unit, empty where it has none.
    live : bool
        Whether a running node may change it.
    doc : str
        One sentence for people.
    """

    name: str
    default: Any
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    unit: str
    live: bool
    doc: str

    def check(self, value: Any) -> Any:
        """Return `value` in the parameter's type.

        Raises
        ------
        ValueError
            If the type is wrong or the value outside the range; the text names the parameter.
        """
        kind = type(self.default)
        # Numbers of numpy are as good as Python's own; a bool is not a number here.
        number = numbers.Integral if kind is int else numbers.Real
        if kind in (int, float) and isinstance(value, number) and not isinstance(value, bool):
            value = kind(value)
        if type(value) is not kind:
            raise ValueError(f'{self.name} = {value!r} should be of type {kind.__name__}')
        if kind is float and not math.isfinite(value):
            raise ValueError(f'{self.name} = {value} is not finite')
        if self.choices and value not in self.choices:
            raise ValueError(f'{self.name} = {value!r} is not one of {", ".join(self.choices)}')
        below = self.low is not None and value < self.low
        if below or (self.high is not None and value > self.high):
            raise ValueError(f'{self.name} = {value:g} is outside [{self.low:g}, {self.high:g}]')
        return value


def parameter(
    default: Any,
    *,
    doc: str,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    unit: str = '',
    live: bool = False,
) -> Any:
    """Declare a dataclass field with all that :class:`ParameterInfo` holds."""
    info = ParameterInfo('', default, low, high, choices, unit, live, doc)
    return dataclasses.field(default=default, metadata={'parameter': info})


def describe(config: Any, prefix: str = '') -> Iterator[tuple[ParameterInfo, Any]]:
    """Yield every parameter of a (nested) configuration, under its dotted name, with its value.

    The defaults of a whole application are the values of ``describe(NodeConfig())``: a parent may
    give a section other defaults than the section alone has.
    """
    for field in dataclasses.fields(config):
        name = prefix + field.name
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from describe(value, name + '.')
        else:
            yield dataclasses.replace(field.metadata['parameter'], name=name), value


def validate(config: Any) -> None:
    """Check every parameter of one dataclass; call it from ``__post_init__``.

    Raises
    ------
    ValueError
        Naming the first parameter that is out of its range.
    """
    prefix = getattr(config, '_section', '')
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if 'parameter' in field.metadata:
            info = dataclasses.replace(field.metadata['parameter'], name=prefix + field.name)
            object.__setattr__(config, field.name, info.check(value))
        elif not isinstance(value, field.type):  # type: ignore[arg-type]
            raise ValueError(f'{field.name} should be of type {field.type}, not {type(value)}')


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """Return `config` with some parameters changed.

    Parameters
    ----------
    config : dataclass instance
        Where to start from.
    values : mapping
        Dotted names to values, as :func:`describe` gives them.

    Raises
    ------
    ValueError
        If a name is unknown (the text offers the nearest one) or a value does not fit.
    """
    known = [info.name for info, _ in describe(config)]
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            raise ValueError(f'unknown parameter {name!r}; did you mean {near[0]!r}?')
    return _replace(config, values, '')


def _replace(config: Any, values: Mapping[str, Any], prefix: str) -> Any:
    changes = {}
    for field in dataclasses.fields(config):
        name = prefix + field.name
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            changes[field.name] = _replace(value, values, name + '.')
        elif name in values:
            info = dataclasses.replace(field.metadata['parameter'], name=name)
            changes[field.name] = info.check(values[name])
    return dataclasses.replace(config, **changes)
