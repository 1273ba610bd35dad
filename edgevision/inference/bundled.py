"""What all backends share: a bundle over a loaded graph, with its ports checked, from pixels to detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgevision.bundle import Artefact, Bundle, InputManifest
from edgevision.errors import BackendError, BundleError
from edgevision.inference.base import Batch, InputSpec
from edgevision.inference.decode import check_output, decoder_of
from edgevision.types import Detections, Image

_TYPES = {"nhwc-uint8": ("uint8",), "nchw-float": ("float32", "float16")}


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a graph.

    Attributes:
        name: Its name.
        shape: Its dimensions; a name or ``None`` stands for a dynamic one.
        type: Name of its type as NumPy has it, e.g. ``float32``.
    """

    name: str
    shape: tuple[int | str | None, ...]
    type: str

    def __str__(self) -> str:
        return f"{self.type} ({', '.join(str(side) for side in self.shape)})"


class Session(Protocol):
    """A graph that a runtime has loaded."""

    @property
    def inputs(self) -> Sequence[Port]:
        """Inputs of the graph."""
        ...

    @property
    def outputs(self) -> Sequence[Port]:
        """Outputs of the graph."""
        ...

    def run(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """The first output for the first input.

        Raises:
            BackendError: The runtime failed.
        """
        ...


class BundleDetector:
    """A bundle run by a session; backends derive from it and open one.

    Args:
        bundle: The model.
        artefact: The one of its artefacts that runs.
        session: Its graph.
        max_batch: How many pictures one call takes at most, where the graph does not say.
        device: Where it runs.
        thresholds: Scores by class name that go before the bundle's.

    Attributes:
        artefact: The one that runs.
        device: Where it runs.

    Raises:
        BundleError: The graph contradicts the manifest.
    """

    def __init__(
        self,
        bundle: Bundle,
        artefact: Artefact,
        session: Session,
        max_batch: int,
        device: str,
        thresholds: Mapping[str, float] | None = None,
    ) -> None:
        self.artefact = artefact
        spec = bundle.manifest.input
        self._bundle = bundle
        self._decode = decoder_of(bundle, thresholds)
        self._session: Session | None = session
        self._max_batch = _check_input(bundle, session.inputs) or max_batch
        _check_output(bundle, session.outputs)
        self.device = device
        self._input = InputSpec(spec.width, spec.height, spec.order, spec.align, spec.pad)
        planes = (self._max_batch, 3, spec.height, spec.width) if spec.layout == "nchw-float" else (0,)
        self._floats = np.empty(planes, np.float16 if session.inputs[0].type == "float16" else np.float32)

    @property
    def classes(self) -> Sequence[str]:
        """Class names; a label is an index into them."""
        return self._bundle.manifest.classes

    @property
    def input(self) -> InputSpec:
        """What a batch must look like."""
        return self._input

    @property
    def max_batch(self) -> int:
        """How many pictures one call takes at most."""
        return self._max_batch

    def infer(self, batch: Batch) -> list[Detections]:
        """Detections in source pixels, one item a picture.

        Raises:
            BackendError: The runtime failed, or returned what the bundle's family does not have.
        """
        spec, shape = self._input, batch.images.shape
        if not 0 < shape[0] <= self._max_batch or shape[1:] != (spec.height, spec.width, 3):
            msg = f"batch: expected (1..{self._max_batch}, {spec.height}, {spec.width}, 3) uint8, got {shape}"
            raise BackendError(msg)
        if self._session is None:
            msg = f"{self._bundle.model_ref}: the detector is closed"
            raise BackendError(msg)
        found = self._decode(self._session.run(self._tensor(batch.images)))
        return [
            Detections(letterbox.to_source(item.xyxy), item.score, item.label)
            for letterbox, item in zip(batch.boxes, found, strict=True)
        ]

    def close(self) -> None:
        """Release the model; a later ``infer`` raises ``BackendError``."""
        self._session = None

    def _tensor(self, images: Image) -> NDArray[Any]:
        """The batch as the graph wants it; float graphs get planes of scaled values."""
        manifest = self._bundle.manifest.input
        if manifest.layout == "nhwc-uint8":
            return images
        out = self._floats[: len(images)]
        np.multiply(images.transpose(0, 3, 1, 2), out.dtype.type(manifest.scale), out=out, dtype=out.dtype)
        return out


def picture_shape(spec: InputManifest) -> tuple[int, int, int]:
    """One picture as a graph takes it: (H, W, 3) or (3, H, W)."""
    return (spec.height, spec.width, 3) if spec.layout == "nhwc-uint8" else (3, spec.height, spec.width)


def _check_input(bundle: Bundle, ports: Sequence[Port]) -> int | None:
    """Compare the graph's inputs with the manifest; returns a fixed batch size, ``None`` for a dynamic one."""
    spec = bundle.manifest.input
    if len(ports) != 1:
        names = ", ".join(port.name for port in ports)
        msg = f"{bundle.folder}: expected a model with one input, got {len(ports)}: {names}"
        raise BundleError(msg)
    port, types, sides = ports[0], _TYPES[spec.layout], picture_shape(spec)
    fits = len(port.shape) == 1 + len(sides) and all(
        have == want or not isinstance(have, int) for have, want in zip(port.shape[1:], sides, strict=True)
    )
    if not fits or port.type not in types:
        expected = f"{' or '.join(types)} (N, {', '.join(map(str, sides))})"
        msg = f"{bundle.folder}: input {port.name}: the manifest says {expected}, the graph has {port}"
        raise BundleError(msg)
    batch = port.shape[0]
    if isinstance(batch, int) and batch != 1:
        msg = f"{bundle.folder}: the graph takes exactly {batch} pictures; export it for 1 or for a dynamic batch"
        raise BundleError(msg)
    return batch if isinstance(batch, int) else None


def _check_output(bundle: Bundle, ports: Sequence[Port]) -> None:
    manifest = bundle.manifest
    size = (manifest.input.width, manifest.input.height)
    try:
        check_output(manifest.family, ports[0].shape, len(manifest.classes), size)
    except BundleError as exc:
        msg = f"{bundle.folder}: {exc}"
        raise BundleError(msg) from exc
