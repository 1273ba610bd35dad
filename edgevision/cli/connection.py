"""Options of all commands that talk to a broker, and the settings they make."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import typer

from edgevision.errors import ConfigError, Problem

if TYPE_CHECKING:
    from edgevision.mqtt.settings import MqttSettings

Command = TypeVar("Command", bound=Callable[..., None])
_USUAL_PORT = {False: 1883, True: 8883}


def _options(  # noqa: PLR0913 - options of a command line
    *,
    host: str = typer.Option("127.0.0.1", help="The broker."),
    port: int | None = typer.Option(None, help="Its port; 1883 when not given, with TLS 8883."),
    protocol: str = typer.Option("5", help="MQTT version: 5 or 3.1.1."),
    user: str | None = typer.Option(None, envvar="EDGEVISION_MQTT_USER", help="User name."),
    password: str | None = typer.Option(
        None, envvar="EDGEVISION_MQTT_PASSWORD", help="Password; better given by the environment."
    ),
    tls: bool = typer.Option(False, "--tls", help="Encrypt; implied by --ca, --cert and --key."),
    ca: Path | None = typer.Option(None, help="PEM file with the authorities to trust; the system's when not given."),
    cert: Path | None = typer.Option(None, help="PEM file with our own certificate."),
    key: Path | None = typer.Option(None, help="PEM file with its private key."),
) -> MqttSettings:
    return _settings(host, port, protocol, (user, password), _encryption(tls=tls, ca=ca, cert=cert, key=key))


def takes_broker(command: Command) -> Command:
    """A command whose parameter ``broker``, the ``MqttSettings``, the user gives by options.

    Raises:
        ConfigError: From the command: the options are wrong.
    """
    options = inspect.signature(_options).parameters

    @functools.wraps(command)
    def run(**given: Any) -> None:  # noqa: ANN401 - whatever the command takes
        broker = _options(**{name: given.pop(name) for name in options})
        command(**given, broker=broker)

    own = inspect.signature(command)
    kept = [parameter for parameter in own.parameters.values() if parameter.name != "broker"]
    hints = get_type_hints(_options, localns={"MqttSettings": object})
    shared = [parameter.replace(annotation=hints[name]) for name, parameter in options.items()]
    run.__signature__ = own.replace(parameters=[*kept, *shared])  # type: ignore[attr-defined]
    run.__annotations__ |= {name: hints[name] for name in options}
    del run.__annotations__["broker"]
    return run  # type: ignore[return-value]


def _encryption(*, tls: bool, ca: Path | None, cert: Path | None, key: Path | None) -> dict[str, Any] | None:
    """The section ``tls`` of the settings; ``None``: no encryption.

    Raises:
        ConfigError: A file is not there, or one of certificate and key is missing.
    """
    files = {"ca": ca, "cert": cert, "key": key}
    given = {name: path for name, path in files.items() if path is not None}
    problems = [Problem(f"--{name}", "", f"{path}: no such file") for name, path in given.items() if not path.is_file()]
    if (cert is None) != (key is None):
        problems.append(Problem("--cert", "", "a certificate and its key go together: give --cert and --key"))
    if problems:
        raise ConfigError(problems)
    return given if tls or given else None


def _settings(
    host: str, port: int | None, protocol: str, login: tuple[str | None, str | None], tls: dict[str, Any] | None
) -> MqttSettings:
    """What the options say.

    Args:
        host: The broker.
        port: Its port; ``None`` for the usual one.
        protocol: MQTT version.
        login: User name and password.
        tls: From ``_encryption``.

    Raises:
        ConfigError: They are wrong.
    """
    from pydantic import ValidationError

    from edgevision.mqtt.settings import MqttSettings

    if protocol not in {"5", "3.1.1"}:
        raise ConfigError([Problem("--protocol", "", f"{protocol!r} is no MQTT version; allowed: 5, 3.1.1")])
    document = {
        "host": host,
        "port": _USUAL_PORT[tls is not None] if port is None else port,
        "protocol": protocol,
        "tls": tls,
    }
    document |= dict(zip(("username", "password"), login, strict=True))
    try:
        return MqttSettings.model_validate(document)
    except ValidationError as exc:
        problems = [
            Problem(
                _option(error["loc"]), "", error["msg"].removeprefix("Value error, ").replace("a username", "--user")
            )
            for error in exc.errors(include_url=False, include_input=False)
        ]
        raise ConfigError(problems) from exc


def _option(location: tuple[int | str, ...]) -> str:
    """The option that a wrong value came from."""
    name = str(location[-1]) if location else "broker"
    return {"username": "--user", "broker": "broker"}.get(name, f"--{name}")
