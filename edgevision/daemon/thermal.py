"""How warm the device is, as the kernel's thermal zones say."""

from __future__ import annotations

from pathlib import Path

_ZONES = Path("/sys/class/thermal")


def temperatures(zones: Path = _ZONES) -> dict[str, float]:
    """Degrees Celsius by ``NUMBER:TYPE`` of the zone; those that cannot be read just now are left out."""
    found = {}
    for zone in sorted(zones.glob("thermal_zone*")):
        try:
            kind = (zone / "type").read_text(encoding="ascii").strip()
            celsius = int((zone / "temp").read_text(encoding="ascii")) / 1000
        except (OSError, ValueError):
            continue  # a Jetson's zones answer EAGAIN while their part of the chip sleeps
        found[f"{zone.name.removeprefix('thermal_zone')}:{kind}"] = celsius
    return found
