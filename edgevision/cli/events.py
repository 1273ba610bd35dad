"""`edgevision events`: read events, keep them, describe them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.text import Text

    from edgevision.events.schema import AnyEvent
    from edgevision.mqtt.client import MqttSettings

app = typer.Typer(help="Events: read them, keep them, describe them.", no_args_is_help=True)

_HOST = typer.Option("127.0.0.1", help="The broker.")
_PORT = typer.Option(1883, help="Its port.")
_PROTOCOL = typer.Option("5", help="MQTT version: 5 or 3.1.1.")
_USER = typer.Option(None, envvar="EDGEVISION_MQTT_USER", help="User name.")
_PASSWORD = typer.Option(None, envvar="EDGEVISION_MQTT_PASSWORD", help="Password; better given by the environment.")
_TOPICS = typer.Option([], "--topic", help="Subscription filter, several allowed; all events by default.")
_IDLE = typer.Option(None, "--idle-s", help="End when nothing has come for so many seconds.")
_COLOURS = {"defect": "red", "traffic": "cyan", "detection": "blue", "health": "yellow"}


@app.command()
def tail(  # noqa: PLR0913 - options of a command line
    host: str = _HOST,
    port: int = _PORT,
    protocol: str = _PROTOCOL,
    user: str | None = _USER,
    password: str | None = _PASSWORD,
    topics: list[str] = _TOPICS,
    idle_s: float | None = _IDLE,
    *,
    count: int | None = typer.Option(None, help="End after so many events."),
    as_json: bool = typer.Option(False, "--json", help="Whole events, one a line."),
) -> None:
    """Print events as they come, typed, without duplicates, with every gap told."""
    from rich.console import Console

    from edgevision.events.codec import encode
    from edgevision.mqtt.consumer import Consumer, Gap

    console = Console()
    seen = 0
    with Consumer(_settings(host, port, protocol, user, password), topics) as consumer:
        try:
            for item in consumer.events(idle_s):
                if isinstance(item, Gap):
                    typer.echo(f"gap: {item.count} missing on {item.topic} ({item.first} to {item.last})", err=True)
                    continue
                if as_json:
                    typer.echo(encode(item.event).decode())
                else:
                    console.print(_line(item.event), soft_wrap=True)
                seen += 1
                if seen == count:
                    consumer.ack(item)
                    return
        except KeyboardInterrupt:
            return


@app.command()
def sink(  # noqa: PLR0913, PLR0917 - options of a command line
    kind: str = typer.Argument(..., metavar="sqlite|postgres", help="Where to."),
    target: str = typer.Argument(..., help="A file for sqlite, a connection string for postgres."),
    host: str = _HOST,
    port: int = _PORT,
    protocol: str = _PROTOCOL,
    user: str | None = _USER,
    password: str | None = _PASSWORD,
    topics: list[str] = _TOPICS,
    idle_s: float | None = _IDLE,
    *,
    client_id: str = typer.Option("edgevision-sink", help="The broker keeps what comes for this id while we are away."),
    share: str | None = typer.Option(None, help="Share the work with other sinks of this name."),
) -> None:
    """Write events into a table `events(id, time, type, source, body)`, each once."""
    from edgevision.mqtt.consumer import Consumer
    from edgevision.mqtt.sinks import PostgresSink, Sink, SqliteSink, missing, pump

    if kind not in {"sqlite", "postgres"}:
        typer.echo(f"error: {kind!r} is no kind of sink; allowed: sqlite, postgres", err=True)
        raise typer.Exit(2)
    writer: Sink = SqliteSink(Path(target)) if kind == "sqlite" else PostgresSink(target)
    settings = _settings(host, port, protocol, user, password)
    written = 0
    try:
        with Consumer(settings, topics, client_id=client_id, share=share) as consumer:
            written, _ = pump(consumer, writer, idle_timeout_s=idle_s)
    except KeyboardInterrupt:
        pass
    lost = sum(len(item.sequences) for item in missing(writer))
    writer.close()
    typer.echo(f"{written} events written, {lost} missing between those that are there", err=True)
    raise typer.Exit(1 if lost else 0)


@app.command()
def contract(out: Path = typer.Option(..., help="Folder to write.")) -> None:
    """Write the JSON Schemas of all events and asyncapi.yaml."""
    from edgevision.events.asyncapi import write_contract

    write_contract(out)
    typer.echo(f"contract written to {out}")


def _settings(host: str, port: int, protocol: str, user: str | None, password: str | None) -> MqttSettings:
    from pydantic import ValidationError

    from edgevision.errors import ConfigError, Problem
    from edgevision.mqtt.client import MqttSettings

    if protocol not in {"5", "3.1.1"}:
        raise ConfigError([Problem("--protocol", "", f"{protocol!r} is no MQTT version; allowed: 5, 3.1.1")])
    document = {"host": host, "port": port, "protocol": protocol, "username": user, "password": password}
    try:
        return MqttSettings.model_validate(document)
    except ValidationError as exc:
        problems = [Problem(f"--{error['loc'][0]}" if error["loc"] else "broker", "", error["msg"])
                    for error in exc.errors(include_url=False, include_input=False)]  # fmt: skip
        raise ConfigError(problems) from exc


def _line(event: AnyEvent) -> Text:
    from rich.text import Text

    colour = _COLOURS.get(event.family, "white")
    text = Text(f"{event.time:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " ", style="dim")
    text.append(f"{event.source.removeprefix('edgevision/'):<24} ")
    text.append(f"{event.family}.{event.name:<12} ", style=colour)
    text.append(describe(event))
    if event.historical:
        text.append("  (historical)", style="dim")
    return text


def describe(event: AnyEvent) -> str:
    """What an event says, in a few words."""
    data = event.data
    match event.family, event.name:
        case "defect", "verdict":
            labels = ", ".join(defect.label for defect in data.defects)
            return f"{data.result.upper():<6} {labels or data.reason or ''}".rstrip()
        case "defect", "detected":
            return f"{data.label} {data.score:.2f}"
        case "traffic", "crossed":
            return f"{data.line} {data.direction} {data.label or ''} #{data.track_id}"
        case "traffic", "zone":
            dwell = "" if data.dwell_s is None else f" after {data.dwell_s:.1f} s"
            return f"{data.zone} {data.action} #{data.track_id}{dwell}"
        case "traffic", "interval":
            counts = data.model_dump(include={"count_in", "count_out", "entered", "left"}, exclude_none=True)
            return f"{data.line or data.zone} {counts} {data.status}"
    known = data.model_dump(
        exclude_none=True, exclude={"quality", "model", "configrev", "image_size", "latency_ms", "part"}
    )
    return ", ".join(f"{key}={value}" for key, value in known.items())
