"""Each group is left out once, and the smallest of the others validate."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).resolve().parents[2] / "tools" / "leave_one_out.py"


@pytest.fixture(scope="module", name="tool")
def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("leave_one_out", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_other_group_trains_or_validates(tool: ModuleType) -> None:
    sizes = {"a": 200, "b": 50, "c": 100, "d": 50}
    for name, size in sizes.items():
        assign = tool.divided(sizes, name, 0.1)
        assert assign["test"] == [name]
        assert sorted(assign["train"] + assign["val"] + assign["test"]) == sorted(sizes)
        rest = 400 - size
        assert sum(sizes[group] for group in assign["val"]) >= 0.1 * rest
    assert tool.divided(sizes, "a", 0.1) == {"train": ["d", "c"], "val": ["b"], "test": ["a"]}
