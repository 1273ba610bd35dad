"""What backends know of the machine: the module that drives them, and what their caches depend on."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from edgevision.errors import BackendError

_KIND = (Path("/proc/driver/nvidia/version"), Path("/proc/device-tree/model"), Path("/etc/nv_tegra_release"))
_CARDS = Path("/proc/driver/nvidia/gpus")


def driver(module: str, what: str, remedy: str) -> Any:  # noqa: ANN401 - a module
    """A module of ours that imports a runtime, loaded when a model is: not every machine has every runtime.

    Args:
        module: Its name.
        what: What the runtime is called.
        remedy: What to do where it is not there.

    Raises:
        BackendError: It cannot be imported; a broken installation raises more than ``ImportError``.
    """
    try:
        return import_module(module)
    except (ImportError, OSError, AttributeError) as exc:
        reason = re.sub(r"\s+", " ", str(exc))
        raise BackendError(f"{what} is not usable ({reason}); {remedy}") from exc


def kind_of_machine() -> list[str]:
    """What the driver and the board say of themselves, the same on all boxes of a kind."""
    return [file.read_text(errors="replace") for file in _KIND if file.is_file()]


def this_machine() -> list[str]:
    """``kind_of_machine``, and which NVIDIA cards are in it."""
    cards = sorted(_CARDS.glob("*/information"))
    return kind_of_machine() + [file.read_text(errors="replace") for file in cards if file.is_file()]
