"""What the device draws, watts: the rails of a Jetson, sensors of other boards, and cards by NVIDIA's library (NVML).

That is the package ``nvidia-ml-py``; a Jetson does without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_HWMON = Path("/sys/class/hwmon")
_CARD = "gpu "
_RAILS = frozenset({"1", "2", "3"})  # of an INA3221; what follows are voltages of its shunts and sums
_WHOLE = ("VDD_IN", "SYS_VIN", "POM_5V_IN")  # how rails begin that feed all others of a board


def watts(sensors: Path = _HWMON) -> dict[str, float]:
    """Power by rail or card; what cannot be read just now is left out.

    A Jetson's INA3221 tells voltage and current of each rail, other sensors their power (hwmon/sysfs-interface of the
    kernel's documentation).

    Args:
        sensors: Where the kernel shows them.
    """
    found: dict[str, float] = {}
    for folder in sorted(sensors.glob("hwmon*")):
        found |= _rails(folder)
    return found | _cards(lambda nvml, card: nvml.nvmlDeviceGetPowerUsage(card) / 1000)


def card_temperatures() -> dict[str, float]:
    """Degrees Celsius by card."""
    return _cards(lambda nvml, card: nvml.nvmlDeviceGetTemperature(card, nvml.NVML_TEMPERATURE_GPU))


def total(found: Mapping[str, float]) -> float:
    """All of it, watts; a rail that feeds the others of its board is not counted twice.

    Args:
        found: Of ``watts``.
    """
    cards = sum(value for name, value in found.items() if name.startswith(_CARD))
    rails = {name: value for name, value in found.items() if not name.startswith(_CARD)}
    whole = [value for name, value in rails.items() if name.startswith(_WHOLE)]
    return cards + (sum(whole) if whole else sum(rails.values()))


def _rails(folder: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    name = _text(folder / "name") or folder.name
    for volts in sorted(folder.glob("in*_input")):
        number = volts.name.removeprefix("in").removesuffix("_input")
        if name == "ina3221" and number not in _RAILS:
            continue
        millivolts, milliamperes = _number(volts), _number(folder / f"curr{number}_input")
        if millivolts is not None and milliamperes is not None:
            label = _text(folder / f"in{number}_label") or f"{name} {number}"
            found[label] = millivolts * milliamperes / 1e6
    for power in sorted(folder.glob("power*_input")):
        microwatts = _number(power)
        if microwatts is not None:
            label = _text(power.with_name(power.name.replace("_input", "_label")))
            found[label or f"{name} {power.name.removesuffix('_input')}"] = microwatts / 1e6
    return found


def _cards(read: Callable[[Any, Any], float]) -> dict[str, float]:
    """What each card tells, where NVML's package and a driver are there."""
    try:
        import pynvml  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        return {}
    found = {}
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        for index in range(pynvml.nvmlDeviceGetCount()):
            with suppress(pynvml.NVMLError):  # not every card has every sensor
                found[f"{_CARD}{index}"] = float(read(pynvml, pynvml.nvmlDeviceGetHandleByIndex(index)))
        pynvml.nvmlShutdown()
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii", errors="replace").strip()
    except OSError:
        return ""


def _number(file: Path) -> float | None:
    try:
        return float(_text(file))
    except ValueError:
        return None
