# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The configuration as text: a ROS parameter file, and the table of the docs.

One file serves the node (``--params-file``) and the offline runner.
"""

import functools
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from dcreg_ros.config import NodeConfig
from dcreg_ros.parameters import ParameterInfo, describe, with_values

WIDTH = 99
# Parameters that rclpy gives to every node: allowed in a file, no concern of ours.
ROS_PARAMETERS = ('use_sim_time', 'start_type_description_service', 'qos_overrides')


def load_config(path: str | Path) -> NodeConfig:
    """Read a ROS parameter file; what it does not name keeps its default.

    Parameters
    ----------
    path : str or Path
        YAML with ``ros__parameters`` under ``/**`` or under the name of a node, nested or with
        dotted names. Where the file has both, the named node wins, as in ROS.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no parameter file, has parameters of several nodes, a name nobody knows or a
        value of the wrong type or out of its range; the text names file and parameter.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding='utf-8'), _Loader)
        values = {
            name: value
            for name, value in _node_parameters(content)
            if name.split('.')[0] not in ROS_PARAMETERS
        }
        return with_values(NodeConfig(), values)
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f'{path}: {error}') from None


def dump_config(config: NodeConfig, comments: bool = True) -> str:
    """Write a configuration as a ROS parameter file.

    Parameters
    ----------
    config : NodeConfig
        All its parameters are written, changed or not.
    comments : bool
        Whether to explain each parameter above it.

    Returns
    -------
    str
        YAML that :func:`load_config` and ROS read back to the same values and types.
    """
    lines = ['/**:', '  ros__parameters:']
    path: list[str] = []
    for info, value in describe(config):
        *sections, leaf = info.name.split('.')
        for depth in range(len(sections)):
            if path[: depth + 1] != sections[: depth + 1]:
                path = sections[: depth + 1]
                if comments:
                    lines += ['', *_comment(_section_doc(config, path), depth)]
                lines.append(f'{_indent(depth)}{sections[depth]}:')
        if comments:
            lines += _comment(info.doc, len(sections)) + _comment(_facts(info), len(sections))
        lines.append(f'{_indent(len(sections))}{leaf}: {_scalar(value)}')
    return '\n'.join(lines) + '\n'


def markdown_table(config: NodeConfig) -> str:
    """Write every parameter as one Markdown table per section, `config` giving the defaults."""
    lines: list[str] = []
    section = None
    for info, value in describe(config):
        path, _, leaf = info.name.rpartition('.')
        if path != section:
            section = path
            doc = _section_doc(config, path.split('.'))
            lines += ['', f'## {path}', '', doc, '']
            lines += ['| Parameter | Default | Allowed | Unit | Live | Meaning |']
            lines += ['|---|---|---|---|---|---|']
        cells = [f'`{leaf}`', f'`{_scalar(value)}`', _allowed(info), info.unit]
        cells += ['yes' if info.live else '', info.doc.replace('|', '\\|')]
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines[1:]) + '\n'


class _Loader(yaml.SafeLoader):
    """PyYAML, except that 1e-5 is a number (as it is for ROS) and a repeated key an error."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1 and key != '<<':
                raise ValueError(f'{key!r} stands twice, line {node.start_mark.line + 1} onwards')
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    'tag:yaml.org,2002:float',
    re.compile(r'[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$', re.ASCII),
    list('-+.0123456789'),
)


def _node_parameters(content: Any) -> Iterator[tuple[str, Any]]:
    """Yield dotted names and values, wildcards before the named node: the last one counts."""
    blocks = dict(_blocks(content, ''))
    named = [name for name in blocks if '*' not in name]
    if not blocks:
        raise ValueError("no 'ros__parameters'; expected a ROS parameter file, '/**:' on top")
    if len(named) > 1:
        raise ValueError(f'parameters of several nodes ({", ".join(named)}); expected one')
    for name in sorted(blocks, key=named.__contains__):
        if blocks[name] is not None and not isinstance(blocks[name], dict):
            raise ValueError(f"'ros__parameters' of {name} should be a mapping")
        yield from _flatten(blocks[name] or {}, '')


def _blocks(content: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the parameters of each node; namespaces may be nested above it."""
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        if key == 'ros__parameters':
            yield name, value
        else:
            yield from _blocks(value, f'{name}/{str(key).strip("/")}')


def _flatten(mapping: dict[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    sections = {info.name.rpartition('.')[0] for info, _ in describe(NodeConfig())}
    for key, value in mapping.items():
        name = f'{prefix}{key}'
        if isinstance(value, dict):
            yield from _flatten(value, f'{name}.')
        elif value is not None:
            yield name, value
        elif name not in sections:  # a section with all its lines commented out is fine
            raise ValueError(f'{name} has no value')


def _section_doc(config: NodeConfig, path: list[str]) -> str:
    section = functools.reduce(getattr, path, config)
    return (section.__doc__ or '').split('\n')[0]


def _facts(info: ParameterInfo) -> str:
    allowed = f'{_allowed(info)} {info.unit}'.replace('`', '').strip()
    return f'[{allowed}; live]' if info.live else f'[{allowed}]'


def _allowed(info: ParameterInfo) -> str:
    if info.choices:
        return ', '.join(f'`{choice}`' for choice in info.choices)
    low, high = _short(info.low), _short(info.high)
    if low and high:
        return f'{low} to {high}'
    if low or high:
        return f'at least {low}' if low else f'at most {high}'
    return {bool: 'true, false', str: 'text'}.get(type(info.default), 'number')


def _short(number: float | None) -> str:
    """Return 1e6 where Python writes 1e+06."""
    return '' if number is None else re.sub(r'e([-]?)\+?0*', r'e\1', f'{number:g}')


def _comment(text: str, depth: int) -> list[str]:
    start = f'{_indent(depth)}# '
    return textwrap.wrap(text, WIDTH, initial_indent=start, subsequent_indent=start)


def _indent(depth: int) -> str:
    return '  ' * (depth + 2)


def _scalar(value: Any) -> str:
    """Return one value as YAML 1.1: floats always with a point, texts always quoted."""
    style = None
    if isinstance(value, str):
        style = "'" if value.isprintable() else '"'
    text = yaml.safe_dump(value, default_style=style, width=float('inf'), allow_unicode=True)
    return text.removesuffix('\n').removesuffix('\n...')
