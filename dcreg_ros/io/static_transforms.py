# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The transforms of ``/tf_static`` in a recording, joined to lead from any frame to another."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcreg_ros.geometry.se3 import inverse
from dcreg_ros.io.poses import rigid_transform

Matrix = NDArray[np.float64]


class StaticTransforms:
    """A tree of frames that do not move against each other."""

    def __init__(self) -> None:
        self._parents: dict[str, tuple[str, Matrix]] = {}

    def add(self, message: Any) -> None:
        """Take a tf2_msgs/TFMessage; what comes later replaces what came before.

        Raises
        ------
        ValueError
            If a transform is not rigid; the text names its frames.
        """
        for one in message.transforms:
            parent, child = one.header.frame_id.lstrip('/'), one.child_frame_id.lstrip('/')
            try:
                matrix = rigid_transform(one.transform.translation, one.transform.rotation)
            except ValueError as error:
                raise ValueError(f'transform {parent!r} <- {child!r}: {error}') from None
            self._parents[child] = parent, matrix

    def find(self, target: str, source: str) -> Matrix | None:
        """Return ``T_target_source`` (4, 4) [m]; identity for one frame, None where none leads."""
        from_source = dict(self._upwards(source.lstrip('/')))
        for name, to_target in self._upwards(target.lstrip('/')):
            if name in from_source:
                return np.asarray(inverse(to_target) @ from_source[name])
        return None

    def _upwards(self, frame: str) -> Iterator[tuple[str, Matrix]]:
        """Yield each frame from this one to the root, with ``T_that_this``."""
        transform = np.eye(4)
        seen = set()
        while frame not in seen:  # a recording may hold a loop
            yield frame, transform
            seen.add(frame)
            if frame in self._parents:
                frame, step = self._parents[frame]
                transform = step @ transform
