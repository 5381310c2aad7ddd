# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Print all parameters with their meaning, as a file for the node and for `dcreg odometry`."""

from argparse import ArgumentParser, Namespace

from dcreg_ros.config import NodeConfig
from dcreg_ros.config_file import dump_config, load_config, markdown_table

YAML_HEADER = """\
# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Every parameter of dcreg_ros, as `dcreg config` prints it. The node reads such a file with
# `--ros-args --params-file FILE` (the launch file with `config:=FILE`), the offline runner with
# `dcreg odometry --config FILE`. Keep the lines you change: the others are defaults.
# In brackets: what a value may be; "live": `ros2 param set` may change it while the node runs.

"""
MARKDOWN_HEADER = """\
<!-- SPDX-FileCopyrightText: 2026 The dcreg_ros authors -->
<!-- SPDX-License-Identifier: Apache-2.0 -->
# Parameters

Made from the declarations in `dcreg_ros/config.py` by `dcreg config --markdown`. In YAML each
section is a mapping under `ros__parameters`; on a command line the name is dotted, as in
`--ros-args -p registration.mitigation:=none`. A live parameter can be changed with
`ros2 param set` while the node runs; the others are read once, at its start. An unknown name or a
value outside its range is an error.

"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what `dcreg config` takes."""
    parser.add_argument(
        'file', nargs='?', help='check this parameter file and fill it up with the defaults'
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument('--plain', action='store_true', help='leave out the comments')
    form.add_argument('--markdown', action='store_true', help='print docs/parameters.md instead')


def run(arguments: Namespace) -> int:
    """Print the configuration."""
    config = load_config(arguments.file) if arguments.file else NodeConfig()
    print(render(config, plain=arguments.plain, markdown=arguments.markdown), end='')
    return 0


def render(config: NodeConfig, plain: bool = False, markdown: bool = False) -> str:
    """Return the text that `dcreg config` prints."""
    if markdown:
        return MARKDOWN_HEADER + markdown_table(config)
    if plain:
        return dump_config(config, comments=False)
    return YAML_HEADER + dump_config(config)
