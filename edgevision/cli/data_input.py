"""What the words of `edgevision data` mean: a data set, a folder for another one, how to divide and how to vary it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevision.errors import DatasetError

if TYPE_CHECKING:
    from edgevision.datasets.base import DataSet
    from edgevision.datasets.plots import Vary


def read(path: Path, format_: str, columns: Path | None) -> tuple[DataSet, str]:
    """The data set and the format that it has.

    Raises:
        DatasetError: It cannot be read.
    """
    from edgevision.datasets.formats import AUTO, detect, read_dataset

    name = detect(path) if format_ == AUTO else format_
    return read_dataset(path, name, columns), name


def can_write(out: Path, data: DataSet) -> None:
    """See that a data set may be written there.

    Raises:
        DatasetError: Something is there, or it lies inside of the data set.
    """
    from edgevision.datasets.writing import must_be_new, must_be_outside

    must_be_new(out)
    must_be_outside(out, data)


def split_settings(ratio: str, assign: list[str], **more: Any) -> Any:  # noqa: ANN401 - the model is imported late
    """How to divide.

    Args:
        ratio: Shares of train, val and test.
        assign: ``SPLIT=GROUP,GROUP,...`` each, in place of shares.
        more: Further settings by name.

    Raises:
        DatasetError: Names the option that is wrong.
    """
    from pydantic import ValidationError

    from edgevision.datasets.split import SplitSettings

    groups: dict[str, list[str]] = {}
    for item in assign:
        name, sign, names = item.partition("=")
        if not sign:
            raise DatasetError(f"--assign {item}: write SPLIT=GROUP,GROUP,..., e.g. train=00041,13000")
        groups.setdefault(name.strip(), []).extend(group.strip() for group in names.split(","))
    try:
        return SplitSettings.model_validate({**more, "assign": groups or None, "ratio": ratio.split(",")})
    except ValidationError as exc:
        error = exc.errors(include_url=False)[0]
        where = ".".join(str(key) for key in error["loc"][:1])
        raise DatasetError(f"--{where or 'split'}: {error['msg'].removeprefix('Value error, ')}") from exc


def pipeline(augment: str) -> Vary:
    """What varies pictures: a pipeline's name or a file.

    Raises:
        DatasetError: A library is missing.
    """
    try:
        from edgevision.training.augment import load_pipeline

        return load_pipeline(augment).apply
    except ImportError as exc:
        raise DatasetError('variations need albumentations: pip install "edgevision[data]"') from exc
