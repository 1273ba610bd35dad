"""A training with one of ``odd_engines``, as a program.

python train_oddly.py ENGINE SETTINGS OUT
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
        import odd_engines

        return getattr(odd_engines, sys.argv[1])


def _tell(item: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(item) + "\n")
    sys.stdout.flush()


def main(_engine: str, settings: str, out: str) -> None:
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
