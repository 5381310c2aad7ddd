# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start the registration node and, if asked for, a recording and RViz.

    ros2 launch dcreg_ros registration.launch.py points_topic:=/ouster/points rviz:=true
"""

from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessIO
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

SHARE = FindPackageShare('dcreg_ros')
READY = b'waiting for scans'
"""What the node logs when it has compiled and subscribed."""

BOOLEAN = ('true', 'false')


def generate_launch_description():
    """Declare the arguments; values left empty are those of the parameter file."""
    arguments = [
        DeclareLaunchArgument(
            'config',
            default_value=PathJoinSubstitution([SHARE, 'config', 'default.yaml']),
            description='Parameter file of the node.',
        ),
        DeclareLaunchArgument(
            'points_topic',
            default_value='points',
            description='Topic of the sensor_msgs/PointCloud2 scans.',
        ),
        DeclareLaunchArgument(
            'prior_topic',
            default_value='',
            description='Topic of the nav_msgs/Odometry (wheels, IMU) that predicts each scan; '
            'empty: as in the parameter file, on the topic "prior".',
        ),
        DeclareLaunchArgument(
            'namespace', default_value='', description='Namespace of the node and its topics.'
        ),
        DeclareLaunchArgument(
            'base_frame',
            default_value='',
            description='Frame whose pose is published, from the LiDAR through TF; empty: as in '
            'the parameter file.',
        ),
        DeclareLaunchArgument(
            'odom_frame',
            default_value='',
            description='Frame the odometry is expressed in; empty: as in the parameter file.',
        ),
        DeclareLaunchArgument(
            'publish_tf',
            default_value='',
            choices=['', *BOOLEAN],
            description='Whether the node broadcasts odom -> base (or LiDAR); RViz needs that '
            'from somebody. Empty: as in the parameter file.',
        ),
        DeclareLaunchArgument(
            'bag',
            default_value='',
            description='Recording to play once the node is ready; empty: none.',
        ),
        DeclareLaunchArgument(
            'rviz',
            default_value='false',
            choices=BOOLEAN,
            description='Whether to start RViz with the cloud, map, odometry and weak directions.',
        ),
        DeclareLaunchArgument(
            'use_sim_time',
            default_value='',
            choices=['', *BOOLEAN],
            description='Whether time comes from /clock; with "true" a recording given with "bag" '
            'publishes it. Empty: as in the parameter file.',
        ),
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])


def start(context):
    """Make the processes from the values of the arguments."""

    def value(name):
        return LaunchConfiguration(name).perform(context)

    sim_time = value('use_sim_time') == 'true'
    given = overrides(value)
    node = Node(
        package='dcreg_ros',
        executable='registration_node',
        namespace=value('namespace'),
        parameters=[value('config'), *([given] if given else [])],
        remappings=[
            ('points', value('points_topic')),
            ('prior', value('prior_topic') or 'prior'),
        ],
        output='screen',
        emulate_tty=True,
    )
    actions = [LogInfo(msg=f'parameters: {value("config")}'), node]
    if value('bag'):
        actions.insert(0, play_when_ready(node, value('bag'), sim_time))
    if value('rviz') == 'true':
        actions.append(rviz(value, sim_time))
    return actions


def overrides(value):
    """Return the parameters that the command line takes out of the hands of the file."""
    kinds = {
        'frames.base_frame': str,
        'frames.odom_frame': str,
        'frames.publish_tf': 'true'.__eq__,
        'use_sim_time': 'true'.__eq__,
    }
    texts = {name: value(name.removeprefix('frames.')) for name in kinds}
    given = {name: kinds[name](text) for name, text in texts.items() if text}
    return given | ({'input.use_prior': True} if value('prior_topic') else {})


def play_when_ready(node, bag, sim_time):
    """Play a recording after the node's kernels are compiled, or its start would be missed."""
    command = ['ros2', 'bag', 'play', bag, *(['--clock'] if sim_time else [])]
    start_once = once_ready(ExecuteProcess(cmd=command, output='screen'))
    return RegisterEventHandler(
        OnProcessIO(target_action=node, on_stdout=start_once, on_stderr=start_once)
    )


def once_ready(action):
    """Return a callback for the output of the node, which gives the action when it is ready."""
    waiting = [action]

    def on_output(event):
        return waiting.pop() if waiting and READY in event.text else None

    return on_output


def rviz(value, sim_time):
    """RViz, listening where the node speaks."""
    prefix = '/' + value('namespace').strip('/') if value('namespace') else ''
    points = value('points_topic')
    remappings = [('/points', points if points.startswith('/') else f'{prefix}/{points}')]
    for topic in (
        'odometry',
        'registration_node/local_map',
        'registration_node/degeneracy_markers',
    ):
        remappings.append((f'/{topic}', f'{prefix}/{topic}'))
    config = PathJoinSubstitution([SHARE, 'config', 'dcreg.rviz'])
    fixed_frame = ['-f', value('odom_frame')] if value('odom_frame') else []
    return Node(
        package='rviz2',
        executable='rviz2',
        arguments=['-d', config, *fixed_frame],
        parameters=[{'use_sim_time': sim_time}],
        remappings=remappings,
        output='log',
    )
