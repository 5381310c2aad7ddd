# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Build for colcon and for pip.

`ros2 run` looks for programs in ``lib/dcreg_ros``, a shell looks in ``bin``. colcon puts the entry
points into the first (see setup.cfg), pip into the second, so each gets a launcher in the other.
"""

import re
import sys
from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

NAME = 'dcreg_ros'
VERSION = re.search(
    r"^__version__ = '([^']+)'", Path(NAME, '__init__.py').read_text(encoding='utf-8'), re.M
).group(1)
PC = 'sys_platform == "linux" and platform_machine == "x86_64"'
TO_WHEEL = (f'lib/{NAME}', ['scripts/registration_node'])
TO_PREFIX = ('bin', ['scripts/dcreg'])

setup(
    name=NAME,
    version=VERSION,
    description='LiDAR odometry that says which directions the scene leaves undetermined',
    author='The dcreg_ros authors',
    maintainer='The dcreg_ros authors',
    maintainer_email='maintainers@dcreg-ros.example',
    license='Apache-2.0',
    keywords=['ROS', 'LiDAR', 'odometry', 'ICP', 'degeneracy'],
    classifiers=[
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering',
    ],
    python_requires='>=3.10',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    package_data={NAME: ['py.typed']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        (f'share/{NAME}/launch', sorted(glob('launch/*.launch.py'))),
        (f'share/{NAME}/config', sorted(glob('config/*.yaml') + glob('config/*.rviz'))),
        TO_WHEEL if 'bdist_wheel' in sys.argv else TO_PREFIX,
    ],
    zip_safe=True,
    install_requires=['numpy', 'numba', 'PyYAML', 'scipy'],
    extras_require={
        # ROS 2 Jazzy from PyPI, for Linux on x86_64; leave out where a ROS is installed.
        'ros': ['ros-jazzy-common-interfaces', 'ros-rclpy[fastrtps]==7.1.6'],
        # The command line: plots, bags, progress bars, PLY.
        'eval': ['matplotlib', 'rosbags>=0.10', 'tqdm', 'trimesh'],
        # What we compare with. The plain open3d wheel for x86_64 is 400 MB of CUDA; from 0.20 on
        # (the first for Python 3.13) both want the system's libusb-1.0.
        'benchmark': [
            'genz-icp',
            'kiss-icp',
            f'open3d-cpu<0.20; {PC} and python_version < "3.13"',
            f'open3d-cpu; {PC} and python_version >= "3.13"',
            'open3d; sys_platform != "linux" or platform_machine != "x86_64"',
        ],
        'test': [
            'colcon-common-extensions',
            'hypothesis',
            'mypy',
            'pytest',
            'pytest-timeout',
            'ruff',
        ],
    },
    entry_points={
        'console_scripts': [
            f'registration_node = {NAME}.ros.node:main',
            f'dcreg = {NAME}.commands.main:main',
        ],
    },
)
