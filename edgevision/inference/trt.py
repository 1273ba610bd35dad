"""The only importer of ``tensorrt``: engines built and run, on 10.x and 11.x, with errors that are ours.

Written to the documented names of both (named tensors, strong typing). What is tested here is tested with a stand-in of
the module that has those names: that is a check on names and flow, not a proof; it has not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorrt as trt  # type: ignore[import-not-found, import-untyped, unused-ignore]
from numpy.typing import NDArray

from edgevision.bundle import Precision
from edgevision.errors import BackendError
from edgevision.inference.bundled import Port
from edgevision.inference.cuda import Buffer, Stream, use

VERSION: str = trt.__version__
_SHOWN = 3  # lines of its log in an error
_REMEDIES = {
    "insufficient memory": "memory is short: stop what else uses the GPU, or lower max_batch",
    "out of memory": "memory is short: stop what else uses the GPU, or lower max_batch",
    "stdVersionRead": "the engine was built by another TensorRT",
    "incompatible device": "the engine was built on another GPU",
    "not compatible": "the engine was built by another TensorRT or on another GPU",
}


class EngineRefused(BackendError):
    """The engine itself is of no use here: truncated, or of another TensorRT or GPU."""


Progress = Callable[[str, int, int], bool]
"""Told (phase, step, steps); returns whether to go on."""


class _Log(trt.ILogger):  # type: ignore[misc, name-defined, unused-ignore]
    """Keeps what is worth telling; called from many threads, and must outlive whatever is made with it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def log(self, severity: Any, text: str) -> None:  # noqa: ANN401 - TensorRT's
        """Note a warning or an error."""
        if severity in {trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR}:
            self.lines.append(" ".join(text.split()))

    def told(self, what: str) -> BackendError:
        """An error with the last lines and, where it is known, what to do."""
        text = "; ".join(self.lines[-_SHOWN:]) or "TensorRT gives no reason"
        hint = next((f" ({remedy})" for sign, remedy in _REMEDIES.items() if sign.lower() in text.lower()), "")
        return BackendError(f"{what}: {text[:400]}{hint}")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to build.

    Attributes:
        name: For messages.
        precision: Of the graph.
        max_batch: Most pictures at once, which the engine is tuned for; a graph with a fixed batch goes before it.
        picture: Shape of one picture, (H, W, 3) or (3, H, W), for a graph that takes any size.
        level: 0 (quickest to build) to 5.
    """

    name: str
    precision: Precision
    max_batch: int
    picture: tuple[int, int, int]
    level: int = 3


def build(content: bytes, plan: Plan, timings: bytes = b"", progress: Progress | None = None) -> tuple[bytes, bytes]:
    """Build an engine for this GPU; returns it and what was timed, which makes the next build quicker.

    Args:
        content: The ONNX file's bytes.
        plan: What to build.
        timings: Of earlier builds.
        progress: Told how far it is.

    Raises:
        BackendError: An operator is not supported (named, with its node), memory is short, or it was stopped.
    """
    log = _Log()
    builder = trt.Builder(log)
    typed, flags = _typing(plan.precision)
    network = builder.create_network(typed)
    parser = trt.OnnxParser(network, log)
    if not parser.parse(content):
        raise _unparsed(parser, plan.name)
    config = builder.create_builder_config()
    for flag in flags:
        config.set_flag(flag)
    config.builder_optimization_level = plan.level
    _shape(builder, network, config, plan)
    cache = config.create_timing_cache(timings)
    if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):  # of another TensorRT or GPU
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, ignore_mismatch=False)
    watcher = _watcher(progress) if progress is not None and hasattr(trt, "IProgressMonitor") else None
    if watcher is not None:
        config.progress_monitor = watcher
    made = builder.build_serialized_network(network, config)
    if made is None:
        raise log.told(f"{plan.name}: TensorRT {VERSION} cannot build an engine")
    timed = config.get_timing_cache()
    return bytes(made), b"" if timed is None else bytes(timed.serialize())


def _typing(precision: Precision) -> tuple[int, list[Any]]:
    """Flags of the network and of the build.

    Precision lives in the graph, and a strongly typed network computes what the graph says, which is what was judged.
    Before 10.0 there is none: there a flag allows 16 or 8 bits, and what lies around 8-bit nodes stays in 32.
    """
    names = trt.NetworkDefinitionCreationFlag
    bits = 1 << int(names.EXPLICIT_BATCH) if hasattr(names, "EXPLICIT_BATCH") else 0
    if hasattr(names, "STRONGLY_TYPED"):
        return bits | 1 << int(names.STRONGLY_TYPED), []
    return bits, [getattr(trt.BuilderFlag, precision.upper())] if precision != "fp32" else []


def _unparsed(parser: Any, name: str) -> BackendError:  # noqa: ANN401 - TensorRT's
    error = parser.get_error(parser.num_errors - 1) if parser.num_errors else None
    if error is None:
        return BackendError(f"{name}: TensorRT {VERSION} cannot read the graph")
    node = f" at the node {error.node_name()} ({error.node_operator()})" if hasattr(error, "node_name") else ""
    return BackendError(f"{name}: TensorRT {VERSION} does not support it{node}: {' '.join(error.desc().split())[:300]}")


def _shape(builder: Any, network: Any, config: Any, plan: Plan) -> None:  # noqa: ANN401 - TensorRT's
    port = network.get_input(0)
    batch, *sides = (int(side) for side in port.shape)
    if -1 in {batch, *sides}:
        picture = [wanted if side == -1 else side for side, wanted in zip(sides, plan.picture, strict=False)]
        least, most = ((count if batch == -1 else batch, *picture) for count in (1, plan.max_batch))
        profile = builder.create_optimization_profile()
        profile.set_shape(port.name, least, most, most)
        config.add_optimization_profile(profile)


def _watcher(progress: Progress) -> Any:  # noqa: ANN401 - TensorRT's
    class Watcher(trt.IProgressMonitor):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            """A phase begins."""
            del parent_phase
            self._steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            """A step is done; ``False`` stops the build."""
            return progress(phase_name, step + 1, self._steps.get(phase_name, 0))

        def phase_finish(self, phase_name: str) -> None:
            """A phase is over, perhaps early."""
            self._steps.pop(phase_name, None)

    return Watcher()


class Session:
    """An engine with its buffers, for one thread.

    Args:
        name: For messages.
        plan: The engine's bytes.
        gpu: Number of the GPU.

    Raises:
        EngineRefused: It is truncated, or of another TensorRT or GPU.
        BackendError: Memory is short, or CUDA failed.
    """

    def __init__(self, name: str, plan: bytes, gpu: int = 0) -> None:
        self._name = name
        self._gpu = gpu
        use(gpu)
        self._log = _Log()
        self._runtime = trt.Runtime(self._log)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            told = self._log.told(f"{name}: the engine cannot be loaded")
            raise told if "memory" in str(told).lower() else EngineRefused(str(told))
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise self._log.told(f"{name}: the engine cannot be made ready")
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        modes = {item: self._engine.get_tensor_mode(item) for item in names}
        self._input = next(item for item in names if modes[item] == trt.TensorIOMode.INPUT)
        self._outputs = [item for item in names if modes[item] != trt.TensorIOMode.INPUT]
        shape = self._engine.get_tensor_shape(self._input)
        self._dynamic = -1 in [int(side) for side in shape]
        most = tuple(self._engine.get_tensor_profile_shape(self._input, 0)[2]) if self._dynamic else tuple(shape)
        self._set_shape(most)
        self._graph: Any = None
        self._runs = 0
        self._stream = Stream()
        self._buffers: dict[str, Buffer] = {}
        try:
            for item in names:
                self._buffers[item] = Buffer(self._now(item), self._dtype(item))
                if not self._context.set_tensor_address(item, self._buffers[item].address):
                    raise self._log.told(f"{name}: the memory of {item} is refused")
        except BackendError:
            self.close()
            raise

    @property
    def inputs(self) -> tuple[Port, ...]:
        """Inputs of the engine."""
        return (self._port(self._input),)

    @property
    def outputs(self) -> tuple[Port, ...]:
        """Outputs of the engine."""
        return tuple(self._port(item) for item in self._outputs)

    def run(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """The first output for the input.

        Raises:
            BackendError: TensorRT or CUDA failed.
        """
        use(self._gpu)  # which GPU calls are for is each thread's own
        count = len(tensor)
        source, answer = self._buffers[self._input], self._buffers[self._outputs[0]]
        source.host[:count] = tensor
        if self._dynamic:
            self._set_shape(tensor.shape)
        source.up(count, self._stream.handle)
        self._execute()
        answer.down(count, self._stream.handle)
        self._stream.wait()
        return answer.host[:count].copy()

    def close(self) -> None:
        """Give memory and stream back."""
        if self._graph is not None:
            self._stream.drop(self._graph)
            self._graph = None
        for buffer in self._buffers.values():
            buffer.close()
        self._stream.close()

    def _execute(self) -> None:
        """A graph of CUDA after the first run where shapes are fixed; else one call."""
        if self._graph is not None:
            self._stream.launch(self._graph)
            return
        capture = not self._dynamic and self._runs == 1
        if capture:
            self._stream.begin_capture()
        done = self._context.execute_async_v3(stream_handle=self._stream.handle)
        noted = self._stream.end_capture() if capture else None
        if not done:
            if noted is not None:
                self._stream.drop(noted)
            raise self._log.told(f"{self._name}: the engine failed")
        if noted is not None:
            self._graph = noted
            self._stream.launch(noted)
        self._runs += 1

    def _set_shape(self, shape: tuple[int, ...]) -> None:
        if not self._context.set_input_shape(self._input, tuple(shape)):
            raise self._log.told(f"{self._name}: the engine does not take {tuple(shape)}")
        try:
            missing = self._context.infer_shapes()
        except RuntimeError as exc:
            raise self._log.told(f"{self._name}: the engine does not take {tuple(shape)}") from exc
        if missing:
            raise BackendError(f"{self._name}: the engine lacks the shape of {', '.join(missing)}")

    def _now(self, item: str) -> tuple[int, ...]:
        return tuple(int(side) for side in self._context.get_tensor_shape(item))

    def _port(self, item: str) -> Port:
        sides = [int(side) for side in self._engine.get_tensor_shape(item)]
        return Port(item, tuple(None if side == -1 else side for side in sides), self._dtype(item).name)

    def _dtype(self, item: str) -> np.dtype[Any]:
        kind = self._engine.get_tensor_dtype(item)
        try:
            same: np.dtype[Any] = np.dtype(trt.nptype(kind))
        except TypeError as exc:  # of 16 bits as bfloat16, of 8 bits as float, of 4 bits
            text = f"{self._name}: the port {item} is of the type {getattr(kind, 'name', kind)}, which NumPy has not"
            raise BackendError(f"{text}; export the model with ports of float or uint8") from exc
        return same
