"""What this machine computes in."""

from __future__ import annotations

from pathlib import Path


def bf16_on_cpu() -> bool:
    """Whether the processor multiplies in bfloat16; elsewhere it is emulated and slower than fp32."""
    try:
        flags = Path("/proc/cpuinfo").read_text("ascii", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
