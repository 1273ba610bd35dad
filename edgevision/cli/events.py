"""`edgevision events`: read events, keep them, ask for them again, describe them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edgevision.cli.connection import takes_broker
from edgevision.cli.ending import until_told
from edgevision.cli.writing import writing
from edgevision.errors import ConfigError, Problem, PublishError

if TYPE_CHECKING:
    from rich.text import Text

    from edgevision.events.schema import AnyEvent
    from edgevision.mqtt.settings import MqttSettings

app = typer.Typer(help="Events: read them, keep them, ask for them again, describe them.", no_args_is_help=True)

_TOPICS = typer.Option([], "--topic", help="Subscription filter, several allowed; all events by default.")
_IDLE = typer.Option(None, "--idle-s", help="End when nothing has come for so many seconds.")
_COLOURS = {"defect": "red", "traffic": "cyan", "detection": "blue", "health": "yellow"}


@app.command()
@takes_broker
def tail(
    *,
    broker: MqttSettings,
    topics: list[str] = _TOPICS,
    idle_s: float | None = _IDLE,
    count: int | None = typer.Option(None, min=1, help="End after so many events."),
    as_json: bool = typer.Option(False, "--json", help="Whole events, one a line."),
) -> None:
    """Print events as they come, typed, without duplicates, with every gap told."""
    from rich.console import Console

    from edgevision.events.codec import encode
    from edgevision.mqtt.consumer import Consumer, Gap

    console = Console()
    seen = 0
    with until_told(), Consumer(broker, topics) as consumer:
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


@app.command()
@takes_broker
def sink(
    kind: str = typer.Argument(..., metavar="sqlite|postgres", help="Where to."),
    target: str = typer.Argument(..., help="A file for sqlite, a connection string for postgres."),
    *,
    broker: MqttSettings,
    topics: list[str] = _TOPICS,
    idle_s: float | None = _IDLE,
    client_id: str = typer.Option("edgevision-sink", help="The broker keeps what comes for this id while we are away."),
    share: str | None = typer.Option(None, help="Share the work with other sinks of this name."),
) -> None:
    """Write events into a table `events(id, time, type, source, body)`, each once.

    Ends with exit code 1 when events are missing between those that are there; a table `event_numbers` keeps account.
    """
    from edgevision.mqtt.consumer import Consumer
    from edgevision.mqtt.sinks import PostgresSink, Pumped, Sink, SqliteSink, missing, pump

    if kind not in {"sqlite", "postgres"}:
        typer.echo(f"error: {kind!r} is no kind of sink; allowed: sqlite, postgres", err=True)
        raise typer.Exit(2)
    writer: Sink = SqliteSink(Path(target)) if kind == "sqlite" else PostgresSink(target)
    pumped = Pumped()
    with until_told(), Consumer(broker, topics, client_id=client_id, share=share, repeats=True) as consumer:
        typer.echo(f"events of {broker.host}:{broker.port} go into {kind}; Ctrl-C ends it", err=True)
        pump(consumer, writer, pumped, idle_timeout_s=idle_s)
    lost = sum(item.count for item in missing(writer))
    writer.close()
    typer.echo(f"{pumped.events} events written, {lost} missing between those that are there", err=True)
    raise typer.Exit(1 if lost else 0)


@app.command()
@takes_broker
def resend(
    place: str = typer.Argument(..., metavar="SITE/DEVICE", help="Which device."),
    *,
    first: str = typer.Option(..., "--from", help="Time of the first event, e.g. 2026-01-31T06:00:00Z."),
    end: str = typer.Option(..., "--to", help="Time after the last event."),
    camera: str | None = typer.Option(None, help="Events of this camera only."),
    family: str | None = typer.Option(None, help="Events of this family only, e.g. traffic."),
    broker: MqttSettings,
    as_json: bool = typer.Option(False, "--json", help="The device's answer as JSON."),
) -> None:
    """Have a device send events of a span of time again; its `commands.verbs` must hold `resend`."""
    from edgevision.events.times import utc_text
    from edgevision.mqtt.commands import send_command

    wanted = {"from": utc_text(first), "to": utc_text(end), "source": camera, "family": family}
    site, device = _place(place, family)
    answer = send_command(broker, site, device, "resend", wanted)
    if not answer.get("ok"):
        raise PublishError(f"device {place}: {answer.get('error', 'it does not say why not')}")
    told = {name: answer[name] for name in ("events", "left_out", "next") if name in answer}
    left_out = told.get("left_out", 0)
    if as_json:
        typer.echo(json.dumps(told))
    else:
        typer.echo(f"{told['events']} events will come")
    if left_out and not as_json:
        typer.echo(f"no room for {left_out} more; when these have come ask again with --from {told['next']}", err=True)
    raise typer.Exit(1 if left_out else 0)


@app.command()
def contract(out: Path = typer.Option(..., help="Folder to write.")) -> None:
    """Write the JSON Schemas of all events and asyncapi.yaml."""
    from edgevision.events.asyncapi import write_contract

    with writing(out):
        write_contract(out)
    typer.echo(f"contract written to {out}")


def _place(text: str, family: str | None) -> tuple[str, str]:
    """Site and device of an argument SITE/DEVICE.

    Raises:
        ConfigError: It is not of that form, or there is no such family.
        EventError: One of them is no name.
    """
    from edgevision.events.schema import EVENT_TYPES
    from edgevision.events.topics import DEVICE, EventTopic

    families = sorted({known for known, _ in EVENT_TYPES})
    if family is not None and family not in families:
        raise ConfigError([Problem("--family", "", f"{family!r} is no family; allowed: {', '.join(families)}")])
    site, slash, device = text.partition("/")
    if not slash:
        raise ConfigError([Problem("device", "", f"{text!r} names no device; expected SITE/DEVICE, e.g. plant1/box3")])
    EventTopic(site, device, DEVICE, "health", "started")  # knows what a name is
    return site, device


def _line(event: AnyEvent) -> Text:
    from rich.text import Text

    from edgevision.cli.words import describe

    colour = _COLOURS.get(event.family, "white")
    text = Text(f"{event.time:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " ", style="dim")
    text.append(f"{event.source.removeprefix('edgevision/'):<24} ")
    text.append(f"{event.family}.{event.name:<12} ", style=colour)
    text.append(describe(event))
    if event.historical:
        text.append("  (historical)", style="dim")
    return text
