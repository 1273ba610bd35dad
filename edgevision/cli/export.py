"""`edgevision export`: artefacts for every device, each shown to be as good as what was trained."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, get_args

import typer

from edgevision.errors import EdgevisionError

if TYPE_CHECKING:
    from rich.console import Console

    from edgevision.bundle import Precision
    from edgevision.datasets.base import DataSet
    from edgevision.export.origin import Origin
    from edgevision.export.run import Exported


def export(  # noqa: PLR0913 - one a command-line option
    weights: Path = typer.Argument(..., metavar="WEIGHTS", help="A training's folder, a bundle, or weights (.pt)."),
    *,
    out: Path = typer.Option(..., help="The bundle's folder, e.g. models/pcb-defects."),
    precision: str = typer.Option("fp32,fp16,int8", help="Which artefacts; fp32 is always there."),
    data: Path | None = typer.Option(None, help="Labelled pictures; without it those of the training's settings."),
    format_: str = typer.Option("auto", "--format", help="Format of the labels; auto looks for itself."),
    columns: Path | None = typer.Option(None, metavar="FILE.csv", help="What else is known of the pictures, by file."),
    split: str = typer.Option("val", help="The split that the artefacts are judged on."),
    calibration: Path | None = typer.Option(
        None, help="Pictures such as the cameras take, to calibrate int8 on; without it the training pictures."
    ),
    looks: list[Path] = typer.Option(
        [],
        metavar="FILE|FOLDER",
        help="What devices tell of what their cameras see (GET /looks), to compare these with.",
    ),
    defects: str | None = typer.Option(None, metavar="A,B", help="Classes that make a part defective; all without it."),
    templates_as_good: bool = typer.Option(False, "--templates-as-good", help="Templates join as good parts."),
    most_loss: float = typer.Option(0.01, min=0, max=1, help="Loss of mAP50-95 that is allowed."),
    most_recall_loss: float = typer.Option(0.02, min=0, max=1, help="Loss of a class's recall that is allowed."),
    version: str = typer.Option("", help="Version of the bundle; without it that of the training."),
    force: bool = typer.Option(False, "--force", help="Replace a bundle that is there."),
    trust: bool = typer.Option(
        False, "--trust", help="Load weights that hold more than weights; they can run anything."
    ),
    size: int | None = typer.Option(None, min=32, max=8192, help="Input side, px, of weights that do not tell it."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as JSON."),
) -> None:
    """Export a trained model; exit code 1 when an artefact that was asked for is not usable anywhere."""
    _need_extra()
    from rich.console import Console

    from edgevision.cli.progress import counted
    from edgevision.export.gate import Budget
    from edgevision.export.origin import origin_of
    from edgevision.export.run import Request
    from edgevision.export.run import export as run
    from edgevision.training.base import Told

    console = Console(stderr=as_json, highlight=False)
    request = Request(
        name=out.resolve().name,
        version=version,
        precisions=_precisions(precision),
        split="" if split == "all" else split,
        budget=Budget(map50_95=most_loss, recall=most_recall_loss),
        calibration=calibration,
        looks=tuple(looks),
        defects=tuple(name.strip() for name in defects.split(",")) if defects else None,
        with_templates=templates_as_good,
    )
    with TemporaryDirectory(prefix="edgevision-") as room:
        origin = origin_of(weights, Path(room), trust=trust, size=size)
        labelled = _data(origin, data, format_, columns)
        done = run(origin, labelled, request, out, Told(console.print, counted), replace=force)
    if as_json:
        typer.echo(json.dumps(_document(done)))
    else:
        _print(done, console)
    if any(item.content is None for item in done.artefacts):
        raise typer.Exit(1)


def _need_extra() -> None:
    wanted = ("onnx", "onnxslim", "onnxruntime", "faster_coco_eval", "imagehash", "scipy")
    if missing := [name for name in wanted if find_spec(name) is None]:
        raise EdgevisionError(f'an export needs {", ".join(missing)}: pip install "edgevision[export,data,cpu]"')


def _precisions(text: str) -> tuple[Precision, ...]:
    from edgevision.bundle import Precision

    allowed = get_args(Precision)
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in allowed]:
        raise EdgevisionError(f"--precision {unknown[0]} is not known; allowed: {', '.join(allowed)}")
    return tuple(name for name in allowed if name in {"fp32", *names})


def _data(origin: Origin, path: Path | None, format_: str, columns: Path | None) -> DataSet:
    from edgevision.datasets.formats import read_dataset

    if path is not None:
        return read_dataset(path, format_, columns)
    if origin.data is None:
        raise EdgevisionError("--data is missing: labelled pictures to judge the artefacts on")
    return origin.data


def _document(done: Exported) -> dict[str, object]:
    from edgevision.export.card import gate_document

    return {
        "bundle": str(done.bundle.folder),
        "model": done.bundle.model_ref,
        "split": done.split,
        "warnings": list(done.warnings),
        "artefacts": [
            {
                "name": item.kind.name,
                "file": item.kind.file if item.content is not None else None,
                "bytes": len(item.content) if item.content is not None else None,
                "targets": list(item.targets),
                "how": item.how,
                "not_offered": list(item.reasons),
                "gate": gate_document(item),
            }
            for item in done.artefacts
        ],
    }


def _print(done: Exported, console: Console) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from edgevision.export.card import HEADINGS, rows, sentences

    title = f"{done.bundle.model_ref}, judged on {done.split or 'all'} ({len(done.trial.judged):,} pictures)"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=0)
    shown = [name for name in HEADINGS if name not in {"escapes", "overkill"}]  # on a page they have room
    for name in shown:
        table.add_column(name, no_wrap=True, justify="left" if name in {"artefact", "backend", "gate"} else "right")
    for row in rows(done.artefacts):
        table.add_row(*(escape(cell) for name, cell in zip(HEADINGS, row, strict=True) if name in shown))
    console.print(table)
    for names, sentence in sentences(done.artefacts):
        style = "red" if sentence.startswith("refused") else ("yellow" if sentence.startswith("not ") else "")
        console.print(f"{names}: {escape(sentence)}", style=style)
    for warning in done.warnings:
        console.print(escape(warning), style="yellow")
    console.print(f"bundle {done.bundle.folder}", soft_wrap=True)
