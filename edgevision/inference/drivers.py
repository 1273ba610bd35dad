"""What backends know of the machine: the module that drives them, and what their caches depend on."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from edgevision.errors import BackendError

_KIND = (Path("/proc/driver/nvidia/version"), Path("/proc/device-tree/model"), Path("/etc/nv_tegra_release"))
_CARDS = Path("/proc/driver/nvidia/gpus")
_PROCESSOR = Path("/proc/cpuinfo")
_EIGHT_BITS = {"flags": ("avx512_vnni", "avx_vnni", "amx_int8"), "Features": ("asimddp", "i8mm")}  # x86-64, aarch64


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


def eight_bit_words(cpuinfo: Path = _PROCESSOR) -> str:
    """Which instructions that make 8 bits fast the processor lists, in words; empty where it lists nothing.

    Only for people: how fast 8 bits are is measured.
    """
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for name, _, text in (line.partition(":") for line in lines):
        if wanted := _EIGHT_BITS.get(name.strip()):
            there = [item for item in wanted if item in text.split()]
            if there:
                return f"this processor has {' and '.join(there)} for 8 bits"
            return f"this processor lists none of {', '.join(wanted)}, which make 8 bits fast"
    return ""
