# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an installation brings, and that it declares what it uses."""

import ast
import configparser
import importlib
import runpy
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import dcreg_ros
from dcreg_ros.commands import main

ROOT = Path(__file__).parents[1]
PACKAGE_XML = ElementTree.parse(ROOT / 'package.xml').getroot()
# Import name to rosdep key, where they differ.
KEYS = {
    'matplotlib': 'python3-matplotlib',
    'numba': 'python3-numba',
    'numpy': 'python3-numpy',
    'scipy': 'python3-scipy',
    'tf2_ros': 'tf2_ros_py',
    'tqdm': 'python3-tqdm',
    'yaml': 'python3-yaml',
}
NO_KEY = {'rosbags', 'trimesh'}


@pytest.fixture(params=['install', 'bdist_wheel'])
def setup_arguments(request, monkeypatch):
    """Arguments that setup.py passes on, for colcon and for pip."""
    setuptools = pytest.importorskip('setuptools')
    passed = {}
    monkeypatch.setattr(setuptools, 'setup', lambda **arguments: passed.update(arguments))
    monkeypatch.setattr(sys, 'argv', ['setup.py', request.param])
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / 'setup.py'))
    return {**passed, 'command': request.param}


def imported_names(folder):
    """Top-level modules that the files below a folder import, anywhere in the file."""
    for path in sorted((ROOT / folder).rglob('*.py')):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module]
            for module in modules:
                yield path.relative_to(ROOT), module.split('.')[0]


def test_version_is_the_same_everywhere(setup_arguments):
    assert setup_arguments['version'] == dcreg_ros.__version__
    assert PACKAGE_XML.findtext('version') == dcreg_ros.__version__
    assert setup_arguments['name'] == PACKAGE_XML.findtext('name') == 'dcreg_ros'
    assert setup_arguments['license'] == PACKAGE_XML.findtext('license') == 'Apache-2.0'


def test_share_files_and_launchers(setup_arguments):
    files = {
        f'{folder}/{Path(source).name}': ROOT / source
        for folder, sources in setup_arguments['data_files']
        for source in sources
    }
    assert all(source.is_file() for source in files.values())
    expected = {
        'share/ament_index/resource_index/packages/dcreg_ros',
        'share/dcreg_ros/package.xml',
        'share/dcreg_ros/launch/registration.launch.py',
        'share/dcreg_ros/config/default.yaml',
        'share/dcreg_ros/config/dcreg.rviz',
    }
    wheel = setup_arguments['command'] == 'bdist_wheel'
    launcher = 'lib/dcreg_ros/registration_node' if wheel else 'bin/dcreg'
    assert set(files) >= expected | {launcher}
    assert files[launcher].stat().st_mode & 0o111


def test_colcon_puts_programs_where_ros2_run_looks():
    config = configparser.ConfigParser()
    config.read(ROOT / 'setup.cfg')
    assert config['install']['install_scripts'] == '$base/lib/dcreg_ros'
    assert config['develop']['script_dir'] == '$base/lib/dcreg_ros'
    assert PACKAGE_XML.findtext('export/build_type') == 'ament_python'


def test_all_of_the_package_is_installed(setup_arguments):
    packages = {
        '.'.join(path.relative_to(ROOT).parent.parts)
        for path in (ROOT / 'dcreg_ros').rglob('*.py')
    }
    assert set(setup_arguments['packages']) == packages


def test_entry_points_lead_to_functions(setup_arguments):
    scripts = dict(
        script.split(' = ') for script in setup_arguments['entry_points']['console_scripts']
    )
    assert set(scripts) == {'registration_node', 'dcreg'}
    for target in scripts.values():
        module, function = target.split(':')
        if '.ros.' in module:
            pytest.importorskip('rclpy')
        assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize('name', [name for name, _ in main.COMMANDS])
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as caught:
        main.main([name, '--help'])
    assert caught.value.code == 0
    assert f'usage: dcreg {name}' in capsys.readouterr().out


def test_version_on_the_command_line():
    command = [sys.executable, '-m', 'dcreg_ros.commands.main', '--version']
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == f'dcreg {dcreg_ros.__version__}\n'


def test_package_xml_declares_every_import():
    declared = {node.text for node in PACKAGE_XML.iter('exec_depend')}
    provided = sys.stdlib_module_names | NO_KEY | {'dcreg_ros'}
    missing = {
        name: str(path)
        for folder in ('dcreg_ros', 'launch')
        for path, name in imported_names(folder)
        if name not in provided and KEYS.get(name, name) not in declared
    }
    assert missing == {}


def test_only_the_ros_folder_imports_ros():
    for path, name in imported_names('dcreg_ros'):
        if path.parts[1] != 'ros':
            assert name not in {'rclpy', 'tf2_ros', 'ament_index_python'}, path
            assert not name.endswith('_msgs'), path


def test_import_needs_no_ros():
    code = 'import sys; sys.modules["rclpy"] = None; import dcreg_ros'
    subprocess.run([sys.executable, '-c', code], cwd=ROOT, check=True)
