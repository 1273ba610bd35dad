"""Settings of a training, as ``edgevision train`` reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edgevision.config.settings import Name, PositiveSeconds, Settings, Unit
from edgevision.datasets.settings import DataSettings
from edgevision.training.schedule import ScheduleSettings

OptimiserName = Literal["sgd", "musgd", "adam", "adamw", "adamax", "nadam", "radam", "rmsprop", "adagrad"]
Init = Literal["default", "kaiming_normal", "kaiming_uniform", "xavier_normal", "xavier_uniform", "orthogonal"]
Freeze = Literal["none", "backbone", "all_but_head"]
Whole = Annotated[int, Field(ge=1)]


class YoloSettings(Settings):
    """A YOLO of Ultralytics. Its code and whatever is trained with it are AGPL-3.0."""

    kind: Literal["yolo"] = "yolo"
    """Which trainer."""
    architecture: Annotated[str, Field(pattern=r"^yolo(v8|11|26)[nsmlx]$")] = "yolo11n"
    """Family and size, ``yolo11n`` to ``yolo26x``: each size up about doubles the time of training and inference."""
    weights: Path | None = None
    """Where to start: a checkpoint, or the folder of a bundle that `edgevision train` made. A bare name such as
    ``yolo11n.pt`` is fetched when no such file exists and ``fetch`` is on. Left out: from scratch, which needs many
    more pictures and epochs."""
    fetch: bool = False
    """Whether weights may be fetched from the network by name."""
    init: Init = "default"
    """From scratch: how weights of convolutions are drawn."""
    freeze: Freeze = "none"
    """What does not learn: with fewer than about 200 pictures ``backbone``; ``all_but_head`` for a first quick look."""
    teacher: Path | None = None
    """Checkpoint of a larger model of the same classes to learn from as well (knowledge distillation)."""
    teacher_weight: Annotated[float, Field(gt=0)] = 6.0
    """Weight of what the teacher says in the loss."""

    @model_validator(mode="after")
    def _makes_sense(self) -> YoloSettings:
        if self.weights is not None and self.init != "default":
            msg = "`init` draws new weights and `weights` loads some: give one of them"
            raise ValueError(msg)
        _need_weights(self)
        return self


class FcosSettings(Settings):
    """FCOS of torchvision (BSD-3-Clause), for those who cannot take AGPL."""

    kind: Literal["fcos"]
    """Which trainer."""
    architecture: Literal["resnet18", "resnet34", "resnet50"] = "resnet18"
    """The backbone."""
    weights: Path | None = None
    """Checkpoint to start from: one of an earlier run, or torchvision's ResNet of the same depth for the backbone."""
    freeze: Freeze = "none"
    """What does not learn."""

    @model_validator(mode="after")
    def _makes_sense(self) -> FcosSettings:
        _need_weights(self)
        return self


def _need_weights(model: YoloSettings | FcosSettings) -> None:
    if model.freeze != "none" and model.weights is None:
        msg = f"`freeze: {model.freeze}` keeps what weights bring: give `weights`, or say `freeze: none`"
        raise ValueError(msg)


class OptimiserSettings(Settings):
    """How weights are changed."""

    kind: OptimiserName = "adamw"
    """``adamw`` for fine-tuning; ``sgd`` for long trainings of many pictures; the others for comparisons."""
    rate: Annotated[float, Field(gt=0, le=10)] = 0.001
    """Learning rate after warm-up; about 0.01 suits ``sgd``."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Momentum, or Adam's first beta; Adagrad has none."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0005
    """Pull towards zero on weights, not on biases and norms."""


class AugmentSettings(Settings):
    """How training pictures are varied."""

    pipeline: Literal["inspection", "retail", "low_light", "fused", "none"] | Path = "inspection"
    """A preset, or a YAML file of albumentations."""
    mosaic: Unit = 0.5
    """Share of pictures put together of four; YOLO only."""
    plain_epochs: Annotated[int, Field(ge=0)] = 3
    """Last epochs with whole pictures, as the runtime gives them: no mosaic, nothing moved or scaled; a few pixels of
    every box depend on them."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Random change of size, plus or minus this share; YOLO only."""
    paste: Unit = 0.0
    """Share of pictures that get defects of other pictures pasted where they fit; ``templates`` make that exact."""


class StopSettings(Settings):
    """When to stop, whatever comes first."""

    epochs: Whole = 100
    """Passes over the training pictures; with `minutes` only a guess until the first one has been timed."""
    minutes: PositiveSeconds | None = None
    """Wall clock, in place of `epochs`: the schedule and the last epochs end when time does."""
    patience_epochs: Whole = 30
    """Without a better validation for so many epochs."""

    def first_epochs(self, plain: int) -> int:
        """Epochs to reckon with before the first one has been timed: with ``minutes`` more than the plain ones."""
        return self.epochs if self.minutes is None else max(self.epochs, plain + 2)


