# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Style, types and licence lines; tools that are not installed are skipped."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.linter

ROOT = Path(__file__).parents[1]
SOURCES = ('dcreg_ros', 'test', 'benchmarks', 'launch', 'config', 'scripts', '.ci')
FILES = ('Makefile', 'package.xml', 'pyproject.toml', 'setup.cfg', 'setup.py')


def run(*command):
    """Run a tool of this interpreter over the repository; its output is the failure's text."""
    if importlib.util.find_spec(command[0]) is None:
        pytest.skip(f'{command[0]} is not installed')
    result = subprocess.run(
        [sys.executable, '-m', *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_ruff_check():
    run('ruff', 'check', '.')


def test_mypy():
    run('mypy')


def test_every_file_names_its_licence():
    paths = [ROOT / name for name in FILES]
    for folder in SOURCES:
        paths += [path for path in (ROOT / folder).rglob('*') if path.is_file()]
    for path in paths:
        if '__pycache__' in path.parts or path.name == 'py.typed':
            continue
        head = path.read_text(encoding='utf-8').splitlines()[:6]
        assert any('SPDX-License-Identifier: Apache-2.0' in line for line in head), path
        assert any('SPDX-FileCopyrightText: ' in line for line in head), path


def test_package_xml_is_a_valid_manifest():
    package = pytest.importorskip('catkin_pkg.package')
    warnings = []
    manifest = package.parse_package(str(ROOT / 'package.xml'), warnings=warnings)
    manifest.validate(warnings=warnings)
    assert warnings == []


def test_package_xml_follows_its_schema():
    xmllint = pytest.importorskip('ament_xmllint.main')
    assert xmllint.main(argv=[str(ROOT / 'package.xml')]) == 0
