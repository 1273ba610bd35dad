"""`edgevision demo`: the whole story on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from edgevision.cli.writing import writing


def demo(
    *,
    boards: int = typer.Option(24, min=1, max=10_000, help="How many boards go by."),
    seed: int = typer.Option(7, min=0, help="Everything drawn follows from it."),
    model: Path | None = typer.Option(None, help="Another bundle than the project's models/pcb-defects."),
    out: Path | None = typer.Option(None, help="Keep annotated pictures of the boards in this folder."),
    as_json: bool = typer.Option(False, "--json", help="Print the summary as JSON."),
) -> None:
    """Draw boards on a belt, inspect them, receive events over MQTT and check them against what was drawn.

    Exit code 1 when a board got a wrong verdict or none, or an event is missing.
    """
    from rich.console import Console

    from edgevision.cli.demo_story import Story, table

    if out is not None:
        with writing(out):  # said now, not when all boards have gone by
            out.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=as_json, highlight=False)
    story = Story(boards=boards, seed=seed, model=model, out=out)
    summary = story.play(console)
    if as_json:
        typer.echo(json.dumps(summary.document()))
    else:
        console.print(table(summary))
    raise typer.Exit(0 if summary.good else 1)
