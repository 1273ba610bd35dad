"""Stand-ins for ``tensorrt`` (8.6, 10 and 11) and ``cuda.bindings.runtime``, with the names that ours are written to.

An engine computes by ONNX Runtime on "device" memory, which is the host's. So control flow, shapes, addresses and
failures are tested; that the real modules behave so is not.
"""

from __future__ import annotations

import ctypes
import enum
import sys
import threading
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(float16)": np.float16}


class Faults:
    """What shall go wrong next, and what was seen.

    Attributes:
        allocations: Open allocations by address.
        builds: (bits of the network, flags of the build, profile) of each build.
    """

    def __init__(self) -> None:
        self.build: str = ""
        self.operator: str = ""
        self.run = False
        self.memory: str = ""
        self.free_bytes = 8 << 30
        self.allocations: dict[int, Any] = {}
        self.builds: list[tuple[int, set[str], tuple[int, ...] | None]] = []
        self.graphs = 0
        self.kept_graphs = 0
        self.timings_of_another = False
        self.loading = ""
        self.shapes = False
        self.pinned_left: int | None = None
        self.port_type = ""
        self.device: dict[int, int] = {}


def install(monkeypatch: pytest.MonkeyPatch, version: int) -> Faults:
    """Put both modules in place for one test."""
    faults = Faults()
    package, bindings = ModuleType("cuda"), ModuleType("cuda.bindings")
    runtime = _cuda(faults)
    package.bindings, bindings.runtime = bindings, runtime  # type: ignore[attr-defined]
    modules = {"cuda": package, "cuda.bindings": bindings, "cuda.bindings.runtime": runtime}
    for name, module in {**modules, "tensorrt": _tensorrt(faults, version)}.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("edgevision.inference.drivers._KIND", ())  # whatever this machine has
    for name in ("trt", "cuda"):  # ours import these when they are next imported, and are gone after the test
        monkeypatch.setitem(sys.modules, f"edgevision.inference.{name}", ModuleType(name))
        del sys.modules[f"edgevision.inference.{name}"]
    return faults


def _cuda(faults: Faults) -> Any:  # noqa: C901 - a module in one place
    class cudaError_t(enum.IntEnum):  # noqa: N801 - CUDA's names
        cudaSuccess = 0  # noqa: N815
        cudaErrorMemoryAllocation = 2  # noqa: N815
        cudaErrorInvalidValue = 1  # noqa: N815

    ok, no_memory = cudaError_t.cudaSuccess, cudaError_t.cudaErrorMemoryAllocation

    def allocate(size: int) -> tuple[Any, ...]:
        buffer = ctypes.create_string_buffer(size)
        faults.allocations[ctypes.addressof(buffer)] = buffer
        return ok, ctypes.addressof(buffer)

    def malloc(size: int) -> tuple[Any, ...]:
        return (no_memory, None) if faults.memory == "device" else allocate(size)

    def malloc_host(size: int) -> tuple[Any, ...]:
        if faults.pinned_left is not None:
            faults.pinned_left -= 1
            if faults.pinned_left < 0:
                return no_memory, None
        return (no_memory, None) if faults.memory == "pinned" else allocate(size)

    def free(address: int) -> tuple[Any, ...]:
        return (ok,) if faults.allocations.pop(address, None) is not None else (cudaError_t.cudaErrorInvalidValue,)

    def copy(to: int, source: int, size: int, kind: int, stream: int) -> tuple[Any, ...]:
        del kind, stream
        ctypes.memmove(to, source, size)
        return (ok,)

    def launch(graph: Any, stream: Any) -> tuple[Any, ...]:
        del stream
        faults.graphs += 1
        graph()
        return (ok,)

    def set_device(number: int) -> tuple[Any, ...]:
        faults.device[threading.get_ident()] = number  # of each thread, as CUDA has it
        return (ok,)

    def instantiate(graph: Any, _flags: int) -> tuple[Any, ...]:
        faults.kept_graphs += 1
        return ok, graph

    def destroy(_graph: Any) -> tuple[Any, ...]:
        faults.kept_graphs -= 1
        return (ok,)

    module = ModuleType("cuda.bindings.runtime")
    captured: list[Any] = []
    names = {
        "cudaError_t": cudaError_t,
        "cudaMemcpyKind": SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2),
        "cudaStreamCaptureMode": SimpleNamespace(cudaStreamCaptureModeThreadLocal=1),
        "cudaSetDevice": set_device,
        "cudaGetDeviceProperties": lambda _number: (ok, SimpleNamespace(name=b"Fake GPU\0\0", major=8, minor=7)),
        "cudaMemGetInfo": lambda: (ok, faults.free_bytes, 16 << 30),
        "cudaMalloc": malloc,
        "cudaMallocHost": malloc_host,
        "cudaFree": free,
        "cudaFreeHost": free,
        "cudaMemcpyAsync": copy,
        "cudaStreamCreate": lambda: (ok, 77),
        "cudaStreamSynchronize": lambda _stream: (ok,),
        "cudaStreamDestroy": lambda _stream: (ok,),
        "cudaStreamBeginCapture": lambda _stream, _mode: (captured.clear(), (ok,))[1],
        "cudaStreamEndCapture": lambda _stream: (ok, captured[-1]),
        "cudaGraphInstantiate": instantiate,
        "cudaGraphExecDestroy": destroy,
        "cudaGraphDestroy": lambda _graph: (ok,),
        "cudaGraphLaunch": launch,
    }
    for name, value in names.items():
        setattr(module, name, value)
    faults.captured = captured  # type: ignore[attr-defined]
    return module


