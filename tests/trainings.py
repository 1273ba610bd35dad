"""Small pictures to train on, and the command as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
SIDE = 96


def write_squares(folder: Path, counts: dict[str, int]) -> Path:
    """Red and blue squares on grey with noise, as a YOLO data set; every fifth picture is empty."""
    rng = np.random.default_rng(0)
    for split, count in counts.items():
        for part in ("images", "labels"):
            (folder / part / split).mkdir(parents=True)
        for number in range(count):
            image = rng.integers(90, 130, (SIDE, SIDE, 3)).astype(np.uint8)
            lines = []
            for label, colour in enumerate(((30, 30, 220), (220, 30, 30))):
                if number % 5 == 4:
                    break
                side = int(rng.integers(20, 32))
                x, y = (int(value) for value in rng.integers(0, [SIDE // 2 - 34 + 1, SIDE - side]))
                x += label * SIDE // 2
                image[y : y + side, x : x + side] = colour
                share = [(x + side / 2) / SIDE, (y + side / 2) / SIDE, side / SIDE, side / SIDE]
                lines.append(" ".join([str(label), *(f"{value:.6f}" for value in share)]))
            cv2.imwrite(str(folder / "images" / split / f"{split}{number}.png"), image)
            (folder / "labels" / split / f"{split}{number}.txt").write_text("\n".join(lines), "ascii")
    document = {**{split: f"images/{split}" for split in counts}, "names": ["red", "blue"]}
    (folder / "data.yaml").write_text(yaml.safe_dump(document), "utf-8")
    return folder


def settings(data: Path, **more: Any) -> dict[str, Any]:
    """A training of seconds."""
    return {
        "name": "squares",
        "data": {"path": str(data)},
        "model": {"kind": "yolo", "architecture": "yolo11n"},
        "image_size": 96,
        "batch": 8,
        "precision": "fp32",
        "devices": "cpu",
        "optimiser": {"kind": "adamw", "rate": 0.003},
        "augment": {"pipeline": "none", "mosaic": 0.0},
        "stop": {"epochs": 3},
    } | more


def command(folder: Path, document: dict[str, Any], *options: str, out: Path | None = None) -> list[str]:
    """The command line of a training."""
    file = folder / "train.yaml"
    file.write_text(json.dumps(document), "utf-8")
    return [sys.executable, "-m", "edgevision", "train", str(file), "--out", str(out or folder / "run"), *options]


def run(folder: Path, document: dict[str, Any], *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY), **env}
    return subprocess.run(
        command(folder, document, *options), capture_output=True, text=True, timeout=600, env=environ, check=False
    )
