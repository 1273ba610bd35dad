"""Ultralytics' detection trainer with what it lacks: more optimisers and schedules, pasted defects, bfloat16 on a CPU.

Imported only where a YOLO is trained. With several GPUs its class is made again in each process of torch's launcher,
so it takes our settings from the file that ``SETTINGS_FILE`` names in the environment, not from arguments, and what it
has to tell goes into ``TOLD`` beside that file.
"""

from __future__ import annotations

import contextlib
import io
import os
import time
from pathlib import Path
from typing import Any, Final

import albumentations
import numpy as np
import torch
from torch import nn, optim
from ultralytics.data.build import build_yolo_dataset
from ultralytics.data.dataset import YOLODataset
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils import DEFAULT_CFG, RANK
from ultralytics.utils.instance import Instances
from ultralytics.utils.torch_utils import intersect_dicts, strip_optimizer, unwrap_model

from edgevision.errors import TrainingError
from edgevision.training.augment import load_pipeline
from edgevision.training.base import Epoch, Progress, Watcher
from edgevision.training.bf16 import compute_in_bf16
from edgevision.training.curves import append_epoch, spent_s
from edgevision.training.layout import Layout
from edgevision.training.paste import Paster
from edgevision.training.schedule import schedule
from edgevision.training.settings import TrainSettings
from edgevision.training.several import tell_failure, telling
from edgevision.training.yolo import SETTINGS_FILE, TOLD

LEAST_TAKEN_OVER = 0.5  # of a model's tensors, from weights that shall be of its architecture
_KEPT: Final = {"sum": "square_avg"}
_METRICS: Final = {
    "map50": "metrics/mAP50(B)",
    "map50_95": "metrics/mAP50-95(B)",
    "precision": "metrics/precision(B)",
    "recall": "metrics/recall(B)",
}


class PastingDataset(YOLODataset):  # type: ignore[misc]
    """Pictures as the trainer reads them, some with defects pasted before they are put together and varied."""

    paster: Paster
    share: float

    def get_image_and_label(self, index: int) -> dict[str, Any]:
        """A picture, resized, with its labels."""
        sample: dict[str, Any] = super().get_image_and_label(index)
        rng = np.random.default_rng(int(torch.randint(2**31, (1,))))
        if rng.random() >= self.share:
            return sample
        height, width = sample["img"].shape[:2]
        instances = sample["instances"]
        instances.convert_bbox("xyxy")
        instances.denormalize(width, height)
        scale = sample["resized_shape"][0] / sample["ori_shape"][0]
        labels = sample["cls"].reshape(-1).astype(np.int64)
        image, xyxy, label = self.paster.apply(sample["img"], instances.bboxes, labels, rng, scale)
        segments = np.zeros((0, instances.segments.shape[1], 2) if instances.segments.ndim == 3 else (0, 1000, 2))  # noqa: PLR2004
        sample["img"], sample["cls"] = image, label.reshape(-1, 1).astype(np.float32)
        sample["instances"] = Instances(xyxy, segments.astype(np.float32), bbox_format="xyxy", normalized=False)
        return sample


class Adagrad(optim.Adagrad):  # type: ignore[misc]
    """Its sums survive a checkpoint: the trainer halves the precision of states it does not know, and many become 0."""

    def state_dict(self) -> dict[str, Any]:
        """As in the base, with the sums under a name that the trainer leaves as they are."""
        document: dict[str, Any] = super().state_dict()
        states = {key: {_KEPT.get(name, name): value for name, value in state.items()}
                  for key, state in document["state"].items()}  # fmt: skip
        return {**document, "state": states}

    def load_state_dict(self, document: dict[str, Any]) -> None:
        """Of ``state_dict``."""
        names = {theirs: ours for ours, theirs in _KEPT.items()}
        states = {key: {names.get(name, name): value for name, value in state.items()}
                  for key, state in document["state"].items()}  # fmt: skip
        super().load_state_dict({**document, "state": states})


