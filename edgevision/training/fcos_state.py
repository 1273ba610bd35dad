"""Where a training of FCOS stands: weights, their average, optimiser, and how good it has been."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from edgevision.errors import TrainingError
from edgevision.training.fcos_model import optimiser
from edgevision.training.settings import TrainSettings

EMA_DECAY = 0.998
GRADIENT_NORM = 10.0


def _average(averaged: Any, current: Any, steps: torch.Tensor) -> None:  # noqa: ANN401 - lists of tensors
    """Moving average whose memory grows with the steps done, so that it does not lag behind in a short training."""
    done = float(steps)
    get_ema_multi_avg_fn(min(EMA_DECAY, (1 + done) / (10 + done)))(averaged, current, steps)


def _last(averaged: Any, current: Any, steps: torch.Tensor) -> None:  # noqa: ANN401 - lists of tensors
    get_ema_multi_avg_fn(0.0)(averaged, current, steps)


class State:
    """Everything that a resumed training needs.

    Args:
        model: The network.
        settings: Of the training.

    Attributes:
        model: The network that learns.
        epoch: Epochs done.
    """

    def __init__(self, model: nn.Module, settings: TrainSettings) -> None:
        self.model = model
        self.epoch = 0
        self._average = AveragedModel(model, multi_avg_fn=_average if settings.ema else _last, use_buffers=True)
        self._steps = optimiser(model, settings.optimiser)
        self._best, self._best_epoch = -1.0, 0

    @property
    def averaged(self) -> nn.Module:
        """The running average, which is validated and kept."""
        module: nn.Module = self._average.module
        return module

    @property
    def rate(self) -> float:
        """Learning rate of the next step."""
        return float(self._steps.param_groups[0]["lr"])

    @rate.setter
    def rate(self, value: float) -> None:
        for group in self._steps.param_groups:
            group["lr"] = value

    @property
    def epochs_without_gain(self) -> int:
        """Epochs since the best one."""
        return self.epoch - self._best_epoch

    def step(self, loss: torch.Tensor) -> None:
        """Learn from one batch."""
        self._steps.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), GRADIENT_NORM)
        self._steps.step()
        self._average.update_parameters(self.model)

    def done(self, score: float) -> bool:
        """An epoch is over; whether it was the best."""
        self.epoch += 1
        better = score > self._best
        if better:
            self._best, self._best_epoch = score, self.epoch
        return better

    def save(self, file: Path) -> None:
        """Write a checkpoint of tensors and plain values."""
        document = {
            "model": self.model.state_dict(),
            "average": self._average.state_dict(),
            "optimiser": self._steps.state_dict(),
            "epoch": self.epoch,
            "best": [self._best, self._best_epoch],
        }
        save(document, file)

    def load(self, file: Path) -> None:
        """Go on from a checkpoint."""
        kept = torch.load(file, map_location=next(self.model.parameters()).device, weights_only=True)
        self.model.load_state_dict(kept["model"])
        self._average.load_state_dict(kept["average"])
        self._steps.load_state_dict(kept["optimiser"])
        self.epoch, (self._best, self._best_epoch) = kept["epoch"], kept["best"]


def save(document: Mapping[str, Any], file: Path) -> None:
    """Write whole or not at all, so that a kill at any moment leaves a checkpoint.

    Raises:
        TrainingError: The disk is full, or the like.
    """
    aside = file.with_suffix(".writing")
    try:
        torch.save(dict(document), aside)
        aside.replace(file)
    except (OSError, RuntimeError) as exc:
        raise TrainingError(f"{file}: cannot be written: {' '.join(str(exc).split())}") from exc
