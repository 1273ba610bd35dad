"""What `edgevision data` shows people: tables of findings, splits and numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edgevision.datasets.base import DataSet, Finding
from edgevision.datasets.check import Checked
from edgevision.datasets.fix import Action
from edgevision.datasets.split import SplitShare
from edgevision.datasets.stats import QUANTILES, Stats

_EXAMPLES = 3
_COLOUR = {"error": "red", "warning": "yellow"}
_FAR = 0.05  # of a class's share: more is shown in colour


def finding_json(finding: Finding) -> dict[str, str]:
    """A finding as an object."""
    return {
        "kind": finding.kind,
        "severity": finding.severity,
        "where": finding.where,
        "message": finding.message,
    }


def print_checked(checked: Checked, summary: dict[str, Any], *, everything: bool) -> None:
    """A row a kind of finding, errors first, with some examples."""
    console, root = Console(), checked.data.root
    console.print(_summary(summary), highlight=False, soft_wrap=True)
    by_kind: defaultdict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in checked.findings:
        by_kind[finding.severity, finding.kind].append(finding)
    table = Table("finding", "count", "where and what", show_lines=True)
    table.columns[1].justify = "right"
    for (severity, kind), findings in sorted(by_kind.items(), key=lambda item: (item[0][0], -len(item[1]))):
        shown = findings if everything else findings[:_EXAMPLES]
        lines = [_short(f"{finding}", root) for finding in shown]
        if len(findings) > len(shown):
            lines.append(f"[dim]and {len(findings) - len(shown)} more[/]")
        name = f"[{_COLOUR[severity]}]{severity}[/]\n{kind}"
        table.add_row(name, str(len(findings)), "\n".join(lines))
    if by_kind:
        console.print(table)
    errors, warnings = summary["errors"], summary["warnings"]
    if not errors and not warnings:
        console.print("nothing found")
    else:
        hint = "" if everything else "; --all shows every one"
        console.print(f"{_number(errors, 'error')}, {_number(warnings, 'warning')}{hint}", highlight=False)
    if lost := len({sample.file for sample in checked.data.lost}):
        why = "since it or a label of it cannot be used" if lost == 1 else "since they or labels of them cannot be used"
        console.print(f"{_number(lost, 'picture')} left out, {why}", highlight=False)


def show_actions(actions: Sequence[Action], cleaned: DataSet, folder: Path, *, everything: bool) -> None:
    """What a cleaned copy lacks, and where it is."""
    console = Console()
    by_what: defaultdict[str, list[Action]] = defaultdict(list)
    for action in actions:
        by_what[action.what].append(action)
    table = Table("fixed", "count", "where and why", show_lines=True)
    table.columns[1].justify = "right"
    for what, items in by_what.items():
        shown = items if everything else items[:_EXAMPLES]
        lines = [_short(f"{item.where}: {item.why}", cleaned.root) for item in shown]
        if len(items) > len(shown):
            lines.append(f"[dim]and {len(items) - len(shown)} more[/]")
        table.add_row(what, str(len(items)), "\n".join(lines))
    if actions:
        console.print(table)
    text = f"cleaned copy: {len(cleaned)} pictures, {sum(cleaned.counts())} boxes in {folder}"
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def say_left_out(data: DataSet, path: Path) -> None:
    """How much of a data set could not be read, on stderr."""
    left_out = sum(finding.severity == "error" for finding in data.findings)
    if left_out:
        pictures = f"{_number(lost, 'picture')} " if (lost := len({sample.file for sample in data.lost})) else ""
        text = f"{_number(left_out, 'error')} while reading, {pictures}left out: see edgevision data check {path}"
        Console(stderr=True).print(f"[red]warning[/] {escape(_printable(text))}", highlight=False, soft_wrap=True)


def print_shares(data: DataSet, parts: Sequence[SplitShare], known: int, out: Path) -> None:
    """Pictures and boxes of each split beside those of all, and the findings after the first ``known``."""
    console = Console()
    table = Table("class", *(part.split for part in parts), "all")
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("pictures", *(str(part.pictures) for part in parts), str(len(data)), end_section=True)
    total = data.counts()
    for index, name in enumerate(data.classes):
        cells = [f"{part.boxes[index]} {_off(part.off[index])}" for part in parts]
        table.add_row(escape(name), *cells, str(total[index]))
    console.print(table)
    console.print(
        "in brackets: share of the class in the split less its share in all, in per cent points", highlight=False
    )
    for finding in data.findings[known:]:
        console.print(f"[{_COLOUR[finding.severity]}]{finding.severity}[/] {escape(finding.message)}", highlight=False)
    console.print(f"written to {out}", highlight=False, markup=False, soft_wrap=True)


def print_stats(data: DataSet, stats: Stats, plots: Sequence[Path]) -> None:
    """Counts by class and split, then sizes and brightness."""
    console = Console()
    shown = stats.parts if len(stats.parts) > 2 else stats.parts[-1:]  # noqa: PLR2004 - one part is all
    table = Table("", *(part.name for part in shown))
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("pictures", *(str(part.pictures) for part in shown))
    table.add_row("without boxes", *(str(part.empty) for part in shown))
    table.add_row("boxes", *(str(sum(part.boxes.values())) for part in shown), end_section=True)
    for name in data.classes:
        table.add_row(escape(name), *(str(part.boxes[name]) for part in shown))
    console.print(table)
    spread = Table("", *("least", *(f"{100 * value:g} %" for value in QUANTILES[1:-1]), "most"))
    for column in spread.columns[1:]:
        column.justify = "right"
    for name, values, digits in (
        ("box width, px", stats.box_width_px, 1),
        ("box height, px", stats.box_height_px, 1),
        ("box side / picture side", stats.box_side_share, 3),
        ("brightness of pictures, 0..255", stats.brightness, 1),
    ):
        if values:
            spread.add_row(name, *(f"{value:.{digits}f}" for value in values))
    if spread.row_count:
        console.print(spread)
    sizes = list(stats.sizes.items())
    more = f", and {len(sizes) - 5} other sizes" if len(sizes) > 5 else ""  # noqa: PLR2004
    if sizes:
        console.print(
            "picture sizes: " + ", ".join(f"{size} ({count})" for size, count in sizes[:5]) + more, highlight=False
        )
    if stats.unreadable:
        console.print(f"[red]{stats.unreadable} pictures cannot be read[/]: edgevision data check", highlight=False)
    for file in plots:
        console.print(f"plot: {file}", highlight=False, markup=False, soft_wrap=True)


def _summary(summary: dict[str, Any]) -> str:
    classes = summary["classes"]
    names = ", ".join(classes[:8]) + (f", and {len(classes) - 8} more" if len(classes) > 8 else "")  # noqa: PLR2004
    counts = f"{_number(summary['pictures'], 'picture')}, {_number(summary['boxes'], 'box', 'boxes')}"
    return escape(_printable(f"{summary['path']} ({summary['format']}): {counts}, {len(classes)} classes: {names}"))


def _number(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def _short(text: str, root: Path) -> str:
    """Names relative to the data set's folder."""
    return escape(_printable(text.replace(f"{root}/", "") if str(root) != "." else text))


def _printable(text: str) -> str:
    """A name whose bytes are no UTF-8 with those bytes as numbers."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _off(share: float) -> str:
    text = f"({100 * share:+.1f})"
    return f"[yellow]{text}[/]" if abs(share) > _FAR else f"[dim]{text}[/]"