class YoloEngine(DetectionTrainer):  # type: ignore[misc]
    """One training.

    Attributes:
        watcher: Who is told; set by whoever makes it, and in the launcher's first process.
    """

    watcher: Watcher | None = None
    start_epoch: int
    last: Path
    best: Path

    def __init__(self, cfg: Any = DEFAULT_CFG, overrides: Any = None, _callbacks: Any = None) -> None:  # noqa: ANN401
        file = Path(os.environ[SETTINGS_FILE])
        self.ours = TrainSettings.model_validate_json(file.read_text("utf-8"))
        self._began_s = time.monotonic()
        super().__init__(cfg, overrides, _callbacks)
        if RANK == -1:  # a process of the launcher is given them
            self.add_callback("on_train_epoch_start", YoloEngine._before_epoch)
            self.add_callback("on_train_batch_end", YoloEngine._after_batch)
            self.add_callback("on_fit_epoch_end", YoloEngine._after_epoch)
        elif RANK == 0:
            self.watcher = telling(file.with_name(TOLD))
        self._batches_done = 0

    def train(self) -> None:
        """Train; a process of the launcher also writes down why it fails."""
        try:
            super().train()
        except Exception as exc:
            if RANK != -1:
                tell_failure(Path(os.environ[SETTINGS_FILE]).with_name(TOLD), str(exc))
            raise

    def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:  # noqa: ANN401, ARG002, FBT001, FBT002 - as in the base
        """The network, from the given weights or newly drawn.

        Raises:
            TrainingError: The weights are of another architecture.
        """
        torch.manual_seed(self.ours.seed)
        model = super().get_model(cfg, None, verbose=False)
        if weights is not None:
            taken = intersect_dicts(weights.float().state_dict(), model.state_dict())
            if len(taken) < LEAST_TAKEN_OVER * len(model.state_dict()):
                holds = Path(str(getattr(weights, "yaml", {}).get("yaml_file", "another network"))).stem
                msg = (
                    f"model.weights: holds {holds}, of which {len(taken)} of {len(model.state_dict())} tensors fit "
                    f"{self.ours.model.architecture}; give weights of that architecture or name the other one"
                )
                raise TrainingError(msg)
            model.load(weights, verbose=False)
        elif not self.resume:
            _draw(model, getattr(self.ours.model, "init", "default"))
        return model

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:  # noqa: ANN401
        """The trainer's own data set, with pasting in training.

        Validation pictures are square, as the runtime feeds them. The trainer would pad them by half a stride more, and
        a border that the network never learned from shifts its boxes: 0.736 instead of 0.627 mAP50-95 for the same
        weights of ``models/pcb-defects``, and the other way round while others learn.
        """
        if mode == "val":
            stride = max(int(unwrap_model(self.model).stride.max()), 32)
            dataset = build_yolo_dataset(self.args, img_path, batch, self.data, mode=mode, rect=False, stride=stride)
            self._all_there(img_path, dataset)
            return dataset
        dataset = super().build_dataset(img_path, mode, batch)
        self._all_there(img_path, dataset)
        share = self.ours.augment.paste
        if share > 0:
            dataset.__class__ = PastingDataset  # the factory makes the base class only
            dataset.paster = Paster(Layout.read(Path(self.args.data).parent).train, self.ours.seed)
            dataset.share = share
        return dataset

    @staticmethod
    def _all_there(listed: str, dataset: Any) -> None:  # noqa: ANN401 - the library's
        """See that the trainer left no picture out, which it does without a word."""
        missing = set(Path(listed).read_text("utf-8").split("\n")) - {""} - set(dataset.im_files)
        if missing:
            files = sorted(str(Path(file).resolve()) for file in missing)
            more = f" and {len(files) - 1} more" if len(files) > 1 else ""
            raise TrainingError(f"{files[0]}{more}: the trainer cannot use it: too small, or damaged; leave it out")

    def build_optimizer(self, model: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as in the base
        """The trainer's own, and Adagrad (Duchi et al. 2011)."""
        if self.ours.optimiser.kind != "adagrad":
            return super().build_optimizer(model, *args, **kwargs)
        groups = super().build_optimizer(model, **{**kwargs, "name": "SGD"}).param_groups
        kept = ("params", "lr", "weight_decay", "param_group")
        return Adagrad([{key: group[key] for key in kept if key in group} for group in groups])

    def _setup_scheduler(self) -> None:
        self.lf = schedule(self.ours.schedule, self.epochs)
        self.scheduler = optim.lr_scheduler.LambdaLR(self.optimizer, lr_lambda=self.lf)

    def _setup_train(self) -> None:
        if self.device.type == "cpu":
            torch.set_num_threads(os.cpu_count() or 1)  # the trainer leaves one core idle, which is half of two
        with contextlib.redirect_stdout(io.StringIO()):  # its bar over cached pictures does not heed YOLO_VERBOSE
            super()._setup_train()
        self._set_ema()
        if self.device.type == "cpu" and self.ours.precision == "bf16":
            inner = unwrap_model(self.model)
            compute_in_bf16(getattr(inner, "student_model", inner))

    def _set_ema(self) -> None:
        """Averaging as it is asked for, and of weights only: the copy computes as its class does."""
        if not self.ours.ema:
            self.ema.decay = lambda _updates: 0.0
        inner = unwrap_model(self.ema.ema)
        getattr(inner, "student_model", inner).__dict__.pop("predict", None)

    def _load_checkpoint_state(self, ckpt: dict[str, Any]) -> None:
        super()._load_checkpoint_state(ckpt)
        self._set_ema()  # it has made a new one

    def _close_dataloader_mosaic(self) -> None:
        """The last epochs see pictures as the runtime gives them: whole, neither moved nor scaled.

        Moved and scaled pictures have grey borders, which real ones lack; what the network has learned of sizes is then
        a few pixels off.
        """
        self.args.translate = self.args.scale = 0.0
        pipeline = self.ours.augment.pipeline
        if pipeline != "none":
            kept = load_pipeline(pipeline).whole().transforms
            self.args.augmentations = [albumentations.to_dict(item) for item in kept]  # as checkpoints hold them
        super()._close_dataloader_mosaic()

    def save_model(self) -> bool:
        """Write the checkpoints aside first, so that a kill at any moment leaves a whole one."""
        last, best = self.last, self.best
        self.last, self.best = last.with_suffix(".writing"), best.with_suffix(".writing")
        try:
            done = bool(super().save_model())
            for aside, file in ((self.best, best), (self.last, last)):
                if aside.exists():
                    aside.replace(file)
        finally:
            self.last, self.best = last, best
        return done

    def final_eval(self) -> None:
        """Drop what only a resumed training needs; the bundle is evaluated by our own runtime."""
        for file in (self.last, self.best):
            if file.exists():
                strip_optimizer(file)

    def _build_train_pipeline(self) -> None:
        """Data and optimiser; not a second time for a smaller batch, which the trainer would take without a word."""
        if getattr(self, "_oom_retries", 0):
            raise torch.OutOfMemoryError("out of memory")
        super()._build_train_pipeline()

    def _before_epoch(self) -> None:
        """Where time decides, what a resumed training has used before it was broken off counts as well."""
        if self.args.time and self.start_epoch:
            self.train_time_start -= spent_s(self.save_dir.parent / "curves.csv")
            self.start_epoch = 0  # only the mean time of an epoch asks for it from here on

    def _after_batch(self) -> None:
        self._batches_done += 1
        if self.watcher is not None:
            batches = len(self.train_loader)
            done = (self._batches_done - 1) % batches + 1
            losses = {name: float(value) for name, value in (self.tloss or {}).items()}
            self.watcher.progress(Progress(self.epoch, self.epochs, done, batches, losses))

    def _after_epoch(self) -> None:
        if RANK > 0:
            return
        losses = {name: float(value) for name, value in (self.tloss or {}).items()}
        metrics = {ours: float(self.metrics[theirs]) for ours, theirs in _METRICS.items() if theirs in self.metrics}
        # The optimiser's own rates are already set back where time decides; MuSGD multiplies that of some groups.
        rate = float(min(self.lr.values()))
        row = Epoch(self.epoch + 1, time.monotonic() - self._began_s, rate, losses, metrics)
        append_epoch(self.save_dir.parent / "curves.csv", row)
        if self.watcher is not None:
            self.watcher.epoch(row)


def _draw(model: nn.Module, scheme: str) -> None:
    """Draw the weights of all convolutions anew; ``default`` leaves the trainer's (He et al. 2015, uniform, a = √5)."""
    draws = {
        "kaiming_normal": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
        "kaiming_uniform": lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
        "xavier_normal": nn.init.xavier_normal_,
        "xavier_uniform": nn.init.xavier_uniform_,
        "orthogonal": nn.init.orthogonal_,
    }
    if scheme in draws:
        for name, module in model.named_modules():
            if isinstance(module, nn.Conv2d) and ".dfl" not in name and module.weight.requires_grad:
                draws[scheme](module.weight)
