# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Configuration in code, in files, in the docs and on the command line says the same."""

import math
from pathlib import Path

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import given

from dcreg_ros.commands.config import render
from dcreg_ros.commands.main import main
from dcreg_ros.config import NodeConfig
from dcreg_ros.config_file import dump_config, load_config
from dcreg_ros.parameters import describe, with_values

ROOT = Path(__file__).parents[1]
DEFAULTS = dict(describe(NodeConfig()))
NUMBERS = [info for info in DEFAULTS if type(info.default) in (int, float)]
BOUNDED = [info for info in NUMBERS if info.low is not None and info.high is not None]


def values_of(info):
    """Everything the declaration allows."""
    if info.choices:
        return st.sampled_from(info.choices)
    if type(info.default) is bool:
        return st.booleans()
    if type(info.default) is int:
        return st.integers(info.low, info.high)
    if type(info.default) is float:
        return st.floats(info.low, info.high, allow_nan=False, allow_infinity=False)
    return st.text(st.characters(codec='utf-8'))


anything = st.fixed_dictionaries({}, optional={info.name: values_of(info) for info in DEFAULTS})


@pytest.fixture
def load(tmp_path):
    def from_text(text):
        path = tmp_path / 'parameters.yaml'
        path.write_text(text, encoding='utf-8')
        return load_config(path)

    return from_text


def in_ros(text, node='/**'):
    indented = ''.join(f'    {line}\n' for line in text.splitlines())
    return f'{node}:\n  ros__parameters:\n{indented}'


@pytest.mark.parametrize(
    ('path', 'options'), [('config/default.yaml', {}), ('docs/parameters.md', {'markdown': True})]
)
def test_files_made_from_the_declarations_are_up_to_date(path, options):
    text = (ROOT / path).read_text(encoding='utf-8')
    assert text == render(NodeConfig(), **options), f'{path} is old: run `make generate`'


def test_default_file_is_the_default():
    assert load_config(ROOT / 'config/default.yaml') == NodeConfig()


def test_every_parameter_is_explained():
    text = dump_config(NodeConfig())
    for info in DEFAULTS:
        assert info.doc.strip(), info.name
        assert f'{info.name.split(".")[-1]}: ' in text
    assert max(map(len, text.splitlines())) <= 99


@given(anything)
def test_dump_and_load_are_inverse(tmp_path_factory, values):
    config = with_values(NodeConfig(), values)
    path = tmp_path_factory.mktemp('dump') / 'parameters.yaml'
    for comments in (True, False):
        path.write_text(dump_config(config, comments), encoding='utf-8')
        assert load_config(path) == config


@given(anything)
def test_plain_yaml_readers_find_the_same_types(values):
    config = with_values(NodeConfig(), values)
    content = yaml.safe_load(dump_config(config))['/**']['ros__parameters']
    for info, value in describe(config):
        found = content
        for key in info.name.split('.'):
            found = found[key]
        assert (type(found), found) == (type(value), value), info.name


@pytest.mark.ros
def test_ros_reads_the_same_values_and_types(tmp_path):
    rclpy = pytest.importorskip('rclpy')
    smallest = {info.name: info.low for info in BOUNDED}
    config = with_values(NodeConfig(), {**smallest, 'frames.base_frame': '1e-5: # "x"'})
    path = tmp_path / 'parameters.yaml'
    path.write_text(dump_config(config), encoding='utf-8')
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node(
        'reader',
        context=context,
        cli_args=['--ros-args', '--params-file', str(path)],
        automatically_declare_parameters_from_overrides=True,
    )
    try:
        for info, value in describe(config):
            found = node.get_parameter(info.name).value
            assert (type(found), found) == (type(value), value), info.name
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


@given(anything)
def test_with_values_changes_what_it_is_told_and_nothing_else(values):
    changed = {info.name: value for info, value in describe(with_values(NodeConfig(), values))}
    expected = {info.name: value for info, value in DEFAULTS.items()} | values
    assert changed == expected


@pytest.mark.parametrize('info', BOUNDED, ids=lambda info: info.name)
def test_outside_the_range_is_an_error_that_names_the_parameter(info):
    step = 1 if type(info.default) is int else max(abs(info.high), 1.0) * 1e-6
    for value in (info.low - step, info.high + step):
        with pytest.raises(ValueError, match=rf'{info.name} = .* is outside \['):
            with_values(NodeConfig(), {info.name: value})


@pytest.mark.parametrize('info', NUMBERS, ids=lambda info: info.name)
@pytest.mark.parametrize('value', [math.nan, math.inf, '1.0', True, [1.0], None])
def test_what_is_no_number_is_an_error_that_names_the_parameter(info, value):
    with pytest.raises(ValueError, match=info.name):
        with_values(NodeConfig(), {info.name: value})


