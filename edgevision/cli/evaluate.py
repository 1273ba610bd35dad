"""`edgevision evaluate`: how good a model is on labelled pictures, and whether a claim about it stands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer

from edgevision.errors import EdgevisionError, ImageError

_SHOWN = 5  # of what could not be used

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edgevision.bundle import Bundle
    from edgevision.datasets.base import DataSet
    from edgevision.evaluation.evaluate import Request, Results
    from edgevision.evaluation.operating import Costs
    from edgevision.evaluation.words import About
    from edgevision.inference.base import Detector


def evaluate(  # noqa: PLR0913 - one a command-line option
    model: Path = typer.Argument(..., metavar="MODEL", help="Folder of a model bundle, or weights (.pt)."),
    *,
    data: Path = typer.Option(..., help="Labelled pictures: a folder or file of any format that can be read."),
    format_: str = typer.Option("auto", "--format", help="Format of the labels; auto looks for itself."),
    split: str = typer.Option("test", help="The split that is reported on; all for every picture."),
    columns: Path | None = typer.Option(None, metavar="FILE.csv", help="What else is known of the pictures, by file."),
    defects: str | None = typer.Option(None, metavar="A,B", help="Classes that make a part defective; all without it."),
    templates_as_good: bool = typer.Option(False, "--templates-as-good", help="Templates join as good parts."),
    choose_on: str | None = typer.Option(None, metavar="SPLIT", help="Choose the thresholds on this split, e.g. val."),
    escape_rate: float | None = typer.Option(None, min=0, max=1, help="Choose for at most this escape rate."),
    cost_escape: float | None = typer.Option(None, min=0, help="Choose by cost: of a defective part that passes."),
    cost_overkill: float | None = typer.Option(None, min=0, help="Choose by cost: of a good part that is rejected."),
    ng_share: float | None = typer.Option(
        None, min=0, max=1, help="Choose by cost: share of defective parts expected."
    ),
    claim_escape: float | None = typer.Option(
        None, help="Ask whether the escape rate is below this; exit code 1 if not."
    ),
    claim_overkill: float | None = typer.Option(None, help="The same for good parts rejected."),
    backend: str = typer.Option("onnx", help="What runs the model: onnx, or a backend that is installed beside it."),
    device: str | None = typer.Option(None, help="Where: auto (without it), cpu, cuda or tensorrt."),
    threads: int | None = typer.Option(None, min=0, help="Threads of the model; without it one for each core."),
    curves: Path | None = typer.Option(None, metavar="FILE.csv", help="Epochs, losses and mAP of a training, to plot."),
    out: Path | None = typer.Option(None, help="New folder for report.html, report.json and predictions.json."),
    write_thresholds: bool = typer.Option(False, "--write-thresholds", help="Write the chosen ones into the bundle."),
    trust: bool = typer.Option(
        False, "--trust", help="Load weights that hold more than weights; they can run anything."
    ),
    size: int | None = typer.Option(None, min=32, max=8192, help="Input side, px, of weights that do not tell it."),
    as_json: bool = typer.Option(False, "--json", help="Print the numbers as JSON."),
) -> None:
    """Judge a model on labelled pictures; exit code 1 when a claim is refused."""
    _need_extra()
    from edgevision.datasets.formats import read_dataset
    from edgevision.evaluation.evaluate import Request

    _check(write_thresholds=write_thresholds, choose_on=choose_on, claims=(claim_escape, claim_overkill))
    _check_curves(curves, out)
    request = Request(
        split="" if split == "all" else split,
        choose_on=choose_on or "",
        escape_rate=escape_rate,
        costs=_costs(cost_escape, cost_overkill, ng_share),
        defects=tuple(name.strip() for name in defects.split(",")) if defects else None,
        with_templates=templates_as_good,
        claim_escape=claim_escape,
        claim_overkill=claim_overkill,
    )
    with _bundle_of(model, trust=trust, size=size, lasting=write_thresholds) as folder:
        detector = _open(folder, backend, {"device": device, "threads": threads})
        labelled = read_dataset(data, format_, columns)
        results = _judged(folder, detector, labelled, request, out, curves, as_json=as_json, data=data)
        if write_thresholds:
            written = _write(folder, results)
            typer.echo(f"thresholds written into {model}, now {written}", err=as_json)
    if not all(claim.supported for claim in results.claims):
        raise typer.Exit(1)


def _check_curves(curves: Path | None, out: Path | None) -> None:
    from edgevision.evaluation.plots import read_curves

    if curves is not None:
        if out is None:
            raise EdgevisionError("--curves are plotted into the report; say where to with --out")
        read_curves(curves)


@contextmanager
def _bundle_of(model: Path, *, trust: bool, size: int | None, lasting: bool) -> Iterator[Path]:
    """The bundle itself; of bare weights one that is gone afterwards."""
    if model.suffix.lower() not in {".pt", ".pth"} or not model.is_file():
        if size is not None:
            raise EdgevisionError(f"{model}: knows the size of its input; leave --size out")
        yield model
        return
    if lasting:
        raise EdgevisionError(f"--write-thresholds needs a bundle to write into; {model} holds weights")
    from edgevision.training.bundling import bundle_of_weights
    from edgevision.training.trainers import graph_of_weights

    with TemporaryDirectory(prefix="edgevision-") as room:
        graph = graph_of_weights(model, Path(room) / "home", trust=trust, size=size)
        yield bundle_of_weights(graph, "weights", Path(room) / "bundle").folder


def _judged(
    folder: Path,
    detector: Detector,
    labelled: DataSet,
    request: Request,
    out: Path | None,
    curves: Path | None,
    *,
    as_json: bool,
    data: Path,
) -> Results:
    from edgevision.bundle import read_bundle
    from edgevision.evaluation.report import write_report
    from edgevision.folders import new_folder

    bundle = read_bundle(folder)
    if out is not None:
        new_folder(out)
    results = _run(detector, labelled, replace(request, thresholds=bundle.manifest.thresholds), quiet=as_json)
    detector.close()
    about = _about(bundle, data, labelled, quiet=as_json)
    if out is not None:
        write_report(results, out, about, curves=curves)
    _print(results, about, out, as_json=as_json)
    return results


def _need_extra() -> None:
    """What an evaluation needs beyond the runtime; to be missed before the long work and not after it."""
    missing = [name for name in ("faster_coco_eval", "jinja2", "matplotlib", "scipy") if find_spec(name) is None]
    if missing:
        raise EdgevisionError(f'an evaluation needs {", ".join(missing)}: pip install "edgevision[data]"')


def _open(model: Path, backend: str, settings: dict[str, object]) -> Detector:
    from edgevision.daemon.registry import BACKENDS
    from edgevision.evaluation.model import open_model

    if backend not in BACKENDS:
        raise EdgevisionError(f"--backend {backend} is not known; there are {', '.join(BACKENDS)}")
    given = {name: value for name, value in settings.items() if value is not None}
    return open_model(model, BACKENDS[backend], kind=backend, **given)


def _about(bundle: Bundle, path: Path, data: DataSet, *, quiet: bool) -> About:
    from edgevision.cli.progress import counted
    from edgevision.datasets.fingerprint import fingerprint
    from edgevision.evaluation.words import About

    with counted("fingerprint", len(data), quiet=quiet) as each:
        try:
            print_ = fingerprint(data, each)
        except ImageError:  # the picture is among those that could not be used, and told there
            print_ = ""
    return About(bundle.model_ref, path.resolve().name, print_, date=datetime.now(timezone.utc).date().isoformat())


def _check(*, write_thresholds: bool, choose_on: str | None, claims: tuple[float | None, float | None]) -> None:
    if write_thresholds and choose_on is None:
        msg = "--write-thresholds needs --choose-on: without it there are no chosen thresholds to write"
        raise EdgevisionError(msg)
    for name, value in zip(("--claim-escape", "--claim-overkill"), claims, strict=True):
        if value is not None and not 0 < value < 1:
            msg = f"{name} {value:g} is no rate that can be shown; give one between 0 and 1, e.g. 0.01"
            raise EdgevisionError(msg)


def _costs(escape: float | None, overkill: float | None, ng_share: float | None) -> Costs | None:
    from edgevision.evaluation.operating import Costs

    if escape is None and overkill is None and ng_share is None:
        return None
    if escape is None or overkill is None or ng_share is None:
        msg = "choosing by cost needs all of --cost-escape, --cost-overkill and --ng-share"
        raise EdgevisionError(msg)
    if not (isfinite(escape) and isfinite(overkill)):
        raise EdgevisionError("--cost-escape and --cost-overkill must be finite")
    return Costs(escape, overkill, ng_share)


def _run(detector: Detector, data: DataSet, request: Request, *, quiet: bool) -> Results:
    from edgevision.cli.progress import counted
    from edgevision.evaluation.evaluate import evaluate as run
    from edgevision.evaluation.evaluate import pictures_of

    with counted("pictures", pictures_of(data, request), quiet=quiet) as advance:
        return run(detector, data, request, advance=advance)


def _write(folder: Path, results: Results) -> str:
    """Write the chosen thresholds; returns the reference of the bundle that is."""
    from edgevision.bundle import read_bundle
    from edgevision.evaluation.model import write_thresholds

    known = read_bundle(folder).manifest.classes
    chosen = {name: score for name, score in results.point.thresholds.items() if name in known}
    return write_thresholds(folder, chosen).model_ref


def _print(results: Results, about: About, out: Path | None, *, as_json: bool) -> None:
    from edgevision.evaluation.report import REPORT
    from edgevision.evaluation.words import document, verdict, weak_slices, weak_words

    if as_json:
        typer.echo(json.dumps({**document(results, about), "out": str(out) if out else None}))
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=False)
    console.print(_table(results, about))
    for sentence in verdict(results):
        console.print(f"[bold]{escape(sentence)}[/]")
    for claim in results.claims:
        console.print(escape(claim.words), style="green" if claim.supported else "red")
    console.print(f"Thresholds: {escape(results.point.how)}.")
    for item in weak_slices(results):
        console.print(escape(f"Weak: {weak_words(item)}"))
    lines = (*results.notes, *map(str, results.unusable[:_SHOWN]))
    for line in lines:
        console.print(escape(line), style="yellow")
    if (more := len(results.unusable) - _SHOWN) > 0:
        console.print(f"... and {more} more; `--out` lists them all", style="yellow")
    if out is not None:
        typer.echo(f"report in {out / REPORT}")


def _table(results: Results, about: About) -> RenderableType:
    from rich import box
    from rich.table import Table

    from edgevision.evaluation.matching import total
    from edgevision.evaluation.words import ap_words

    split = results.request.split or "all"
    title = f"{about.model} on {about.data} ({split}, {len(results.predictions.data):,} pictures)"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("class")
    for name in ("boxes", "mAP50", "mAP50-95", "threshold", "found", "missed", "false"):
        table.add_column(name, justify="right")
    for name, threshold, counts in zip(results.classes, results.thresholds, results.by_class, strict=True):
        ap = results.coco.by_class[name]
        numbers = (f"{threshold:.4g}", str(counts.found), str(counts.missed), str(counts.false))
        table.add_row(name, str(counts.found + counts.missed), ap_words(ap.map50), ap_words(ap.map50_95), *numbers)
    table.add_section()
    every = total(results.by_class)
    numbers = ("", str(every.found), str(every.missed), str(every.false))
    overall = results.coco.overall
    table.add_row("all", str(every.found + every.missed), ap_words(overall.map50), ap_words(overall.map50_95), *numbers)
    return table
