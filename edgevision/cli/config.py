"""`edgevision config`: check, show and describe settings files."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from edgevision.cli.writing import writing
from edgevision.errors import EdgevisionError

app = typer.Typer(help="Settings files: check, show, schema.", no_args_is_help=True)

_FILE = typer.Argument(..., metavar="CONFIG", help="The daemon's settings file.")


@app.command()
def check(file: Path = _FILE, *, as_json: bool = typer.Option(False, "--json", help="Problems as JSON.")) -> None:
    """Find every problem of a settings file; exit code 1 when there is one."""
    from edgevision.config.load import config_revision, load_daemon
    from edgevision.daemon.checks import check_cameras
    from edgevision.daemon.registry import registry
    from edgevision.errors import ConfigError

    try:
        settings = load_daemon(file, registry())
        check_cameras(file, settings, files_exist=True)
    except ConfigError as exc:
        if as_json:
            rows = [{"where": p.where, "path": p.path, "message": p.message} for p in exc.problems]
            typer.echo(json.dumps({"ok": False, "problems": rows}))
        else:
            typer.echo(str(exc), err=True)
            count = len(exc.problems)
            typer.echo(f"{count} problem{'s' if count > 1 else ''}", err=True)
        raise typer.Exit(1) from None
    revision = config_revision(settings, file.parent)
    if as_json:
        typer.echo(json.dumps({"ok": True, "configrev": revision, "cameras": list(settings.cameras)}))
    else:
        cameras = ", ".join(settings.cameras)
        typer.echo(f"{file}: good. revision {revision}, cameras: {cameras}")


@app.command()
def show(file: Path = _FILE) -> None:
    """Print the settings with all defaults filled in and secrets masked."""
    import yaml

    from edgevision.config.load import load_daemon
    from edgevision.daemon.registry import registry

    settings = load_daemon(file, registry())
    typer.echo(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def schema(
    out: Path | None = typer.Option(None, help="Write to this file instead of the terminal."),
    *,
    of: str = typer.Option("daemon", help="Whose settings: daemon or train."),
    markdown: bool = typer.Option(False, "--markdown", help="A page for people instead."),
) -> None:
    """Print the JSON Schema of settings, for editors, or a page that describes every key."""
    text = _schema(of, markdown=markdown)
    if out is None:
        typer.echo(text, nl=False)
    else:
        with writing(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(text, encoding="utf-8")


def _schema(of: str, *, markdown: bool) -> str:
    if of == "daemon":
        from edgevision.daemon.registry import config_reference, config_schema

        return config_reference() if markdown else config_schema()
    if of == "train":
        from edgevision.training.reference import train_reference, train_schema

        return train_reference() if markdown else train_schema()
    msg = f"--of {of} is not known; allowed: daemon, train"
    raise EdgevisionError(msg)
