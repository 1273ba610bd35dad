"""Too little memory is told with what to try; anything else passes."""

from __future__ import annotations

import pytest

from edgevision.errors import TrainingError
from edgevision.training.hardware import gpus, telling_memory
from edgevision.training.settings import TrainSettings

SETTINGS = TrainSettings.model_validate({"name": "x", "data": {"path": "."}, "batch": 12, "image_size": 320})


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"),
        MemoryError(),
    ],
)
def test_it_says_which_batch_to_try(error: Exception) -> None:
    with pytest.raises(TrainingError, match="batch: 12 at image_size: 320; try batch: 6"), telling_memory(SETTINGS):
        raise error


def test_nothing_is_hinted_at_that_is_no_less() -> None:
    settings = SETTINGS.model_copy(update={"batch": 1})
    with pytest.raises(TrainingError, match=r"320; try a smaller image_size$"), telling_memory(settings):
        raise MemoryError


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shape"), telling_memory(SETTINGS):
        raise RuntimeError("mismatch of shape")


def test_a_gpu_that_is_not_there_is_no_reason_to_train_on_something_else() -> None:
    torch = pytest.importorskip("torch", reason="needs the extra `train`: make test-train")
    there = torch.cuda.device_count()
    assert gpus("cpu") == []
    assert len(gpus("auto")) == min(1, there)
    with pytest.raises(TrainingError, match=f"there is no GPU {there}, torch finds {there} here"):
        gpus(str(there))
