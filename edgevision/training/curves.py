"""A training's curves, a row an epoch, as CSV and as a picture."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

from edgevision.training.base import Epoch


def append_epoch(file: Path, epoch: Epoch) -> None:
    """Add a row; rows of this epoch and later ones, of a training that was broken off and resumed, are replaced."""
    rows = [row for row in read_curves(file) if row["epoch"] < epoch.number]
    values = {"epoch": float(epoch.number), "seconds": epoch.seconds, "rate": epoch.rate}
    values |= {f"loss_{name.removesuffix('_loss')}": value for name, value in epoch.losses.items()}
    values |= dict(epoch.metrics)
    rows.append(values)
    names = list(dict.fromkeys(name for row in rows for name in row))
    aside = file.with_suffix(".writing")
    with aside.open("w", encoding="utf-8", newline="") as out:
        table = csv.DictWriter(out, names)
        table.writeheader()
        table.writerows([{name: f"{value:.6g}" for name, value in row.items()} for row in rows])
    aside.replace(file)


def read_curves(file: Path) -> list[dict[str, float]]:
    """The rows so far; none when there is no such file."""
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(lines)]


def spent_s(file: Path) -> float:
    """Seconds that the epochs in a table took, over all resumptions: their clock begins anew with each of them."""
    clock = [row["seconds"] for row in read_curves(file)]
    ends = [now for now, after in pairwise(clock) if after < now]
    return sum(ends) + sum(clock[-1:])


def plot_curves(file: Path, picture: Path) -> None:
    """Losses, validation and learning rate over the epochs, as a PNG."""
    from matplotlib.figure import Figure

    rows = read_curves(file)
    epochs = [row["epoch"] for row in rows]
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    axes = figure.subplots(1, 3)
    losses = [name for name in (rows[0] if rows else {}) if name.startswith("loss_")]
    panels: tuple[tuple[str, list[str]], ...] = (
        ("training loss", losses),
        ("validation", [name for name in ("map50", "map50_95", "precision", "recall") if rows and name in rows[0]]),
        ("learning rate", ["rate"]),
    )
    for axis, (title, names) in zip(axes, panels, strict=True):
        for name in names:
            label = name.removeprefix("loss_").replace("map50_95", "mAP50-95").replace("map50", "mAP50")
            axis.plot(epochs, [row.get(name, float("nan")) for row in rows], marker=".", label=label)
        axis.set(title=title, xlabel="epoch")
        axis.grid(alpha=0.3)
        if len(names) > 1:
            axis.legend(frameon=False)
    axes[1].set_ylim(0, 1)
    figure.savefig(picture, dpi=110)
