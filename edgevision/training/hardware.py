"""What this machine computes in, and what to say when its memory is too small."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgevision.errors import TrainingError
from edgevision.training.settings import TrainSettings

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def bf16_on_cpu() -> bool:
    """Whether the processor multiplies in bfloat16; elsewhere it is emulated and slower than fp32."""
    try:
        flags = Path("/proc/cpuinfo").read_text("ascii", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def gpus(devices: str) -> list[int]:
    """The GPUs that ``devices`` of the settings asks for; none means the CPU.

    Raises:
        TrainingError: One is not there.
    """
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if devices in {"auto", "cpu"}:
        return [0] if devices == "auto" and there else []
    wanted = [int(number) for number in devices.split(",")]
    for number in wanted:
        if number >= there:
            raise TrainingError(
                f"devices: {devices}: there is no GPU {number}, torch finds {there} here; or say `auto`"
            )
    return wanted


@contextmanager
def telling_memory(settings: TrainSettings) -> Iterator[None]:
    """Where running out of memory becomes an error that says what to try."""
    try:
        yield
    except (RuntimeError, MemoryError) as exc:
        text = " ".join(str(exc).split())
        if not isinstance(exc, MemoryError) and not any(sign in text.lower() for sign in _OUT_OF_MEMORY):
            raise
        least = 1 if settings.model.kind == "yolo" else 2
        smaller = max(least, settings.batch // 2)
        msg = f"not enough memory for batch: {settings.batch} at image_size: {settings.image_size}"
        hint = f"batch: {smaller}, or a smaller image_size" if smaller < settings.batch else "a smaller image_size"
        raise TrainingError(f"{msg}; try {hint}") from exc
