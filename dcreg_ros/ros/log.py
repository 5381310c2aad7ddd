# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the ROS-free part of the package logs, in the log of the node."""

import logging
from typing import Any


class RosLogHandler(logging.Handler):
    """Passes records on to a logger of rclpy, and so to the screen, a file and /rosout."""

    def __init__(self, logger: Any) -> None:
        super().__init__(logging.INFO)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record; rclpy wants a line of its own for each level."""
        text = record.getMessage()
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        else:
            self._logger.info(text)


def forward_to_ros(logger: Any) -> RosLogHandler:
    """Forward the package's log from INFO on; returns the handler, to be removed in the end."""
    handler = RosLogHandler(logger)
    package = logging.getLogger('dcreg_ros')
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    return handler