def _tensorrt(faults: Faults, version: int) -> Any:  # noqa: C901 - a module in one place
    module: Any = ModuleType("tensorrt")
    module.__version__ = {8: "8.6.2", 10: "10.3.0", 11: "11.1.0"}[version]
    module.__spec__ = ModuleSpec("tensorrt", None)  # so that it can be looked for

    class Severity(enum.IntEnum):
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    class ILogger:
        pass

    ILogger.Severity = Severity  # type: ignore[attr-defined]
    flags = {"TF32", "GPU_FALLBACK"} | ({"FP16", "INT8"} if version <= 10 else set())
    bits = {
        8: {"EXPLICIT_BATCH": 0},
        10: {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1},
        11: {"STRONGLY_TYPED": 0, "PREFER_JIT": 1},
    }[version]
    module.ILogger = ILogger
    module.BuilderFlag = SimpleNamespace(**{name: name for name in flags})
    module.NetworkDefinitionCreationFlag = SimpleNamespace(**bits)
    module.TensorIOMode = SimpleNamespace(INPUT="in", OUTPUT="out")

    def nptype(kind: Any) -> Any:
        if isinstance(kind, SimpleNamespace):
            raise TypeError(f"Could not resolve TensorRT datatype to an equivalent numpy datatype: {kind.name}")
        return kind

    module.nptype = nptype

    class IProgressMonitor:
        pass

    module.IProgressMonitor = IProgressMonitor

    class Network:
        def __init__(self, typed: int) -> None:
            self.bits = typed
            self.content = b""

        def get_input(self, index: int) -> Any:
            model = onnx.load_from_string(self.content)
            port = model.graph.input[index]
            sides = [side.dim_value or -1 for side in port.type.tensor_type.shape.dim]
            return SimpleNamespace(name=port.name, shape=sides)

    class OnnxParser:
        def __init__(self, network: Network, log: Any) -> None:
            self._network = network
            self.num_errors = 0
            del log

        def parse(self, content: bytes) -> bool:
            self._network.content = content
            self.num_errors = int(bool(faults.operator))
            return not faults.operator

        def get_error(self, index: int) -> Any:
            del index
            return SimpleNamespace(
                desc=lambda: "no importer", node_name=lambda: "head/strange", node_operator=lambda: faults.operator
            )

    class Profile:
        most: tuple[int, ...] | None = None

        def set_shape(self, name: str, low: tuple[int, ...], opt: tuple[int, ...], most: tuple[int, ...]) -> None:
            assert name
            assert low[0] == 1 <= opt[0] <= most[0]
            self.most = most

    class Config:
        def __init__(self) -> None:
            self.flags: set[str] = set()
            self.profile: Profile | None = None
            self.progress_monitor: Any = None
            self.builder_optimization_level = 3
            self._cache: Any = None

        def set_flag(self, flag: str) -> None:
            self.flags.add(flag)

        def add_optimization_profile(self, profile: Profile) -> None:
            self.profile = profile

        def create_timing_cache(self, content: bytes) -> bytes:
            return content

        def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:  # noqa: FBT001 - TensorRT's
            assert not ignore_mismatch
            fits = not (cache and faults.timings_of_another)
            self._cache = cache if fits else None
            return fits

        def get_timing_cache(self) -> Any:
            return None if self._cache is None else SimpleNamespace(serialize=lambda: self._cache + b"timed;")

    class Builder:
        def __init__(self, log: Any) -> None:
            self._log = log

        def create_network(self, typed: int) -> Network:
            return Network(typed)

        def create_builder_config(self) -> Config:
            return Config()

        def create_optimization_profile(self) -> Profile:
            return Profile()

        def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
            most = config.profile.most if config.profile else None
            faults.builds.append((network.bits, config.flags, most))
            watcher = config.progress_monitor
            if watcher is not None:
                watcher.phase_start("search", None, 2)
                stopped = not all(watcher.step_complete("search", step) for step in range(2))
                watcher.phase_finish("search")
                if stopped:
                    return None
            typed = network.bits & (1 << bits["STRONGLY_TYPED"]) if "STRONGLY_TYPED" in bits else 0
            if typed and config.flags:
                self._log.log(Severity.ERROR, f"{config.flags} cannot be set on a strongly typed network")
                return None
            if faults.build:
                self._log.log(Severity.ERROR, faults.build)
                return None
            return b"PLAN" + "".join(f"{side:05d}" for side in most or (0,) * 4).encode() + network.content

    class Context:
        def __init__(self, engine: Engine) -> None:
            self._engine = engine
            self._shape: tuple[int, ...] = ()
            self._addresses: dict[str, int] = {}

        def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
            assert name == self._engine.input.name
            self._shape = tuple(shape)
            assert -1 not in shape
            return shape[0] <= self._engine.most

        def infer_shapes(self) -> list[str]:
            if faults.shapes:
                raise RuntimeError("shape inference")
            return [] if self._shape else [self._engine.input.name]

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            if name == self._engine.input.name:
                return self._shape
            port = next(item for item in self._engine.outputs if item.name == name)
            return (self._shape[0], *port.shape[1:])

        def set_tensor_address(self, name: str, address: int) -> bool:
            self._addresses[name] = address
            return address in faults.allocations

        def execute_async_v3(self, stream_handle: int) -> bool:
            assert stream_handle == 77
            if faults.run:
                return False
            faults.captured.append(self._compute)  # type: ignore[attr-defined]
            self._compute()
            return True

        def _compute(self) -> None:
            port = self._engine.input
            tensor = _view(self._addresses[port.name], self._shape, TYPES[port.type])
            for item, value in zip(
                self._engine.outputs, self._engine.session.run(None, {port.name: tensor}), strict=True
            ):
                _view(self._addresses[item.name], value.shape, value.dtype)[...] = value

    class Engine:
        def __init__(self, content: bytes, most: tuple[int, ...] | None) -> None:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4
            self.session = onnxruntime.InferenceSession(content, options)
            self.input = self.session.get_inputs()[0]
            self.outputs = self.session.get_outputs()
            self.profile = most
            self.most = most[0] if most else 1
            self._ports = {item.name: item for item in (self.input, *self.outputs)}
            self.num_io_tensors = len(self._ports)

        def get_tensor_name(self, index: int) -> str:
            return list(self._ports)[index]

        def get_tensor_mode(self, name: str) -> str:
            return "in" if name == self.input.name else "out"

        def get_tensor_dtype(self, name: str) -> Any:
            return SimpleNamespace(name=faults.port_type) if faults.port_type else TYPES[self._ports[name].type]

        def get_tensor_shape(self, name: str) -> list[int]:
            return [side if isinstance(side, int) else -1 for side in self._ports[name].shape]

        def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
            assert (name, profile) == (self.input.name, 0)
            assert self.profile is not None
            return [(1, *self.profile[1:]), self.profile, self.profile]

        def create_execution_context(self) -> Context:
            return Context(self)

    class Runtime:
        def __init__(self, log: Any) -> None:
            self._log = log

        def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
            if faults.loading:
                self._log.log(Severity.ERROR, faults.loading)
                return None
            if not plan.startswith(b"PLAN") or len(plan) < 40:
                self._log.log(Severity.ERROR, "Serialization assertion stdVersionRead == serializationVersion failed")
                return None
            most = tuple(int(plan[at : at + 5]) for at in range(4, 24, 5))
            return Engine(plan[24:], most if any(most) else None)

    module.Builder, module.OnnxParser, module.Runtime = Builder, OnnxParser, Runtime
    return module


def _view(address: int, shape: tuple[int, ...], kind: Any) -> Any:
    kind = np.dtype(kind)
    raw = (ctypes.c_ubyte * (int(np.prod(shape)) * kind.itemsize)).from_address(address)
    return np.ctypeslib.as_array(raw).view(kind).reshape(shape)
