"""How much a result hangs on which board is left out: one training for each group, tested on that group alone.

    python tools/leave_one_out.py configs/train/deeppcb-pairs.yaml --out runs/left-out [--minutes 10]

The settings file must divide its data by groups. Of the groups that stay, the smallest with together ``--val`` of the
pictures validate and the others train. A group whose training is done is not trained again, and one that was broken
off goes on, so the command can be stopped at any time. Prints a table; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from edgevision.bundle import read_bundle
from edgevision.config.load import load
from edgevision.datasets.settings import load_data
from edgevision.datasets.split import group_names
from edgevision.errors import EdgevisionError
from edgevision.training.settings import TrainSettings

ROWS = ("map50", "map50_95")


def divided(sizes: Mapping[str, int], left_out: str, val: float) -> dict[str, list[str]]:
    """Groups of each split with one left out.

    Args:
        sizes: Pictures of each group.
        left_out: The group to test on.
        val: Least share of the other groups' pictures to validate on.
    """
    others = sorted((name for name in sizes if name != left_out), key=lambda name: (sizes[name], name))
    wanted = val * sum(sizes[name] for name in others)
    validate: list[str] = []
    while sum(sizes[name] for name in validate) < wanted:
        validate.append(others.pop(0))
    return {"train": others, "val": validate, "test": [left_out]}


def train(settings: TrainSettings, assign: dict[str, list[str]], minutes: float | None, folder: Path) -> dict[str, Any]:
    """One training by the command line; returns what its bundle says of the group that was left out."""
    run = folder / "run"
    if not (run / "report" / "report.html").exists():
        folder.mkdir(parents=True, exist_ok=True)
        document = settings.model_dump(mode="json")
        document["data"]["split"]["assign"] = assign
        document["stop"]["minutes"] = minutes or settings.stop.minutes
        file = folder / "train.yaml"
        file.write_text(json.dumps(document, indent=1), "utf-8")  # JSON is YAML
        words = [sys.executable, "-m", "edgevision", "train", str(file.resolve()), "--out", str(run.resolve())]
        words += ["--resume"] if (run / "run.json").exists() else []
        subprocess.run(words, check=True)  # noqa: S603 - this very program
    metrics: Any = next(iter(read_bundle(run / "bundle").manifest.metrics.values()))
    return dict(metrics)


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, help="wall clock of each training, in place of the file's")
    parser.add_argument("--val", type=float, default=0.1, help="share of pictures to validate on, at least")
    options = parser.parse_args()
    settings = load(options.settings, TrainSettings)
    split = settings.data.split
    if split is None or (split.group_column is None and split.group_pattern is None):
        parser.error(f"{options.settings}: `data.split` names no groups")
    data = load_data(settings.data)
    sizes = Counter(group_names(data, split.group_pattern, split.group_column))
    found = {}
    for name in sorted(sizes):
        assign = divided(sizes, name, options.val)
        found[name] = train(settings, assign, options.minutes, options.out / name)
    table = Table("left out", "pictures", "mAP50", "mAP50-95", "escapes", title=settings.name)
    for name, metrics in found.items():
        escapes, parts = metrics["escapes"]
        table.add_row(name, str(sizes[name]), *(f"{metrics[row]:.3f}" for row in ROWS), f"{escapes} of {parts}")
    means = [sum(metrics[row] for metrics in found.values()) / len(found) for row in ROWS]
    table.add_section()
    table.add_row("mean", "", *(f"{mean:.3f}" for mean in means), "")
    Console().print(table)
    print(json.dumps({"settings": str(options.settings), "groups": found}))


if __name__ == "__main__":
    try:
        main()
    except EdgevisionError as exc:
        sys.exit(f"error: {exc}")
