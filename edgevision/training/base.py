"""The port between a training and the library that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from edgevision.bundle import Family
from edgevision.datasets.base import DataSet
from edgevision.training.settings import TrainSettings


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training stands, told after every batch.

    Attributes:
        epoch: Epochs done.
        epochs: Epochs planned; changes while the wall clock decides.
        batch: Batches done in this epoch.
        batches: Batches an epoch.
        losses: Mean losses of this epoch by name.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    losses: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Epoch:
    """One finished epoch, a row of the curves.

    Attributes:
        number: Counted from 1.
        seconds: Wall clock since the training began or was resumed.
        rate: Learning rate at its end.
        losses: Mean training losses by name.
        metrics: Validation by name, ``map50`` and ``map50_95`` among them.
    """

    number: int
    seconds: float
    rate: float
    losses: Mapping[str, float]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who is told: ``progress`` after every batch, ``epoch`` after every epoch's validation."""

    progress: Callable[[Progress], None]
    epoch: Callable[[Epoch], None]


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told about long work.

    Attributes:
        say: A sentence for a person.
        bar: Makes a bar over so many things; entering it gives what to call with the number done.
    """

    say: Callable[[str], None]
    bar: Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, slots=True)
class Graph:
    """A trained model as ONNX.

    Attributes:
        content: The graph's bytes; ``images`` (N, H, W, 3) uint8 RGB in.
        family: How its output is decoded.
        classes: Class names.
        size: Side of its input, px.
        licence: SPDX id that the weights fall under.
        tools: Versions of what made it.
        network: What the graph was made of: a module of torch from such pixels to such an output.
    """

    content: bytes
    family: Family
    classes: tuple[str, ...]
    size: int
    licence: str
    tools: Mapping[str, str]
    network: Any = None


class Trainer(Protocol):
    """Trains one kind of model in one folder."""

    def check(self, data: DataSet) -> None:
        """Run one batch forward and backward and one validation batch, and write nothing that lasts.

        Raises:
            TrainingError: It would not work, and why.
        """
        ...

    def fit(self, data: DataSet, watcher: Watcher, *, resume: bool) -> Path:
        """Train, or go on from the last finished epoch; returns the best checkpoint.

        Raises:
            TrainingError: It went wrong, and what to do.
        """
        ...

    def export_onnx(self, weights: Path, size: int | None = None) -> Graph:
        """A checkpoint of ours as ONNX.

        Args:
            weights: The checkpoint.
            size: Side of the input, px; needed where the checkpoint does not tell what it was trained at.

        Raises:
            TrainingError: It is none of ours, tells no size, or was trained at another one.
        """
        ...


Build = Callable[[TrainSettings, Path], Trainer]
