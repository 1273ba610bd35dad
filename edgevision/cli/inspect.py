"""`edgevision inspect`: batch inspection of pictures."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import typer


def inspect(
    paths: list[Path] = typer.Argument(..., help="Pictures, or folders of them (searched through)."),
    *,
    model: Path = typer.Option(..., help="Folder of the model bundle."),
    out: Path = typer.Option(..., help="New folder for the results."),
    rules: Path | None = typer.Option(
        None, help="YAML file with `rules`, `regions`, `mm_per_px` as in the daemon's settings."
    ),
    threads: int = typer.Option(0, min=0, max=256, help="Threads of the model; 0: one for each core."),
    annotate: bool = typer.Option(True, help="Draw annotated pictures."),
    as_json: bool = typer.Option(False, "--json", help="Print the summary as JSON."),
) -> None:
    """Inspect pictures; exit code 1 when one is not ok or cannot be read."""
    from edgevision.batch.files import common_root, pictures
    from edgevision.batch.inspection import PictureInspector
    from edgevision.batch.results import ResultWriter
    from edgevision.batch.rules import read_rules
    from edgevision.bundle import read_bundle
    from edgevision.cli.progress import counted
    from edgevision.inference.onnx import OnnxDetector

    files = pictures(paths)
    settings = read_rules(rules)
    detector = OnnxDetector(read_bundle(model), OnnxDetector.Settings(threads=threads))
    inspector = PictureInspector(detector, settings)
    counts: Counter[str] = Counter()
    with (
        ResultWriter(out, common_root(paths), detector.classes, annotate=annotate) as writer,
        counted("pictures", len(files), quiet=as_json) as advance,
    ):
        for result in inspector.inspect(files):
            writer.write(result)
            counts[result.result or "unreadable"] += 1
            if result.result is None:
                typer.secho(f"unreadable {result.reason}", fg="yellow", err=True)
            advance()
    detector.close()
    summary = {name: counts[name] for name in ("ok", "ng", "review", "unreadable")}
    if as_json:
        typer.echo(json.dumps({"pictures": len(files), **summary, "out": str(out)}))
    else:
        noun = "picture" if len(files) == 1 else "pictures"
        typer.echo(f"{len(files)} {noun}: " + ", ".join(f"{count} {name}" for name, count in summary.items()))
        typer.echo(f"results in {out}")
    raise typer.Exit(0 if counts["ok"] == len(files) else 1)
