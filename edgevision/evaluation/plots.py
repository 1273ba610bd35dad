"""Plots of a report as inline SVG: text takes the colour of the page, so they are legible on light and dark."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from edgevision.errors import DatasetError
from edgevision.evaluation.evaluate import SWEEP, Results

_INK = "#010203"  # becomes the page's text colour
_ESCAPE, _OVERKILL, _POINT = "#d9534f", "#4c8fd6", "#d99a1c"
_COLOURS = (
    "#4c8fd6",
    "#d99a1c",
    "#3a9d6e",
    "#d9534f",
    "#9a6fd0",
    "#c76aa5",
    "#8a7a5c",
    "#5fa8a8",
    "#a0a83c",
    "#888888",
)
_DASHES = ("-", "--", ":", "-.")
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 11,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#888888",
    "grid.alpha": 0.25,
    "legend.frameon": False,
}
MOST_CURVES = 10
_SCORES = {"map50": "mAP50", "map50_95": "mAP50-95", "precision": "precision", "recall": "recall"}

Numbers = NDArray[np.float64]


def sweep_plot(results: Results) -> str:
    """Escape and overkill against a common threshold, percent; the point in use is marked."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": "sweep"}):
        figure, axes = _figure(5.6, 3.1)
        lines = (
            ("escape", _ESCAPE, [rates.escape.value for rates in results.sweep], "-"),
            ("overkill", _OVERKILL, [rates.overkill.value for rates in results.sweep], "--"),
        )
        for label, colour, values, dash in lines:
            if values[0] is not None:
                axes.plot(SWEEP, 100 * np.array(values, np.float64), dash, color=colour, label=label, linewidth=1.8)
        used = [results.thresholds[index] for index in results.parts.label] or [0.0]
        low, high = min(used), max(used)
        if high - low > 1e-6:  # noqa: PLR2004 - not one common threshold
            axes.axvspan(low, high, color=_POINT, alpha=0.15, linewidth=0)
        middle = (low + high) / 2
        axes.axvline(middle, color=_POINT, linewidth=1.2)
        for rate, colour in ((results.rates.escape, _ESCAPE), (results.rates.overkill, _OVERKILL)):
            if rate.value is not None:
                axes.plot([middle], [100 * rate.value], "o", color=colour, markeredgecolor=_POINT, markersize=8)
        axes.plot([], [], "o", color="none", markeredgecolor=_POINT, label="thresholds in use")
        axes.set(xlabel="threshold for all classes", ylabel="% of parts", xlim=(0, 1), ylim=(-2, 102))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.18), ncols=3, fontsize=9, columnspacing=1.2)
        return _svg(figure)


def curves_plot(results: Results) -> str:
    """Precision against recall at IoU 0.5, a line for each of the ``MOST_CURVES`` worst classes."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": "curves"}):
        figure, axes = _figure(5.6, 3.6)
        recall = np.linspace(0, 1, 101)
        shown = sorted(results.coco.curves.items(), key=lambda item: np.mean(item[1]))[:MOST_CURVES]
        for place, (name, precision) in enumerate(shown):
            dash = _DASHES[place // 3 % len(_DASHES)]
            label = f"{_plain(name)} {np.mean(precision):.3f}"
            axes.plot(recall, precision, dash, color=_COLOURS[place], label=label, linewidth=1.6)
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.03))
        axes.legend(loc="lower left", fontsize=9)
        return _svg(figure)


def training_plots(file: Path) -> list[str]:
    """Losses, validation and learning rate by epoch, a plot each; what the table does not hold has none.

    Args:
        file: CSV with a column ``epoch`` and any of ``loss_*``, ``map50``, ``map50_95``, ``precision``, ``recall`` and
            ``rate``. A cell may be empty, since not every epoch is validated.

    Raises:
        DatasetError: It cannot be read, or has no such columns.
    """
    columns = read_curves(file)
    epochs = columns.pop("epoch")
    losses = [name for name in columns if name.startswith("loss")]
    panels = (
        ("training loss", losses),
        ("validation", [name for name in _SCORES if name in columns]),
        ("learning rate", [name for name in columns if name == "rate"]),
    )
    drawn = []
    for title, names in panels:
        lines = {name: columns[name] for name in names if np.isfinite(columns[name]).any()}
        if lines:
            drawn.append(_training_plot(title, epochs, lines))
    return drawn


def _training_plot(title: str, epochs: Numbers, lines: Mapping[str, Numbers]) -> str:
    with mpl.rc_context({**_STYLE, "svg.hashsalt": title}):
        figure, axes = _figure(3.9, 2.9)
        for number, (name, values) in enumerate(lines.items()):
            there = np.isfinite(values)
            label = _SCORES.get(name, name.removeprefix("loss_"))
            style = (_DASHES[number % len(_DASHES)], _COLOURS[number % len(_COLOURS)])
            axes.plot(epochs[there], values[there], style[0], color=style[1], label=_plain(label), marker=".")
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(lines) > 1:
            axes.legend(fontsize=9)
        return _svg(figure)


def read_curves(file: Path) -> dict[str, Numbers]:
    """The columns of a training's table, (epochs,) float64 each; NaN where a cell is empty.

    Raises:
        DatasetError: It cannot be read, holds no numbers, or lacks the columns that are plotted.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            rows = list(csv.DictReader(text, skipinitialspace=True, restval=""))
        names = [name for name in (rows[0] if rows else {}) if name]
        columns = {name.strip(): np.array([float(row[name].strip() or "nan") for row in rows]) for name in names}
    except OSError as exc:
        raise DatasetError(f"{file}: cannot be read: {exc.strerror}") from exc
    except (csv.Error, ValueError) as exc:
        raise DatasetError(f"{file}: not a table of numbers: {exc}") from exc
    if "epoch" not in columns:
        raise DatasetError(f"{file}: expected a column epoch, got {', '.join(columns) or 'nothing'}")
    if not any(name.startswith("loss") or name in _SCORES for name in columns):
        wanted = f"loss_*, {', '.join(_SCORES)}"
        raise DatasetError(f"{file}: nothing to plot: expected any of {wanted}, got {', '.join(columns)}")
    return columns


def _plain(text: str) -> str:
    """A name that matplotlib takes for a name, neither for a formula nor for something to hide."""
    return text.replace("$", r"\$").lstrip("_") or "_"


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _svg(figure: Figure) -> str:
    """The bare ``<svg>`` element, as wide as the page lets it be."""
    figure.patch.set_alpha(0)
    for axes in figure.axes:
        axes.patch.set_alpha(0)
    room = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the browser's font draws the text, not ours
        figure.savefig(room, format="svg", metadata={"Date": None, "Creator": None})
    text = room.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1 role="img"', text, count=1)
    return text.replace(_INK, "currentColor")
