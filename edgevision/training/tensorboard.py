"""Curves for TensorBoard beside our own."""

from __future__ import annotations

from pathlib import Path

from edgevision.errors import TrainingError
from edgevision.training.base import Epoch, Watcher


def logged(watcher: Watcher, folder: Path) -> Watcher:
    """A watcher that also writes losses, metrics and rate of every epoch into ``folder``.

    Raises:
        TrainingError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as exc:
        raise TrainingError("`tensorboard: true` needs it installed: pip install tensorboard") from exc
    writer = SummaryWriter(str(folder))

    def epoch(done: Epoch) -> None:
        values = {f"loss/{name}": value for name, value in done.losses.items()}
        values |= {f"validation/{name}": value for name, value in done.metrics.items()} | {"rate": done.rate}
        for name, value in values.items():
            writer.add_scalar(name, value, done.number)
        writer.flush()
        watcher.epoch(done)

    return Watcher(watcher.progress, epoch)
