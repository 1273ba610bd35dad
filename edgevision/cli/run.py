"""`edgevision run`: the daemon."""

from __future__ import annotations

from pathlib import Path

import typer


def run(
    file: Path = typer.Argument(..., metavar="CONFIG", help="The settings file."),
    *,
    until_done: bool = typer.Option(
        False, "--until-done", help="End when every source is exhausted and every event is out; for files and scenes."
    ),
    fresh: bool = typer.Option(
        False, "--fresh", help="Forget where files and analyses stood and start them over; waiting events are kept."
    ),
) -> None:
    """Run the cameras of a settings file and publish what is noticed.

    SIGTERM and SIGINT drain frames and events and stop; SIGHUP reads the settings again and restarts the cameras that
    changed.
    """
    from edgevision.daemon.main import run_daemon

    raise typer.Exit(run_daemon(file, until_done=until_done, fresh=fresh))
