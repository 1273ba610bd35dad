"""`edgevision models`: model bundles, listed, shown, verified, and made of somebody else's ONNX."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import typer
from pydantic import ValidationError

from edgevision.cli import bench, engines
from edgevision.errors import BundleCorrupt, BundleError, BundleUntrusted, EdgevisionError, UnsafeModel

if TYPE_CHECKING:
    from edgevision.bundle import Bundle
    from edgevision.inference.selftest import GoldenResult

app = typer.Typer(help="Model bundles: import, list, show, verify, sign, bench, engines.", no_args_is_help=True)
app.command("bench")(bench.bench)
app.add_typer(engines.app, name="engines")

_JSON = typer.Option(False, "--json", help="For machines.")
_BUNDLE = typer.Argument(..., metavar="BUNDLE", help="Folder of a bundle.")


@app.command("import")
def import_(  # noqa: PLR0913 - one a command-line option
    file: Path = typer.Argument(..., metavar="FILE.onnx", help="A detector as ONNX."),
    *,
    out: Path = typer.Option(..., help="The bundle's folder, e.g. models/people."),
    name: str | None = typer.Option(None, help="Name of the bundle; without it the folder's."),
    version: str = typer.Option("1", help="Version of the bundle."),
    classes: Path | None = typer.Option(None, help="Class names, one a line, or a YAML file with `names`."),
    family: str | None = typer.Option(None, help="yolo (v5, v8, 11), yolo-e2e (v10, 26) or yolox."),
    size: str | None = typer.Option(None, help="Input size, WIDTHxHEIGHT, where the file leaves it open."),
    threshold: float = typer.Option(0.25, min=0, max=1, help="Minimum score."),
    licence: str | None = typer.Option(None, help="Licence of the weights (SPDX id)."),
    golden: list[Path] = typer.Option([], help="A picture for the self-test; may be repeated."),
    force: bool = typer.Option(False, "--force", help="Replace an existing bundle."),
    as_json: bool = _JSON,
) -> None:
    """Make a bundle of an ONNX file: its metadata and shapes are read, only the rest must be given."""
    from edgevision.inference.importer import Said, import_onnx, read_classes

    said = Said(
        name=name or _slug(out.name),
        version=version,
        classes=read_classes(classes) if classes else None,
        family=_family(family),
        size=_size(size),
        threshold=threshold,
        licence=licence,
        golden=tuple(golden),
    )
    bundle = import_onnx(file, out, said, replace=force)
    _print_bundle(bundle, as_json=as_json)


@app.command("list")
def list_(
    folder: Path = typer.Argument(Path("models"), help="Folder that holds bundles."), *, as_json: bool = _JSON
) -> None:
    """List the bundles of a folder; exit code 1 when one of them cannot be read."""
    from edgevision.bundle import MANIFEST, read_bundle

    rows: list[dict[str, Any]] = []
    if not folder.is_dir():
        msg = f"{folder} is no folder"
        raise BundleError(msg)
    for item in sorted(path.parent for path in folder.glob(f"*/{MANIFEST}")):
        try:
            rows.append(_row(read_bundle(item)))
        except BundleError as exc:
            rows.append({"folder": str(item), "error": str(exc)})
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        _print_list(folder, rows)
    if any("error" in row for row in rows):
        raise typer.Exit(1)


@app.command()
def show(folder: Path = _BUNDLE, *, as_json: bool = _JSON) -> None:
    """Show what a bundle holds."""
    from edgevision.bundle import read_bundle

    _print_bundle(read_bundle(folder), as_json=as_json)


@app.command()
def verify(
    folder: Path = _BUNDLE,
    *,
    backend: str = typer.Option("onnx", help="What runs the golden pictures, e.g. onnx or openvino."),
    device: str | None = typer.Option(
        None, help="Where: auto, cpu (without a word), cuda or tensorrt with onnx, cpu or gpu with openvino."
    ),
    precision: str | None = typer.Option(None, help="The artefact of this precision; else the one a device takes."),
    trusted_key: list[Path] = typer.Option([], help="A public key (PEM) that must have signed it; may be repeated."),
    as_json: bool = _JSON,
) -> None:
    """Compare signature and hashes, then run the golden pictures; exit code 1 when something differs."""
    from edgevision.bundle import verify_files
    from edgevision.bundle.signature import read_trusted

    try:
        bundle = read_trusted(folder, trusted_key)
        verify_files(bundle)
        ran, results = _golden(bundle, backend, {"device": device, "precision": precision})
    except (BundleCorrupt, BundleUntrusted, UnsafeModel) as exc:
        if as_json:
            typer.echo(json.dumps({"ok": False, "error": str(exc)}))
        else:
            typer.echo(f"error: {exc}", err=True)
        raise typer.Exit(1) from None
    good = all(result.ok for result in results)
    if as_json:
        told = {"ok": good, "model": bundle.model_ref, "ran": ran, "golden": [_result(item) for item in results]}
        typer.echo(json.dumps(told))
    else:
        _print_verified(bundle, ran, results)
    if not good:
        raise typer.Exit(1)


@app.command()
def sign(
    folder: Path = _BUNDLE,
    *,
    key: Path = typer.Option(..., help="Private key, PEM: `openssl genpkey -algorithm ed25519 -out key.pem`."),
) -> None:
    """Sign a bundle whose files are as its manifest says; devices that know the public key then trust it."""
    from edgevision.bundle import read_bundle, verify_files
    from edgevision.bundle.signature import sign as write

    bundle = read_bundle(folder)
    verify_files(bundle)
    typer.echo(f"{bundle.model_ref} signed by the key {write(bundle, key)[:16]}")


def _golden(bundle: Bundle, backend: str, settings: dict[str, str | None]) -> tuple[str, list[GoldenResult]]:
    """What ran, in words, and how the golden pictures came out."""
    from edgevision.daemon.registry import BACKENDS
    from edgevision.inference.selftest import selftest

    if backend not in BACKENDS:
        raise EdgevisionError(f"--backend {backend} is not known; there are {', '.join(BACKENDS)}")
    plain = {"device": "cpu"} if backend == "onnx" else {}
    given = plain | {name: value for name, value in settings.items() if value is not None}
    try:
        made = BACKENDS[backend].Settings.model_validate({"kind": backend, **given})
    except ValidationError as exc:
        wrong = exc.errors()[0]
        if wrong["type"] == "extra_forbidden":
            raise EdgevisionError(f"--{wrong['loc'][0]} is nothing that the backend {backend} has") from exc
        allowed = wrong["msg"].removeprefix("Input should be ")
        raise EdgevisionError(f"--{wrong['loc'][0]} {wrong['input']} is not known; allowed: {allowed}") from exc
    detector = BACKENDS[backend](bundle, made)
    try:
        item = getattr(detector, "artefact", None)
        ran = f"{backend} {getattr(detector, 'device', '')}".strip() + ("" if item is None else f", {item.file}")
        return ran, selftest(bundle, detector)
    finally:
        detector.close()


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63]


def _family(text: str | None) -> Any:  # noqa: ANN401 - a literal, checked here
    from edgevision.bundle import Family

    allowed = get_args(Family)
    if text is not None and text not in allowed:
        msg = f"--family {text} is not known; allowed: {', '.join(allowed)}"
        raise EdgevisionError(msg)
    return text


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,3})(?:x([1-9]\d{0,3}))?", text)
    if match is None:
        msg = f"--size {text} is no size; write WIDTHxHEIGHT, e.g. 640x640"
        raise EdgevisionError(msg)
    return int(match[1]), int(match[2] or match[1])


def _row(bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "folder": str(bundle.folder),
        "model": bundle.model_ref,
        "family": manifest.family,
        "input": f"{manifest.input.width}x{manifest.input.height}",
        "classes": list(manifest.classes),
        "artefacts": [f"{item.file} ({item.precision})" for item in manifest.artefacts],
        "golden": len(manifest.golden),
        "licence": manifest.licence,
    }


def _result(result: GoldenResult) -> dict[str, Any]:
    return {
        "file": result.file,
        "ok": result.ok,
        "expected": result.expected,
        "matched": result.matched,
        "worst_iou": round(result.worst_iou, 4),
        "worst_score": round(result.worst_score, 4),
        "problems": list(result.problems),
    }


def _short(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:6])}, ... ({len(names)})"  # noqa: PLR2004


def _print_bundle(bundle: Bundle, *, as_json: bool) -> None:
    if as_json:
        body = bundle.manifest.model_dump(mode="json", by_alias=True)
        typer.echo(json.dumps({"folder": str(bundle.folder), "model": bundle.model_ref, "manifest": body}))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    row = _row(bundle)
    table = Table("", "", show_header=False, title=escape(row["model"]), title_justify="left")
    for key in ("folder", "family", "input", "classes", "artefacts", "golden", "licence"):
        value = row[key]
        table.add_row(key, escape(_short(value) if isinstance(value, list) else str(value)))
    thresholds = ", ".join(f"{name} {score:g}" for name, score in bundle.manifest.thresholds.items())
    table.add_row("thresholds", escape(thresholds))
    for file, values in bundle.manifest.metrics.items():
        lines = [_metric(*item) for item in values.items()] if isinstance(values, dict) else [json.dumps(values)]
        table.add_row(escape(file), escape("\n".join(lines)))
    Console().print(table)


def _metric(name: str, value: Any) -> str:  # noqa: ANN401 - whatever a manifest holds
    """One metric in words; of a gate how it came out, since the model card has the rest."""
    if isinstance(value, float):
        return f"{name} {value:.3f}"
    if isinstance(value, dict):
        return f"{name}: {', '.join(_metric(*item) for item in value.items())}"
    if name == "gate" and isinstance(value, list) and all(isinstance(item, dict) for item in value):
        came = [(item, "" if item.get("offered", True) else ", not offered") for item in value]
        return "\n".join(f"gate on {item.get('backend')}: {item.get('outcome')}{more}" for item, more in came)
    return f"{name} {value if isinstance(value, str) else json.dumps(value)}"


def _print_list(folder: Path, rows: list[dict[str, Any]]) -> None:
    if not rows:
        typer.echo(f"no bundles in {folder}")
    for row in rows:
        if "error" in row:
            typer.secho(row["folder"], fg="red")
            typer.echo(f"    {row['error']}")
            continue
        typer.secho(row["model"], bold=True)
        classes = (
            f"{len(row['classes'])} classes: {_short(row['classes'])}" if len(row["classes"]) > 1 else row["classes"][0]
        )
        typer.echo(f"    {row['folder']}: {row['family']}, {row['input']} px, {classes}")
        typer.echo(f"    {', '.join(row['artefacts'])}; licence {row['licence'].partition(' (')[0]}")


def _print_verified(bundle: Bundle, ran: str, results: list[GoldenResult]) -> None:
    files = len(bundle.files)
    typer.echo(f"{bundle.model_ref}: {files} file{'s' if files > 1 else ''} as in the manifest")
    if not results:
        typer.echo("it has no golden pictures, so nothing was run")
    else:
        typer.echo(f"golden pictures, run by {ran}:")
    for item in results:
        scores = f"worst IoU {item.worst_iou:.3f}, worst score change {item.worst_score:.3f}"
        typer.echo(f"{'good' if item.ok else 'BAD '} {item.file}: {item.matched} of {item.expected} boxes, {scores}")
        for problem in item.problems:
            typer.echo(f"     {problem}")
