"""Pictures of a data set for people: plots of its numbers, and a sheet of its pictures with their boxes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.datasets.base import DataSet, Sample
from edgevision.datasets.check import clipped, degenerate
from edgevision.datasets.stats import PartStats, boxes_of
from edgevision.errors import DatasetError, ImageError
from edgevision.sources.images import read_image
from edgevision.types import FloatArray, Image, IntArray

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Vary = Callable[[Image, FloatArray, IntArray, int], tuple[Image, FloatArray, IntArray]]

_CELL_PX = 480
_GRID = 48  # cells of the heat map on each side
_SCATTER_MOST = 20_000
_PALETTE = "tab10"
_COLOURS = 10


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture of a sheet.

    Attributes:
        title: Written above it.
        image: (H, W, 3) uint8 BGR.
        xyxy: (N, 4) float32, pixels of the picture.
        label: (N,) int64.
    """

    title: str
    image: Image
    xyxy: FloatArray
    label: IntArray


def write_plots(data: DataSet, parts: Sequence[PartStats], folder: Path) -> list[Path]:
    """Write ``classes.png``, ``box-sizes.png`` and ``box-centres.png``.

    Args:
        data: The data set.
        parts: Its splits, ``all`` not among them.
        folder: Where to; made if need be.

    Raises:
        DatasetError: Matplotlib is not installed, or the folder cannot be written.
    """
    return [
        _saved(_class_counts(data, parts), folder / "classes.png"),
        _saved(_box_sizes(data), folder / "box-sizes.png"),
        _saved(_box_centres(data), folder / "box-centres.png"),
    ]


def write_sheet(shown: Sequence[Shown], classes: Sequence[str], file: Path) -> None:
    """Write pictures with their boxes side by side, each in the colour of its class.

    Raises:
        DatasetError: Matplotlib is not installed, or the file cannot be written.
    """
    columns = math.ceil(math.sqrt(len(shown)))
    rows = math.ceil(len(shown) / columns)
    figure = _figure(3 * columns, 3.2 * rows + 0.5)
    for index, item in enumerate(shown):
        axes = figure.add_subplot(rows, columns, index + 1)
        axes.set_title(_text(item.title), fontsize=7)
        axes.set_axis_off()
        _show(axes, item)
    used = sorted({int(label) for item in shown for label in item.label})
    handles = [_patch(label) for label in used]
    if handles:
        names = [_text(classes[label]) for label in used]
        figure.legend(handles, names, loc="outside lower center", ncols=min(6, len(used)))
    _saved(figure, file)


def chosen(data: DataSet, count: int, seed: int = 0, vary: Vary | None = None) -> list[Shown]:
    """So many readable pictures by chance, the class that was seen least so far first.

    Args:
        data: The data set.
        count: The most pictures.
        seed: Decides which.
        vary: Makes another picture of each, given its boxes without those that lie outside, and a seed.

    Raises:
        DatasetError: Not one picture can be read.
    """
    left = [data.samples[index] for index in np.random.default_rng(seed).permutation(len(data))]
    seen = np.zeros(len(data.classes), np.int64)
    out: list[Shown] = []
    while left and len(out) < count:
        sample = _with_rarest(left, seen)
        left.remove(sample)
        try:
            image = read_image(sample.file)
        except ImageError:
            continue
        seen += np.bincount(sample.label, minlength=len(seen))[: len(seen)]
        name = data.name(sample.file)
        xyxy, label = sample.xyxy, sample.label
        if vary is not None:
            inside = clipped(xyxy, sample.size)
            sound = ~degenerate(inside)
            image, xyxy, label = vary(image, inside[sound], label[sound], seed + len(out))
        out.append(_shrunk(Shown(f"{sample.split}: {name}" if sample.split else name, image, xyxy, label)))
    if not out:
        raise DatasetError(f"{data.root}: no picture can be read")
    return out


def _shrunk(item: Shown) -> Shown:
    """As large as it is shown, so that a hundred large pictures do not fill the memory."""
    height, width = item.image.shape[:2]
    scale = _CELL_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(item.image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
    factor = np.array([size[0] / width, size[1] / height] * 2, np.float32)
    return replace(item, image=np.asarray(small, np.uint8), xyxy=item.xyxy * factor)


def _with_rarest(samples: Sequence[Sample], seen: IntArray) -> Sample:
    for label in np.argsort(seen, kind="stable"):
        found = next((sample for sample in samples if (sample.label == label).any()), None)
        if found is not None:
            return found
    return samples[0]


def _show(axes: Axes, item: Shown) -> None:
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import Normal, Stroke

    height, width = item.image.shape[:2]
    axes.imshow(item.image[..., ::-1], extent=(0, width, height, 0))
    axes.set(xlim=(-0.01 * width, 1.01 * width), ylim=(1.01 * height, -0.01 * height))  # room for boxes at the edge
    halo = [Stroke(linewidth=2.6, foreground="white"), Normal()]  # a dark colour is not seen on a dark picture
    for (x1, y1, x2, y2), label in zip(item.xyxy.astype(float), item.label, strict=True):
        box = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, linewidth=1.4, edgecolor=_colour(int(label)))
        box.set_path_effects(halo)
        axes.add_patch(box)


