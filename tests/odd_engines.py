"""YOLO engines as they are hard to come by: several processes without GPUs, a loss that is no number."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import distributed, nn
from ultralytics.engine import trainer
from ultralytics.utils import LOCAL_RANK, RANK

from edgevision.training.yolo_engine import YoloEngine

PROCESSES = 2
FULL = "TEST_MEMORY_IS_FULL"  # in the environment: each process fails as one whose GPU is full


class TwoProcesses(YoloEngine):
    """As with two GPUs, but for the device and gloo in place of NCCL."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ddp, self.world_size = LOCAL_RANK == -1, PROCESSES

    def _setup_ddp(self) -> None:
        distributed.init_process_group("gloo", rank=RANK, world_size=PROCESSES)

    def _setup_train(self) -> None:
        if RANK == -1:
            self.world_size = 0  # the trial of one batch is of one process
        elif os.environ.get(FULL):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        else:
            both = nn.parallel.DistributedDataParallel
            trainer.nn.parallel.DistributedDataParallel = lambda model, **more: both(
                model, **{**more, "device_ids": None}
            )
        super()._setup_train()


class NoNumber(YoloEngine):
    """The loss of the second epoch is no number, once."""

    _done = False

    def _handle_nan_recovery(self, epoch: int) -> bool:
        if epoch == 1 and not self._done:
            self._done, self.loss = True, torch.tensor(float("nan"))
        recovered: bool = super()._handle_nan_recovery(epoch)
        if recovered:
            assert self.ema.decay(10) == 0, "averaging was switched off and stays so"
        return recovered
