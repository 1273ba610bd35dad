"""Devices and brokers that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mosquitto import Mosquitto
from mqtt_device import Device

from edgevision.mqtt.settings import MqttSettings


@pytest.fixture
def device_at(tmp_path: Path) -> Iterator[Callable[..., Device]]:
    devices: list[Device] = []

    def make(port: int, protocol: str = "5", **more: object) -> Device:
        document = {"host": "127.0.0.1", "port": port, "protocol": protocol, "keepalive_s": 2, **more}
        devices.append(Device(tmp_path / f"device{len(devices)}", MqttSettings.model_validate(document)))
        return devices[-1]

    yield make
    for device in devices:
        device.close()


@pytest.fixture
def mosquitto(tmp_path: Path, free_port: int) -> Iterator[Callable[..., Mosquitto]]:
    brokers: list[Mosquitto] = []

    def make(*lines: str) -> Mosquitto:
        brokers.append(Mosquitto(tmp_path / "broker", free_port, *lines))
        return brokers[-1]

    yield make
    for broker in brokers:
        broker.kill()