def _class_counts(data: DataSet, parts: Sequence[PartStats]) -> Figure:
    figure = _figure(7, 1.5 + 0.35 * len(data.classes) * max(1, len(parts) * 0.6))
    axes = figure.add_subplot()
    thick = 0.8 / max(1, len(parts))
    rows = np.arange(len(data.classes))
    for index, part in enumerate(parts):
        counts = [part.boxes[name] for name in data.classes]
        bars = axes.barh(rows + (index - (len(parts) - 1) / 2) * thick, counts, thick * 0.9, label=part.name)
        axes.bar_label(bars, padding=3, fontsize=8)
    axes.set_yticks(rows, [_text(name) for name in data.classes])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set(title="Boxes by class", xlabel="boxes")
    _plain(axes)
    if len(parts) > 1:
        axes.legend(frameon=False)
    return figure


def _box_sizes(data: DataSet) -> Figure:
    boxes, _ = boxes_of(data)
    label = np.concatenate([np.zeros(0, np.int64), *(sample.label for sample in data.samples)])
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.1)
    one_px = np.maximum(sides, 1)
    figure = _figure(9, 4.6)
    left, right = figure.subplots(1, 2)
    pick = np.random.default_rng(0).permutation(len(boxes))[:_SCATTER_MOST]
    colours = [_colour(int(index)) for index in label[pick]]
    left.set(title="Width and height of boxes", xlabel="width, px", ylabel="height, px", xscale="log", yscale="log")
    left.scatter(one_px[pick, 0], one_px[pick, 1], s=5, c=colours, alpha=0.5, linewidths=0)
    left.set(xlim=_range(one_px[:, 0]), ylim=_range(one_px[:, 1]))
    for axis in (left.xaxis, left.yaxis):
        _log_ticks(axis)
    handles = [_patch(index) for index in range(len(data.classes))]
    if len(handles) <= _COLOURS:
        names = [_text(name) for name in data.classes]
        figure.legend(handles, names, loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    right.hist(np.sqrt(sides.prod(axis=1)), bins=40, color=_colour(0))
    right.set(title="Side of a square of the same area", xlabel="px", ylabel="boxes")
    for axes in (left, right):
        _plain(axes)
    return figure


def _box_centres(data: DataSet) -> Figure:
    boxes, scale = boxes_of(data)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / scale
    counts, _, _ = np.histogram2d(centres[:, 1], centres[:, 0], bins=_GRID, range=[[0, 1], [0, 1]])
    figure = _figure(5.4, 4.6)
    axes = figure.add_subplot()
    drawn = axes.imshow(counts, extent=(0, 1, 1, 0), cmap="magma")
    axes.set(title="Where box centres lie", xlabel="share of the width", ylabel="share of the height")
    figure.colorbar(drawn, ax=axes, label="boxes")
    return figure


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    return (float(values.min()) / 1.2, float(values.max()) * 1.2) if len(values) else (1.0, 100.0)


def _log_ticks(axis: Axis) -> None:
    """Plain numbers, 1, 2, 5, 10, ..., in place of powers that overlap."""
    from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter

    axis.set_major_locator(FixedLocator([step * 10**power for power in range(6) for step in (1, 2, 5)]))
    axis.set_major_formatter(ScalarFormatter())
    axis.set_minor_formatter(NullFormatter())


def _text(name: str) -> str:
    """A name that Matplotlib neither takes for a formula nor leaves out of a legend."""
    shown = name.encode("utf-8", "replace").decode("utf-8").replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def _figure(width: float, height: float) -> Figure:
    """A figure that needs no display and no global state."""
    try:
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise DatasetError('plots need matplotlib: pip install "edgevision[data]"') from exc
    return Figure(figsize=(width, height), layout="constrained", dpi=120)


def _patch(label: int) -> Artist:
    from matplotlib.patches import Patch

    return Patch(color=_colour(label))


def _colour(label: int) -> tuple[float, float, float, float]:
    from matplotlib import colormaps

    if label < _COLOURS:
        red, green, blue, alpha = colormaps[_PALETTE](label)
    else:  # steps of the golden ratio through the hues: no two of them are alike
        red, green, blue, alpha = colormaps["hsv"]((label * 0.618) % 1.0)
    return red, green, blue, alpha


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, alpha=0.25)
    axes.set_axisbelow(True)


def _saved(figure: Figure, file: Path) -> Path:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():  # a sign that the font lacks is drawn as a box
            warnings.filterwarnings("ignore", "Glyph .* missing from")
            figure.savefig(file)
    except OSError as exc:
        raise DatasetError(f"{file}: cannot be written: {exc.strerror}") from exc
    return file