class JudgeSettings(Settings):
    """How thresholds are chosen on validation, and what the bundle shows of itself.

    Without an escape rate and costs the common threshold of the best F1 on validation is taken.
    """

    escape_rate: Unit | None = None
    """At most this share of defective parts may pass."""
    cost_escape: Annotated[float, Field(gt=0)] | None = None
    """What a defective part that passes costs; with the two others the least expected cost is chosen."""
    cost_overkill: Annotated[float, Field(gt=0)] | None = None
    """What a good part that is rejected costs."""
    ng_share: Unit | None = None
    """Share of defective parts on the line."""
    templates_as_good: bool = False
    """Whether the defect-free templates count as good parts, where there are some."""
    golden: Annotated[int, Field(ge=0, le=50)] = 4
    """Validation pictures that go into the bundle for the self-test on each device."""
    golden_pattern: str = "*"
    """Only pictures whose file name fits, e.g. those that may be given away."""

    @model_validator(mode="after")
    def _one_way(self) -> JudgeSettings:
        costs = [self.cost_escape, self.cost_overkill, self.ng_share]
        if any(value is not None for value in costs) and not all(value is not None for value in costs):
            msg = "choosing by cost needs all of `cost_escape`, `cost_overkill` and `ng_share`"
            raise ValueError(msg)
        if self.escape_rate is not None and self.cost_escape is not None:
            msg = "give `escape_rate` or the costs, not both"
            raise ValueError(msg)
        return self


class TrainSettings(Settings):
    """A training: which pictures, which model, how long."""

    name: Name
    """Name of the bundle."""
    version: Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,39}$")] = "1"
    """Version of the bundle."""
    recipe: Literal["plain", "few_shot"] = "plain"
    """``few_shot``, for a few to a few dozen pictures and `model.weights` to start from: other defaults (frozen
    backbone, pictures repeated, pasted defects, a lower rate); whatever the file says itself goes first."""
    data: DataSettings
    """The pictures."""
    model: Annotated[YoloSettings | FcosSettings, Field(discriminator="kind")] = YoloSettings()
    """What is trained."""
    image_size: Annotated[int, Field(ge=32, le=2048, multiple_of=32)] = 640
    """Side of the model's input, px; the smallest defect should still be some 8 px there."""
    batch: Annotated[int, Field(ge=1, le=1024)] = 16
    """Pictures a step."""
    repeat: Whole = 1
    """How often an epoch shows each training picture."""
    optimiser: OptimiserSettings = OptimiserSettings()
    """How weights are changed."""
    schedule: ScheduleSettings = ScheduleSettings()
    """How the learning rate falls."""
    augment: AugmentSettings = AugmentSettings()
    """How training pictures are varied."""
    stop: StopSettings = StopSettings()
    """When to stop."""
    class_weights: Unit = 0.0
    """0: every box counts the same; 1: rare classes count as much as frequent ones; 0.5 is a good try; YOLO only."""
    ema: bool = True
    """Validate and keep a running average of the weights instead of the last ones."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """``auto``: fp16 on a GPU, bf16 with FCOS; on a CPU bf16 where the processor computes in it, else fp32."""
    devices: Annotated[str, Field(pattern=r"^(auto|cpu|\d+(,\d+)*)$")] = "auto"
    """``auto``, ``cpu``, or GPUs such as ``0`` or ``0,1``."""
    workers: Annotated[int, Field(ge=0)] = 8
    """Processes that read pictures, on a GPU; YOLO only."""
    seed: int = 0
    """Of everything drawn by chance."""
    judge: JudgeSettings = JudgeSettings()
    """How thresholds are chosen."""
    tensorboard: bool = False
    """Write TensorBoard's logs too, into `tensorboard/` of the run."""

    @model_validator(mode="before")
    @classmethod
    def _recipe_first(cls, given: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        few = isinstance(given, dict) and given.get("recipe") == "few_shot"
        return _over(FEW_SHOT, given) if few else given

    @model_validator(mode="after")
    def _only_yolo_has(self) -> TrainSettings:
        if self.model.kind != "yolo":
            if self.optimiser.kind == "musgd":
                msg = "`optimiser.kind: musgd` comes with `model.kind: yolo` only; allowed here: all others"
                raise ValueError(msg)
            if self.batch < 2:  # noqa: PLR2004
                msg = "`batch` must be 2 at least with `model.kind: fcos`, whose norms need more than one picture"
                raise ValueError(msg)
            yolo_only = {"class_weights": self.class_weights > 0, "precision: fp16": self.precision == "fp16",
                         "several devices": "," in self.devices}  # fmt: skip
            if refused := [name for name, used in yolo_only.items() if used]:
                msg = f"`{refused[0]}` works with `model.kind: yolo` only"
                raise ValueError(msg)
        elif self.optimiser.kind in {"sgd", "musgd"} and self.optimiser.momentum == 0:
            msg = f"`optimiser.momentum` is Nesterov's with `model.kind: yolo` and `{self.optimiser.kind}`: above 0"
            raise ValueError(msg)
        return self

    def files(self) -> dict[str, Path]:
        """What it reads besides the pictures, by the setting that names it."""
        named = {"model.weights": self.model.weights, "model.teacher": getattr(self.model, "teacher", None),
                 "augment.pipeline": self.augment.pipeline}  # fmt: skip
        return {name: file for name, file in named.items() if isinstance(file, Path)}


FEW_SHOT: dict[str, Any] = {
    "repeat": 8,
    "batch": 8,
    "model": {"kind": "yolo", "freeze": "backbone"},
    "optimiser": {"kind": "adamw", "rate": 0.0005},
    "augment": {"paste": 0.5, "mosaic": 0.5},
    "stop": {"epochs": 40, "patience_epochs": 15},
}


def _over(defaults: Any, given: Any) -> Any:  # noqa: ANN401 - YAML is anything
    """``given`` where it says something, ``defaults`` where it does not, at every depth."""
    if not (isinstance(defaults, dict) and isinstance(given, dict)):
        return given
    return {**defaults, **{key: _over(defaults.get(key), value) for key, value in given.items()}}
