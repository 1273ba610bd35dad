"""The trainer port over Ultralytics' YOLO detectors. AGPL-3.0: what is trained here says so."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from edgevision.bundle import MANIFEST, Family, read_bundle
from edgevision.datasets.base import DataSet
from edgevision.errors import TrainingError
from edgevision.training.augment import load_pipeline
from edgevision.training.base import Graph, Watcher
from edgevision.training.hardware import bf16_on_cpu, gpus, telling_memory
from edgevision.training.layout import Layout
from edgevision.training.onnx_graph import onnx_of
from edgevision.training.quiet import hush
from edgevision.training.settings import TrainSettings, YoloSettings
from edgevision.training.several import following
from edgevision.training.unfold import unfold

LICENCE = "AGPL-3.0-only"
SETTINGS_FILE = "EDGEVISION_TRAINING"  # in the environment: where the engine finds our settings
TOLD = "told.jsonl"  # beside them: what the processes of several GPUs tell


class YoloTrainer:
    """Trains in ``folder``: ``data/`` is the layout, ``yolo/`` the library's own, which it may empty, ``home/`` ours.

    Args:
        settings: ``model`` must be a YOLO.
        folder: The run's folder.
        trust: Load checkpoints that hold more than weights and known layers.
    """

    def __init__(self, settings: TrainSettings, folder: Path, *, trust: bool = False) -> None:
        if not isinstance(settings.model, YoloSettings):
            msg = f"{settings.model.kind}: not a YOLO"
            raise TypeError(msg)
        self._model = settings.model
        self._home = folder / "home"
        hush(self._home, fetch=self._model.fetch, trust=trust)
        self._gpus = gpus(settings.devices)
        if len(self._gpus) > 1 and settings.batch % len(self._gpus):
            raise TrainingError(f"batch: {settings.batch} cannot be shared by {len(self._gpus)} GPUs; give a multiple")
        if settings.precision == "auto" and not self._gpus:
            settings = settings.model_copy(update={"precision": "bf16" if bf16_on_cpu() else "fp32"})
        self._settings = settings
        self._folder = folder

    def check(self, data: DataSet) -> None:
        """One batch forward and backward, one validation batch; see ``Trainer``."""
        folder = self._folder / "check"
        layout = Layout.write(data, folder / "data", repeat=self._settings.repeat)
        try:
            with self._told():
                engine = self._engine(layout, folder, resume=False, most_gpus=1)
                engine._setup_train()  # noqa: SLF001 - what its own loop begins with
                batch = engine.preprocess_batch(next(iter(engine.train_loader)))
                loss, _ = engine.model(batch)
                loss.sum().backward()
                engine.model.eval()
                engine.model(engine.preprocess_batch(next(iter(engine.test_loader)))["img"])
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def fit(self, data: DataSet, watcher: Watcher, *, resume: bool) -> Path:
        """Train; see ``Trainer``."""
        last = self._folder / "yolo" / "weights" / "last.pt"
        best = last.with_name("best.pt")
        if resume and last.exists() and _is_finished(last):
            return best if best.exists() else last
        layout = Layout.write(data, self._folder / "data", repeat=self._settings.repeat)
        with self._told():
            engine = self._engine(layout, self._folder, resume=resume and last.exists())
            if engine.ddp:
                with following(self._home / TOLD, watcher):
                    engine.train()
            else:
                engine.watcher = watcher
                engine.train()
        return best if best.exists() else last

    def export_onnx(self, weights: Path, size: int | None = None) -> Graph:
        """``images`` (N, H, W, 3) uint8 RGB → ``output``, boxes and scores, suppression left to the runtime."""
        with self._told():
            return yolo_graph(weights, size)

    def _engine(self, layout: Layout, folder: Path, *, resume: bool, most_gpus: int | None = None) -> Any:  # noqa: ANN401 - the library's
        # The engine reads our settings from a file, since a launcher for several GPUs starts it anew.
        aside = self._home / "settings.json"
        aside.write_text(self._settings.model_dump_json(), "utf-8")
        os.environ[SETTINGS_FILE] = str(aside.resolve())
        overrides = self._overrides(layout, resume=resume) | {
            "device": ",".join(map(str, self._gpus[:most_gpus])) or "cpu",
            "data": str(layout.file.resolve()),
            "save_dir": str((folder / "yolo").resolve()),
            "exist_ok": True,
        }
        if resume:
            overrides |= {"resume": str((folder / "yolo" / "weights" / "last.pt").resolve())}
        return self.engine_type()(overrides=overrides)

    @staticmethod
    def engine_type() -> Any:  # noqa: ANN401 - the library's
        """The class of the training itself."""
        from edgevision.training.yolo_engine import YoloEngine

        return YoloEngine

    def _overrides(self, layout: Layout, *, resume: bool) -> dict[str, Any]:
        """Our settings in the trainer's words. Variation is the pipeline's, so its own colours and flips are off."""
        settings, model = self._settings, self._model
        pipeline = settings.augment.pipeline
        return {
            "model": f"{model.architecture}.yaml",
            "pretrained": str(self._weights(layout)) if model.weights and not resume else False,
            "distill_model": str(model.teacher) if model.teacher else None,
            "dis": model.teacher_weight,
            "freeze": self._frozen(),
            "imgsz": settings.image_size,
            "batch": settings.batch,
            "nbs": settings.batch,  # a step after every batch: the default of one per 64 pictures starves small sets
            "epochs": settings.stop.first_epochs(settings.augment.plain_epochs),
            "time": settings.stop.minutes / 60 if settings.stop.minutes else None,
            "patience": settings.stop.patience_epochs,
            "optimizer": settings.optimiser.kind,
            "lr0": settings.optimiser.rate,
            "lrf": settings.schedule.final_share,
            "momentum": settings.optimiser.momentum,
            "weight_decay": settings.optimiser.weight_decay,
            "warmup_epochs": settings.schedule.warmup_epochs,
            "warmup_bias_lr": 0.0,
            "cls_pw": settings.class_weights,
            "mosaic": settings.augment.mosaic,
            "close_mosaic": settings.augment.plain_epochs,
            "scale": settings.augment.scale,
            "augmentations": None if pipeline == "none" else list(load_pipeline(pipeline).transforms),
            **dict.fromkeys(("hsv_h", "hsv_s", "hsv_v", "flipud", "fliplr"), 0.0),
            "amp": {"fp32": False, "auto": True}.get(settings.precision, settings.precision) if self._gpus else False,
            "workers": settings.workers,
            "seed": settings.seed,
            "cache": "ram",
            "plots": False,
            "verbose": False,
        }

    def _weights(self, layout: Layout) -> Path:
        weights = self._model.weights
        if weights is None or weights.is_file():
            return weights or Path()
        if (weights / MANIFEST).is_file():
            start = self._home / "start.pt"
            unfold(read_bundle(weights), self._model.architecture, [item.file for item in layout.train], start)
            return start
        if self._model.fetch:
            return self._home / weights.name  # where the library puts what it fetches
        msg = f"model.weights: {weights}: no such file; give one, or set `model.fetch: true` to fetch {weights.name}"
        raise TrainingError(msg)

    def _frozen(self) -> int | None:
        """How many of the network's first layers do not learn."""
        if self._model.freeze == "none":
            return None
        from ultralytics.nn.tasks import yaml_model_load

        layers = yaml_model_load(f"{self._model.architecture}.yaml")
        backbone, head = len(layers["backbone"]), len(layers["head"])
        return backbone if self._model.freeze == "backbone" else backbone + head - 1

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Where the library's exceptions become ours."""
        try:
            with telling_memory(self._settings):
                yield
        except TrainingError:
            raise
        except RuntimeError as exc:
            raise TrainingError(f"the training failed: {_plain(exc)}") from exc
        except subprocess.CalledProcessError as exc:
            raise TrainingError(f"a process of the training ended with status {exc.returncode}") from exc
        except ConnectionError as exc:
            raise TrainingError(_plain(exc)) from exc
        except OSError as exc:
            raise TrainingError(f"{exc.filename or self._folder}: {exc.strerror or exc}") from exc
        except (TypeError, ValueError, AssertionError, KeyError, AttributeError, ImportError) as exc:
            text = _plain(exc)
            if "references types outside" in text:
                text = (
                    f"{text.split(' references')[0]}: holds more than weights and known layers, and loading it could "
                    "run anything; if you know who made it, say --trust"
                )
            raise TrainingError(text) from exc


