"""Which trainer does what: the one place that names them."""

from __future__ import annotations

import json
from pathlib import Path

from edgevision.errors import TrainingError
from edgevision.training.base import Graph, Trainer
from edgevision.training.settings import TrainSettings

_DEPTH = 3  # folders from a checkpoint up to its run's


def trainer_of(settings: TrainSettings, folder: Path, *, trust: bool = False) -> Trainer:
    """The trainer that settings ask for.

    Raises:
        TrainingError: The extra ``train`` is not installed.
    """
    try:
        if settings.model.kind == "yolo":
            from edgevision.training.yolo import YoloTrainer

            return YoloTrainer(settings, folder, trust=trust)
        from edgevision.training.fcos import FcosTrainer

        return FcosTrainer(settings, folder)
    except ModuleNotFoundError as exc:
        how = 'pip install "edgevision[train,cpu]", in an environment of its own'
        raise TrainingError(f"this needs {exc.name}: {how}") from exc


def graph_of_weights(weights: Path, room: Path, *, trust: bool = False, size: int | None = None) -> Graph:
    """A checkpoint as ONNX: one of a run of ours, by its settings, or one of Ultralytics.

    Args:
        weights: The checkpoint.
        room: Where libraries may leave what they need.
        trust: Load more than weights and known layers.
        size: Side of the input, px, where the checkpoint does not tell what it was trained at.

    Raises:
        TrainingError: It cannot be loaded, its size is not known, or the extra ``train`` is not installed.
    """
    written = [parent / "settings.json" for parent in weights.resolve().parents[:_DEPTH]]
    run = next((file for file in written if (file.parent / "run.json").exists() and file.exists()), None)
    document = {"name": "weights", "data": {"path": "."}} if run is None else json.loads(run.read_text("utf-8"))
    settings = TrainSettings.model_validate({**document, "devices": "cpu"})  # whatever it was trained on
    return trainer_of(settings, room, trust=trust).export_onnx(weights, size)
