# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How messages travel; ``qos_overrides.<topic>`` parameters change it from YAML."""

from collections.abc import Callable
from typing import Any

from rclpy.qos import (
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError


def _profile(reliability: ReliabilityPolicy, depth: int) -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability)


def subscribe_to_sensor(
    node: Any,
    message_type: Any,
    topic: str,
    callback: Callable[[Any], None],
    incompatible: Callable[[str], None],
    lost: Callable[[str, int], None],
    depth: int = 2,
) -> Any:
    """Subscribe as to a sensor: best effort, and a short queue where only the newest counts.

    `incompatible` is called with words about a publisher whose QoS does not fit, `lost` with words
    and the number of messages that the middleware lost.
    """
    full_topic = node.resolve_topic_name(topic)
    override = f'qos_overrides.{full_topic}.subscription.reliability'

    def on_incompatible(event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        incompatible(
            f'a publisher on {full_topic} offers another {policy} than the subscription asks '
            f'for, nothing will come from it: change {override}'
        )

    def on_lost(event: Any) -> None:
        number = event.total_count_change
        text = f'{number} messages on {full_topic} lost by the middleware'
        lost(f'{text}: try {override}: reliable', number)

    events = SubscriptionEventCallbacks(incompatible_qos=on_incompatible, message_lost=on_lost)
    options = QoSOverridingOptions.with_default_policies()

    def subscribe(event_callbacks: Any) -> Any:
        return node.create_subscription(
            message_type,
            topic,
            callback,
            _profile(ReliabilityPolicy.BEST_EFFORT, depth),
            event_callbacks=event_callbacks,
            qos_overriding_options=options,
        )

    try:
        return subscribe(events)
    except UnsupportedEventTypeError:
        return subscribe(SubscriptionEventCallbacks(incompatible_qos=on_incompatible))


def advertise(node: Any, message_type: Any, topic: str, depth: int = 10) -> Any:
    """Return a reliable publisher; best-effort subscribers match it too."""
    return node.create_publisher(
        message_type,
        topic,
        _profile(ReliabilityPolicy.RELIABLE, depth),
        qos_overriding_options=QoSOverridingOptions.with_default_policies(),
    )


def reliable(depth: int) -> QoSProfile:
    """Return a profile that loses nothing while at most `depth` messages wait."""
    return _profile(ReliabilityPolicy.RELIABLE, depth)