def _is_finished(last: Path) -> bool:
    """Whether a checkpoint was stripped of what a resumed training needs, which is the last that a training does."""
    from ultralytics.nn.tasks import load_checkpoint

    return bool(load_checkpoint(last)[1].get("epoch", 0) == -1)


def _plain(exc: Exception) -> str:
    """What a library says, in a line and without its pictures."""
    text = str(exc).replace("ERROR", "").replace("❌", "").replace("\ufe0f", "")
    return " ".join(text.split())[:400]


def yolo_graph(weights: Path, size: int | None = None) -> Graph:
    """A checkpoint of Ultralytics as a graph of the size it was trained at; see ``Trainer.export_onnx``."""
    from ultralytics.nn.tasks import load_checkpoint

    model, kept = load_checkpoint(weights)
    size = trained_size(weights, (kept.get("train_args") or {}).get("imgsz"), size)
    model = getattr(model, "student_model", model).float().eval().fuse()
    for module in model.modules():
        if hasattr(module, "export"):
            module.export, module.format = True, "onnx"
    end_to_end = bool(getattr(model.model[-1], "end2end", False))
    classes = tuple(str(name) for name in model.names.values())
    tools = {name: metadata.version(name) for name in ("torch", "ultralytics", "onnx")}
    family: Family = "yolo-e2e" if end_to_end else "yolo"
    network = _with_pixels(model)
    return Graph(onnx_of(network, size), family, classes, size, LICENCE, tools, network)


def trained_size(weights: Path, told: object, asked: int | None) -> int:
    """Side of the input, px, by what a checkpoint tells (``imgsz``) and what is asked for.

    Raises:
        TrainingError: Nobody says it, both say something else, or it is no square.
    """
    sides = list(told) if isinstance(told, list | tuple) else [told]
    if any(side != sides[0] for side in sides):
        raise TrainingError(f"{weights}: was trained at {told} px; only squares can be exported")
    known = sides[0] if isinstance(sides[0], int) else asked
    if known is None:
        raise TrainingError(f"{weights}: does not tell at which image size it was trained; give --size, in px")
    if asked not in {None, known}:
        raise TrainingError(f"{weights}: was trained at {known} px, and --size asks for {asked}; leave it out")
    return known


def _with_pixels(model: Any) -> Any:  # noqa: ANN401 - torch's modules
    """The network with pixels as they are in front: cast, axes, scale."""
    import torch

    class WithPixels(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixels: Any) -> Any:  # noqa: ANN401 - tensors
            answer = self.model(pixels.float().permute(0, 3, 1, 2) * (1 / 255))
            return answer[0] if isinstance(answer, list | tuple) else answer

    return WithPixels()