def test_misspelt_key_names_the_nearest_one_and_the_file(load):
    with pytest.raises(ValueError) as caught:
        load(in_ros('registration:\n  search_radus: 2.0'))
    assert 'registration.search_radus' in str(caught.value)
    assert "did you mean 'registration.search_radius'?" in str(caught.value)
    assert 'parameters.yaml' in str(caught.value)


def test_integer_is_taken_for_a_float_but_not_the_other_way_round(load):
    config = load(in_ros('registration: {search_radius: 2}'))
    assert type(config.registration.search_radius) is float
    with pytest.raises(ValueError, match=r'registration\.max_iterations = 2\.0'):
        load(in_ros('registration: {max_iterations: 2.0}'))


@pytest.mark.parametrize('text', ['1e-5', '1E-5', '1.e-5', '+1e-05', '.1e-4', '0.00001'])
def test_every_way_to_write_a_small_number(load, text):
    config = load(in_ros(f'registration: {{rotation_tolerance: {text}}}'))
    assert config.registration.rotation_tolerance == 1e-5


def test_quoted_number_is_text(load):
    with pytest.raises(ValueError, match=r"registration\.rotation_tolerance = '1e-5'"):
        load(in_ros("registration: {rotation_tolerance: '1e-5'}"))


@pytest.mark.parametrize('node', ['/**', '/*', 'odometry', '/robot/odometry', '/**/odometry'])
def test_parameters_of_any_node(load, node):
    assert load(in_ros('map.radius: 50.0', node)).map.radius == 50.0


def test_namespace_may_be_nested(load):
    text = 'robot:\n  odometry:\n    ros__parameters: {map: {radius: 50.0}}\n'
    assert load(text).map.radius == 50.0


@pytest.mark.parametrize('named_first', [True, False])
def test_named_node_wins_over_the_wildcard(load, named_first):
    blocks = [in_ros('map: {radius: 50.0}', 'odometry'), in_ros('map: {radius: 60.0}')]
    assert load(''.join(blocks if named_first else blocks[::-1])).map.radius == 50.0


def test_parameters_of_several_nodes_are_refused(load):
    with pytest.raises(ValueError, match=r'several nodes \(/one, /two\)'):
        load(in_ros('map: {radius: 50.0}', 'one') + in_ros('other: 1', 'two'))


def test_parameters_of_rclpy_are_none_of_ours(load):
    text = 'use_sim_time: true\nqos_overrides: {/points: {subscription: {depth: 1}}}'
    assert load(in_ros(text)) == NodeConfig()


def test_section_without_lines_keeps_its_defaults(load):
    assert load(in_ros('registration:\n  # mitigation: none')) == NodeConfig()


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'ros__parameters'),
        ('just text', 'ros__parameters'),
        ('registration:\n  search_radius: 1.0\n', 'ros__parameters'),
        (in_ros('- 1'), 'mapping'),
        (in_ros('map: {radius: 50.0'), 'parameters.yaml'),
        (in_ros('map: {radius: }'), 'map.radius has no value'),
        (in_ros('map: 3'), 'map'),
        (in_ros('map: {radius: 50.0}\nmap: {radius: 60.0}'), "'map' stands twice"),
        (in_ros('registration: {mitigation: DCReg}'), 'registration.mitigation.*none, dcreg'),
    ],
)
def test_bad_file_is_an_error_that_names_it(load, text, message):
    with pytest.raises(ValueError, match=f'(?s)parameters.yaml.*{message}|{message}'):
        load(text)


def test_command_prints_the_file_with_the_defaults_filled_in(tmp_path, capsys):
    path = tmp_path / 'parameters.yaml'
    path.write_text(in_ros('map: {radius: 50.0}'), encoding='utf-8')
    assert main(['config', str(path)]) == 0
    path.write_text(capsys.readouterr().out, encoding='utf-8')
    assert load_config(path) == with_values(NodeConfig(), {'map.radius': 50.0})


@pytest.mark.parametrize('content', [None, in_ros('map: {radus: 50.0}'), '\xff'])
def test_command_reports_bad_input_in_one_line(tmp_path, capsys, content):
    path = tmp_path / 'parameters.yaml'
    if content is not None:
        path.write_text(content, encoding='latin-1')
    assert main(['config', str(path)]) == 2
    streams = capsys.readouterr()
    assert streams.out == ''
    assert streams.err.startswith('dcreg: error: ')
    assert streams.err.count('\n') == 1
    assert str(path) in streams.err
