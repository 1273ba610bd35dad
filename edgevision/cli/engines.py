"""`edgevision models engines`: what TensorRT has built on this device, for boxes of the same kind."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from edgevision.inference.engines import Engines

app = typer.Typer(help="TensorRT engines: list, export to boxes of the same kind, import.", no_args_is_help=True)

_CACHE = typer.Option(None, metavar="DIR", help="Where engines are kept; without it where the daemon keeps them.")


@app.command("list")
def list_(*, cache: Path | None = _CACHE, as_json: bool = typer.Option(False, "--json", help="For machines.")) -> None:
    """List the engines that were built here, the last used first."""
    found = _engines(cache).listed()
    if as_json:
        typer.echo(json.dumps([{**asdict(key), "bytes": size} for key, size in found]))
        return
    if not found:
        typer.echo(f"no engines in {_engines(cache).folder}")
    for key, size in found:
        made = f"TensorRT {key.tensorrt}, {key.gpu} ({key.capability}), up to {key.max_batch} pictures"
        typer.echo(f"{key.sha256[:12]} {key.precision}: {made}, {size / 1e6:.1f} MB")


@app.command("export")
def export(
    archive: Path = typer.Argument(..., metavar="FILE.tar"),
    *,
    key: Path | None = typer.Option(None, help="Private key (PEM) to sign them with, as for `models sign`."),
    cache: Path | None = _CACHE,
) -> None:
    """Write all engines into one file."""
    from edgevision.inference.engine_archive import export_engines

    count = export_engines(_engines(cache), archive, key)
    typer.echo(f"{count} {'engine' if count == 1 else 'engines'} in {archive}")


@app.command("import")
def import_(
    archive: Path = typer.Argument(..., metavar="FILE.tar"),
    *,
    gpu: int = typer.Option(0, min=0, help="Number of the GPU they are for."),
    trusted_key: list[Path] = typer.Option([], help="A public key (PEM) that must have signed them; may be repeated."),
    cache: Path | None = _CACHE,
) -> None:
    """Take the engines of this kind of device; exit code 1 when there is none. An engine is code that the GPU runs."""
    from edgevision.inference.engine_archive import take_engines
    from edgevision.inference.tensorrt import fits

    taken, others = take_engines(_engines(cache), archive, lambda key: fits(key, gpu), trusted_key)
    typer.echo(
        f"{taken} {'engine' if taken == 1 else 'engines'} taken, {others} left out: of another GPU, driver or TensorRT"
    )
    if not taken:
        raise typer.Exit(1)


def _engines(cache: Path | None) -> Engines:
    from edgevision.inference.engines import Engines
    from edgevision.inference.tensorrt import TensorRtSettings

    return Engines(cache or TensorRtSettings(kind="tensorrt").cache_dir)
