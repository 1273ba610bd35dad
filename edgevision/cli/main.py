"""`edgevision`: puts the commands together and turns our errors into one or two lines and exit code 2."""

from __future__ import annotations

import io
import sys

import typer

from edgevision import __version__
from edgevision.cli import broker, config, data, demo, evaluate, events, export, inspect, models, run, train
from edgevision.errors import EdgevisionError
from edgevision.logs import setup_logging

app = typer.Typer(
    name="edgevision",
    help="Edge computer vision: cameras in, durable typed events out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.command("demo")(demo.demo)
app.command("inspect")(inspect.inspect)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.command("broker")(broker.broker)
app.add_typer(config.app, name="config")
app.add_typer(data.app, name="data")
app.add_typer(events.app, name="events")
app.add_typer(models.app, name="models")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"edgevision {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    pass


def main() -> None:
    """Entry point of the console script."""
    setup_logging("warning", "console")
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name may hold what this terminal cannot show
    try:
        app()
    except EdgevisionError as exc:
        sys.stderr.write(f"error: {exc}\n")
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(0)
