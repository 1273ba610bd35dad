"""The only importer of ``onnxruntime``: sessions whose device is what was asked for and whose errors are ours."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Newer versions report to their maker by default and write a device id into the user's home; read at the import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as failures  # type: ignore[import-untyped]

from edgevision.bundle import Precision, Target, onnx_header
from edgevision.bundle.onnx_file import onnx_nodes
from edgevision.errors import BackendError
from edgevision.inference.bundled import Port

VERSION: str = ort.__version__

_FATAL = 4
_ERRORS = (
    failures.EPFail,
    failures.EngineError,
    failures.Fail,
    failures.InvalidArgument,
    failures.InvalidGraph,
    failures.InvalidProtobuf,
    failures.NoModel,
    failures.NoSuchFile,
    failures.NotImplemented,
    failures.RuntimeException,
    RuntimeError,
    ValueError,
)
_PROVIDERS: dict[Target, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}

# What ONNX Runtime writes to stderr on its own is either harmless (no GPU found) or raised as an exception as well.
ort.set_default_logger_severity(_FATAL)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how a session runs.

    Attributes:
        target: The device.
        threads: Threads of one inference on a CPU; 0 takes one for each core this process may use.
        precision: Precision of the model, for TensorRT.
        cache: Folder of TensorRT's engines; needed for ``tensorrt``.
    """

    target: Target = "cpu"
    threads: int = 0
    precision: Precision = "fp32"
    cache: Path | None = None


class Session:
    """A loaded graph.

    Args:
        name: What error messages call it.
        data: The ONNX file's bytes.
        placement: Where it runs.

    Raises:
        BackendError: ONNX Runtime cannot load it, or not on that device.
    """

    def __init__(self, name: str, data: bytes, placement: Placement) -> None:
        wanted, there = _PROVIDERS[placement.target], ort.get_available_providers()
        if wanted not in there:
            msg = (
                f"this onnxruntime has no {wanted}, only {', '.join(there)}; install edgevision[gpu] or set device: cpu"
            )
            raise BackendError(msg)
        if placement.target != "cpu" and hasattr(ort, "preload_dlls"):
            ort.preload_dlls()
        self._name = name
        self._target = placement.target
        self._bound = placement.target != "cpu"
        try:
            self._session = ort.InferenceSession(
                data, _options(placement), providers=_providers(placement), enable_fallback=0
            )
        except _ERRORS as exc:
            msg = f"ONNX Runtime {VERSION} cannot load {name}: {_first_line(exc)}{_node_of(data, str(exc))}"
            raise BackendError(msg) from exc
        if wanted not in (got := self._session.get_providers()):
            msg = f"{name}: asked for {wanted}, ONNX Runtime fell back to {', '.join(got)}; check driver and CUDA"
            raise BackendError(msg)
        self._input: str = self._session.get_inputs()[0].name
        self._output: str = self._session.get_outputs()[0].name

    @property
    def inputs(self) -> tuple[Port, ...]:
        """Inputs of the graph."""
        return _ports(self._session.get_inputs())

    @property
    def outputs(self) -> tuple[Port, ...]:
        """Outputs of the graph."""
        return _ports(self._session.get_outputs())

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the exporter wrote into the file."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """The first output for the first input; what else a graph has is not computed.

        Raises:
            BackendError: ONNX Runtime failed.
        """
        try:
            return self._run_bound(tensor) if self._bound else self._run(tensor)
        except _ERRORS as exc:
            msg = f"{self._name} failed on {self._target}: {_first_line(exc)}"
            raise BackendError(msg) from exc

    def _run(self, tensor: NDArray[Any]) -> NDArray[Any]:
        output: NDArray[Any] = self._session.run([self._output], {self._input: tensor})[0]
        return output

    def _run_bound(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """On a GPU: one copy there and one back."""
        binding = self._session.io_binding()
        binding.bind_cpu_input(self._input, tensor)
        binding.bind_output(self._output)
        self._session.run_with_iobinding(binding)
        output: NDArray[Any] = binding.copy_outputs_to_cpu()[0]
        return output


def available(target: Target) -> bool:
    """Whether this onnxruntime was built for a device; not whether the machine has one."""
    return _PROVIDERS[target] in ort.get_available_providers()


def describe(file: Path) -> Session:
    """An ONNX file opened for a look at its ports and metadata.

    Raises:
        UnsafeModel: It is a pickle.
        BundleCorrupt: It is no ONNX model.
        BackendError: ONNX Runtime cannot read it.
    """
    onnx_header(file)
    return Session(file.name, file.read_bytes(), Placement(threads=1))


def _options(placement: Placement) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = placement.threads or _cores()
    options.inter_op_num_threads = 1
    # Threads that spin between operators are 6 % faster alone, but steal from decoding and cost power: on two busy
    # cores 50 ms and 35 ms CPU a picture with it, 27 ms and 20 ms CPU without.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A plan of memory is kept for each batch size: a quarter more memory for one picture, three quarters more for
    # eight, and no time gained.
    options.enable_mem_pattern = placement.target != "cpu"
    return options


def _providers(placement: Placement) -> list[Any]:
    """Providers in order of preference; what one cannot run falls to the next, node by node."""
    cpu, cuda = _PROVIDERS["cpu"], (_PROVIDERS["cuda"], {"cudnn_conv_algo_search": "HEURISTIC"})
    if placement.target == "cpu":
        return [cpu]
    if placement.target == "cuda":
        return [cuda, cpu]
    options = {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(placement.cache),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(placement.cache),
        "trt_fp16_enable": str(placement.precision == "fp16"),
        "trt_int8_enable": str(placement.precision == "int8"),
    }
    return [(_PROVIDERS["tensorrt"], options), cuda, cpu]


def _ports(found: Sequence[Any]) -> tuple[Port, ...]:
    return tuple(Port(port.name, tuple(port.shape), _type_name(port.type)) for port in found)


def _type_name(text: str) -> str:
    """``tensor(float)`` and the like in NumPy's words."""
    inner = text.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(inner, inner)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _first_line(exc: BaseException) -> str:
    text = str(exc).strip() or type(exc).__name__
    return text.splitlines()[0][:300]


def _node_of(data: bytes, text: str) -> str:
    """Where an operator stands that ONNX Runtime names without its node."""
    strange = re.search(r"(\w[\w.]*):(\w+)\(-?\d+\) is not a registered function/op", text)
    if strange is None:
        return ""
    node = next((node for node in onnx_nodes(data) if (node.domain, node.operator) == strange.groups()), None)
    where = f" (node {node.name})" if node and node.name else ""
    return f"{where}; export the model with ONNX's own operators"
