"""`edgevision data`: labelled pictures, checked, divided, counted, shown and converted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgevision.cli.data_input import can_write, pipeline, read, split_settings
from edgevision.errors import DatasetError

if TYPE_CHECKING:
    from edgevision.datasets.base import DataSet
    from edgevision.datasets.fix import Action

app = typer.Typer(help="Labelled pictures: check, split, stats, preview, convert, fingerprint.", no_args_is_help=True)

_PATH = typer.Argument(..., metavar="PATH", help="Folder of the data set, or the file that describes it.")
_FORMAT = typer.Option("auto", "--format", help="yolo, coco, voc or deeppcb; auto: what is found.")
_COLUMNS = typer.Option(None, help="CSV file with a column `file` and others: part, lot, camera, day, ...")
_PATTERN = typer.Option(None, help="Regular expression on the file name: what it finds names the group.")
_COLUMN = typer.Option(None, help="Column that names the group, e.g. board or lot.")
_LINK = typer.Option(False, "--link", help="Hard links instead of copies of the pictures.")
_JSON = typer.Option(False, "--json", help="For machines.")


@app.command()
def check(  # noqa: PLR0913 - one a command-line option
    path: Path = _PATH,
    *,
    format_: str = _FORMAT,
    columns: Path | None = _COLUMNS,
    image_size: int = typer.Option(640, min=32, help="Side of the square that the detector sees, px."),
    group_pattern: str | None = _PATTERN,
    group_column: str | None = _COLUMN,
    near_bits: int = typer.Option(80, help="Near duplicates: most differing bits of 256; -1: do not look for them."),
    fix: Path | None = typer.Option(None, help="Write a cleaned copy into this new folder."),
    link: bool = _LINK,
    show_all: bool = typer.Option(False, "--all", help="Show every finding."),
    as_json: bool = _JSON,
) -> None:
    """Find what would spoil a training or its numbers; exit code 1 when there is an error."""
    from edgevision.cli.data_output import finding_json, print_checked, show_actions
    from edgevision.cli.progress import counted
    from edgevision.datasets import check as checking
    from edgevision.datasets.fix import fixed
    from edgevision.datasets.formats import write_dataset
    from edgevision.datasets.split import group_names

    data, name = read(path, format_, columns)
    settings = checking.CheckSettings(image_size, group_pattern, group_column, near_bits)
    if fix is not None:
        can_write(fix, data)
    group_names(data, group_pattern, group_column)  # what is wrong with them is told before the long work
    with counted("pictures read", len(checking.files_to_read(data)), quiet=as_json) as each:
        checked = checking.check(data, settings, each)
    summary = {**_head(path, name, data), "errors": checked.count("error"), "warnings": checked.count("warning")}
    if not as_json:
        print_checked(checked, summary, everything=show_all)
    actions: list[Action] = []
    if fix is not None:
        cleaned, actions = fixed(checked, settings)
        with counted("pictures written", len(cleaned), quiet=as_json) as each:
            write_dataset(cleaned, fix, name, link=link, each=each)
        if not as_json:
            show_actions(actions, cleaned, fix, everything=show_all)
    if as_json:
        findings = [finding_json(finding) for finding in checked.findings]
        done = [{"what": action.what, "where": action.where, "why": action.why} for action in actions]
        typer.echo(json.dumps({**summary, "findings": findings, "fixed": fix and str(fix), "actions": done}))
    raise typer.Exit(1 if checked.count("error") else 0)


@app.command()
def split(  # noqa: PLR0913 - one a command-line option
    path: Path = _PATH,
    *,
    out: Path = typer.Option(..., help="New folder for the divided data set."),
    format_: str = _FORMAT,
    to: str | None = typer.Option(None, help="Format to write; without it the one that was read."),
    columns: Path | None = _COLUMNS,
    ratio: str = typer.Option("0.7,0.15,0.15", help="Shares of train, val and test."),
    assign: list[str] = typer.Option([], help="SPLIT=GROUP,GROUP,... instead of shares; may be repeated."),
    group_pattern: str | None = _PATTERN,
    group_column: str | None = _COLUMN,
    near_duplicates_together: bool = typer.Option(
        False, "--near-duplicates-together", help="Keep pictures that look like the same shot in one split."
    ),
    seed: int = typer.Option(0, help="Decides between equals."),
    link: bool = _LINK,
    as_json: bool = _JSON,
) -> None:
    """Divide into train, val and test: whole groups only, and each class with its share."""
    from edgevision.cli.data_output import finding_json, print_shares, say_left_out
    from edgevision.cli.progress import counted
    from edgevision.datasets.formats import write_dataset
    from edgevision.datasets.split import shares
    from edgevision.datasets.split import split as divide

    settings = split_settings(
        ratio,
        assign,
        group_pattern=group_pattern,
        group_column=group_column,
        near_duplicates_together=near_duplicates_together,
        seed=seed,
    )
    data, name = read(path, format_, columns)
    can_write(out, data)
    divided = divide(data, settings)
    with counted("pictures written", len(divided), quiet=as_json) as each:
        write_dataset(divided, out, to or name, link=link, each=each)
    parts = shares(divided)
    if not as_json:
        print_shares(divided, parts, len(data.findings), out)
        say_left_out(data, path)
        return
    rows = [
        {
            "split": part.split,
            "pictures": part.pictures,
            "boxes": dict(zip(data.classes, part.boxes, strict=True)),
            "off": dict(zip(data.classes, [round(value, 6) for value in part.off], strict=True)),
        }
        for part in parts
    ]
    findings = [finding_json(finding) for finding in divided.findings]
    typer.echo(json.dumps({**_head(path, to or name, data), "out": str(out), "splits": rows, "findings": findings}))


@app.command()
def stats(
    path: Path = _PATH,
    *,
    out: Path | None = typer.Option(None, help="Folder for plots."),
    format_: str = _FORMAT,
    columns: Path | None = _COLUMNS,
    as_json: bool = _JSON,
) -> None:
    """Count pictures, boxes and classes, measure sizes and brightness, and plot them."""
    from dataclasses import asdict

    from edgevision.cli.data_output import print_stats, say_left_out
    from edgevision.cli.progress import counted
    from edgevision.datasets.measure import measure_all
    from edgevision.datasets.plots import write_plots
    from edgevision.datasets.stats import stats as count
    from edgevision.datasets.writing import must_be_beside

    data, name = read(path, format_, columns)
    if out is not None:
        must_be_beside(out, data)
    with counted("pictures read", len({sample.file for sample in data.samples}), quiet=as_json) as each:
        measured = measure_all([sample.file for sample in data.samples], each)
    found = count(data, measured)
    plots = write_plots(data, found.parts[:-1], out) if out else []
    if as_json:
        typer.echo(json.dumps({**_head(path, name, data), **asdict(found), "plots": [str(file) for file in plots]}))
    else:
        print_stats(data, found, plots)
        say_left_out(data, path)


@app.command()
def preview(
    path: Path = _PATH,
    *,
    out: Path = typer.Option(..., help="PNG file to write."),
    count: int = typer.Option(16, min=1, max=100, help="How many pictures."),
    seed: int = typer.Option(0, help="Decides which pictures."),
    augment: str | None = typer.Option(
        None, metavar="NAME|FILE", help="Vary them: inspection, retail, low_light, fused, or a YAML file."
    ),
    format_: str = _FORMAT,
    columns: Path | None = _COLUMNS,
) -> None:
    """Show some pictures with their boxes, every class among them where it is there, as they are or varied."""
    from edgevision.cli.data_output import say_left_out
    from edgevision.datasets.plots import chosen, write_sheet
    from edgevision.datasets.writing import must_be_beside

    if out.suffix.lower() != ".png":
        raise DatasetError(f"{out}: a preview is a PNG file; name it so")
    data, _ = read(path, format_, columns)
    must_be_beside(out.parent, data)
    shown = chosen(data, count, seed, None if augment is None else pipeline(augment))
    write_sheet(shown, data.classes, out)
    typer.echo(f"{len(shown)} of {len(data)} pictures in {out}")
    say_left_out(data, path)


@app.command()
def convert(
    path: Path = _PATH,
    *,
    to: str = typer.Option(..., help="yolo, coco, voc or deeppcb."),
    out: Path = typer.Option(..., help="New folder."),
    format_: str = _FORMAT,
    columns: Path | None = _COLUMNS,
    link: bool = _LINK,
    as_json: bool = _JSON,
) -> None:
    """Write a data set in another format; splits and columns are kept."""
    from edgevision.cli.data_output import say_left_out
    from edgevision.cli.progress import counted
    from edgevision.datasets.formats import write_dataset

    data, name = read(path, format_, columns)
    can_write(out, data)
    with counted("pictures written", len(data), quiet=as_json) as each:
        write_dataset(data, out, to, link=link, each=each)
    left_out = sum(finding.severity == "error" for finding in data.findings)
    if as_json:
        typer.echo(json.dumps({**_head(path, name, data), "to": to, "out": str(out), "left_out": left_out}))
        return
    typer.echo(f"{len(data)} pictures, {sum(data.counts())} boxes: {name} to {to} in {out}")
    say_left_out(data, path)


@app.command()
def fuse(
    path: Path = _PATH,
    *,
    out: Path = typer.Option(..., help="New folder."),
    format_: str = _FORMAT,
    columns: Path | None = _COLUMNS,
    as_json: bool = _JSON,
) -> None:
    """Make one picture of each picture and its defect-free template: grey, grey, difference; a YOLO data set."""
    from edgevision.cli.data_output import say_left_out
    from edgevision.cli.progress import counted
    from edgevision.datasets.fuse import fuse_dataset

    data, name = read(path, format_, columns)
    can_write(out, data)
    with counted("pictures fused", len(data), quiet=as_json) as each:
        count = fuse_dataset(data, out, each)
    if as_json:
        typer.echo(json.dumps({**_head(path, name, data), "out": str(out), "fused": count}))
    else:
        typer.echo(f"{count} of {len(data)} pictures fused with their templates in {out}")
        say_left_out(data, path)


@app.command()
def fingerprint(
    path: Path = _PATH, *, format_: str = _FORMAT, columns: Path | None = _COLUMNS, as_json: bool = _JSON
) -> None:
    """Print one number for pictures, classes, boxes and splits, whatever the format, the names and their order."""
    from edgevision.cli.data_output import say_left_out
    from edgevision.cli.progress import counted
    from edgevision.datasets.fingerprint import fingerprint as compute

    data, name = read(path, format_, columns)
    with counted("pictures read", len(data), quiet=as_json) as each:
        digest = compute(data, each)
    say_left_out(data, path)
    typer.echo(json.dumps({**_head(path, name, data), "fingerprint": digest}) if as_json else digest)


def _head(path: Path, name: str, data: DataSet) -> dict[str, Any]:
    boxes = sum(data.counts())
    return {"path": str(path), "format": name, "pictures": len(data), "boxes": boxes, "classes": list(data.classes)}
