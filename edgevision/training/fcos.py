"""The trainer port over torchvision's FCOS (Tian et al. 2019), BSD-3-Clause: a way without AGPL.

Checkpoints hold tensors and plain values only, so that they load without running anything.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgevision.datasets.base import DataSet
from edgevision.errors import TrainingError
from edgevision.evaluation.coco import coco_result
from edgevision.evaluation.predict import Predictions
from edgevision.training.base import Epoch, Graph, Progress, Watcher
from edgevision.training.curves import append_epoch
from edgevision.training.hardware import bf16_on_cpu, gpus, telling_memory
from edgevision.training.onnx_graph import onnx_of
from edgevision.training.quiet import hush
from edgevision.training.schedule import schedule
from edgevision.training.settings import FcosSettings, TrainSettings
from edgevision.types import Detections

if TYPE_CHECKING:
    from edgevision.training.fcos_model import Pictures
    from edgevision.training.fcos_state import State

LICENCE = "BSD-3-Clause"


class FcosTrainer:
    """Trains in ``folder``; ``fcos/last.pt`` and ``fcos/best.pt`` are its checkpoints.

    Args:
        settings: ``model`` must be an FCOS.
        folder: The run's folder.
    """

    def __init__(self, settings: TrainSettings, folder: Path) -> None:
        if not isinstance(settings.model, FcosSettings):
            msg = f"{settings.model.kind}: not an FCOS"
            raise TypeError(msg)
        self._settings = settings
        self._model = settings.model
        self._folder = folder / "fcos"
        hush(self._folder / "home")
        import torch

        found = gpus(settings.devices)
        self._device = torch.device("cuda", found[0]) if found else torch.device("cpu")
        fast = torch.cuda.is_bf16_supported() if self._device.type == "cuda" else bf16_on_cpu()
        lower = settings.precision == "bf16" or (settings.precision == "auto" and fast)
        self._lower = torch.bfloat16 if lower else None

    def check(self, data: DataSet) -> None:
        """One batch forward and backward, one validation batch; see ``Trainer``."""
        from edgevision.training.fcos_model import Pictures

        with telling_memory(self._settings):
            model = self._network(len(data.classes))
            pictures = Pictures(data.of("train").samples, self._settings, varied=True)
            size = min(self._settings.batch, len(pictures))
            self._loss(model, [pictures[index] for index in range(size)])[0].backward()
            self._detect(model, DataSet(data.classes, data.of("val").samples[:1]))

    def fit(self, data: DataSet, watcher: Watcher, *, resume: bool) -> Path:
        """Train; see ``Trainer``."""
        with telling_memory(self._settings):
            return self._fit(data, watcher, resume=resume)

    def _fit(self, data: DataSet, watcher: Watcher, *, resume: bool) -> Path:
        import torch

        from edgevision.training.fcos_model import Pictures
        from edgevision.training.fcos_state import State, save

        settings = self._settings
        torch.manual_seed(settings.seed)
        last, best = self._folder / "last.pt", self._folder / "best.pt"
        state = State(self._network(len(data.classes)), settings)
        if resume and last.exists():
            state.load(last)
        torch.manual_seed(settings.seed + state.epoch)
        pictures = Pictures(data.of("train").samples, settings, varied=True)
        plain, minutes = settings.augment.plain_epochs, settings.stop.minutes
        began_s, began, epochs = time.monotonic(), state.epoch, settings.stop.first_epochs(plain)
        while state.epoch < epochs:
            if state.epoch >= epochs - plain:
                pictures.keep_whole()
            losses = self._epoch(state, pictures, epochs, watcher)
            metrics = self._validated(state.averaged, data.of("val"))
            better = state.done(metrics["map50_95"])
            spent_s = time.monotonic() - began_s
            row = Epoch(state.epoch, spent_s, state.rate, losses, metrics)
            append_epoch(self._folder.parent / "curves.csv", row)
            state.save(last)
            if better:
                save({"model": state.averaged.state_dict(), "classes": list(data.classes)}, best)
            watcher.epoch(row)
            if minutes is not None:  # so many epochs fit into all of the time, those before a resumption among them
                epochs = round(minutes * 60 / spent_s * (state.epoch - began))
            if state.epochs_without_gain >= settings.stop.patience_epochs:
                break
        return best

    def export_onnx(self, weights: Path, size: int | None = None) -> Graph:
        """``images`` (N, H, W, 3) uint8 RGB → ``output`` (N, anchors, 4 + classes), boxes and scores decoded."""
        import torch

        from edgevision.training.fcos_model import Dense

        if size not in {None, self._settings.image_size}:
            raise TrainingError(f"{weights}: was trained at {self._settings.image_size} px, and --size asks for {size}")
        kept = torch.load(weights, map_location="cpu", weights_only=True)
        model = self._network(len(kept["classes"]), fresh=True)
        model.load_state_dict(kept["model"])
        size = self._settings.image_size
        tools = {name: metadata.version(name) for name in ("torch", "torchvision", "onnx")}
        network = Dense(model.cpu().eval(), size)
        classes = tuple(kept["classes"])
        return Graph(onnx_of(network, size), "dense-xyxy", classes, size, LICENCE, tools, network)

    def _network(self, classes: int, *, fresh: bool = False) -> Any:  # noqa: ANN401 - torch's
        from edgevision.training.fcos_model import network

        weights = None if fresh else self._model.weights
        if weights is not None and not weights.is_file():
            raise TrainingError(f"model.weights: {weights}: no such file")
        if self._device.type == "cpu":
            import torch

            torch.set_num_threads(os.cpu_count() or 1)
        return network(self._model, classes, self._settings.image_size, weights).to(self._device)

    def _epoch(self, state: State, pictures: Pictures, epochs: int, watcher: Watcher) -> dict[str, float]:
        from edgevision.training.fcos_model import learn

        settings, shares = self._settings, schedule(self._settings.schedule, epochs)
        learn(state.model, self._model.freeze)
        batches = list(_batches(len(pictures), settings.batch, settings.repeat, settings.seed + state.epoch))
        warm_up = max(1.0, settings.schedule.warmup_epochs * len(batches))
        sums: dict[str, float] = {}
        for number, batch in enumerate(batches, 1):
            rise = min(1.0, (state.epoch * len(batches) + number) / warm_up)
            state.rate = settings.optimiser.rate * shares(state.epoch) * rise
            loss, parts = self._loss(state.model, [pictures[index] for index in batch])
            state.step(loss)
            sums = {name: sums.get(name, 0.0) + value for name, value in parts.items()}
            means = {name: value / number for name, value in sums.items()}
            watcher.progress(Progress(state.epoch, epochs, number, len(batches), means))
        return {name: value / len(batches) for name, value in sums.items()}

    def _validated(self, model: Any, data: DataSet) -> dict[str, float]:  # noqa: ANN401 - torch's
        result = coco_result(self._detect(model, data)).overall
        return {"map50": result.map50 or 0.0, "map50_95": result.map50_95 or 0.0}

    def _loss(self, model: Any, items: list[Any]) -> tuple[Any, Mapping[str, Any]]:  # noqa: ANN401 - torch's
        import torch

        images = [image.to(self._device) for image, _ in items]
        targets = [{name: value.to(self._device) for name, value in target.items()} for _, target in items]
        with torch.autocast(self._device.type, dtype=self._lower, enabled=self._lower is not None):
            parts = model(images, targets)
        loss = sum(parts.values())
        if not torch.isfinite(loss):
            raise TrainingError("the loss is no number any more; try a lower `optimiser.rate`, or `precision: fp32`")
        return loss, {name: float(value.detach()) for name, value in parts.items()}

    def _detect(self, model: Any, data: DataSet) -> Predictions:  # noqa: ANN401 - torch's
        """What the network finds, in px of the pictures."""
        import torch

        from edgevision.training.fcos_model import Pictures

        pictures = Pictures(data.samples, self._settings, varied=False)
        model.eval()
        found = []
        with torch.inference_mode():
            for index in range(len(pictures)):
                image, _ = pictures[index]
                (answer,) = model([image.to(self._device)])
                boxes, score, label = (answer[name].cpu().numpy() for name in ("boxes", "scores", "labels"))
                box = pictures.box(index)
                found.append(Detections(box.to_source(boxes), score.astype(np.float32), label.astype(np.int64)))
        return Predictions(data, tuple(found), (0.0,) * len(found))  # brightness is for slices only


def _batches(count: int, size: int, repeat: int, seed: int) -> Iterator[list[int]]:
    """Every picture ``repeat`` times in an order of its own each epoch; none is alone in a batch (norms)."""
    order = np.tile(np.arange(count), repeat)
    np.random.default_rng(seed).shuffle(order)
    firsts = [first for first in range(0, len(order), size) if first == 0 or len(order) - first > 1]
    for first, end in zip(firsts, [*firsts[1:], len(order)], strict=True):
        yield order[first:end].tolist()
