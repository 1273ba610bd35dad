"""The base of every settings model."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from edgevision.config.settings import Name, RelativePoint, Settings


class Example(Settings):
    name: Name = "a"
    file: Path = Path("default")
    point: RelativePoint = (0.5, 0.5)


def test_relative_paths_are_meant_from_the_files_folder(tmp_path: Path) -> None:
    context = {"folder": tmp_path}
    assert Example.model_validate({"file": "x/y"}, context=context).file == tmp_path / "x/y"
    assert Example.model_validate({}, context=context).file == tmp_path / "default"
    assert Example.model_validate({"file": "/x"}, context=context).file == Path("/x")
    assert Example(file=Path("x")).file == Path("x")


@pytest.mark.parametrize("name", ["a", "line-3", "9", "a" * 63])
def test_names(name: str) -> None:
    assert Example(name=name).name == name


@pytest.mark.parametrize("name", ["", "A", "-a", "a_b", "a/b", "ä", "a" * 64, "a+", "#", "a\n"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValidationError):
        Example(name=name)


def test_unknown_keys_and_changes_are_refused() -> None:
    with pytest.raises(ValidationError):
        Example.model_validate({"nmae": "a"})
    with pytest.raises(ValidationError):
        Example().name = "b"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Example(point=(0.5, 1.5))
