"""The only importer of ``openvino``: compiled graphs whose errors are ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import openvino  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edgevision.errors import BackendError
from edgevision.inference.bundled import Port

VERSION: str = openvino.__version__.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how a graph runs.

    Attributes:
        device: OpenVINO's name of it, e.g. ``CPU`` or ``GPU``.
        threads: Of one inference on a CPU; 0 leaves it to OpenVINO.
        hint: What counts: the time of one picture, or pictures a second.
        precision: In which the float parts compute; ``auto`` is the fastest that the processor has.
    """

    device: str = "CPU"
    threads: int = 0
    hint: Literal["latency", "throughput"] = "latency"
    precision: Literal["auto", "f32", "bf16", "f16"] = "auto"


class Session:
    """A compiled graph. Pictures of a batch are requests of their own, as many at once as the hint asks for.

    Args:
        name: What error messages call it.
        data: The ONNX file's bytes.
        placement: Where it runs.

    Raises:
        BackendError: OpenVINO cannot load it, or has no such device.
    """

    def __init__(self, name: str, data: bytes, placement: Placement) -> None:
        core = openvino.Core()
        self._name = f"{name} on OpenVINO {VERSION}, {placement.device}"
        if placement.device not in {item.partition(".")[0] for item in core.available_devices}:
            there = ", ".join(core.available_devices) or "none"
            raise BackendError(f"OpenVINO has no device {placement.device}; there is {there}")
        try:
            model = core.read_model(data)
            self._inputs = tuple(_port(item) for item in model.inputs)
            self._outputs = tuple(_port(item) for item in model.outputs)
            if len(self._inputs) == 1 and not isinstance(self._inputs[0].shape[0], int):
                model.reshape({0: [1, *model.input(0).partial_shape[1:]]})
            self._model = core.compile_model(model, placement.device, _options(placement))
            wanted = self._model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
            count = int(wanted) if placement.hint == "throughput" else 1
            self._requests = [self._model.create_infer_request() for _ in range(max(1, count))]
        except RuntimeError as exc:
            raise BackendError(f"cannot load {self._name}: {_plain(exc)}") from exc

    @property
    def inputs(self) -> tuple[Port, ...]:
        """Inputs of the graph."""
        return self._inputs

    @property
    def outputs(self) -> tuple[Port, ...]:
        """Outputs of the graph."""
        return self._outputs

    @property
    def precision(self) -> str:
        """Type that the float parts compute in, e.g. ``bf16``."""
        kind: str = self._model.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        return kind

    def run(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """The first output for the first input, (N, ...).

        Raises:
            BackendError: OpenVINO failed.
        """
        answers: list[NDArray[Any]] = []
        try:
            for first in range(0, len(tensor), len(self._requests)):
                busy = list(zip(self._requests, range(first, len(tensor)), strict=False))
                for request, place in busy:
                    request.start_async({0: tensor[place : place + 1]}, share_inputs=True)
                for request, _ in busy:
                    request.wait()
                    answers.append(request.get_output_tensor(0).data.copy())
        except RuntimeError as exc:
            raise BackendError(f"{self._name} failed: {_plain(exc)}") from exc
        return np.concatenate(answers)


def _options(placement: Placement) -> Mapping[str, object]:
    options: dict[str, object] = {"PERFORMANCE_HINT": placement.hint.upper()}
    if placement.threads and placement.device == "CPU":
        options["INFERENCE_NUM_THREADS"] = placement.threads
    if placement.precision != "auto":
        options["INFERENCE_PRECISION_HINT"] = placement.precision
    return options


def _port(item: Any) -> Port:  # noqa: ANN401 - OpenVINO's
    shape = tuple(side.get_length() if side.is_static else None for side in item.partial_shape)
    return Port(item.any_name, shape, np.dtype(item.element_type.to_dtype()).name)


def _plain(exc: Exception) -> str:
    """The last lines say what is wrong; where in OpenVINO's own files it was found does not help."""
    lines = [
        line for line in str(exc).splitlines() if line.strip() and not line.startswith(("Exception from", "Check "))
    ]
    return " ".join(" ".join(lines).split())[:300] or "no reason given"
