"""A network as ONNX that every device of ours runs."""

from __future__ import annotations

import io
from typing import Any

OPSET = 17
IR_VERSION = 8  # JetPack 6 has nothing that reads a newer one than 10


def onnx_of(network: Any, size: int) -> bytes:  # noqa: ANN401 - torch's modules
    """Trace a network that takes pixels as they are.

    Args:
        network: From (N, size, size, 3) uint8 to one tensor, in evaluation mode.
        size: Side of the input, px.

    Returns:
        The checked graph: ``images`` in, ``output`` out, any batch.
    """
    import onnx
    import torch

    buffer = io.BytesIO()
    torch.onnx.export(
        network,
        torch.zeros(1, size, size, 3, dtype=torch.uint8),
        buffer,
        opset_version=OPSET,
        input_names=["images"],
        output_names=["output"],
        dynamic_axes={"images": {0: "batch"}, "output": {0: "batch"}},
        dynamo=False,
    )
    graph = onnx.load_from_string(buffer.getvalue())
    graph.ir_version = IR_VERSION
    onnx.checker.check_model(graph, full_check=True)
    content: bytes = graph.SerializeToString()
    return content
