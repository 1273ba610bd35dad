"""What the settings file and the command line say of the broker; knows no driver."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from edgevision.config.settings import PositiveSeconds, Settings


class TlsSettings(Settings):
    """Encryption."""

    ca: Path | None = None
    """PEM file with the authorities to trust; the system's when not given."""
    cert: Path | None = None
    """PEM file with this device's certificate."""
    key: Path | None = None
    """PEM file with its private key."""
    check_hostname: bool = True
    """Whether the broker's certificate must carry its host name."""


class MqttSettings(Settings):
    """The connection to the broker."""

    host: Annotated[str, Field(min_length=1, max_length=255)]
    """Host name or address, without `mqtt://` and port."""
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    """TCP port; 8883 is usual with TLS."""
    protocol: Literal["5", "3.1.1"] = "5"
    """MQTT version. 3.1.1 cannot refuse a message, so there the device needs to read its own topics."""
    username: str | None = None
    """User name."""
    password: SecretStr | None = None
    """Password."""
    tls: TlsSettings | None = None
    """Encryption; `{}` for the usual."""
    client_id: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """Client id; made of site and device when not given."""
    keepalive_s: Annotated[int, Field(ge=1, le=3600)] = 15
    """How often a silent connection is probed, seconds."""
    connect_timeout_s: PositiveSeconds = 10.0
    """How long to wait for the broker to answer, seconds."""
    order: Literal["strict", "live_first"] = "strict"
    """After an outage: everything in order, or new events before those that waited. With `live_first` a consumer of
    few topics may tell a gap that is filled later, unless its grace is longer than a backlog takes."""
    window: Annotated[int, Field(ge=1, le=1000)] = 20
    """Most unacknowledged events at once; the broker may want fewer."""
    no_subscribers: Literal["keep", "drop"] = "drop"
    """What becomes of an event that nobody subscribes to (MQTT 5): kept until somebody does, or done."""

    @field_validator("host", mode="after")
    @classmethod
    def _only_a_host(cls, value: str) -> str:
        if "/" in value or " " in value or value.count(":") == 1:
            msg = "must be a host name or address alone, such as broker.plant1.example; the port stands in `port`"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _complete(self) -> MqttSettings:
        if self.password is not None and self.username is None:
            msg = "password needs a username"
            raise ValueError(msg)
        if self.tls is not None and (self.tls.cert is None) != (self.tls.key is None):
            msg = "tls.cert and tls.key go together"
            raise ValueError(msg)
        return self
