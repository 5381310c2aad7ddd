# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line, `dcreg`: one module of this package per subcommand."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

import dcreg_ros

# Name and line of help. Only the module that is asked for is imported, with what it needs.
COMMANDS = (
    ('odometry', 'run the odometry over recorded scans, as fast as it can'),
    ('simulate', 'write a bag of a spinning LiDAR in a scene with known truth'),
    ('demo', 'simulate, run the real node on it, and compare with the truth'),
    ('config', 'print all parameters with their meaning'),
)
OPTIONAL = {
    name: f'pip install {name}' for name in ('matplotlib', 'rosbags', 'tqdm', 'trimesh')
} | {'rclpy': 'source a ROS installation'}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; by default those of the process.

    Returns
    -------
    int
        Exit code: 2 for input that cannot be used, with one line on stderr.
    """
    try:
        arguments = _parser(sys.argv[1:] if argv is None else argv).parse_args(argv)
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # `dcreg config | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        return _fail(str(error))
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL:
            raise
        return _fail(f"{error}; try: {OPTIONAL[error.name]}")
    except KeyboardInterrupt:
        return 130


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='dcreg', description='LiDAR odometry that knows which directions it cannot see.'
    )
    parser.add_argument('--version', action='version', version=f'dcreg {dcreg_ros.__version__}')
    commands = parser.add_subparsers(dest='command', metavar='command', required=True)
    for name, text in COMMANDS:
        command = commands.add_parser(
            name, help=text, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name in argv:
            module = importlib.import_module(f'dcreg_ros.commands.{name}')
            command.description = module.__doc__
            command.set_defaults(run=module.run)
            module.add_arguments(command)
    return parser


def _fail(text: str) -> int:
    print(f'dcreg: error: {text}', file=sys.stderr)
    return 2


if __name__ == '__main__':
    sys.exit(main())
