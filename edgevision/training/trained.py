"""A network as it was trained, behind the same port as the backends: what exported artefacts are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray

from edgevision.bundle import Bundle
from edgevision.errors import BackendError
from edgevision.inference.bundled import BundleDetector, Port
from edgevision.training.base import Graph

MAX_BATCH = 4


class TorchSession:
    """A network of torch on a CPU.

    Args:
        graph: With its network.
    """

    def __init__(self, graph: Graph) -> None:
        self._network = graph.network.eval()
        self._size = graph.size

    @property
    def inputs(self) -> tuple[Port, ...]:
        """Pixels."""
        return (Port("images", (None, self._size, self._size, 3), "uint8"),)

    @property
    def outputs(self) -> tuple[Port, ...]:
        """As a picture of zeros shows."""
        with torch.inference_mode():
            shape = self._network(torch.zeros(1, self._size, self._size, 3, dtype=torch.uint8)).shape
        return (Port("output", (None, *map(int, shape[1:])), "float32"),)

    def run(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """The output for (N, H, W, 3) uint8.

        Raises:
            BackendError: torch failed.
        """
        try:
            with torch.inference_mode():
                answer: NDArray[Any] = self._network(torch.from_numpy(tensor)).float().numpy()
        except RuntimeError as exc:
            raise BackendError(f"the trained network failed: {' '.join(str(exc).split())[:300]}") from exc
        return answer


def trained_detector(graph: Graph, bundle: Bundle, thresholds: Mapping[str, float]) -> BundleDetector:
    """What was trained, as a detector; ``bundle`` is one of the graph."""
    return BundleDetector(bundle, bundle.manifest.artefacts[0], TorchSession(graph), MAX_BATCH, "torch", thresholds)
