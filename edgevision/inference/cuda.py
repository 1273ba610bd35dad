"""Device memory, pinned host memory and streams without torch: NVIDIA's ``cuda.bindings.runtime``.

The only importer of ``cuda``. Written to the documented names of cuda-python 12 and 13; it has not run on a GPU yet.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from cuda.bindings import runtime as cudart  # type: ignore[import-not-found, import-untyped, unused-ignore]
from numpy.typing import NDArray

from edgevision.errors import BackendError


def call(function: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever it gives
    """Call a function of the CUDA runtime: ``None``, its one value, or a tuple of them.

    Raises:
        BackendError: It failed, with what to do where memory is short.
    """
    error, *values = getattr(cudart, function)(*arguments)
    if error != cudart.cudaError_t.cudaSuccess:
        name = getattr(error, "name", str(error))
        hint = "; memory is short: lower max_batch or run fewer models" if "MemoryAllocation" in name else ""
        raise BackendError(f"CUDA: {function}: {name}{hint}")
    return values[0] if len(values) == 1 else tuple(values) or None


def use(number: int) -> None:
    """Make a GPU the one that calls of this thread are for."""
    call("cudaSetDevice", number)


class Device:
    """A GPU by its number.

    Attributes:
        name: E.g. ``Orin``.
        capability: Compute capability, e.g. ``8.7``.
    """

    def __init__(self, number: int = 0) -> None:
        use(number)
        facts = call("cudaGetDeviceProperties", number)
        name = facts.name
        self.name = name.decode().rstrip("\0") if isinstance(name, bytes) else str(name)
        self.capability = f"{facts.major}.{facts.minor}"

    @staticmethod
    def free_bytes() -> int:
        """Memory of the device that is free now; on a Jetson it is the machine's."""
        free, _total = call("cudaMemGetInfo")
        return int(free)


class Buffer:
    """The same bytes on the device and in pinned host memory.

    Args:
        shape: Largest shape.
        dtype: Of the values.

    Attributes:
        address: On the device, aligned to 256 bytes.
        host: The host's side, as large as ``shape``.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        size = max(1, int(np.prod(shape)) * dtype.itemsize)
        self.address = int(call("cudaMalloc", size))
        try:
            self._pinned = int(call("cudaMallocHost", size))
        except BackendError:
            call("cudaFree", self.address)
            raise
        raw = np.ctypeslib.as_array((ctypes.c_ubyte * size).from_address(self._pinned))
        self.host: NDArray[Any] = raw.view(dtype)[: int(np.prod(shape))].reshape(shape)

    def up(self, count: int, stream: int) -> None:
        """Start to copy the first ``count`` rows to the device."""
        self._copy(self.address, self._pinned, count, "cudaMemcpyHostToDevice", stream)

    def down(self, count: int, stream: int) -> None:
        """Start to copy the first ``count`` rows to the host."""
        self._copy(self._pinned, self.address, count, "cudaMemcpyDeviceToHost", stream)

    def close(self) -> None:
        """Give the memory back; the host's side must not be touched any more."""
        call("cudaFree", self.address)
        call("cudaFreeHost", self._pinned)

    def _copy(self, to: int, source: int, count: int, kind: str, stream: int) -> None:
        size = count * self.host[:1].nbytes
        call("cudaMemcpyAsync", to, source, size, getattr(cudart.cudaMemcpyKind, kind), stream)


class Stream:
    """An order of work on the device, apart from the default one."""

    def __init__(self) -> None:
        self._handle = call("cudaStreamCreate")
        self.handle = int(self._handle)

    def wait(self) -> None:
        """Until everything is done."""
        call("cudaStreamSynchronize", self._handle)

    def close(self) -> None:
        """Give it back."""
        call("cudaStreamDestroy", self._handle)

    def begin_capture(self) -> None:
        """Note what is started from here on instead of doing it."""
        call("cudaStreamBeginCapture", self._handle, cudart.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal)

    def end_capture(self) -> Any:  # noqa: ANN401 - CUDA's
        """What was noted, to be launched as one."""
        graph = call("cudaStreamEndCapture", self._handle)
        made = call("cudaGraphInstantiate", graph, 0)
        call("cudaGraphDestroy", graph)
        return made

    def launch(self, graph: Any) -> None:  # noqa: ANN401 - CUDA's
        """Start what was noted."""
        call("cudaGraphLaunch", graph, self._handle)

    @staticmethod
    def drop(graph: Any) -> None:  # noqa: ANN401 - CUDA's
        """Give what was noted back."""
        call("cudaGraphExecDestroy", graph)
