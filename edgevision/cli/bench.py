"""`edgevision models bench`: how fast a bundle is on this machine, on every backend that is here."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgevision.errors import BackendError, EdgevisionError

if TYPE_CHECKING:
    from edgevision.inference.bench import Speed
    from edgevision.inference.choices import Choice


def bench(
    folder: Path = typer.Argument(..., metavar="BUNDLE", help="Folder of a bundle."),
    *,
    threads: int = typer.Option(0, min=0, help="Threads of one inference on a CPU; 0 for all."),
    rounds: int = typer.Option(50, min=5, help="How often each has its turn."),
    batches: str = typer.Option("1,2,4,8", help="Sizes of batches."),
    as_json: bool = typer.Option(False, "--json", help="For machines."),
) -> None:
    """Measure latency, throughput and power of all artefacts on all backends, in turns."""
    from edgevision.bundle import read_bundle
    from edgevision.inference.bench import speeds
    from edgevision.inference.choices import choices
    from edgevision.inference.power import watts

    bundle = read_bundle(folder)
    sizes = _sizes(batches)
    opened, failed = [], []
    for choice in choices(bundle, threads=threads, max_batch=max(sizes), undecided=True):
        try:
            opened.append((choice, choice.open()))
        except BackendError as exc:
            failed.append(f"{choice.backend}, {choice.artefact.file}: {exc}")
    if not opened:
        raise EdgevisionError(failed[0] if failed else "no backend is installed: pip install edgevision[cpu]")
    measured = speeds([detector for _, detector in opened], sizes, rounds, power=watts)
    warm = _celsius()
    for _, detector in opened:
        detector.close()
    rows = [(choice, speed) for (choice, _), speed in zip(opened, measured, strict=True)]
    if as_json:
        told = {"model": bundle.model_ref, "rows": [_row(*row) for row in rows], "celsius": warm, "failed": failed}
        typer.echo(json.dumps(told))
        return
    _print(bundle.model_ref, rows, failed)
    if warm:
        name, celsius = max(warm.items(), key=lambda item: item[1])
        typer.echo(f"warmest afterwards: {name} {celsius:.0f} °C")


def _celsius() -> dict[str, float]:
    """By thermal zone and card."""
    from edgevision.daemon.thermal import temperatures
    from edgevision.inference.power import card_temperatures

    return temperatures() | card_temperatures()


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError as exc:
        raise EdgevisionError(f"--batches {text}: expected numbers such as 1,2,4,8") from exc
    if not all(1 <= size <= 64 for size in sizes):  # noqa: PLR2004
        raise EdgevisionError(f"--batches {text}: sizes lie between 1 and 64")
    return sizes


def _row(choice: Choice, speed: Speed) -> dict[str, Any]:
    item = choice.artefact
    return {"backend": choice.backend, "file": item.file, "precision": item.precision, **asdict(speed)}


def _print(model: str, rows: list[tuple[Choice, Speed]], failed: list[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from edgevision.inference.power import total

    console = Console(highlight=False)
    sizes = sorted({size for _, speed in rows for size in speed.per_second})
    powered = any(speed.watts for _, speed in rows)
    table = Table(title=model, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("backend", "artefact"):
        table.add_column(name, no_wrap=True)
    columns = ("p50 ms", "p90", "p99", *(f"{size}: /s" for size in sizes), *(("W",) if powered else ()))
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for choice, speed in rows:
        times = (f"{value:.1f}" for value in (speed.p50_ms, speed.p90_ms, speed.p99_ms))
        rates = (f"{speed.per_second[size]:.1f}" if size in speed.per_second else "" for size in sizes)
        power = (f"{total(speed.watts):.1f}",) if powered else ()
        table.add_row(choice.backend, choice.artefact.file, *times, *rates, *power)
    console.print(table)
    for line in failed:
        console.print(f"not measured: {line}", style="yellow", markup=False)
