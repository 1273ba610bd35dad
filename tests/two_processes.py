"""A training in two processes of torch's launcher, on processors: what several GPUs do, but for the GPUs.

python two_processes.py SETTINGS OUT
"""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgevision.config.load import load
from edgevision.errors import EdgevisionError
from edgevision.training.base import Watcher
from edgevision.training.run import Steps, run
from edgevision.training.settings import TrainSettings
from edgevision.training.yolo import YoloTrainer


class Trainer(YoloTrainer):
    @staticmethod
    def engine_type() -> Any:
        from processor_engine import ProcessorEngine

        return ProcessorEngine


def _tell(item: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(item) + "\n")
    sys.stdout.flush()


def main(settings: str, out: str) -> None:
    """Prints what it is told, a JSON document a line."""
    steps = Steps(
        say=lambda _: None,
        bar=lambda *_: nullcontext(lambda _: None),
        watcher=Watcher(
            lambda now: _tell({"progress": asdict(now)}),
            lambda done: _tell({"epoch": asdict(done)}),
        ),
    )
    try:
        run(load(Path(settings), TrainSettings), Path(out), Trainer, steps, resume=False, dry_run=False)
    except EdgevisionError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main(*sys.argv[1:])
