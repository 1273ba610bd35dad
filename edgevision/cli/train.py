"""`edgevision train`: from labelled pictures to a bundle whose mistakes are known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from edgevision.training.base import Epoch, Progress, Watcher
    from edgevision.training.bundling import Made


def train(
    config: Path = typer.Argument(..., help="Settings of the training, YAML."),
    *,
    out: Path = typer.Option(..., help="Folder of the run; new, or with --resume one that was broken off."),
    resume: bool = typer.Option(False, "--resume", help="Go on from the last finished epoch."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Check pictures, settings and one batch, then end."),
    trust: bool = typer.Option(
        False, "--trust", help="Load checkpoints that hold more than weights; they can run anything."
    ),
    as_json: bool = typer.Option(False, "--json", help="Epochs and result as JSON, one a line."),
) -> None:
    """Train a detector, export it, choose its thresholds and judge it."""
    from rich.console import Console

    from edgevision.cli.progress import counted
    from edgevision.config.load import load
    from edgevision.training.run import Steps, run
    from edgevision.training.settings import TrainSettings
    from edgevision.training.trainers import trainer_of

    settings = load(config, TrainSettings)
    console = Console(stderr=as_json, highlight=False)
    with _watching(console, as_json=as_json) as watcher:
        steps = Steps(console.print, counted, watcher)
        made = run(
            settings,
            out,
            lambda ours, folder: trainer_of(ours, folder, trust=trust),
            steps,
            resume=resume,
            dry_run=dry_run,
        )
    if made is None:
        console.print("everything fits; leave --dry-run out to train")
    elif as_json:
        from edgevision.evaluation.words import document

        told = document(made.results, made.about)
        typer.echo(json.dumps({"bundle": str(made.bundle.folder), "report": str(made.report), **told}))
    else:
        _tell(console, made)


@contextmanager
def _watching(console: Console, *, as_json: bool) -> Iterator[Watcher]:
    """A bar over all batches with losses and time left, and a line an epoch."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    from edgevision.training.base import Watcher

    columns = (
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[losses]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    bars = Bars(*columns, console=console, transient=True)
    task = bars.add_task("train", total=None, epoch="", losses="", visible=False)

    def progress(now: Progress) -> None:
        losses = "  ".join(f"{name.removesuffix('_loss')} {value:.3f}" for name, value in now.losses.items())
        bars.update(
            task,
            total=now.epochs * now.batches,
            completed=now.epoch * now.batches + now.batch,
            epoch=f"{now.epoch + 1}/{now.epochs}",
            losses=losses,
            visible=True,
        )
        if not bars.live.is_started:
            bars.start()

    def epoch(done: Epoch) -> None:
        if as_json:
            row = {"epoch": done.number, "seconds": round(done.seconds, 1), **done.losses, **done.metrics}
            typer.echo(json.dumps(row))
            return
        loss = sum(done.losses.values())
        metrics = done.metrics
        console.print(
            f"epoch {done.number:>3}  loss {loss:6.3f}  mAP50 {metrics.get('map50', 0):.3f}  "
            f"mAP50-95 {metrics.get('map50_95', 0):.3f}  {done.seconds:6.0f} s"
        )

    try:
        yield Watcher(progress, epoch)
    finally:
        bars.stop()


def _tell(console: Console, made: Made) -> None:
    from edgevision.evaluation.words import ap_words, verdict

    overall = made.results.coco.overall
    split = made.results.request.split
    console.print(f"on {split}: mAP50 {ap_words(overall.map50)}, mAP50-95 {ap_words(overall.map50_95)}")
    for sentence in verdict(made.results):
        console.print(f"[bold]{sentence}[/]")
    console.print(f"bundle {made.bundle.folder} ({made.bundle.model_ref})\nreport {made.report}", soft_wrap=True)
