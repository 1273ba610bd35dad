"""Settings of the connection, and brokers that are not there."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from edgevision.errors import BrokerUnavailable
from edgevision.mqtt.client import Connection, Session
from edgevision.mqtt.settings import MqttSettings


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"host": "h", "password": "x"}, "password needs a username"),
        ({"host": "h", "tls": {"cert": "c"}}, "go together"),
        ({"host": "h", "protocol": "3.1"}, "'5' or '3.1.1'"),
        ({"host": "h", "port": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(document: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MqttSettings.model_validate(document)


def test_a_broker_that_is_not_there_is_an_error_that_names_it(free_port: int) -> None:
    settings = MqttSettings(host="127.0.0.1", port=free_port)
    with pytest.raises(BrokerUnavailable, match=rf"broker 127\.0\.0\.1:{free_port}: .*refused"):
        Connection(settings, Session("c"))


def test_a_certificate_that_is_not_there_is_an_error(free_port: int) -> None:
    document = {"host": "127.0.0.1", "port": free_port, "tls": {"ca": "/nowhere/ca.pem"}}
    with pytest.raises(BrokerUnavailable, match="TLS"):
        Connection(MqttSettings.model_validate(document), Session("c"))
