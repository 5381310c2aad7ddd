# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Wait until topics have a speaker and a listener: ``python -m dcreg_ros.ros.ready TOPIC ...``."""

import argparse
import sys
import time
from collections.abc import Sequence

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.utilities import remove_ros_args


def wait_until_connected(node: Node, topics: Sequence[str], timeout: float) -> None:
    """Return once each topic has at least one publisher and one subscription.

    Parameters
    ----------
    node : Node
        Looks at the graph it is in.
    topics : sequence of str
        Resolved in the namespace of `node`.
    timeout : float
        Longest wait [s].

    Raises
    ------
    TimeoutError
        Naming what is missing.
    """
    end = time.monotonic() + timeout
    while missing := [end_point for topic in topics for end_point in _missing(node, topic)]:
        if time.monotonic() > end:
            raise TimeoutError(f'no {", no ".join(missing)} within {timeout:g} s')
        rclpy.spin_once(node, timeout_sec=0.1)


def _missing(node: Node, topic: str) -> list[str]:
    counts = {
        'publisher': node.count_publishers(topic),
        'subscription': node.count_subscribers(topic),
    }
    return [f'{kind} of {topic}' for kind, count in counts.items() if count == 0]


def main(arguments: list[str] | None = None) -> int:
    """Wait; 1 if it takes too long."""
    arguments = sys.argv if arguments is None else arguments
    parser = argparse.ArgumentParser(prog='ready', description=__doc__)
    parser.add_argument('topics', nargs='+', metavar='TOPIC')
    parser.add_argument('--timeout', type=float, default=60.0, metavar='S')
    options = parser.parse_args(remove_ros_args(arguments)[1:])
    rclpy.init(args=arguments)
    try:
        wait_until_connected(rclpy.create_node('ready'), options.topics, options.timeout)
    except (KeyboardInterrupt, ExternalShutdownException):
        return 1
    except TimeoutError as error:
        print(f'ready: {error}', file=sys.stderr)
        return 1
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
