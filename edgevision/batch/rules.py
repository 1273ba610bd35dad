"""Rules for pictures, from the same keys that the daemon's inspection takes."""

from __future__ import annotations

from pathlib import Path

from edgevision.analytics.inspection import InspectionSettings
from edgevision.config.load import load

PICTURE = {"by": "picture"}


def read_rules(file: Path | None) -> InspectionSettings:
    """Inspection settings for pictures; without a file any defect that the model reports rejects.

    Raises:
        ConfigError: The file is wrong.
    """
    if file is None:
        return InspectionSettings.model_validate({"part": PICTURE})
    return load(file, InspectionSettings, defaults={"part": PICTURE})
