# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch file and the RViz configuration; as a whole only where launch is installed."""

import ast
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

REPOSITORY = Path(__file__).parents[1]
LAUNCH_FILE = REPOSITORY / 'launch' / 'registration.launch.py'
RVIZ_FILE = REPOSITORY / 'config' / 'dcreg.rviz'
TOPICS = {
    '/points': 'PointCloud2',
    '/registration_node/local_map': 'PointCloud2',
    '/odometry': 'Odometry',
    '/registration_node/degeneracy_markers': 'MarkerArray',
}


def declared_arguments():
    """Names of the declared arguments with their keyword arguments, from the text alone."""
    tree = ast.parse(LAUNCH_FILE.read_text())
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {
        call.args[0].value: {word.arg: word.value for word in call.keywords}
        for call in calls
        if getattr(call.func, 'id', '') == 'DeclareLaunchArgument'
    }


def test_every_argument_has_a_default_and_a_description():
    compile(LAUNCH_FILE.read_text(), LAUNCH_FILE, 'exec')
    arguments = declared_arguments()
    expected = {'config', 'points_topic', 'prior_topic', 'bag', 'rviz', 'use_sim_time'}
    assert expected <= set(arguments)
    for words in arguments.values():
        assert 'default_value' in words
        assert len(ast.literal_eval(words['description'])) > 20
    for name in ('base_frame', 'odom_frame', 'publish_tf', 'use_sim_time'):
        assert ast.literal_eval(arguments[name]['default_value']) == '', name
        assert 'as in the parameter file' in ast.literal_eval(arguments[name]['description'])


def test_rviz_shows_every_topic():
    config = yaml.safe_load(RVIZ_FILE.read_text())['Visualization Manager']
    assert config['Global Options']['Fixed Frame'] == 'odom'
    shown = {
        display['Topic']['Value']: display['Class'].split('/')[1]
        for display in config['Displays']
        if 'Topic' in display
    }
    assert shown == TOPICS


@pytest.fixture
def launch_file(monkeypatch):
    """The module, finding its package in the repository."""
    pytest.importorskip('launch_ros')
    spec = importlib.util.spec_from_file_location('registration_launch', LAUNCH_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, 'SHARE', str(REPOSITORY))
    return module


def actions(module, **arguments):
    """Actions after the arguments are filled in."""
    from launch.actions import DeclareLaunchArgument

    from launch import LaunchContext

    context = LaunchContext()
    context.launch_configurations.update(arguments)
    for entity in module.generate_launch_description().entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity.visit(context)
    return module.start(context), context


def nodes(found):
    return {a.node_executable: a for a in found if hasattr(a, 'node_executable')}


def test_without_arguments_only_the_node_is_started(launch_file):
    found, _ = actions(launch_file)
    assert set(nodes(found)) == {'registration_node'}


def test_rviz_and_recording_are_started_when_asked_for(launch_file):
    from launch.actions import RegisterEventHandler

    found, _ = actions(launch_file, rviz='true', bag='recording')
    assert set(nodes(found)) == {'registration_node', 'rviz2'}
    assert sum(isinstance(action, RegisterEventHandler) for action in found) == 1


@pytest.mark.parametrize(('time', 'clock'), [('', False), ('false', False), ('true', True)])
def test_the_recording_is_the_clock_only_where_that_is_asked_for(
    launch_file, monkeypatch, time, clock
):
    commands = []
    monkeypatch.setattr(launch_file, 'ExecuteProcess', lambda cmd, **_: commands.append(cmd))
    actions(launch_file, bag='recording', use_sim_time=time)
    assert ('--clock' in commands[0]) is clock


def test_a_value_that_is_no_choice_is_refused(launch_file):
    with pytest.raises(RuntimeError, match='use_sim_time'):
        actions(launch_file, use_sim_time='yes')


def test_only_values_that_were_given_replace_those_of_the_file(launch_file):
    given = {'base_frame': '', 'odom_frame': 'world', 'publish_tf': 'false'}
    assert launch_file.overrides(given.get) == {
        'frames.odom_frame': 'world',
        'frames.publish_tf': False,
    }
    assert launch_file.overrides({'use_sim_time': 'false'}.get) == {'use_sim_time': False}
    assert launch_file.overrides({'use_sim_time': ''}.get) == {}


def test_a_topic_for_the_prior_turns_it_on(launch_file):
    assert launch_file.overrides({'prior_topic': '/wheel/odometry'}.get) == {
        'input.use_prior': True
    }


def test_the_recording_waits_for_the_node_and_starts_once(launch_file):
    play = object()
    on_output = launch_file.once_ready(play)
    texts = (b'loading kernels', b'[INFO] waiting for scans on /points', b'waiting for scans')
    assert [on_output(SimpleNamespace(text=text)) for text in texts] == [None, play, None]
