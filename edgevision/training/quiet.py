"""Keeps the trainers' libraries quiet: nothing installed, fetched unasked or written into the user's home.

Call ``hush`` before ultralytics, albumentations or openvino are imported for the first time; they read their switches
then. This is the only place that sets them.
"""

from __future__ import annotations

import os
from pathlib import Path


def hush_albumentations() -> None:
    """It asks for newer versions when it is imported, unless told not to."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"


def hush(folder: Path, *, fetch: bool = False, trust: bool = False) -> None:
    """Set the switches.

    Args:
        folder: Where the trainer may keep its settings and caches, below the run's folder.
        fetch: Whether weights may be fetched by name; nothing else is sent or fetched either way.
        trust: Whether checkpoints may hold any Python object. A checkpoint is a pickle, which can run whatever it likes
            when it is loaded; without trust only weights and known layers are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    hush_albumentations()
    os.environ |= {
        "YOLO_CONFIG_DIR": str(folder.resolve()),
        "YOLO_OFFLINE": "false" if fetch else "true",
        "YOLO_AUTOINSTALL": "false",
        "YOLO_VERBOSE": "false",
        "ULTRALYTICS_SAFE_LOAD": "false" if trust else "true",
        "OPENVINO_TELEMETRY_OPT_OUT": "1",
        "MPLCONFIGDIR": str((folder / "matplotlib").resolve()),
        "MPLBACKEND": "Agg",
    }
    # One thread unless something is said before its import: the processor's cores are for the training.
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count() or 1))
