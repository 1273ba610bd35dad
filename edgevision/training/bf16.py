"""bfloat16 on a CPU, which Ultralytics' trainer offers on GPUs only."""

from __future__ import annotations

from typing import Any


def compute_in_bf16(model: Any) -> None:  # noqa: ANN401 - the trainer's
    """Forward and backward of a network in bfloat16; its losses stay in float32.

    Twice as fast where the processor computes in it. The averaged weights, which are validated and saved, are a copy of
    their own and not touched.
    """
    import torch
    from torch.utils._pytree import tree_map

    model.to(memory_format=torch.channels_last)
    predict = model.predict

    def in_bf16(pixels: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - tensors
        with torch.autocast("cpu", dtype=torch.bfloat16):
            answer = predict(pixels.contiguous(memory_format=torch.channels_last), *args, **kwargs)
        return tree_map(lambda item: item.float() if torch.is_tensor(item) else item, answer)

    model.predict = in_bf16
