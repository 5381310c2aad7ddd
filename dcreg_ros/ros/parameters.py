# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS parameters made from the configuration dataclasses."""

import math
from collections.abc import Iterable
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)

from dcreg_ros.config import NodeConfig
from dcreg_ros.parameters import ParameterInfo, describe, with_values

OF_EVERY_NODE = ('use_sim_time', 'start_type_description_service')
"""Parameters that rclpy declares itself; those of ``qos_overrides`` as well."""


def descriptor(info: ParameterInfo) -> ParameterDescriptor:
    """Return what ``ros2 param describe`` and rqt show of a parameter."""
    message = ParameterDescriptor(name=info.name, read_only=not info.live)
    message.description = f'{info.doc} [{info.unit}]' if info.unit else info.doc
    if info.choices:
        message.additional_constraints = 'one of: ' + ', '.join(info.choices)
    if info.low is None and info.high is None:
        return message
    low = -math.inf if info.low is None else info.low
    high = math.inf if info.high is None else info.high
    if isinstance(info.default, float):
        message.floating_point_range = [
            FloatingPointRange(from_value=float(low), to_value=float(high))
        ]
    else:
        message.integer_range = [
            IntegerRange(
                from_value=int(max(low, -(2**63))), to_value=int(min(high, 2**63 - 1)), step=1
            )
        ]
    return message


def declare_parameters(node: Any, default: NodeConfig | None = None) -> NodeConfig:
    """Declare every parameter of a node and return the configuration given to it.

    Parameters
    ----------
    node : rclpy.node.Node
        Where to declare; its YAML files and command line give the values.
    default : NodeConfig, optional
        Values of the parameters that nobody set.

    Raises
    ------
    ValueError
        If a value has the wrong type or range, or a name is unknown: rclpy ignores a misspelt
        name, and a robot then runs with a default that its owner believes changed.
    """
    given = {
        name: parameter.value
        for name, parameter in node._parameter_overrides.items()
        if name not in OF_EVERY_NODE and not name.startswith('qos_overrides.')
    }
    config = with_values(NodeConfig() if default is None else default, given)
    for info, value in describe(config):
        # The override is in `value` already, and there an integer for a float is a float.
        node.declare_parameter(info.name, value, descriptor(info), ignore_override=True)
    return config


def changed(config: NodeConfig, parameters: Iterable[Any]) -> NodeConfig:
    """Return `config` with the rclpy parameters that are its own changed.

    Raises
    ------
    ValueError
        If a value does not fit, or needs a restart of the node.
    """
    infos = {info.name: info for info, _ in describe(config)}
    values = {p.name: p.value for p in parameters if p.name in infos}
    for name in values:
        if not infos[name].live:
            raise ValueError(f'{name} cannot change while the node runs; set it at the start')
    return with_values(config, values)


def result(error: Exception | None = None) -> SetParametersResult:
    """Return the answer of an on-set-parameters callback: a refusal where there is an error."""
    return SetParametersResult(
        successful=error is None, reason='' if error is None else str(error)
    )
