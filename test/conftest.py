# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope='session')
def data_folder() -> Path:
    """Return the folder of real data; skips the test where there is none."""
    default = Path(__file__).parents[2] / 'shared' / 'data'
    folder = Path(os.environ.get('DCREG_ROS_DATA', default))
    if not folder.is_dir():
        pytest.skip(f'no real data in {folder}; set DCREG_ROS_DATA')
    return folder
