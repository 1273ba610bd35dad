"""`edgevision broker`: an embedded MQTT broker for development."""

from __future__ import annotations

import typer

from edgevision.cli.ending import until_told


def broker(
    *,
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    port: int = typer.Option(1883, min=1, max=65535, help="TCP port."),
) -> None:
    """Run an MQTT 3.1.1 broker for development until Ctrl-C; use Mosquitto in production."""
    import threading

    from edgevision.mqtt.broker import EmbeddedBroker

    with EmbeddedBroker(host, port):
        typer.echo(f"MQTT broker for development on {host}:{port}, end it with Ctrl-C")
        with until_told():
            threading.Event().wait()
    typer.echo("stopped")
