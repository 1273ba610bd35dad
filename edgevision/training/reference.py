"""The settings of a training as JSON Schema and as a page for people."""

from __future__ import annotations

import json

from edgevision.config.reference import pages
from edgevision.training.settings import TrainSettings

_HEAD = """# Settings of a training

What `edgevision train` reads. Written by `edgevision config schema --of train --markdown`; how to begin stands in
[From a folder of pictures to a detector](guides/training.md).

"""


def train_schema() -> str:
    """JSON Schema 2020-12, indented, with a line break at its end."""
    return json.dumps(TrainSettings.model_json_schema(), indent=1) + "\n"


def train_reference() -> str:
    """Markdown: every key with what it may hold, what holds without it, and what it means."""
    return _HEAD + pages(TrainSettings.model_json_schema(), "A training")
